"""implicit_root: derivatives by the equation, whoever solved it."""

import numpy as np
import pytest
import scipy.optimize

import overbar as ob
from overbar.errors import DTypeError, ShapeError, SingularError, StructureError


def babylon(a):
    """√a in a loop that looks at values."""
    a, x = float(a), 1.0
    while abs(x * x - a) > 1e-15 * a:
        x = (x + a / x) / 2
    return x


def newton(a):
    """√a by operations that can be traced."""
    return ob.fori_loop(0, 30, lambda _, x: (x + a / x) / 2, 1.0 + 0 * a)


square_root = ob.implicit_root(lambda x, a: x * x - a, newton)


@pytest.mark.parametrize("solver", [babylon, newton])
def test_derivatives_of_every_order_in_both_modes(solver):
    f = ob.implicit_root(lambda x, a: x * x - a, solver)
    assert float(f(4.0)) == 2.0
    g1, g2 = ob.grad(f), ob.grad(ob.grad(f))
    assert g1(4.0) == 0.25
    assert g2(4.0) == -1 / 32
    assert ob.grad(g2)(4.0) == pytest.approx(3 / 8 * 4**-2.5)
    assert ob.jacfwd(f)(4.0) == 0.25
    assert ob.jacfwd(ob.jacfwd(f))(4.0) == -1 / 32
    assert ob.jacfwd(ob.jacrev(f))(4.0) == -1 / 32
    assert ob.jacrev(ob.jacfwd(f))(4.0) == -1 / 32


def test_it_is_compiled_and_batched():
    a = np.array([1.0, 4.0, 9.0])
    wanted = 0.5 / np.sqrt(a)
    np.testing.assert_allclose(ob.vmap(ob.grad(square_root))(a), wanted)
    np.testing.assert_allclose(ob.jit(ob.vmap(ob.grad(square_root)))(a), wanted)
    np.testing.assert_allclose(ob.jit(ob.grad(ob.grad(square_root)))(4.0), -1 / 32)


def system(x, p):
    return {
        "u": x["u"] - ob.tanh(p["A"] @ x["u"] + x["v"]),
        "v": x["v"] - 0.1 * ob.sum(x["u"]) - p["b"],
    }


def by_scipy(p):
    a, b = np.asarray(p["A"]), float(p["b"])
    f = lambda z: np.append(z[:2] - np.tanh(a @ z[:2] + z[2]), z[2] - 0.1 * z[:2].sum() - b)
    z = scipy.optimize.root(f, np.zeros(3), tol=1e-14).x
    return {"u": z[:2], "v": z[2]}


def test_unknowns_and_parameters_may_be_trees_and_the_solver_scipys():
    f = lambda p: ob.sum(ob.implicit_root(system, by_scipy)(p)["u"] ** 2)
    ob.testing.check_gradients(f, {"A": np.array([[0.1, 0.2], [0.05, 0.3]]), "b": 0.3})


def test_fixed_points():
    """x = cos(c x): x' = −x sin(cx) / (1 + c sin(cx))."""

    def iterate(c):
        x = 0.5
        for _ in range(200):
            x = np.cos(float(c) * x)
        return x

    f = ob.implicit_root(lambda x, c: ob.cos(c * x) - x, iterate)
    x, c = float(f(0.8)), 0.8
    assert ob.grad(f)(c) == pytest.approx(-x * np.sin(c * x) / (1 + c * np.sin(c * x)), rel=1e-14)


def test_what_the_equation_reads_besides_is_differentiated_by():
    w = ob.tensor(4.0, requires_grad=True)
    ob.implicit_root(lambda x: x * x - w, lambda: newton(w.detach()))().backward()
    assert float(w.grad) == 0.25
    outer = lambda a: ob.implicit_root(lambda x: x * x - a, lambda: babylon(a.detach()))()
    assert ob.grad(outer)(4.0) == 0.25


def test_it_sits_inside_of_other_computations():
    f = lambda a: ob.sin(square_root(a * a + 3.0)) * a
    a = 1.5
    r = np.sqrt(a * a + 3)
    assert ob.grad(f)(a) == pytest.approx(np.sin(r) + a * np.cos(r) * a / r, rel=1e-14)


def test_linear_systems_are_solved_with_the_transpose():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 4)) + 4 * np.eye(4), rng.normal(size=4)
    f = ob.implicit_root(
        lambda x, a, b: a @ x - b, lambda a, b: np.linalg.solve(np.asarray(a), np.asarray(b))
    )
    ours = ob.grad(lambda a, b: ob.sum(f(a, b) ** 3), (0, 1))(a, b)
    right = ob.grad(lambda a, b: ob.sum(ob.linalg.solve(a, b) ** 3), (0, 1))(a, b)
    for x, y in zip(ours, right, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)


def test_what_is_no_system_of_equations_is_refused():
    with pytest.raises(ShapeError, match="as many equations as unknowns"):
        ob.implicit_root(lambda x, a: ob.stack([x, x]), newton)(4.0)
    with pytest.raises(StructureError):
        ob.implicit_root(lambda x, a: (x, x), newton)(4.0)
    with pytest.raises(DTypeError, match="real floating numbers"):
        ob.implicit_root(lambda x, a: x - a, lambda a: 2)(4.0)
    with pytest.raises(SingularError):
        ob.grad(ob.implicit_root(lambda x, a: 0 * x + 0 * a, newton))(4.0)

"""Branches and loops as single nodes: values, both modes, second order, lanes, nesting, handles."""

import itertools

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DTypeError, ShapeError, StructureError, UnknownValueError

XS = np.array([0.3, -0.7, 1.1, 0.4, -0.2])


def alike(a, b, rtol=1e-12, atol=1e-13):
    np.testing.assert_allclose(np.asarray(_plain(a)), np.asarray(_plain(b)), rtol=rtol, atol=atol)


def _plain(x):
    return x.detach().numpy() if isinstance(x, ob.Tensor) else x


# Each program twice: as one node, and as Python's own control flow.


def _cond(x):
    return ob.cond(ob.sum(x) > 0, lambda x: x * x, lambda x: ob.sin(x) * 3.0, x)


def _cond_python(x):
    return x * x if float(ob.stop_gradient(ob.sum(x))) > 0 else ob.sin(x) * 3.0


BRANCHES = [lambda x: x, lambda x: x * x * x, ob.exp]


def _switch(x):
    return ob.switch(ob.sum(ob.stop_gradient(x) > 0), BRANCHES, x)


def _switch_python(x):
    return BRANCHES[min(int(ob.sum(ob.stop_gradient(x) > 0)), 2)](x)


def _while(x):
    return ob.while_loop(lambda c: ob.sum(c * c) < 50.0, lambda c: c * 1.5 + x, x + 0.1)


def _while_python(x):
    c = x + 0.1
    while float(ob.stop_gradient(ob.sum(c * c))) < 50.0:
        c = c * 1.5 + x
    return c


def _fori(x):
    return ob.fori_loop(1, 4, lambda i, c: c * x + ob.sin(c) * i, x)


def _fori_python(x):
    c = x
    for i in range(1, 4):
        c = c * x + ob.sin(c) * i
    return c


W = np.array([[0.3, -0.2], [0.5, 0.1]])


def _scan(x):
    def step(h, e):
        h = ob.tanh(h @ W + e)
        return h, h[0] * e

    last, ys = ob.scan(step, ob.asarray(np.array([0.1, 0.2])), x)
    return ob.concat([last, ys])


def _scan_python(x):
    h, ys = ob.asarray(np.array([0.1, 0.2])), []
    for i in range(len(x)):
        h = ob.tanh(h @ W + x[i])
        ys.append(h[0] * x[i])
    return ob.concat([h, ob.stack(ys)])


def _scan_back(x):
    return ob.scan(lambda c, e: (c * e + 1.0, c * c), 0.5, x, reverse=True)[1]


def _scan_back_python(x):
    c, ys = ob.asarray(0.5), []
    for i in reversed(range(len(x))):
        ys.append(c * c)
        c = c * x[i] + 1.0
    return ob.stack(ys[::-1])


def _map(x):
    return ob.map(lambda e: ob.sin(e) * e, x)


def _map_python(x):
    return ob.sin(x) * x


def _nested(x):
    def outer(c, e):
        inner, ys = ob.scan(lambda d, u: (d * 0.5 + u * e, d * u), c, x)
        inner = ob.cond(inner > 0.1, lambda a: a * a, ob.sin, inner)
        return inner, ob.sum(ys) + ob.fori_loop(0, 2, lambda i, d: d * e, c)

    return ob.scan(outer, ob.sum(x) * 0.1, x)[1]


def _nested_python(x):
    c, rows = ob.sum(x) * 0.1, []
    for i in range(len(x)):
        e, before, d, ys = x[i], c, c, []
        for j in range(len(x)):
            ys.append(d * x[j])
            d = d * 0.5 + x[j] * e
        c = d * d if float(ob.stop_gradient(d)) > 0.1 else ob.sin(d)
        rows.append(ob.sum(ob.stack(ys)) + before * e * e)
    return ob.stack(rows)


def _grad_inside(x):
    slope = ob.grad(lambda c, e: ob.sum(ob.sin(c * e)))
    return ob.scan(lambda c, e: (c - 0.3 * slope(c, e), slope(c, e)), 0.8, x)[1]


def _grad_inside_python(x):
    c, ys = ob.asarray(0.8), []
    for i in range(len(x)):
        s = ob.cos(c * x[i]) * x[i]
        ys.append(s)
        c = c - 0.3 * s
    return ob.stack(ys)


def _while_in_scan(x):
    def step(c, e):
        d = ob.while_loop(lambda d: ob.abs(d) < 2.0, lambda d: d * 1.7 + e * 0.1, c)
        return d * 0.2, d

    return ob.scan(step, 0.3, x)[1]


def _while_in_scan_python(x):
    c, ys = ob.asarray(0.3), []
    for i in range(len(x)):
        while abs(float(ob.stop_gradient(c))) < 2.0:
            c = c * 1.7 + x[i] * 0.1
        ys.append(c)
        c = c * 0.2
    return ob.stack(ys)


PAIRS = {
    "cond": (_cond, _cond_python),
    "switch": (_switch, _switch_python),
    "while": (_while, _while_python),
    "fori": (_fori, _fori_python),
    "scan": (_scan, _scan_python),
    "reversed scan": (_scan_back, _scan_back_python),
    "map": (_map, _map_python),
    "nested": (_nested, _nested_python),
    "grad in a scan": (_grad_inside, _grad_inside_python),
    "while in a scan": (_while_in_scan, _while_in_scan_python),
}
both = pytest.mark.parametrize(("f", "python"), PAIRS.values(), ids=PAIRS)
weights = lambda y: ob.sum(y * ob.asarray(np.cos(np.arange(y.size)).reshape(y.shape)))


@both
@pytest.mark.parametrize("sign", [1.0, -1.0])
class TestEveryLoopAndBranch:
    def test_computes_what_python_computes(self, f, python, sign):
        alike(f(ob.tensor(sign * XS)), python(ob.tensor(sign * XS)))
        assert isinstance(f(sign * XS), ob.Tensor)

    def test_has_the_reverse_derivative(self, f, python, sign):
        alike(
            ob.grad(lambda x: weights(f(x)))(sign * XS),
            ob.grad(lambda x: weights(python(x)))(sign * XS),
        )

    def test_has_the_forward_derivative(self, f, python, sign):
        v = np.sin(XS + 1)
        y, dot = ob.jvp(f, (sign * XS,), (v,))
        wanted_y, wanted = ob.jvp(python, (sign * XS,), (v,))
        alike(y, wanted_y)
        alike(dot, wanted)

    def test_has_the_derivative_by_backward(self, f, python, sign):
        x, z = (ob.tensor(sign * XS, requires_grad=True) for _ in range(2))
        weights(f(x)).backward()
        weights(python(z)).backward()
        alike(x.grad, z.grad)

    def test_has_second_derivatives_in_all_four_combinations(self, f, python, sign):
        v, g, h = np.cos(XS), lambda x: weights(f(x)), lambda x: weights(python(x))
        wanted = ob.jvp(ob.grad(h), (sign * XS,), (v,))[1]
        alike(ob.jvp(ob.grad(g), (sign * XS,), (v,))[1], wanted, 1e-10)
        alike(ob.grad(lambda x: ob.sum(ob.grad(g)(x) * v))(sign * XS), wanted, 1e-10)
        alike(ob.grad(lambda x: ob.jvp(g, (x,), (v,))[1])(sign * XS), wanted, 1e-10)
        u = np.sin(XS)
        alike(
            ob.jvp(lambda x: ob.jvp(g, (x,), (v,))[1], (sign * XS,), (u,))[1],
            ob.jvp(lambda x: ob.jvp(h, (x,), (v,))[1], (sign * XS,), (u,))[1],
            1e-10,
        )

    def test_lanes_are_a_loop_over_lanes(self, f, python, sign):
        rows = np.stack([sign * XS, -sign * XS[::-1], sign * XS * 0.5 + 0.1])
        alike(ob.vmap(f)(rows), np.stack([_plain(python(ob.tensor(r))) for r in rows]))

    def test_lanes_of_gradients_and_gradients_of_lanes(self, f, python, sign):
        rows = np.stack([sign * XS, -sign * XS[::-1], sign * XS * 0.5 + 0.1])
        wanted = np.stack([ob.grad(lambda x: weights(python(x)))(r) for r in rows])
        alike(ob.vmap(ob.grad(lambda x: weights(f(x))))(rows), wanted, 1e-10)
        alike(ob.grad(lambda rs: ob.sum(ob.vmap(lambda x: weights(f(x)))(rs)))(rows), wanted, 1e-10)

    def test_is_the_same_inside_jit_and_checkpoint(self, f, python, sign):
        for wrap in (ob.jit, ob.checkpoint):
            alike(wrap(f)(sign * XS), f(sign * XS), 1e-14, 1e-15)
            alike(
                ob.grad(lambda x, wrap=wrap: weights(wrap(f)(x)))(sign * XS),
                ob.grad(lambda x: weights(python(x)))(sign * XS),
            )
        alike(
            ob.jit(ob.grad(lambda x: weights(f(x))))(sign * XS),
            ob.grad(lambda x: weights(python(x)))(sign * XS),
        )

    def test_agrees_with_central_differences(self, f, python, sign):
        ob.testing.check_gradients(f, sign * XS, order=1)


@pytest.mark.parametrize("name", ["cond", "switch", "fori", "scan", "map", "nested"])
def test_a_third_derivative_in_mixed_modes(name):
    f, python = PAIRS[name]
    v = np.cos(XS)
    along = lambda g: lambda x: ob.jvp(g, (x,), (v,))[1]
    against = lambda g: lambda x: ob.sum(ob.grad(g)(x) * v)
    wanted = along(along(along(lambda x: weights(python(x)))))(XS)
    for ways in itertools.product([along, against], repeat=3):
        g = lambda x: weights(f(x))
        for way in ways:
            g = way(g)
        alike(g(XS), wanted, 1e-9)


# -- one node ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "op"),
    [
        (_cond, "switch"),
        (_switch, "switch"),
        (_while, "while"),
        (_fori, "scan"),
        (_scan, "scan"),
        (_map, "scan"),
    ],
)
def test_each_is_a_single_node_in_eager_and_traced(f, op):
    with ob.record() as g:
        f(ob.tensor(XS))
    for graph in (g, ob.trace(f)(XS)):
        assert [n.op.name for n in graph.nodes].count(op) == 1
        assert "tanh" not in [n.op.name for n in graph.nodes]


def test_only_the_side_that_is_taken_runs():
    ran = []

    def noisy(word):
        return lambda x: ob.callback(lambda a: ran.append(word) or a, x, x)

    ob.cond(True, noisy("true"), noisy("false"), ob.tensor(1.0))
    ob.cond(ob.tensor(-1.0) > 0, noisy("true"), noisy("false"), ob.tensor(1.0))
    ob.switch(2, [noisy("0"), noisy("1"), noisy("2")], ob.tensor(1.0))
    assert ran == ["true", "false", "2"]


def test_the_number_of_a_branch_is_clamped():
    for i, wanted in [(-5, 1.0), (0, 1.0), (1, 10.0), (7, 100.0)]:
        assert (
            float(ob.switch(i, [lambda x: x, lambda x: 10 * x, lambda x: 100 * x], 1.0)) == wanted
        )
        assert (
            float(
                ob.jit(
                    lambda i: ob.switch(
                        i,
                        [
                            lambda: ob.asarray(1.0),
                            lambda: ob.asarray(10.0),
                            lambda: ob.asarray(100.0),
                        ],
                    )
                )(np.int64(i))
            )
            == wanted
        )


def test_a_predicate_may_be_a_number_or_a_bool():
    for pred, wanted in [(True, 1.0), (False, 2.0), (3, 1.0), (0.0, 2.0), (np.bool_(True), 1.0)]:
        assert float(ob.cond(pred, lambda: ob.asarray(1.0), lambda: ob.asarray(2.0))) == wanted


def test_lanes_with_differing_predicates_do_not_leak_what_they_did_not_take():
    f = lambda x: ob.cond(x > 0, ob.sqrt, lambda x: x * 0.0, x)
    with np.errstate(all="ignore"):
        alike(ob.vmap(f)(np.array([4.0, -1.0, 9.0])), [2.0, 0.0, 3.0])
        alike(ob.vmap(ob.grad(f))(np.array([4.0, -1.0, 9.0])), [0.25, 0.0, 1 / 6])


def test_lanes_of_a_while_stop_at_different_times():
    collatz = lambda n: ob.while_loop(
        lambda s: s[0] != 1,
        lambda s: (ob.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1),
        (n, 0),
    )[1]
    assert ob.vmap(collatz)(np.array([1, 2, 3, 6, 27])).tolist() == [0, 1, 7, 8, 111]
    power = lambda x: ob.while_loop(lambda c: c < 100.0, lambda c: c * x, x)
    alike(ob.vmap(ob.grad(power))(np.array([2.0, 3.0, 11.0])), [7 * 2.0**6, 5 * 3.0**4, 22.0])


def test_vmap_of_some_operands_only():
    f = lambda c, xs, w: ob.scan(lambda c, x: (c * w + x, c), c, xs)
    c, ys = ob.vmap(f, in_axes=(None, 1, None))(0.5, np.stack([XS, 2 * XS], 1), 0.9)
    for lane, xs in enumerate([XS, 2 * XS]):
        wanted_c, wanted = f(0.5, xs, 0.9)
        alike(c[lane], wanted_c)
        alike(ys[lane], wanted)
    c, ys = ob.vmap(f, in_axes=(None, None, 0))(0.5, XS, np.array([0.1, 0.9]))
    alike(c[1], f(0.5, XS, 0.9)[0])
    assert ys.shape == (2, 5)
    constant = ob.vmap(lambda x: ob.scan(lambda c, e: (c, c + x), 1.0, XS), out_axes=(None, 0))(
        np.array([1.0, 2.0])
    )
    assert float(constant[0]) == 1.0


def test_two_levels_of_lanes():
    rows = np.arange(1.0, 7.0).reshape(2, 3)
    f = lambda x: ob.while_loop(lambda c: c < 20.0, lambda c: c * 2.0, x)
    wanted = [[float(f(x)) for x in row] for row in rows]
    alike(ob.vmap(ob.vmap(f))(rows), wanted)


# -- sizes at the edge -------------------------------------------------------------------------


def test_loops_of_no_steps_give_their_start():
    c, ys = ob.scan(lambda c, x: (c + x, c * x), 3.0, np.zeros((0,)))
    assert (float(c), ys.shape) == (3.0, (0,))
    assert float(ob.while_loop(lambda c: c < 0, lambda c: c * 2.0, 3.0)) == 3.0
    assert float(ob.fori_loop(5, 2, lambda i, c: c * 2.0, 3.0)) == 3.0
    assert float(ob.grad(lambda x: ob.fori_loop(2, 2, lambda i, c: c * x, x * x))(3.0)) == 6.0
    assert (
        float(ob.grad(lambda x: ob.while_loop(lambda c: c < 0, lambda c: c * 2.0, x * x))(3.0))
        == 6.0
    )
    assert ob.grad(lambda x: ob.scan(lambda c, e: (c * e, None), 2.0, x)[0])(
        np.zeros((0,))
    ).shape == (0,)


def test_a_scan_of_length_alone():
    c, ys = ob.scan(lambda c, _: (c * 2.0, c), 1.0, length=4)
    assert float(c) == 16.0
    assert ys.tolist() == [1.0, 2.0, 4.0, 8.0]


def test_containers_in_carry_rows_and_results():
    def step(carry, row):
        total = carry["total"] + row["a"] * row["b"][0]
        return {"total": total, "last": (row["a"],)}, [total, {"x": row["b"][0]}]

    init = {"total": 0.0, "last": (0.0,)}
    carry, (totals, more) = ob.scan(step, init, {"a": XS, "b": [2 * XS, None]})
    alike(totals, np.cumsum(2 * XS**2))
    alike(more["x"], 2 * XS)
    assert float(carry["last"][0]) == XS[-1]
    a, b = ob.while_loop(
        lambda s: s[0] < 3, lambda s: (s[0] + 1, {"v": s[1]["v"] * 2.0}), (0, {"v": 1.0})
    )
    assert (int(a), float(b["v"])) == (3, 8.0)


def test_dtypes_of_a_carry_stay():
    c, ys = ob.scan(lambda c, x: (c + x, c), np.float32(0), np.ones(3, np.float32))
    assert (c.dtype, ys.dtype) == (np.float32, np.float32)
    n, _ = ob.scan(lambda c, x: (c + 1, None), 0, XS)
    assert n.dtype.kind == "i"
    total, _ = ob.scan(
        lambda c, x: (c + x, None), 0, XS
    )  # a weak integer start becomes what it meets
    assert float(total) == pytest.approx(XS.sum())


def test_integers_in_a_carry_pass_through_a_gradient():
    def f(x):
        (n, y), _ = ob.scan(lambda s, e: ((s[0] + 1, s[1] * e), s[0]), (0, ob.asarray(1.0)), x)
        return y * n

    alike(ob.grad(f)(np.array([2.0, 3.0, 5.0])), [45.0, 30.0, 18.0])


def test_a_number_of_steps_that_is_not_known_until_it_runs():
    f = ob.jit(lambda n, x: ob.fori_loop(0, n, lambda i, c: c * x + i, 1.0))
    for n in (0, 1, 5):
        c = 1.0
        for i in range(n):
            c = c * 1.5 + i
        assert float(f(np.int64(n), 1.5)) == pytest.approx(c)
    assert (
        float(
            ob.jit(ob.grad(lambda x, n: ob.fori_loop(0, n, lambda i, c: c * x, 1.0)))(
                2.0, np.int64(5)
            )
        )
        == 5 * 2.0**4
    )


def test_newtons_method_differentiates_to_the_derivative_of_the_root():
    """S1-23."""
    root = lambda a: ob.while_loop(
        lambda x: ob.abs(x * x - a) > 1e-13, lambda x: (x + a / x) / 2, a
    )
    for a in (0.5, 2.0, 30.0):
        assert float(ob.grad(root)(a)) == pytest.approx(0.5 / np.sqrt(a), rel=1e-9)
    alike(ob.vmap(ob.grad(root))(np.array([0.5, 2.0, 30.0])), 0.5 / np.sqrt([0.5, 2.0, 30.0]), 1e-9)
    assert float(ob.grad(ob.grad(root))(2.0)) == pytest.approx(-0.25 * 2.0**-1.5, rel=1e-7)


# -- handles -----------------------------------------------------------------------------------


def test_parameters_read_inside_get_their_gradient():
    w, b = ob.tensor(0.5, requires_grad=True), ob.tensor(0.1, requires_grad=True)
    _, ys = ob.scan(lambda c, x: (ob.tanh(w * c + x), b * c), 0.2, XS)
    ob.sum(ys).backward()
    v, d = ob.tensor(0.5, requires_grad=True), ob.tensor(0.1, requires_grad=True)
    c, total = ob.asarray(0.2), 0.0
    for x in XS:
        total = total + d * c
        c = ob.tanh(v * c + x)
    total.backward()
    alike(w.grad, v.grad)
    alike(b.grad, d.grad)
    w.grad = None
    ob.cond(ob.tensor(True), lambda: w * 3.0, lambda: b * 2.0).backward()
    assert float(w.grad) == 3.0
    w.grad = None
    ob.while_loop(lambda c: c < 10.0, lambda c: c * 2.0 + w, w).backward()
    assert float(w.grad) == 31.0  # 0.5, 1.5, 3.5, 7.5, 15.5: the slope is 1, 3, 7, 15, 31


def test_a_generator_goes_on_inside_a_loop_as_it_would_outside():
    inside, outside = ob.random.default_rng(5), ob.random.default_rng(5)
    _, ys = ob.scan(lambda c, x: (c, inside.normal((2,)) + x), 0.0, XS)
    wanted = np.stack([outside.normal((2,)).numpy() + x for x in XS])
    assert ys.numpy().tobytes() == wanted.tobytes()
    assert inside.normal(()).numpy().tobytes() == outside.normal(()).numpy().tobytes()


def test_the_default_generator_goes_on_inside_a_while():
    ob.random.seed(1)
    total = ob.while_loop(
        lambda c: c[1] < 4, lambda c: (c[0] + ob.random.uniform(()), c[1] + 1), (0.0, 0)
    )[0]
    after = float(ob.random.uniform(()))
    ob.random.seed(1)
    wanted = 0.0
    for _ in range(4):
        wanted += float(ob.random.uniform(()))
    assert float(total) == wanted
    assert after == float(ob.random.uniform(()))


def test_only_the_side_that_is_taken_moves_a_generator():
    rng = ob.random.default_rng(2)
    before = rng.state.numpy().copy()
    ob.cond(ob.tensor(False), lambda: rng.uniform(()), lambda: ob.asarray(0.0))
    assert rng.state.tolist() == before.tolist()
    ob.cond(ob.tensor(True), lambda: rng.uniform(()), lambda: ob.asarray(0.0))
    assert rng.state.tolist() == [before[0], before[1] + 1]


def test_counters_are_rebound_by_loops_and_branches():
    count = ob.tensor(0)

    def bump(x):
        count.rebind(count + 1)
        return x * 2.0

    ob.scan(lambda c, x: (bump(c), None), 1.0, XS)
    assert int(count) == 5
    ob.fori_loop(0, 3, lambda i, c: bump(c), 1.0)
    assert int(count) == 8
    ob.cond(ob.tensor(True), bump, lambda x: x, ob.tensor(1.0))
    ob.cond(ob.tensor(False), bump, lambda x: x, ob.tensor(1.0))
    assert int(count) == 9
    ob.while_loop(lambda c: c < 100.0, bump, 30.0)
    assert int(count) == 11
    ob.jit(lambda x: ob.scan(lambda c, e: (bump(c), None), x, XS)[0])(1.0)
    assert int(count) == 16


def test_a_test_may_read_what_the_body_rebinds():
    budget = ob.tensor(5)

    def body(c):
        budget.rebind(budget - 2)
        return c + 1.0

    assert float(ob.while_loop(lambda c: budget > 0, body, 0.0)) == 3.0
    assert int(budget) == -1


def test_a_rebound_value_carries_its_gradient_out():
    state = ob.tensor(1.0)
    w = ob.tensor(3.0, requires_grad=True)

    def step(c, x):
        state.rebind(state * w)
        return c, state + x

    ob.scan(step, 0.0, XS[:2])
    state.backward()
    assert float(state) == 9.0
    assert float(w.grad) == 6.0


def test_in_place_operators_inside_a_body_rebind_the_local_name():
    def step(c, x):
        c += x
        y = c * 1.0
        y *= 2.0
        return c, y

    alike(ob.scan(step, 0.0, XS)[1], 2 * np.cumsum(XS))

    def put(c, x):
        c[0] = c[1]
        c[1] = x
        return c, c

    last, _ = ob.scan(put, np.zeros(2), XS)
    alike(last, XS[-2:])


def test_an_exception_in_a_body_leaves_handles_as_they_were():
    count = ob.tensor(0)

    def step(c, x):
        count.rebind(count + 1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ob.scan(step, 0.0, XS)
    assert int(count) == 0
    assert not ob.is_tracing()


# -- errors ------------------------------------------------------------------------------------


def test_sides_that_differ_are_refused():
    with pytest.raises(ShapeError, match="different shapes"):
        ob.cond(True, lambda x: x, lambda x: x[:2], XS)
    with pytest.raises(ShapeError, match="dtypes"):
        ob.cond(True, lambda x: x, lambda x: x.astype(np.float32), XS)
    with pytest.raises(StructureError):
        ob.cond(True, lambda x: (x, x), lambda x: x, XS)
    with pytest.raises(ShapeError, match="no scalar"):
        ob.cond(ob.tensor(XS) > 0, lambda x: x, lambda x: -x, XS)
    with pytest.raises(DTypeError):
        ob.switch(1.5, [lambda x: x, lambda x: -x], XS)


def test_a_carry_that_changes_is_refused_with_both_forms():
    for wrong in (
        lambda c, x: (ob.concat([c, c]), None),
        lambda c, x: (c.astype(np.float32), None),
    ):
        with pytest.raises(ShapeError, match="changes the carry") as caught:
            ob.scan(wrong, np.zeros(2), XS)
        assert "before: float64[2]" in str(caught.value)
        assert "test_control.py" in str(caught.value)
    with pytest.raises(StructureError):
        ob.scan(lambda c, x: ((c, c), None), 0.0, XS)
    with pytest.raises(StructureError, match="pair"):
        ob.scan(lambda c, x: c, 0.0, XS)
    with pytest.raises(ShapeError, match="changes the carry"):
        ob.while_loop(lambda c: ob.sum(c) < 3, lambda c: ob.concat([c, c]), np.zeros(2))


def test_lengths_that_do_not_agree_are_refused():
    with pytest.raises(ShapeError, match="differ in length"):
        ob.scan(lambda c, x: (c, None), 0.0, (XS, XS[:2]))
    with pytest.raises(ShapeError, match="differ in length"):
        ob.scan(lambda c, x: (c, None), 0.0, XS, length=3)
    with pytest.raises(ShapeError, match="how many steps"):
        ob.scan(lambda c, x: (c, None), 0.0)
    with pytest.raises(ShapeError, match="first axis"):
        ob.scan(lambda c, x: (c, None), 0.0, 3.0)


def test_a_test_that_is_no_truth_value_is_refused():
    with pytest.raises(ShapeError, match="truth value"):
        ob.while_loop(lambda c: c, lambda c: c, 1.0)
    with pytest.raises(ShapeError, match="truth value"):
        ob.while_loop(lambda c: c > 0, lambda c: c, XS)


def test_pythons_if_on_a_carry_is_refused_with_the_users_line_and_the_cure():
    def step(c, x):
        if c > 0:
            return c, x
        return -c, x

    with pytest.raises(UnknownValueError) as caught:
        ob.scan(step, 1.0, XS)
    assert "ob.cond" in str(caught.value)
    assert "if c > 0:" in str(caught.value)


def test_backward_inside_a_body_is_refused():
    w = ob.tensor(2.0, requires_grad=True)

    def step(c, x):
        (w * c).backward()
        return c, x

    with pytest.raises(StructureError, match=r"\.grad"):
        ob.scan(step, ob.tensor(1.0), XS)
    assert w.grad is None


WRAPPED = {
    "jit": ob.jit,
    "checkpoint": ob.checkpoint,
    "cond": lambda f: lambda x: ob.cond(True, f, f, x),
    "switch": lambda f: lambda x: ob.switch(1, [ob.sin, f], x),
    "map": lambda f: lambda x: ob.map(f, x),
    "fori_loop": lambda f: lambda x: ob.fori_loop(0, 1, lambda i, c: f(c), x),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_is_not_selected_leaks_no_nan_out_of_calls_loops_and_branches(name):
    root = WRAPPED[name](lambda x: ob.sqrt(ob.sqrt(x)))
    f = lambda x: ob.sum(ob.where(x > 0, root(x), 0.0))
    x = np.array([0.0, 1.0])
    with np.errstate(divide="ignore"):
        for gradient in (ob.grad(f), ob.jit(ob.grad(f)), ob.grad(ob.jit(f))):
            assert np.array_equal(gradient(x), [0.0, 0.25])

"""`overbar.compat.autograd` beside HIPS autograd: the same program, the same numbers and types."""

import importlib
import inspect

import autograd
import autograd.numpy
import numpy as onp
import pytest

import overbar.compat.autograd as compat

RNG = onp.random.default_rng(0)
X = RNG.uniform(0.5, 2.0, 4)
A = RNG.normal(size=(3, 4))
S = A @ A.T + 3 * onp.eye(3)

SCALARS = {
    "rosenbrock": lambda np, x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    "logistic": lambda np, x: np.sum(np.log1p(np.exp(-np.dot(A, x)))) + np.dot(x, x),
    "network": lambda np, x: np.mean(np.tanh(np.dot(A, np.maximum(x, 1.0))) ** 2),
    "gaussian": lambda np, x: (
        np.dot(A[:, 0], np.linalg.solve(S * x[0] + np.eye(3), A[:, 0]))
        + np.linalg.slogdet(S * x[0])[1]
    ),
    "softmax": lambda np, x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
    "pieces": lambda np, x: np.sum(np.where(x > 1, x**2, np.sin(x))) + np.prod(x[::2]),
    "rows": lambda np, x: np.sum(np.concatenate([x, x[:2]]) * np.arange(6.0)) + np.std(x),
    "complex inside": lambda np, x: np.sum(np.abs(np.fft.fft(x)) ** 2 * np.arange(4)),
    "norm": lambda np, x: np.linalg.norm(np.outer(x, x) - S[0, 0]) + np.trace(np.outer(x, x)),
}
VECTORS = {
    "product": lambda np, x: np.dot(A, np.sin(x)),
    "outer": lambda np, x: np.outer(x, x[:2]),
    "sorted": lambda np, x: np.sort(x) * np.cumsum(x),
    "einsum": lambda np, x: np.einsum("ij,j->i", A, x**2),
    "stacked": lambda np, x: np.vstack([x, x**2]),
    "array": lambda np, x: np.array([x[0] * x[1], np.sum(x), 1.0]),
    "gradient": lambda np, x: np.gradient(x**2),
    "rolled": lambda np, x: np.roll(np.tile(x, 2), 3) ** 2,
}


def alike(ours, theirs):
    """Equal in value, kind, shape and dtype."""
    assert (
        isinstance(ours, type(theirs))
        or isinstance(theirs, type(ours))
        or (onp.ndim(ours) == 0 and onp.ndim(theirs) == 0)
    )
    assert onp.shape(ours) == onp.shape(theirs)
    assert onp.result_type(ours) == onp.result_type(theirs)
    onp.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


def both(operator, f, *args):
    """What an operator makes of f here and there."""
    ours = getattr(compat, operator)(lambda x: f(compat.numpy, x))
    theirs = getattr(autograd, operator)(lambda x: f(autograd.numpy, x))
    return ours(*args), theirs(*args)


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("operator", ["grad", "hessian", "elementwise_grad"])
def test_functions_with_one_result(name, operator):
    alike(*both(operator, SCALARS[name], X))


@pytest.mark.parametrize("name", SCALARS)
def test_products_with_the_hessian(name):
    v = onp.arange(4.0)
    (ours, slope), (theirs, their_slope) = both("make_hvp", SCALARS[name], X)
    alike(ours(v), theirs(v))
    alike(slope, their_slope)
    alike(*both("hessian_vector_product", SCALARS[name], X, v))
    for a, b in zip(*both("value_and_grad", SCALARS[name], X), strict=True):
        alike(a, b)


@pytest.mark.parametrize("name", VECTORS)
def test_functions_with_many_results(name):
    f = VECTORS[name]
    alike(*both("jacobian", f, X))
    alike(*both("elementwise_grad", f, X))
    (ours, y), (theirs, their_y) = both("make_vjp", f, X)
    alike(y, their_y)
    alike(ours(onp.ones(onp.shape(y))), theirs(onp.ones(onp.shape(y))))
    ours, theirs = both("make_jvp", f, X)
    if name != "sorted":  # autograd has no forward rule for it
        alike(ours(X)[1], theirs(X)[1])


def test_containers():
    f = lambda np, p: np.sum(p["a"][0] * p["b"]) ** 2
    ours, theirs = both("grad", f, {"a": [X, 2.0], "b": 3.0})
    alike(ours["a"][0], theirs["a"][0])
    alike(ours["b"], theirs["b"])
    assert ours["a"][1] == theirs["a"][1] == 0.0


def test_complex_gradients():
    z = 0.3 + 0.4j
    for f in (
        lambda np, z: np.real(z) ** 3 * np.imag(z),
        lambda np, z: np.abs(z) ** 2,
        lambda np, z: np.real(np.exp(z) * np.conj(z)),
    ):
        alike(*both("grad", f, z))
    alike(*both("holomorphic_grad", lambda np, z: np.sin(z) / z, z))


MODULES = "differential_operators extend util wrap_util test_util misc numpy".split()
MODULES += ["misc.flatten", "misc.optimizers", "numpy.random", "scipy.stats", "scipy.integrate"]
INNER = {
    "numpy": "c_class r_class custom_where wrap_if_boxes_inside wrap_intdtype",
    "scipy.integrate": "argnums_unpack grad_odeint",
}
"""Parts of autograd's engine that nobody imports; they have no counterpart here."""


def public_names(module):
    return {
        n
        for n, thing in vars(module).items()
        if not n.startswith("_")
        and not inspect.ismodule(thing)
        and getattr(thing, "__module__", "").startswith(module.__name__)
    }


@pytest.mark.parametrize("name", MODULES)
def test_no_name_of_a_module_is_missing(name):
    theirs = importlib.import_module(f"autograd.{name}")
    ours = importlib.import_module(f"overbar.compat.autograd.{name}")
    missing = {n for n in public_names(theirs) if not hasattr(ours, n)}
    assert missing == set(INNER.get(name, "").split())


@pytest.mark.parametrize("name", ["grad", "jacobian", "make_ggnvp", "grad_named", "checkpoint"])
def test_arguments_have_their_names(name):
    ours = inspect.signature(getattr(compat, name)).parameters
    theirs = inspect.signature(getattr(autograd, name)).parameters
    common = [p for p in theirs if "args" not in p]
    assert [p for p in ours if "args" not in p] == common

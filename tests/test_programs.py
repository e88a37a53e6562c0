"""Random programs: reverse, forward and finite differences agree; so do vmap and a loop, a traced
program and an eager one.

OVERBAR_PROGRAMS sets how many (100 if it is not set); OVERBAR_PROGRAMS_FROM the first seed.
"""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import overbar as ob
from overbar.capture import capture
from overbar.primitive import PRIMITIVES
from overbar.replay import interpret
from overbar.spec import spec_of
from tests.programs import MOVES, OVERBAR, drafted, program
from tests.rules.cases import ELSEWHERE, assert_same_bits, derivative, directions, saying, value

COUNT = int(os.environ.get("OVERBAR_PROGRAMS", "100"))
FIRST = int(os.environ.get("OVERBAR_PROGRAMS_FROM", "0"))
EACH = 10
seeds = pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, EACH), ids="from {}".format)


def over_programs(length):
    """The test, run on ten programs; an error says which program it was."""

    def over(check):
        def run(first):
            for seed in range(first, first + EACH):
                p = program(seed, length)
                with saying(f"seed {seed}:\n{p}"):
                    check(p, np.random.default_rng(seed))

        run.__name__ = check.__name__
        return seeds(run)

    return over


def scalar(p):
    return lambda *xs: p(OVERBAR, *xs)


def all_of(p):
    return tuple(range(len(p.xs)))


def size_of(gradient):
    return max(1.0, *(float(np.max(np.abs(g), initial=0)) for g in gradient))


@over_programs(length=12)
def test_reverse_forward_and_finite_differences_agree(p, rng):
    f, x_dots = scalar(p), directions(p.xs, rng)
    total, gradient = ob.value_and_grad(f, argnums=all_of(p))(*p.xs)
    again, along = ob.jvp(f, tuple(p.xs), tuple(x_dots))
    assert_same_bits(total, again)
    reverse = sum(np.sum(g * d) for g, d in zip(gradient, x_dots, strict=True))
    scale = size_of(gradient)
    assert float(along) == pytest.approx(reverse, rel=1e-10, abs=1e-10 * scale)
    for h in (2e-3, 2e-5):  # the smaller one if a kink is near
        (by_differences,) = derivative(lambda *xs: (value(f(*xs)),), p.xs, x_dots, h=h)
        close = pytest.approx(float(by_differences), rel=1e-6, abs=1e-6 * scale)
        if reverse == close:
            break
    assert reverse == close


@over_programs(length=7)
def test_the_second_derivative_is_the_same_by_every_route(p, rng):
    f, x_dots = scalar(p), directions(p.xs, rng)
    slope = ob.grad(f, argnums=all_of(p))
    gradient, forward = ob.jvp(slope, tuple(p.xs), tuple(x_dots))
    along = lambda *xs: sum(ob.sum(a * b) for a, b in zip(slope(*xs), x_dots, strict=True))
    reverse = ob.grad(along, argnums=all_of(p))(*p.xs)
    sideways = ob.grad(lambda *xs: ob.jvp(f, xs, tuple(x_dots))[1], argnums=all_of(p))(*p.xs)
    scale = max(size_of(gradient), size_of(reverse))
    for a, b, c in zip(forward, reverse, sideways, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10 * scale)
        np.testing.assert_allclose(c, b, rtol=1e-9, atol=1e-10 * scale)


@over_programs(length=12)
def test_backward_and_grad_give_the_same_bits(p, rng):
    leaves = [ob.tensor(x, requires_grad=True) for x in p.xs]
    scalar(p)(*leaves).backward()
    for leaf, g in zip(leaves, ob.grad(scalar(p), argnums=all_of(p))(*p.xs), strict=True):
        assert_same_bits(np.zeros_like(g) if leaf.grad is None else leaf.grad, g)


@over_programs(length=8)
def test_vmap_equals_a_loop(p, rng):
    lanes = [x + 0.01 * rng.standard_normal((3, *x.shape)) for x in p.xs]
    both = ob.value_and_grad(scalar(p), argnums=all_of(p))
    totals, gradients = ob.vmap(both)(*lanes)
    for k in range(3):
        total, gradient = both(*(x[k] for x in lanes))
        np.testing.assert_allclose(totals[k], total, rtol=1e-11, atol=1e-11)
        scale = size_of(gradient)
        for found, wanted in zip(gradients, gradient, strict=True):
            np.testing.assert_allclose(found[k], wanted, rtol=1e-10, atol=1e-11 * scale)


@over_programs(length=12)
def test_a_traced_program_gives_the_bits_of_an_eager_one(p, rng):
    both = ob.value_and_grad(scalar(p), argnums=all_of(p))
    captured = capture(both, [spec_of(x) for x in p.xs])
    found = interpret(captured.graph, [*p.xs, *(r.now.value for r in captured.reads)])
    total, gradient = both(*p.xs)
    for a, b in zip(found, (total, *gradient), strict=True):
        assert_same_bits(a, b)


@over_programs(length=8)
def test_a_traced_program_and_its_derivatives_are_those_of_an_eager_one(p, rng):
    with ob.config(jit="interpret"):  # bit for bit; native code: tests/compile
        compare_traced(p, rng)


def compare_traced(p, rng):
    f = scalar(p)
    jitted = ob.jit(f)
    both = ob.value_and_grad(f, argnums=all_of(p))
    total, gradient = both(*p.xs)
    for found in (ob.jit(both)(*p.xs), ob.value_and_grad(jitted, argnums=all_of(p))(*p.xs)):
        assert_same_bits(found[0], total)
        for a, b in zip(found[1], gradient, strict=True):
            assert_same_bits(a, b)
    x_dots = tuple(directions(p.xs, rng))
    assert_same_bits(ob.jvp(jitted, tuple(p.xs), x_dots)[1], ob.jvp(f, tuple(p.xs), x_dots)[1])


@over_programs(length=12)
def test_float32_stays_float32(p, rng):
    xs = [x.astype(np.float32) for x in p.xs]
    total, gradient = ob.value_and_grad(
        lambda *ys: sum(
            OVERBAR["weighed"](v, weight=p.weights[i].astype(np.float32))
            for i, v in enumerate(p.values(OVERBAR, ys))
            if i in p.weights
        ),
        argnums=all_of(p),
    )(*xs)
    if any(s.name in ("dominant", "gram", "ladder", "weighed") for s in p.steps):
        return  # they bring a float64 of their own
    assert total.dtype == np.float32
    for x, g in zip(xs, gradient, strict=True):
        assert (g.dtype, g.shape) == (np.float32, x.shape)


@given(st.data())
def test_any_program_hypothesis_can_think_of_has_equal_sweeps(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    p = drafted(lambda options: options[data.draw(st.integers(0, len(options) - 1))], rng, 5)
    f, x_dots = scalar(p), directions(p.xs, rng)
    gradient = ob.grad(f, argnums=all_of(p))(*p.xs)
    _, along = ob.jvp(f, tuple(p.xs), tuple(x_dots))
    reverse = sum(np.sum(g * d) for g, d in zip(gradient, x_dots, strict=True))
    assert float(along) == pytest.approx(reverse, rel=1e-10, abs=1e-10 * size_of(gradient))


# -- the generator itself ---------------------------------------------------------------------

UNREACHED = {
    "times": "emitted by sweeps only",
    "alias": "made by transforms only",
    "barrier": "made by checkpoint only",
    "within": "looks at once, where numbers are known",
    "cast": "programs have one dtype",
    "real": "programs are real",
    "imag": "programs are real",
    "conj": "programs are real",
    "angle": "programs are real",
    "complex_abs": "programs are real",
    "eig": "its results are complex",
    "add_along": "the transpose of a gather, emitted by sweeps",
    "place": "the transpose of a slice, emitted by sweeps",
}


def operations_in(tensors):
    from overbar.graph import ancestors

    return {n.op.name for n in ancestors([t.node for t in tensors]) if n.inputs}


def test_the_same_seed_gives_the_same_program():
    assert str(program(11)) == str(program(11)) != str(program(12))


def test_programs_use_every_move_and_use_values_again():
    steps = [step for seed in range(400) for step in program(seed).steps]
    assert set(MOVES) == {s.name for s in steps}
    again = 0
    for seed in range(50):
        used = [i for s in program(seed).steps for i in s.inputs]
        again += len(used) > len(set(used))
    assert again > 25


def test_programs_reach_most_differentiable_primitives():
    smooth = (
        {op.name for op in PRIMITIVES.values() if not op.flat} - set(ELSEWHERE) - set(UNREACHED)
    )
    reached = set()
    for seed in range(400):
        p = program(seed)
        leaves = [ob.tensor(x, requires_grad=True) for x in p.xs]
        reached |= operations_in(v for v in p.values(OVERBAR, leaves) if isinstance(v, ob.Tensor))
    missing = smooth - reached
    assert len(missing) <= 0.25 * len(smooth), sorted(missing)

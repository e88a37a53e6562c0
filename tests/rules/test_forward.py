"""The forward rule of every primitive, in every world and from every layout; edge values."""

import numpy as np
import pytest

import overbar as ob
from overbar.capture import capture
from overbar.primitive import PRIMITIVES
from overbar.replay import interpret
from overbar.spec import spec_of
from tests.rules.cases import (
    ELEMENTWISE,
    ELSEWHERE,
    LAYOUTS,
    OPS,
    SMOOTH,
    Case,
    assert_close,
    assert_same_bits,
    cases,
    directions,
    gradients,
    name_of,
    results,
    rng_for,
    saying,
    smooth_cases,
    tensors,
    value,
)

KINDS = [(op, kind) for op in OPS for kind in ("fdD" if op.complex else "fd")]
every_primitive_and_kind = pytest.mark.parametrize(
    ("op", "kind"), KINDS, ids=[f"{op.name}-{kind}" for op, kind in KINDS]
)
every_primitive = pytest.mark.parametrize("op", OPS, ids=name_of)
every_smooth_one = pytest.mark.parametrize("op", SMOOTH, ids=name_of)


def traced(f, *points):
    """f captured as a graph of these points, and the graph run on them."""
    captured = capture(f, [spec_of(x) for x in points])
    reads = [r.now.value for r in captured.reads]
    return interpret(captured.graph, [*points, *reads])


@every_primitive
def test_it_has_samples_and_a_line_of_documentation(op):
    assert cases(op)
    assert op.doc, f"{op.name} has no line for the reference"


def test_what_is_tested_elsewhere_exists_and_is_not_much():
    assert set(ELSEWHERE) <= set(PRIMITIVES)
    assert len(ELSEWHERE) < 0.1 * len(PRIMITIVES)


@every_primitive_and_kind
def test_the_result_has_the_promised_shape_and_dtype(op, kind):
    for case in cases(op, kind=kind):
        with saying(case):
            promised = op.shape(*(spec_of(x) for x in case.xs), **case.params)
            promised = promised if isinstance(promised, tuple) else (promised,)
            found = results(op, case.xs, case.params)
            assert [(y.shape, y.dtype) for y in map(np.asarray, found)] == [
                (s.shape, s.dtype) for s in promised
            ]


@every_primitive
def test_float32_in_gives_float32_out(op):
    for case in cases(op, kind="f"):
        if "dtype" in case.params or not case.floats:
            continue
        with saying(case):
            for y in map(np.asarray, results(op, case.xs, case.params)):
                assert y.dtype.kind not in "fc" or y.dtype in (np.float32, np.complex64)


@every_primitive_and_kind
def test_arrays_tensors_and_a_trace_give_the_same_bits(op, kind):
    for case in cases(op, kind=kind):
        with saying(case):
            raw = results(op, case.xs, case.params)
            eager = results(op, tensors(case.xs), case.params)
            run = traced(lambda *xs, c=case: results(op, xs, c.params), *case.xs)
            for a, b, c in zip(raw, eager, run, strict=True):
                assert_same_bits(b, a)
                assert_same_bits(c, a)


@every_smooth_one
def test_a_traced_derivative_gives_the_same_bits(op):
    rng = rng_for(op, 200)
    for case in smooth_cases(op):
        n = len(case.points)
        y_bars = directions([value(y) for y in case(*case.points)], rng)
        x_dots = directions(case.points, rng)

        def reverse(*args, case=case, n=n):
            return ob.vjp(case, *args[:n])[1](tuple(args[n:]))

        def forward(*args, case=case, n=n):
            return ob.jvp(case, args[:n], args[n:])[1]

        with saying(case):
            for f, more in ((reverse, y_bars), (forward, x_dots)):
                args = (*case.points, *more)
                for found, wanted in zip(traced(f, *args), f(*args), strict=True):
                    assert_same_bits(found, wanted)


@every_smooth_one
def test_rules_fed_tensors_give_the_bits_of_rules_fed_arrays(op):
    rng = rng_for(op, 201)
    for case in smooth_cases(op):
        with saying(case):
            y_bars = directions([value(y) for y in case(*case.points)], rng)
            raw = gradients(case, case.points, y_bars)
            leaves = [ob.tensor(x, requires_grad=True) for x in case.points]
            ys = case(*leaves)
            ob.backward(ys, y_bars, create_graph=True)
            for leaf, wanted in zip(leaves, raw, strict=True):
                found = np.zeros_like(wanted) if leaf.grad is None else value(leaf.grad)
                assert_same_bits(np.conj(found) if found.dtype.kind == "c" else found, wanted)


@every_primitive
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_no_layout_of_the_arguments_matters(op, layout):
    for case in cases(op):
        with saying(case):
            other = case.of(layout(x) for x in case.xs)
            plain = results(op, case.xs, case.params)
            for found, wanted in zip(results(op, other.xs, case.params), plain, strict=True):
                assert_close(found, wanted, 1e-13)


@every_smooth_one
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_no_layout_of_arguments_or_adjoints_matters_to_the_derivative(op, layout):
    rng = rng_for(op, 202)
    for case in smooth_cases(op):
        with saying(case):
            y_bars = directions([value(y) for y in case(*case.points)], rng)
            wanted = gradients(case, case.points, y_bars)
            other = case.of(layout(x) for x in case.xs)
            points = tensors(other.points)
            found = gradients(other, points, tensors(layout(b) for b in y_bars))
            for a, b in zip(found, wanted, strict=True):
                assert_close(a, b, 1e-13)


@every_primitive
def test_it_leaves_its_arguments_alone(op):
    for case in cases(op):
        with saying(case):
            before = [x.copy() for x in case.xs]
            results(op, case.xs, case.params)
            for x, copy in zip(case.xs, before, strict=True):
                assert_same_bits(x, copy)


# -- edge values ------------------------------------------------------------------------------

EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    np.inf,
    -np.inf,
    np.nan,
    5e-324,
    1.7e308,
    -1.7e308,
    800.0,
    -800.0,
]


def edge_cases(op):
    """All pairs of edge values (or all of them, for one argument), with every sample's params."""
    for case in cases(op)[:1] if op.samples is None else cases(op):
        if any(x.dtype.kind not in "fb" for x in case.xs):
            continue
        first = np.repeat(EDGES, len(EDGES))
        columns = [first, np.tile(EDGES, len(EDGES)), np.roll(first, 7), np.roll(first, 11)]
        if len(case.floats) == 1:
            columns = [np.array(EDGES)] * 4
        n = len(columns[0])
        turn = iter(columns)
        xs = [next(turn) if x.dtype.kind == "f" else np.arange(n) % 2 == 0 for x in case.xs]
        yield case.of(xs)


@pytest.mark.parametrize("op", ELEMENTWISE, ids=name_of)
def test_at_edge_values_it_gives_what_numpy_gives(op):
    numpys = getattr(np, op.name, None)
    for case in edge_cases(op):
        with saying(case), np.errstate(all="ignore"):
            (found,) = results(op, tensors(case.xs), case.params)
            (raw,) = results(op, case.xs, case.params)
            assert_same_bits(found, raw)
            if isinstance(numpys, np.ufunc) and numpys.nin == len(case.xs):
                assert_same_bits(found, numpys(*case.xs))


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if not op.flat], ids=name_of)
def test_at_edge_values_no_derivative_raises_or_warns(op):
    for case in edge_cases(op):
        with saying(case):
            with np.errstate(all="ignore"):
                ys, pull = ob.vjp(case, *case.points)
            x_bars = pull(tuple(np.ones_like(y) for y in ys))
            with np.errstate(all="ignore"):
                _, y_dots = ob.jvp(case, tuple(case.points), tuple(map(np.ones_like, case.points)))
            assert len(x_bars) == len(case.points)
            for d in (*x_bars, *y_dots):
                assert d.shape == case.points[0].shape


@pytest.mark.parametrize("op", [op for op in ELEMENTWISE if not op.flat], ids=name_of)
def test_where_nothing_arrives_nothing_is_passed_on_if_it_was_not_selected(op):
    """where(False, f(x), 0) has derivative 0, whatever f does at x."""
    for case in edge_cases(op):

        def masked(*points, case=case):
            (y,) = case(*points)
            return ob.where(np.zeros(y.shape, bool), y, np.zeros((), y.dtype))

        with saying(case), np.errstate(all="ignore"):
            _, pull = ob.vjp(masked, *case.points)
            for x_bar in pull(np.ones(case.points[0].shape)):
                np.testing.assert_array_equal(x_bar, np.zeros_like(x_bar))


@pytest.mark.parametrize("op", [op for op in OPS if op not in ELEMENTWISE], ids=name_of)
def test_no_derivative_of_a_nan_or_an_infinity_raises_anything_but_an_overbar_error(op):
    for case in cases(op):
        if not case.floats or not case.points[0].size:
            continue
        for bad in (np.nan, np.inf, 0.0):
            xs = [x.copy() for x in case.xs]
            xs[case.floats[0]].reshape(-1)[0] = bad
            with saying(f"{case} with {bad}"):
                _differentiate_or_refuse(case.of(xs))


def _differentiate_or_refuse(case: Case):
    try:
        with np.errstate(all="ignore"):
            ys, pull = ob.vjp(case, *case.points)
        x_bars = pull(tuple(np.ones_like(y) for y in ys))
    except ob.errors.OverbarError:
        return
    assert [b.shape for b in x_bars] == [x.shape for x in case.points]

"""vmap over every primitive and its derivatives: equal to a loop, whichever inputs are mapped."""

import numpy as np
import pytest

import overbar as ob
from tests.rules.cases import (
    OPS,
    SMOOTH,
    assert_close,
    directions,
    lanes,
    name_of,
    patterns,
    results,
    rng_for,
    saying,
    value,
)

every_primitive = pytest.mark.parametrize("op", OPS, ids=name_of)
every_smooth_one = pytest.mark.parametrize("op", SMOOTH, ids=name_of)
LANES = 3


def shared_and_stacked(row, pattern, axis=0):
    """(arguments for vmap, in_axes, arguments of lane i): mapped ones differ from lane to lane."""
    args, axes = [], []
    for i, mapped in enumerate(pattern):
        xs = [case.xs[i] for case in row]
        at = min(axis, xs[0].ndim)
        args.append(np.stack(xs, axis=at) if mapped else xs[0])
        axes.append(at if mapped else None)

    def lane(k):
        return [row[k if mapped else 0].xs[i] for i, mapped in enumerate(pattern)]

    return args, tuple(axes), lane


@every_primitive
def test_vmap_equals_a_loop(op):
    for row in lanes(op, LANES):
        for pattern in patterns(len(row[0].xs)):
            args, axes, lane = shared_and_stacked(row, pattern)
            params = row[0].params
            with saying(f"{row[0]}, mapped {pattern}"):
                found = ob.vmap(lambda *xs, p=params: results(op, xs, p), in_axes=axes)(*args)
                rows = [results(op, lane(k), params) for k in range(LANES)]
                for y, wanted in zip(found, zip(*rows, strict=True), strict=True):
                    assert y.dtype == np.asarray(wanted[0]).dtype
                    assert_close(y, np.stack(wanted), 1e-12)


@every_primitive
def test_the_lanes_may_lie_on_any_axis(op):
    for row in lanes(op, LANES):
        pattern = (True,) * len(row[0].xs)
        args, axes, lane = shared_and_stacked(row, pattern, axis=1)
        params = row[0].params
        with saying(row[0]):
            found = ob.vmap(lambda *xs, p=params: results(op, xs, p), in_axes=axes)(*args)
            rows = [results(op, lane(k), params) for k in range(LANES)]
            for y, wanted in zip(found, zip(*rows, strict=True), strict=True):
                assert_close(y, np.stack(wanted), 1e-12)


@every_primitive
def test_vmap_in_vmap_equals_two_loops(op):
    for row in lanes(op, 4):
        grid = [[c.xs for c in row[:2]], [c.xs for c in row[2:]]]
        params = row[0].params
        args = [
            np.stack([np.stack([xs[i] for xs in line]) for line in grid])
            for i in range(len(row[0].xs))
        ]
        with saying(row[0]):
            found = ob.vmap(ob.vmap(lambda *xs, p=params: results(op, xs, p)))(*args)
            for k in range(len(found)):
                wanted = [[results(op, xs, params)[k] for xs in line] for line in grid]
                assert_close(found[k], np.array(wanted), 1e-12)


@every_primitive
def test_one_lane_is_enough(op):
    for row in lanes(op, 1):
        with saying(row[0]):
            params = row[0].params
            found = ob.vmap(lambda *xs, p=params: results(op, xs, p))(*(x[None] for x in row[0].xs))
            for y, wanted in zip(found, results(op, row[0].xs, params), strict=True):
                assert_close(y, np.asarray(wanted)[None], 1e-12)


@every_smooth_one
def test_vmap_of_the_reverse_rule_equals_a_loop(op):
    rng = rng_for(op, 300)
    for row in lanes(op, LANES):
        first = row[0]
        if not first.floats or not first(*first.points):
            continue
        y_bars = [directions([value(y) for y in c(*c.points)], rng) for c in row]
        for pattern in patterns(len(first.xs)):
            args, axes, lane = shared_and_stacked(row, pattern)
            n = len(args)

            def adjoints(*all_args, first=first, n=n):
                case = first.of(all_args[:n])
                points = [all_args[i] for i in first.floats]
                return ob.vjp(case, *points)[1](tuple(all_args[n:]))

            bars = [np.stack(column) for column in zip(*y_bars, strict=True)]
            with saying(f"{first}, mapped {pattern}"):
                found = ob.vmap(adjoints, in_axes=(*axes, *(0,) * len(bars)))(*args, *bars)
                rows = [adjoints(*lane(k), *y_bars[k]) for k in range(LANES)]
                for x_bar, wanted in zip(found, zip(*rows, strict=True), strict=True):
                    assert_close(x_bar, np.stack(wanted), 1e-12)


@every_smooth_one
def test_the_reverse_rule_of_vmap_equals_the_sum_over_the_lanes(op):
    """An argument that all lanes share receives what every lane sends."""
    rng = rng_for(op, 301)
    for row in lanes(op, LANES):
        first = row[0]
        if not first.floats or not first(*first.points):
            continue
        y_bars = [directions([value(y) for y in c(*c.points)], rng) for c in row]
        bars = tuple(np.stack(column) for column in zip(*y_bars, strict=True))
        for pattern in patterns(len(first.xs)):
            args, axes, lane = shared_and_stacked(row, pattern)

            def all_lanes(*points, first=first, args=args, axes=axes):
                xs = list(args)
                for i, x in zip(first.floats, points, strict=True):
                    xs[i] = x
                one = lambda *ys: tuple(
                    y for y in results(op, ys, first.params) if y.dtype.kind in "fc"
                )
                return ob.vmap(one, in_axes=axes)(*xs)

            with saying(f"{first}, mapped {pattern}"):
                _, pull = ob.vjp(all_lanes, *(args[i] for i in first.floats))
                found = pull(bars)
                rows = []
                for k in range(LANES):
                    case = first.of(lane(k))
                    rows.append(ob.vjp(case, *case.points)[1](tuple(y_bars[k])))
                for i, x_bar, parts in zip(
                    first.floats, found, zip(*rows, strict=True), strict=True
                ):
                    wanted = np.stack(parts) if pattern[i] else np.sum(parts, axis=0)
                    assert_close(x_bar, wanted, 1e-12, 1.0)


@every_smooth_one
def test_vmap_of_the_forward_rule_equals_a_loop(op):
    rng = rng_for(op, 302)
    for row in lanes(op, LANES):
        first = row[0]
        if not first.floats or not first(*first.points):
            continue
        x_dots = [directions(c.points, rng) for c in row]
        args, _, _ = shared_and_stacked(row, (True,) * len(first.xs))
        n = len(args)

        def tangents(*all_args, first=first, n=n):
            case = first.of(all_args[:n])
            points = tuple(all_args[i] for i in first.floats)
            return ob.jvp(case, points, all_args[n:])[1]

        dots = [np.stack(column) for column in zip(*x_dots, strict=True)]
        with saying(first):
            found = ob.vmap(tangents)(*args, *dots)
            rows = [tangents(*row[k].xs, *x_dots[k]) for k in range(LANES)]
            for y_dot, wanted in zip(found, zip(*rows, strict=True), strict=True):
                assert_close(y_dot, np.stack(wanted), 1e-12)

"""What rules say they need is what they need: no value is kept in vain, none is missing.

A rule's argument with an underscore in front is one whose value the rule does without.
"""

import dis
import inspect

import numpy as np
import pytest

from overbar.elementwise import Elementwise
from overbar.primitive import LINEAR, shared
from overbar.spec import spec_of
from tests.rules.cases import (
    SMOOTH,
    assert_same_bits,
    directions,
    name_of,
    rng_for,
    saying,
    smooth_cases,
    value,
)

every_primitive = pytest.mark.parametrize("op", SMOOTH, ids=name_of)
SHAPES = {"shape", "dtype", "ndim", "size", "spec"}


def rules_of(op):
    """(direction, rule, how many arguments come before the output), each rule once."""
    found = {}
    for direction, rules in (("vjp", op.vjp), ("jvp", op.jvp)):
        if type(rules) is shared:
            found[rules.rule, direction] = rules.skips
        elif isinstance(rules, tuple):
            for rule in rules:
                if callable(rule):
                    partial = getattr(rule, "partial", None)
                    found[partial or rule, direction] = 0 if partial else 1
    return [(direction, rule, skip) for (rule, direction), skip in found.items()]


def operands_named(rule, skip):
    """The names of the rule's operands whose values are kept for it."""
    code = rule.__code__
    names = list(code.co_varnames[skip : code.co_argcount])
    if code.co_flags & inspect.CO_VARARGS:
        names.append(code.co_varnames[code.co_argcount + code.co_kwonlyargcount])
    return [name for name in names if not name.startswith("_")]


def uses(code, name):
    """How a local is used: "value", "shape"; once per place, in nested functions too."""
    instructions = [i for i in dis.get_instructions(code) if i.opname != "NOP"]
    for i, instruction in enumerate(instructions):
        loaded = (
            instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        )
        if instruction.opname.startswith("LOAD_") and "GLOBAL" not in instruction.opname:
            closure = instruction.opname == "LOAD_CLOSURE"
            if name in loaded and not closure and "ATTR" not in instruction.opname:
                after = instructions[i + 1] if loaded[-1] == name else None
                of_shape = after and after.opname == "LOAD_ATTR" and after.argval in SHAPES
                yield "shape" if of_shape else "value"
    for constant in code.co_consts:
        if inspect.iscode(constant) and name in constant.co_freevars:
            yield from uses(constant, name)


@every_primitive
def test_every_value_that_is_kept_for_a_rule_is_used_by_it(op):
    for direction, rule, skip in rules_of(op):
        if not hasattr(rule, "__code__"):
            continue  # counted as using everything
        for name in operands_named(rule, skip):
            how = set(uses(rule.__code__, name))
            assert "value" in how, (
                f"{op.name}: the {direction} rule on line {rule.__code__.co_firstlineno} keeps "
                f"{name!r} and uses {'only its shape' if how else 'nothing of it'}: name it _{name}"
            )


def bits_of(op, arity):
    """Each input alone, and all."""
    return [*(1 << i for i in range(arity)), (1 << arity) - 1]


def as_specs(values, keep):
    return [x if i in keep else spec_of(x) for i, x in enumerate(values)]


def _spec(y):
    return tuple(map(spec_of, y)) if isinstance(y, tuple) else spec_of(y)


@every_primitive
def test_the_reverse_rules_need_no_value_they_do_not_name(op):
    rng = rng_for(op, 400)
    for case in smooth_cases(op):
        xs, params, n = case.xs, case.params, len(case.xs)
        y = op.run(*xs, **params)
        ys = y if isinstance(y, tuple) else (y,)
        bars = [
            d if np.asarray(v).dtype.kind in "fc" else None
            for v, d in zip(ys, directions(map(np.asarray, ys), rng), strict=True)
        ]
        y_bar = tuple(bars) if isinstance(y, tuple) else bars[0]
        if not any(b is not None for b in bars):
            continue
        for wanted in bits_of(op, n):
            wanted &= sum(1 << i for i in case.floats)
            own, keep = op.needs(wanted, n)
            bare = (y if own else _spec(y)), as_specs(xs, keep)
            with saying(f"{case}, wanted {wanted:b}"), np.errstate(all="ignore"):
                if type(op.vjp) is shared:
                    asked = tuple(bool(wanted >> i & 1) for i in range(n))
                    full = op.vjp.rule(asked, y_bar, y, *xs, **params)
                    lean = op.vjp.rule(asked, y_bar, bare[0], *bare[1], **params)
                    pairs = [(a, b) for a, b, w in zip(full, lean, asked, strict=True) if w]
                else:
                    pairs = [
                        (
                            op.vjp[i](y_bar, y, *xs, **params),
                            op.vjp[i](y_bar, bare[0], *bare[1], **params),
                        )
                        for i in range(n)
                        if wanted >> i & 1 and callable(op.vjp[i])
                    ]
                for a, b in pairs:
                    assert (a is None) == (b is None)
                    if a is not None and not isinstance(a, tuple):
                        assert_same_bits(b, a)


@every_primitive
def test_the_forward_rules_need_no_value_they_do_not_name(op):
    rng = rng_for(op, 401)
    for case in smooth_cases(op):
        xs, params, n = case.xs, case.params, len(case.xs)
        y = op.run(*xs, **params)
        dots = [None] * n
        for i, d in zip(case.floats, directions(case.points, rng), strict=True):
            dots[i] = d
        for given in bits_of(op, n):
            given &= sum(1 << i for i in case.floats)
            if not given or op.jvp is LINEAR:
                continue
            own, keep = op.needs(given, n, True)
            bare = (y if own else _spec(y)), as_specs(xs, keep)
            with saying(f"{case}, given {given:b}"), np.errstate(all="ignore"):
                if type(op.jvp) is shared:
                    some = [d if given >> i & 1 else None for i, d in enumerate(dots)]
                    pairs = [
                        (
                            op.jvp.rule(some, y, *xs, **params),
                            op.jvp.rule(some, bare[0], *bare[1], **params),
                        )
                    ]
                else:
                    pairs = [
                        (
                            op.jvp[i](dots[i], y, *xs, **params),
                            op.jvp[i](dots[i], bare[0], *bare[1], **params),
                        )
                        for i in range(n)
                        if given >> i & 1 and callable(op.jvp[i])
                    ]
                for a, b in pairs:
                    for one, other in zip(
                        *(v if isinstance(v, tuple) else (v,) for v in (a, b)), strict=True
                    ):
                        if one is not None:
                            assert_same_bits(other, value(one))


def test_these_tests_see_a_value_that_is_kept_in_vain():
    assert set(uses((lambda y_bar, _y, x: y_bar * x).__code__, "x")) == {"value"}
    assert set(uses((lambda y_bar, _y, x: y_bar * x.shape[0]).__code__, "x")) == {"shape"}
    assert set(uses((lambda y_bar, _y, x: y_bar).__code__, "x")) == set()
    nested = lambda y_bar, _y, x: [y_bar * x for _ in range(3)]
    assert "value" in set(uses(nested.__code__, "x"))


def test_an_elementwise_primitive_is_checked_by_its_partials():
    smooth = [
        op for op in SMOOTH if isinstance(op, Elementwise) and any(map(callable, op.partials))
    ]
    assert smooth
    assert all(rules_of(op) for op in smooth)

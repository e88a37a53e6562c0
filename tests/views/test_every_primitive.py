"""Every primitive can be told: a new one is tested the moment it exists."""

import numpy as np
import pytest

import overbar as ob
from overbar.primitive import FLAT, PRIMITIVES
from overbar.views.formula import BLANK, LOGIC, form_of, notation


def samples(op):
    rng = np.random.default_rng(0)
    if op.samples is not None:
        return op.samples(lambda *shape: rng.normal(size=shape))
    spans = op.domain if isinstance(op.domain[0], tuple) else (op.domain,) * op.arity
    return [([rng.uniform(*span, size=(2, 3)) for span in spans], {})]


TOLD = [
    op
    for op in PRIMITIVES.values()
    if op.vjp is not FLAT and (op.samples is not None or hasattr(op, "domain"))
]


def total(y):
    parts = [p for p in ob_parts(y) if p.spec.floating]
    return sum((ob.sum(ob.real(p)) for p in parts[1:]), ob.sum(ob.real(parts[0])))


def ob_parts(y):
    from overbar.ops.movement import parts

    return parts(y) if isinstance(y.spec, tuple) else (y,)


@pytest.mark.parametrize("op", TOLD, ids=lambda op: op.name)
def test_a_primitive_is_told_with_its_own_rule(op, monkeypatch):
    def refuse(*_):
        raise AssertionError("the rule could not be run on symbols")

    for args, params in samples(op):
        arrays = [np.asarray(a) for a in args]
        leaves = [ob.tensor(a, requires_grad=a.dtype.kind in "fc") for a in arrays]
        if not any(t.requires_grad for t in leaves):
            continue
        L = total(op(*leaves, **params))
        monkeypatch.setattr("overbar.views.rows.opaque", refuse)
        story = ob.explain(L)
        assert story.text(full=True)
        assert story.tex()
        assert story.tables()
        L.backward()
        for t in leaves:
            if t.grad is not None:
                bar = story.adjoint(t)
                expected = t.grad.value
                np.testing.assert_array_equal(np.conj(bar), expected)


@pytest.mark.parametrize("op", PRIMITIVES.values(), ids=lambda op: op.name)
def test_a_notation_is_understood(op):
    """How tightly it binds is read off the text; a text that is not understood gets the lowest."""
    for args, params in (
        samples(op) if op.samples is not None else [((1,) * getattr(op, "arity", 1), {})]
    ):
        form = form_of(notation(op, len(args), params))
        assert form.level > LOGIC or op.name.startswith(("logical", "bitwise")) or not form.needs
        assert all(ord(c) < BLANK or ord(c) - BLANK < len(args) for c in form.skeleton)

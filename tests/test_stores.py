"""What a jitted function stores outside is there after each call, as it is eagerly."""

import dataclasses
import gc
import weakref
from typing import Any, NamedTuple

import numpy as np
import pytest

import overbar as ob
from overbar.errors import NonFiniteError, RebindError, UnknownValueError

X = np.array([1.0, 2.0, 3.0])


class Holder:
    """An object of the user's."""

    h: Any = None
    shared: Any = None


class Slots:
    __slots__ = ("h",)

    def __init__(self):
        self.h = ob.zeros(3)


class Cell(ob.nn.Module):
    def __init__(self):
        self.weight = ob.nn.Parameter(np.ones(3))
        self.last, self.h, self._hidden = None, ob.zeros(3), (ob.zeros(3), [ob.ones(())])

    def forward(self, x):
        a, (b,) = self._hidden
        self.h = 0.5 * self.h + self.weight * x
        self._hidden = a + self.h, [b * 2.0]
        self.last = (self.h * a).sum() * b
        return self.last


@dataclasses.dataclass
class State:
    a: Any
    n: int = 3


class Pair(NamedTuple):
    a: Any
    b: Any


def values(thing):
    """Numbers instead of tensors, which have to be known."""
    arrays = ob.Tensor | np.ndarray
    return ob.tree_map(lambda t: t.tolist() if isinstance(t, arrays) else t, thing)


def of_module():
    m = Cell()
    return m, lambda x: m(x), lambda: (m.last, m.h, m._hidden)  # noqa: PLW0108


def of_module_given():
    m = Cell()
    step = lambda m, x: m(x)
    return m, step, lambda: (m.last, m.h, m._hidden)


def of_object():
    c = Holder()

    def step(x):
        before = 0.0 if c.h is None else c.h
        c.h = before + x * 2.0
        return c.h.sum()

    return c, step, lambda: c.h


def of_object_given():
    c = Holder()

    def step(c, x):
        c.h = {"b": x, "a": (x * 2.0, 7)}
        return c.h["a"][0].sum()

    return c, step, lambda: c.h


def of_slots():
    c = Slots()

    def step(c, x):
        c.h = c.h * x + 1.0
        return c.h.sum()

    return c, step, lambda: c.h


def of_class():
    def step(x):
        Holder.shared = x + (0.0 if Holder.shared is None else Holder.shared)
        return x.sum()

    Holder.shared = None
    return None, step, lambda: Holder.shared


def of_dict():
    d = {"n": 1}

    def step(x):
        d["h"] = x + d["h"] if "h" in d else x * 1.0
        return d["h"].sum()

    return None, step, lambda: dict(d)


def of_name():
    name = "h"
    c = Holder()

    def step(x):
        setattr(c, name * 2, x * 2.0)
        return getattr(c, name * 2)

    return c, step, lambda: c.hh


def of_variable():
    total = None

    def step(x):
        nonlocal total
        total = x * x if total is None else total + x
        return total

    return None, step, lambda: total


TOTAL: Any = None


def of_global():
    def step(x):
        global TOTAL  # noqa: PLW0603
        TOTAL = x * x
        return x

    return None, step, lambda: TOTAL


def of_dataclass():
    c = Holder()

    def step(x):
        c.h = State(x * 2.0) if c.h is None else State(c.h.a + x, 4)
        return c.h.a

    return c, step, lambda: (c.h.a, c.h.n)


def of_own_dataclass():
    c = State(ob.zeros(3))

    def step(x):
        c.a = Pair(x, x * 2.0)
        return c.a.b

    return c, step, lambda: c.a


CASES = [
    of_module, of_module_given, of_object, of_object_given, of_slots, of_class, of_dict, of_name,
    of_variable, of_global, of_dataclass, of_own_dataclass,
]  # fmt: skip


def runs(case, jit, calls=5):
    """The results of some calls, and what is stored after each; how many traces that took."""
    thing, step, stored = case()
    args = (thing,) if step.__code__.co_argcount == 2 else ()
    if jit is not None:
        step = jit(step)
    seen, kept = [], []
    for i in range(calls):
        kept.append((step(*args, X + i), stored()))
        seen.append(values(kept[-1]))
    assert [values(k) for k in kept] == seen  # what was handed out does not change
    return seen, len(getattr(step, "_why", ()))


@pytest.mark.parametrize("how", ["native", "interpret"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_is_stored_is_there_after_each_call(case, how):
    wanted, _ = runs(case, None)
    with ob.config(jit=how):
        found, traces = runs(case, ob.jit)
    assert found == wanted
    assert traces <= 3  # one more where there was nothing, or something else, before


def test_what_is_given_or_plain_or_from_outside_is_stored_at_each_call():
    def run(jit):
        c, w = Holder(), ob.tensor(X)
        c.a, c.b, c.n, c.w, c.old = ob.tensor(X), ob.tensor(2 * X), 0, None, ob.tensor(X)

        def step(x):
            c.a, c.b = c.b, c.a
            c.n, c.w, c.old, c.h = 5, w, None, x
            return x * c.a

        step = jit(step) if jit else step
        seen = []
        for i in range(5):
            result = step(ob.tensor(X + i))
            state = result, c.a, c.b, c.n, c.h, c.old
            seen.append((values(state), c.w is w))
            c.n, c.w, c.old = 0, None, ob.tensor(X)
        return seen

    assert run(ob.jit) == run(None)


def test_what_was_stored_from_outside_is_read_at_the_next_call():
    m = Cell()
    step = ob.jit(lambda x: m(x) * 1.0)
    step(X)
    m.h = ob.ones(3)
    step(X)
    np.testing.assert_array_equal(m.h.numpy(), 0.5 + X)
    m.h = ob.ones((2, 3))
    step(X)
    np.testing.assert_array_equal(m.h.numpy(), np.broadcast_to(0.5 + X, (2, 3)))
    assert "m.h" in step.why_compiled()


def test_a_stored_tensor_has_history_where_it_has_eagerly():
    def after(jit):
        c, w = Holder(), ob.tensor(X, requires_grad=True)

        def f(x):
            c.h = w * x
            return x

        (jit(f) if jit else f)(ob.tensor(2.0 * X))
        c.h.sum().backward()
        return w.grad.tolist()

    assert after(ob.jit) == after(None)


def test_storing_under_vmap_and_grad_is_as_in_eager():
    c = Holder()

    def f(x):
        c.h = x * 2.0
        return (x * x).sum()

    g = ob.jit(ob.grad(f))
    np.testing.assert_array_equal(g(X), 2 * X)
    np.testing.assert_array_equal(c.h.numpy(), 2 * X)
    ob.vmap(ob.jit(f))(X)
    with pytest.raises(ob.errors.LeakedTraceError):
        c.h + 1.0


def test_a_call_that_fails_stores_nothing():
    c, kept = Holder(), [1]
    c.h = "before"

    def f(x):
        c.h = x * 2.0
        kept.append(x + 1.0)
        if c.h.sum() > 0:
            pass
        return x

    with pytest.raises(UnknownValueError):
        ob.jit(f)(X)
    assert c.h == "before"
    assert kept == [1]


def test_the_guard_stores_what_eager_stores():
    c = Holder()

    def f(x):
        c.h = x * 2.0
        return ob.log(ob.asarray(x))

    step = ob.jit(f)
    with ob.config(nan_guard=True), np.errstate(all="ignore"):
        step(X)
        np.testing.assert_array_equal(c.h.numpy(), 2 * X)
        with pytest.raises(NonFiniteError):
            step(-X)
        np.testing.assert_array_equal(c.h, -2 * X)


@pytest.mark.parametrize("what", ["list", "parameter", "object"])
def test_what_cannot_be_stored_at_each_call_is_refused(what):
    kept, c, m = [ob.zeros(3)], Holder(), Cell()

    def f(x):
        if what == "list":
            kept.append(x * 2.0)
        elif what == "parameter":
            m.weight = ob.nn.Parameter(x * 2.0)
        else:
            c.h = Holder()
            c.h.h = x * 2.0
        return x

    path = {"list": r"kept\[1\]", "parameter": r"m\.weight", "object": r"c\.h\.h"}[what]
    with pytest.raises(RebindError, match=path + r"(.|\n)*made at .*test_stores(.|\n)*hint"):
        ob.jit(f)(X)
    assert len(kept) == 1
    assert what == "object" or c.h is None


def test_objects_that_were_stored_in_are_not_kept_alive():
    @ob.jit
    def f(c, x):
        c.h = x * 2.0
        return x

    c = Holder()
    f(c, X)
    f(c, X)
    alive = weakref.ref(c)
    del c
    gc.collect()
    assert alive() is None

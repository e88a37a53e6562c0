"""No program is run that was made for other surroundings: what a function can see is changed in a
thousand ways, and after each the jitted function gives what the plain one gives.
"""

import contextlib
import random
import sys
import types

import numpy as np
import pytest

import overbar as ob
from overbar.compile import native

X = np.linspace(-1, 1, 6).reshape(2, 3)

SCALE = 2.0
PAIR = (1.0, 2)
WORDS = ["a", "b"]
TABLE = {"scale": 1.5, "deep": {"n": 3, "list": [1, 2.0]}}
FACTOR = 3
UNUSED = 1


def inner(x, shift=0.5, *, twist=1.0):
    return outer(x) * FACTOR + shift * twist


def outer(x):
    return x + OFFSET


OFFSET = 1.0


class Thing:
    level = 2.0

    def __init__(self):
        self.scale, self.numbers, self.used = 1.0, [1.0, 2.0], 0
        self.weight = ob.tensor(np.ones(3))

    def apply(self, x):
        return x * self.scale * self.level + self.numbers[1] * self.bonus(x) + self.weight

    def bonus(self, x):
        return x * BONUS


BONUS = 0.25


class Slotted:
    __slots__ = ("n",)

    def __init__(self):
        self.n = 1.0


THING, SLOTTED = Thing(), Slotted()
STEPS = [lambda x: x * 2.0, lambda x: x + 1.0]
PARTS = types.ModuleType("parts")
PARTS.rate = 0.5
DATA = np.arange(3.0)
MASK = np.array([True, False, True])
INDEX = np.array([0, 2])
PARAMS = {"w": ob.tensor(np.ones(3)), "list": [ob.tensor(1.0), ob.tensor(2.0)]}
MODEL = ob.nn.Sequential(ob.nn.Linear(3, 3, dtype=np.float64), ob.nn.Tanh())
GATES = {"relu"}


def world():
    """The function, and what mutates what only a closure sees."""
    cell = 1.0
    cells = [1, 2]

    def body(x, n=2, *rest, flag=False, extra=None):
        y = x * SCALE + PAIR[0] * PAIR[1] + len(WORDS) * TABLE["scale"] + TABLE["deep"]["n"]
        y = y + sum(TABLE["deep"]["list"]) + inner(x) * n + cell + sum(cells)
        y = y + THING.apply(x) + SLOTTED.n * Thing.level + PARTS.rate
        for step in STEPS:
            y = step(y)
        y = y + ob.sum(x * DATA) + ob.sum(x[:, MASK]) + ob.sum(x[:, INDEX])
        y = y + PARAMS["w"] * PARAMS["list"][0] + PARAMS["list"][1] + MODEL(x)
        y = ob.relu(y) if "relu" in GATES else y
        for r in rest:
            y = y * r
        y = -y if flag else y
        slope = ob.grad(lambda s: ob.sum(ob.abs(s * 0.0 + x)))(0.0 * SCALE)
        y = y + slope + (0.0 if extra is None else extra["a"] - extra["b"])
        return y, ob.zeros(2), y.requires_grad

    def change(r):
        nonlocal cell
        if r.random() < 0.5:
            cell = r.choice([1.0, 2.0, 1, True, 0.0, -0.0])
        else:
            cells[r.randrange(2)] = r.choice([1, 2, 1.0, True])

    return body, change


NUMBERS = [1, 1.0, True, 2, 2.0, 0.0, -0.0, 3.5, np.float64(2.0), np.float32(2.0)]


def mutations(change):
    """Functions that change something: often to a like of what it was."""
    here = sys.modules[__name__].__dict__

    def to(place, key):
        return lambda r: place.__setitem__(key, r.choice(NUMBERS))

    def attribute(thing, name):
        return lambda r: setattr(thing, name, r.choice(NUMBERS))

    def words(r):
        if len(WORDS) > 3 or (WORDS and r.random() < 0.4):
            WORDS.pop()
        else:
            WORDS.append("c")

    def redefine(r):
        here["inner"] = types.FunctionType(
            inner.__code__, here, "inner", (r.choice([0.5, 0.25]),), None
        )
        inner.__kwdefaults__ = {"twist": r.choice([1.0, 2.0, 1])}

    def recode(r):
        body = r.choice(["x + OFFSET", "x - OFFSET", "x * OFFSET"])
        space = {}
        exec(f"def outer(x):\n    return {body}\n", here, space)  # noqa: S102
        outer.__code__ = space["outer"].__code__

    def steps(r):
        k = r.choice([1.0, 2.0, 1])
        STEPS[r.randrange(2)] = r.choice([lambda x: x * k, lambda x: x + k, ob.tanh, ob.sin])

    def method(r):
        Thing.bonus = r.choice([lambda self, x: x * BONUS, lambda self, x: x - BONUS])

    def instance_method(r):
        if "level" in vars(THING):
            del THING.level
        else:
            THING.level = r.choice([2.0, 3.0])

    def params(r):
        w = PARAMS["w"]
        pick = r.randrange(5)
        if pick == 0:
            PARAMS["w"] = ob.tensor(np.full(3, r.choice([1.0, 2.0])))
        elif pick == 1:
            w.rebind(ob.tensor(np.full(3, r.random())))
        elif pick == 2:
            w.rebind(ob.tensor(np.ones(r.choice([(3,), (1,), (2, 3)]), r.choice("fd"))))
        elif pick == 3:
            w.requires_grad_(r.random() < 0.5)
        else:
            PARAMS["list"][r.randrange(2)] = ob.tensor(r.choice([1.0, 2.0]))

    def arrays(r):
        pick = r.randrange(5)
        if pick == 0:
            DATA[r.randrange(3)] = r.random()
        elif pick == 1:
            here["DATA"] = np.arange(3.0).astype(r.choice("fd")) * r.choice([1, 2])
        elif pick == 2:
            MASK[r.randrange(3)] ^= True
        elif pick == 3:
            INDEX[r.randrange(2)] = r.randrange(-3, 3)
        else:
            here["MASK"] = np.array([True, r.random() < 0.5, True])

    def model(r):
        pick = r.randrange(4)
        if pick == 0:
            MODEL.train(r.random() < 0.5)
        elif pick == 1:
            MODEL.append(r.choice([ob.nn.Tanh(), ob.nn.ReLU(), ob.nn.Dropout(0.0)]))
            while len(list(MODEL)) > 4:
                here["MODEL"] = ob.nn.Sequential(*list(MODEL)[:2])
        elif pick == 2:
            here["MODEL"] = ob.nn.Sequential(*list(MODEL))
        else:
            MODEL[0].weight = np.full((3, 3), r.random())

    def deep(r):
        r.choice([
            to(TABLE, "scale"), to(TABLE["deep"], "n"), to(TABLE["deep"]["list"], r.randrange(2)),
            lambda r: TABLE.__setitem__("deep", {"n": r.choice(NUMBERS), "list": [1, 2.0]}),
            lambda r: TABLE["deep"].__setitem__("list", TABLE["deep"]["list"][::-1]),
        ])(r)  # fmt: skip

    def pair(r):
        here["PAIR"] = (r.choice(NUMBERS), r.choice(NUMBERS))

    def gates(r):
        GATES.symmetric_difference_update({r.choice(["relu", "other"])})

    plain = [to(here, n) for n in ("SCALE", "FACTOR", "OFFSET", "BONUS", "UNUSED")]
    objects = [
        attribute(THING, "scale"), attribute(Thing, "level"), attribute(SLOTTED, "n"),
        attribute(PARTS, "rate"), attribute(THING, "used"),
        lambda r: THING.numbers.__setitem__(1, r.choice(NUMBERS)),
        lambda r: setattr(THING, "weight", ob.tensor(np.full(3, r.choice([1.0, 2.0])))),
        lambda r: THING.weight.rebind(ob.tensor(np.full(3, r.random()))),
        lambda r: here.__setitem__("THING", Thing()),
    ]  # fmt: skip
    return [
        *plain, *objects, words, redefine, recode, steps, method, instance_method, params, params,
        arrays, arrays, model, deep, deep, pair, gates, change, change,
    ]  # fmt: skip


def calls(r):
    """Arguments: positional, keyword; often those of before."""
    x = r.choice([X, X + 1.0, X[:1], X.astype(np.float32), ob.tensor(X), X.T.copy().T])
    args = [x]
    if r.random() < 0.5:
        args.append(r.choice([2, 3, 2.0, True, 1]))
        if r.random() < 0.3:
            args.append(r.choice([2.0, 3.0, 2, np.ones(3)]))
    kwargs = {}
    if r.random() < 0.3:
        kwargs["flag"] = r.random() < 0.5
    if r.random() < 0.3:
        kwargs["extra"] = r.choice([None, {"a": 1.0, "b": 2.0}, {"b": 1.0, "a": X[0]}])
    return args, kwargs


def settings(r):
    """The context of a call."""
    stack = contextlib.ExitStack()
    if r.random() < 0.2:
        stack.enter_context(ob.config(kinks=r.choice(["default", "left", "right"])))
    if r.random() < 0.2:
        stack.enter_context(ob.no_grad())
    if r.random() < 0.1:
        stack.enter_context(ob.config(dtype=r.choice([np.float32, np.float64])))
    return stack


def compare(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        if not isinstance(b, ob.Tensor):
            assert a == b
            continue
        assert a.requires_grad == b.requires_grad
        a, b = a.detach().numpy(), b.detach().numpy()
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        few = 1e-5  # some of it is computed in float32; a stale number is off by much more
        np.testing.assert_allclose(a, b, rtol=few, atol=few)


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("interpret", 1000),
        pytest.param("native", 100, marks=pytest.mark.native),
        pytest.param("native", 1000, marks=[pytest.mark.native, pytest.mark.slow]),
    ],
)
def test_nothing_stale_is_ever_run(kind, count, monkeypatch):
    if kind == "native" and not native.available():
        pytest.skip("llvmlite is not installed")
    here = sys.modules[__name__]
    for name in [n for n in vars(here) if n.isupper() and n not in ("X", "NUMBERS")]:
        monkeypatch.setattr(here, name, getattr(here, name))
    r = random.Random(7)  # noqa: S311  (chooses what to change)
    body, change = world()
    step = ob.jit(body)
    arguments = calls(r)
    quick = 0
    for _ in range(count):
        mutate = r.choice(mutations(change))
        mutate(r)
        if r.random() < 0.4:
            arguments = calls(r)
        args, kwargs = arguments
        try:
            with np.errstate(all="ignore"), settings(r) as _, ob.config(jit=kind):
                eager = body(*args, **kwargs)
                for _ in range(2):
                    traces = len(step._why)
                    found = step(*args, **kwargs)
                    compare(found, eager)
                    quick += len(step._why) == traces
        except ob.errors.OverbarError:  # shapes that do not fit: then neither runs
            with pytest.raises(ob.errors.OverbarError), ob.config(jit=kind):
                step(*args, **kwargs)
    assert quick > count
    assert len(step._why) > count / 4

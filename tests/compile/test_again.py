"""What `ob.checkpoint` computes again is computed again by compiled code too, and late."""

import os

import numpy as np
import pytest

import overbar as ob
from overbar.compile.access import awaited
from tests.programs import MOVES, program

PROGRAMS = int(os.environ.get("OVERBAR_PROGRAMS", "100")) // 5

pytestmark = pytest.mark.native

again = ob.checkpoint


def block(x, w):
    return ob.tanh(ob.sin(x) @ w)


def row_by_row(x, w):
    out, _ = ob.scan(lambda h, r: (again(lambda h, r: ob.tanh(h @ w + r))(h, r), h), x[0], x)
    return out


def views(x, w):
    """What goes in is a view, and what is made of it goes out as one."""
    f = again(lambda a, b: ob.exp(a.mT) * b)
    return f(x[1:, ::2], x.mT[::2, 1:]).reshape(-1)


def several(x, w):
    a, b = again(lambda x: (ob.exp(x), ob.sin(x) @ w))(x)
    c, _ = again(lambda x: (x * x, ob.exp(x)))(b)
    return ob.sum(a) * c


def chosen(x, w):
    return again(lambda x: ob.cond(ob.sum(x) > 0, ob.exp, lambda x: x @ w, x))(x)


CASES = {
    "one": again(block),
    "a row": lambda x, w: again(block)(again(block)(again(block)(x, w), w), w),
    "nested": lambda x, w: again(lambda x: again(block)(again(block)(x, w), w))(x),
    "twice the same": lambda x, w: again(block)(x, w) * again(block)(x, w),
    "cheap on the way back": lambda x, w: -2.0 * again(lambda x: ob.square(x) * 3)(0.5 * x),
    "numbers": lambda x, w: again(lambda a, b: ob.sin(a) * b)(x[0, 0], 3.0),
    "softmax": lambda x, w: again(lambda x: ob.softmax(x @ w, -1))(again(block)(x, w)),
    "many for one": lambda x, w: ob.vmap(again(lambda r: ob.tanh(r @ w)))(x),
    "a loop": row_by_row,
    "views": views,
    "several results": several,
    "a choice": chosen,
    "sorted": lambda x, w: again(lambda x: ob.sort(ob.sin(x), axis=0) * x)(again(block)(x, w)),
}


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_compiled_gradients_are_the_eager_ones_to_second_order(f, rng):
    x, w = rng.standard_normal((4, 4)), rng.standard_normal((4, 4))
    loss = lambda x, w: ob.sum(f(x, w) ** 2)
    first = ob.grad(loss, (0, 1))
    second = ob.grad(lambda x, w: ob.sum(first(x, w)[0] ** 3), (0, 1))
    for g in (first, second):
        for y, z in zip(ob.jit(g)(x, w), g(x, w), strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-10, atol=1e-12)


def alone(run):
    """A move that is computed again."""
    return lambda *xs, **params: again(lambda *xs: run(*xs, **params))(*xs)


TABLE = {name: alone(move.run) for name, move in MOVES.items()}


@pytest.mark.parametrize("start", range(0, PROGRAMS, 10))
def test_random_programs_all_of_which_is_computed_again(start):
    for seed in range(start, start + 10):
        drawn = program(seed)
        g = ob.grad(lambda *xs: drawn(TABLE, *xs), tuple(range(len(drawn.xs))))  # noqa: B023
        with np.errstate(all="ignore"):
            for y, z in zip(ob.jit(g)(*drawn.xs), g(*drawn.xs), strict=True):
                scale = np.max(np.abs(z), initial=1.0, where=np.isfinite(z))
                np.testing.assert_allclose(y, z, rtol=0, atol=1e-9 * scale, err_msg=str(seed))


def stack(f, layers):
    """A gradient through many blocks."""

    def loss(x, w):
        for _ in range(layers):
            x = f(x, w)
        return ob.sum(x)

    return ob.jit(ob.grad(loss, (0, 1)))


def test_memory_grows_by_what_goes_into_a_block_and_not_by_what_is_inside(rng):
    """A block holds sin(x) for its product, and its result: two arrays; of the second kind, one."""
    x, w = rng.standard_normal((64, 64)), rng.standard_normal((64, 64)) / 8
    size = x.nbytes
    grown = {}
    for name, f in (("kept", block), ("again", again(block))):
        few, many = stack(f, 8), stack(f, 24)
        few(x, w), many(x, w)
        grown[name] = (many.memory().arena - few.memory().arena) / 16 / size
    assert grown["again"] == pytest.approx(1, abs=0.1)
    assert grown["kept"] > 1.9


def test_what_is_computed_again_is_so_once_more_and_no_more_often(rng):
    x, w = rng.standard_normal((8, 8)), rng.standard_normal((8, 8))
    count = lambda g: sum(n.op.name == "sin" for n in g.lower("share").nodes)
    for f, expected in ((block, 6), (again(block), 6 + 5)):  # the last waits for nothing
        g = stack(f, 6)
        g(x, w)
        assert count(g) == expected


def test_what_computes_again_comes_after_what_it_waits_for(rng):
    x, w = rng.standard_normal((8, 8)), rng.standard_normal((8, 8))
    g = stack(again(block), 4)
    g(x, w)
    (program,) = g._asked().programs.values()
    level = {n: s.level for s in program.assembled.plan.steps for n in (s.node, *s.outputs)}
    late = [
        (level[s.node], level[w])
        for s in program.assembled.plan.steps
        for x in s.node.inputs
        for w in awaited(x)
    ]
    assert late
    assert all(after > before for after, before in late)

"""Convolutions in native code against NumPy's, computed in float64."""

import functools
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from overbar.ops.convolve import conv_, conv_input_, conv_weight_
from overbar.ops.windows import window_count

pytest.importorskip("llvmlite")
from overbar.compile import native
from overbar.compile.convolution import Convolution, convolution
from overbar.compile.text import Module
from tests.compile import blocks
from tests.compile.blocks import Area, machine_of

pytestmark = pytest.mark.native

FACES = {"output": ("x", "w", "y"), "input": ("y", "w", "x"), "weight": ("x", "y", "w")}
LAYOUTS = list(itertools.product([True, False], repeat=3))  # x, y, w


# -- the cases --------------------------------------------------------------------------------


def case(n, c, space, out, kernel, stride=1, padding=0, dilation=1, groups=1):
    axes = len(space)
    stride, dilation = (
        (a,) * axes if isinstance(a, int) else a for a in (stride, dilation)
    )  # fmt: skip
    if isinstance(padding, int):
        padding = ((padding, padding),) * axes
    count = window_count(space, kernel, stride, padding, dilation)
    return Convolution(
        "float32", "output", n, c, space, out, kernel, count, stride, padding, dilation, groups,
        x_last=True, y_last=True, w_last=True,
    )  # fmt: skip


CASES = {
    "plain": case(2, 5, (9, 8), 33, (3, 3), padding=1),
    "no border": case(3, 20, (9, 11), 48, (3, 2)),
    "stride 1, 4": case(2, 3, (17, 14), 17, (3, 4), (1, 4), 1),
    "stride 2, 3": case(2, 20, (17, 14), 40, (4, 3), (2, 3), 1),
    "stride 3, 2": case(1, 18, (16, 15), 19, (2, 5), (3, 2), 2),
    "stride 4, larger than the kernel": case(2, 17, (13, 14), 18, (2, 3), 4, 1),
    "uneven padding": case(2, 4, (7, 10), 20, (3, 4), (2, 1), ((1, 2), (0, 3))),
    "padding on one side": case(2, 17, (6, 5), 16, (3, 3), 1, ((2, 0), (0, 2))),
    "dilated": case(2, 6, (15, 14), 35, (3, 3), 1, 2, (2, 3)),
    "dilated, strided": case(2, 17, (15, 17), 18, (3, 4), (2, 3), ((3, 2), (4, 1)), (3, 2)),
    "dilated as it is strided": case(2, 17, (15, 15), 18, (3, 3), 2, 2, 2),
    "half of the input is never seen": case(2, 17, (9, 9), 16, (3, 3), 2, 1, 2),
    "two groups": case(2, 40, (9, 8), 70, (3, 3), 1, 1, groups=2),
    "three groups, strided": case(2, 9, (11, 8), 6, (3, 2), 2, 1, groups=3),
    "groups of four": case(2, 32, (7, 7), 32, (3, 3), 1, 1, groups=8),
    "narrow groups, strided": case(3, 18, (9, 8), 30, (3, 3), 2, 1, groups=6),
    "depthwise": case(2, 37, (9, 14), 37, (3, 3), 1, 1, groups=37),
    "depthwise, whole vectors": case(2, 32, (9, 10), 32, (5, 3), groups=32),
    "depthwise, strided": case(3, 20, (13, 9), 20, (3, 3), 2, 1, groups=20),
    "depthwise, many taps": case(1, 17, (20, 19), 17, (7, 7), 1, 3, groups=17),
    "depthwise, three axes": case(2, 5, (5, 6, 7), 5, (3, 2, 3), 2, 1, groups=5),
    "depthwise, repeated": case(2, 4, (9, 7), 12, (3, 3), (2, 1), 1, groups=4),
    "depthwise, small maps": case(9, 17, (4, 3), 17, (3, 3), 1, 1, groups=17),
    "one entry": case(2, 20, (7, 9), 70, (1, 1)),
    "one entry, grouped": case(2, 20, (5, 6), 36, (1, 1), groups=2),
    "one entry, strided": case(2, 17, (9, 8), 33, (1, 1), (2, 3)),
    "one entry, padded": case(2, 5, (4, 3), 9, (1, 1), 1, 1),
    "kernel larger than the input": case(2, 17, (3, 2), 18, (5, 5), 1, 3),
    "kernel as large as the input": case(3, 20, (4, 5), 34, (4, 5)),
    "one sample": case(1, 16, (28, 28), 32, (3, 3), 1, 1),
    "no samples": case(0, 3, (5, 5), 4, (3, 3), 1, 1),
    "no channels": case(2, 0, (5, 5), 4, (3, 3), 1, 1),
    "no channels come out": case(2, 3, (5, 5), 0, (3, 3), 1, 1),
    "no place for the kernel": case(2, 3, (2, 5), 4, (3, 3)),
    "input without entries": case(2, 3, (0, 4), 5, (2, 3), 1, 2),
    "one of everything": case(1, 1, (1, 1), 1, (1, 1)),
    "one channel": case(2, 1, (8, 8), 8, (3, 3), 1, 1),
    "one channel comes out": case(2, 20, (8, 9), 1, (3, 3), 1, 1),
    "small maps, many samples": case(33, 16, (3, 2), 40, (3, 3), 1, 1),
    "small maps, some samples": case(7, 20, (4, 4), 20, (3, 3), 1, 1),
    "colours": case(2, 3, (67, 60), 40, (11, 11), 4, 2),
    "colours, small": case(2, 3, (32, 32), 32, (3, 3), 1, 1),
    "to colours": case(2, 24, (15, 14), 3, (4, 4), 2, 1),
    "from colours, grouped": case(2, 6, (14, 15), 32, (5, 5), 2, 2, groups=2),
    "from colours, dilated": case(2, 3, (20, 15), 32, (3, 3), 1, 2, 2),
    "to colours, no stride": case(2, 40, (15, 14), 3, (3, 3), 1, ((0, 1), (1, 2))),
    "many kernels": case(2, 90, (6, 7), 100, (3, 3), 1, 1),
    "one axis": case(2, 3, (41,), 20, (5,), 2, 2),
    "one axis, long": case(2, 17, (300,), 33, (7,), 1, 3),
    "one axis, one channel": case(2, 1, (700,), 9, (31,), 3, 15),
    "a filter": case(1, 1, (700,), 1, (31,)),
    "a filter, some signals": case(5, 1, (300,), 1, (9,), 1, ((8, 3),), 2),
    "a filter with a wide border": case(2, 1, (400,), 1, (3,), 1, ((7, 140),)),
    "a filter, many taps": case(1, 1, (1500,), 1, (201,), 1, 100, 3),
    "a filter of images": case(2, 1, (20, 150), 1, (5, 5), 1, 2),
    "a filter of images, strided": case(2, 1, (17, 170), 1, (3, 4), (2, 1), 2, (2, 3)),
    "a filter of small images": case(3, 1, (20, 23), 1, (3, 2), 1, ((1, 0), (0, 2))),
    "a filter of three axes": case(2, 1, (4, 5, 140), 1, (2, 3, 3), 1, 1),
    "three axes": case(2, 4, (5, 6, 7), 20, (2, 3, 3), 1, 1),
    "three axes, strided": case(2, 17, (5, 6, 7), 18, (3, 3, 2), (2, 1, 2), 1, (1, 2, 1)),
    "three axes to colours": case(2, 20, (4, 5, 6), 3, (3, 3, 3), 2, 1),
    "high and narrow": case(2, 17, (60, 1), 18, (3, 1), 1, ((1, 1), (0, 0))),
    "low and wide": case(2, 17, (1, 60), 18, (1, 3), 2, ((0, 0), (1, 1))),
    "several bands": case(2, 32, (40, 37), 48, (3, 3), 1, 1),
    "several bands, strided": case(1, 33, (41, 40), 32, (5, 5), 3, 2),
    "several bands, depthwise": case(1, 48, (40, 41), 48, (3, 3), 2, 1, groups=48),
}  # fmt: skip


def drawn(count):
    """Some more, at random."""
    r, found = np.random.default_rng(7), {}
    while len(found) < count:
        axes = int(r.integers(1, 4))
        groups = int(r.choice([1, 1, 1, 2, 3]))
        c, out = groups * int(r.integers(1, 20)), groups * int(r.integers(1, 40))
        if r.random() < 0.2:
            groups = c = int(r.integers(1, 40))
            out = c * int(r.integers(1, 3))
        space, kernel, stride, dilation = (
            tuple(int(i) for i in r.integers(1, most, axes))
            for most in ({1: 60, 2: 18, 3: 8}[axes], 5, 4, 3)
        )
        padding = tuple((int(a), int(b)) for a, b in r.integers(0, 4, (axes, 2)))
        made = case(int(r.integers(1, 8)), c, space, out, kernel, stride, padding, dilation, groups)
        if min(made.count):
            found[f"drawn {len(found)}"] = made
    return found


CASES |= drawn(20)


def faces(kind, dtype, small):
    """Name -> convolution for a library: all for float32 on the widest machine, else some."""
    found = {}
    everything = (kind, dtype, small) == ("avx512", "float32", False)
    for at, (name, c) in enumerate(CASES.items()):
        for turn, face in enumerate(FACES):
            layouts = [LAYOUTS[(3 * at + 5 * turn) % 8]]
            if everything and name in ("plain", "two groups", "stride 2, 3", "depthwise"):
                layouts = LAYOUTS
            elif not everything and (at + turn) % (3 if small else 2):
                continue
            for x, y, w in layouts:
                made = replace(c, face=face, dtype=dtype, x_last=x, y_last=y, w_last=w)
                found[f"{name}, {face}, {x:d}{y:d}{w:d}"] = made
    return found


# -- how they are run -------------------------------------------------------------------------


@functools.cache
def compiled(kind, dtype, small=False):
    """One library for all, with a witness at the end of each."""
    machine, module, made = machine_of(kind), Module(), {}
    if small:  # so that small images make several bands
        machine = replace(machine, l1=8 << 10, l2=48 << 10)
    witness = blocks.write_witness(module)
    for at, (name, c) in enumerate(faces(kind, dtype, small).items()):
        stages = convolution(module, machine, c, epilogue=witness)
        publics = [f"run{at}_{i}" for i in range(len(stages.kernels))]
        for kernel, public in zip(stages.kernels, publics, strict=True):
            blocks.make_public(module, kernel.name, public, 6)
        made[name] = (c, stages, publics)
    return native.load(str(module), machine), made


def shapes(c):
    return {
        "x": (c.batch, c.channels, *c.space),
        "y": (c.batch, c.out, *c.count),
        "w": (c.out, c.channels // c.groups, *c.kernel),
    }


def in_memory(a, what, c):
    if what == "w":
        return a.transpose(*range(2, a.ndim), 1, 0) if c.w_last else a
    return np.moveaxis(a, 1, -1) if (c.x_last if what == "x" else c.y_last) else a


def out_of_memory(flat, what, c):
    shape = shapes(c)[what]
    if what == "w":
        if not c.w_last:
            return flat.reshape(shape)
        a = flat.reshape(*shape[2:], shape[1], shape[0])
        return a.transpose(a.ndim - 1, a.ndim - 2, *range(a.ndim - 2))
    return (
        blocks.first(flat, shape)
        if (c.x_last if what == "x" else c.y_last)
        else flat.reshape(shape)
    )


def matrices(c, what):
    """The shape under which an epilogue sees the result."""
    shape = shapes(c)[what]
    if what == "w":
        rows = math.prod(shape[1:])
        return (1, rows, shape[0]) if c.w_last else (1, shape[0], rows)
    n, channels, places = shape[0], shape[1], math.prod(shape[2:])
    return (
        (1, n * places, channels)
        if (c.x_last if what == "x" else c.y_last)
        else (n, channels, places)
    )


def expected(c, given):
    how = {"stride": c.stride, "padding": c.padding, "dilation": c.dilation, "groups": c.groups}
    a, b = (given[k].astype("f8") for k in FACES[c.face][:2])
    if c.face == "output":
        return conv_.forward(np, a, b, **how)
    if c.face == "input":
        return conv_input_.forward(np, a, b, space=c.space, **how)
    return conv_weight_.forward(np, a, b, kernel=c.kernel, **how)


def terms(c):
    """How many products a sum has."""
    taps = math.prod(c.kernel)
    return {
        "output": c.channels // c.groups * taps,
        "input": c.out // c.groups * taps,
        "weight": c.batch * math.prod(c.count),
    }[c.face]


def run(library, c, stages, publics, given, rng, pool=None):
    """What is written, and the witness's book."""
    *names, result = FACES[c.face]
    areas = []
    for name in names:
        flat = in_memory(given[name], name, c).ravel()
        areas.append(Area(flat.size, c.dtype))
        areas[-1].values[:] = flat
    out = Area(math.prod(shapes(c)[result]), c.dtype, fill=np.nan)
    book = Area(50_000, "int64")
    scratch = Area(blocks.lines(stages.scratch), fill=0xFF)
    arguments = [a.address for a in (*areas, out, book, scratch)]
    for kernel, public in zip(stages.kernels, publics, strict=True):
        blocks.work(kernel, blocks.function(library, public, 6), arguments, rng, pool)
    for area, name in zip(areas, names, strict=True):  # read only
        assert np.array_equal(area.values, in_memory(given[name], name, c).ravel(), equal_nan=True)
    return out.values.copy(), book.values


def draw(c, rng):
    sizes = shapes(c)
    return {k: rng.standard_normal(sizes[k]).astype(c.dtype) for k in FACES[c.face][:2]}


def check(kind, dtype, small):
    library, made = compiled(kind, dtype, small)
    rng, wrong = np.random.default_rng(1), []
    for name, (c, stages, publics) in made.items():
        given = draw(c, rng)
        flat, book = run(library, c, stages, publics, given, rng)
        y, want = out_of_memory(flat, FACES[c.face][2], c), expected(c, given)
        sizes = expected(c, {k: np.abs(a) for k, a in given.items()})
        bound = np.finfo(dtype).eps * max(4, math.sqrt(terms(c))) * sizes
        if not (np.abs(y - want) <= bound).all():
            wrong.append(name)
        elif flat.size and not (blocks.seen(book, matrices(c, FACES[c.face][2])) == 1).all():
            wrong.append(f"{name}: epilogue")
    assert not wrong


# -- the tests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "dtype", "small"),
    [
        ("avx512", "float64", True),
        pytest.param("avx512", "float32", False, marks=pytest.mark.slow),
        pytest.param("avx2", "float32", True, marks=pytest.mark.slow),
        pytest.param("avx2", "float64", False, marks=pytest.mark.slow),
        pytest.param("generic", "float32", False, marks=pytest.mark.slow),
        pytest.param("generic", "float64", True, marks=pytest.mark.slow),
    ],
)
def test_faces_are_numpys_and_the_epilogue_sees_each_number_once(kind, dtype, small):
    """Parts run in any order; nothing outside the arrays is touched, rubbish in the workspaces and
    in the scratch memory does not matter.
    """
    check(kind, dtype, small)


def test_neither_order_nor_threads_change_a_bit():
    library, made = compiled("avx512", "float64", small=True)
    rng = np.random.default_rng(2)
    several = [n for n, (_, s, _) in made.items() if any(k.parts > 1 for k in s.kernels)]
    assert len(several) > 20
    with ThreadPoolExecutor(2) as pool:
        for name in several:
            c, stages, publics = made[name]
            given = draw(c, rng)
            one, _ = run(library, c, stages, publics, given, rng)
            two, _ = run(library, c, stages, publics, given, rng, pool)
            assert one.tobytes() == two.tobytes(), name


def test_every_way_is_taken():
    """The cases reach all the ways in which a convolution is done."""
    _, made = compiled("avx512", "float32")
    ends = {k.name.split("_")[-1] for _, s, _ in made.values() for k in s.kernels}
    assert {"pack", "total", "border"} <= ends
    _, made = compiled("avx512", "float64", small=True)
    assert max(k.parts for _, s, _ in made.values() for k in s.kernels) >= 8


def test_infinities_and_nans_stay_where_they_are():
    """What a border or the lanes of a narrow panel hold reaches no other number."""
    library, made = compiled("avx512", "float32")
    rng = np.random.default_rng(3)
    for name, (c, stages, publics) in made.items():
        if not name.startswith(("plain", "two groups", "depthwise", "to colours", "small maps")):
            continue
        given = draw(c, rng)
        spoilt = given[FACES[c.face][0]]
        spoilt[0, 0, ..., 0] = np.nan
        spoilt[0, 1 % spoilt.shape[1], ..., -1] = np.inf
        flat, _ = run(library, c, stages, publics, given, rng)
        y = out_of_memory(flat, FACES[c.face][2], c)
        with np.errstate(invalid="ignore"):
            want = expected(c, given)
        assert np.array_equal(np.isfinite(y), np.isfinite(want)), name


def test_equal_convolutions_are_written_once():
    machine, module = machine_of("generic"), Module()
    c = replace(CASES["plain"], face="weight")
    one = convolution(module, machine, c)
    text = str(module)
    assert convolution(module, machine, c) == one
    assert str(module) == text

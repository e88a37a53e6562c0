"""Products of matrices in native code against NumPy's, computed in float64."""

import ctypes
import functools
import itertools
import mmap
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from overbar.compile.blocking import planned, tiles
from overbar.compile.gemm import Product, product
from overbar.compile.microkernel import TYPE, call_tile, heights, tile
from overbar.compile.slices import sliced
from overbar.compile.text import Module
from overbar.errors import DomainError

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

KINDS = ["avx512", "avx2", "generic"]
DTYPES = ["float32", "float64"]


def machine_of(kind):
    try:
        return native.forced(kind)
    except DomainError as error:
        pytest.skip(str(error))


# -- the cases --------------------------------------------------------------------------------


def strides(layout, rows, columns):
    """Of a matrix that lies in memory in a certain way."""
    return {
        "rows": (columns, 1),
        "columns": (1, rows),
        "far rows": (columns + 3, 1),
        "far columns": (1, rows + 5),
        "odd": (2 * columns + 1, 2),
        "odd columns": (3, 3 * rows + 2),
        "backwards": (-columns, -1),
        "one row": (0, 1),
        "one column": (1, 0),
        "one number": (0, 0),
    }[layout]


OPERANDS = [
    *["rows", "columns", "far rows", "far columns", "odd", "odd columns"],
    *["backwards", "one row", "one column", "one number"],
]
RESULTS = ["rows", "columns", "far rows", "far columns", "odd"]


def case(m, n, k, a="rows", b="rows", c="rows"):
    return Product(
        "float32", m, n, k, strides(a, m, k), strides(b, k, n), strides(c, m, n)
    )  # fmt: skip


def cases():
    """Name -> (product, whether it is added to C)."""
    found = {}

    def put(name, p, accumulate=False):
        found[name + (" added" if accumulate else "")] = (p, accumulate)

    r = np.random.default_rng(3)
    edges = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 19, 24, 31, 32, 33, 37, 48, 50, 65]
    for at in range(70):
        m, n, k = (int(x) for x in r.choice(edges, 3))
        a, b, c = r.choice(OPERANDS), r.choice(OPERANDS), r.choice(RESULTS)
        put(f"{at}: {m}x{n}x{k} {a}, {b} -> {c}", case(m, n, k, a, b, c), at % 3 == 0)
    for size in (0, 1, 5):
        for m, n, k in itertools.product((size, 3), (size, 4), (0, 2)):
            put(f"{m}x{n}x{k}", case(m, n, k), k == 0 and size == 5)
    for a, b, c in itertools.product(("rows", "columns"), repeat=3):
        put(f"middle {a}, {b} -> {c}", case(90, 100, 70, a, b, c), c == "columns")
        put(f"vector times {a}, {b} -> {c}", case(1, 150, 131, a, b, c))
        put(f"times vector {a}, {b} -> {c}", case(150, 1, 131, a, b, c), b == "rows")
        put(f"narrow {a}, {b} -> {c}", case(150, 10, 131, a, b, c), b == "rows")
        put(f"low {a}, {b} -> {c}", case(3, 300, 131, a, b, c), a == "rows")
        put(f"outer {a}, {b} -> {c}", case(60, 70, 1, a, b, c), b == "rows")
        put(f"inner {a}, {b} -> {c}", case(1, 1, 300, a, b, c))
        put(f"deep {a}, {b} -> {c}", case(30, 40, 2100, a, b, c), a == "rows")
    wide = replace(case(61, 75, 200), b=(1100, 1))
    put("rows of B far apart", wide)
    put("rows of B far apart, added", wide, True)
    put("long row", case(1, 9000, 6))
    put("long column", case(9000, 1, 6, b="columns"))
    put("many rows", case(700, 4, 40))
    put("high", case(200, 36, 60))
    put("wide", case(36, 200, 60), True)
    batched = {
        "batch": ((5,), (7 * 6,), (6 * 9,), (7 * 9,)),
        "shared A": ((5,), (0,), (6 * 9,), (7 * 9,)),
        "shared B, two axes": ((2, 3), (126, 42), (0, 0), (200, 63)),
        "axes the other way round": ((2, 3), (42, 84), (54, 108), (63, 126)),
        "no products": ((0,), (0,), (0,), (0,)),
    }
    for name, (sizes, *along) in batched.items():
        for b in ("rows", "columns"):
            p = replace(case(7, 9, 6, b=b), batch=sizes)
            p = replace(p, **dict(zip(("a_batch", "b_batch", "c_batch"), along, strict=True)))
            put(f"{name}, {b}", p, b == "columns")
    heads = replace(
        case(40, 40, 64, b="columns"),
        batch=(8,), a_batch=(2560,), b_batch=(2560,), c_batch=(1600,),
    )  # fmt: skip
    put("attention", heads)
    put("few large ones", replace(case(64, 64, 64), batch=(2,), a_batch=(4096,), b_batch=(0,),
                                  c_batch=(4096,)))  # fmt: skip
    return found


CASES = cases()


# -- how they are run -------------------------------------------------------------------------


class Area:
    """Numbers somewhere in memory: those that a matrix has, and others around and between."""

    def __init__(self, dtype, sizes, steps, fill, guard=False):
        self.dtype = np.dtype(dtype)
        self.sizes, self.steps = sizes, steps
        ends = [(n - 1) * s for n, s in zip(sizes, steps, strict=True)]
        some = 0 not in sizes
        low = sum(min(0, e) for e in ends) if some else 0
        high = sum(max(0, e) for e in ends) + 1 if some else 0
        count, margin = high - low, 0 if guard else 24
        size = (count + 2 * margin) * self.dtype.itemsize
        if guard:
            whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE + mmap.PAGESIZE
            self.memory = mmap.mmap(-1, whole)
            memory = np.frombuffer(self.memory, np.uint8)
            protect = ctypes.CDLL(None).mprotect
            last = memory.ctypes.data + whole - mmap.PAGESIZE
            assert protect(ctypes.c_void_p(last), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
            memory = memory[whole - mmap.PAGESIZE - size : whole - mmap.PAGESIZE]
        else:
            memory = np.zeros(size, np.uint8)
        self.all = memory.view(self.dtype)
        self.all[:] = fill
        self.first = margin - low

    @property
    def view(self):
        steps = [s * self.dtype.itemsize for s in self.steps]
        return np.lib.stride_tricks.as_strided(self.all[self.first :], self.sizes, steps)

    @property
    def address(self):
        return self.all.ctypes.data + self.first * self.dtype.itemsize


@functools.cache
def compiled(kind, dtype, general=False):
    """All cases (or half of them) for a machine in one library: with an epilogue, some without."""
    machine, module, kernels = machine_of(kind), Module(habits={} if general else None), {}
    for at, (name, (p, accumulate)) in enumerate(CASES.items()):
        if at % 2 and (kind, dtype, general) != (KINDS[0], DTYPES[0], False):
            continue  # compiling takes long
        p = replace(p, dtype=dtype)
        afters = [write_witness(module, f"witness{at}", p), *([None] if at % 4 == 0 else [])]
        kernels[name] = []
        for after in afters:
            kernel = product(module, machine, p, epilogue=after, accumulate=accumulate)
            public = f"run{at}{'after' if after else ''}"
            make_public(module, kernel.name, public)
            kernels[name].append((kernel, public))
    return native.load(str(module), machine), kernels


def make_public(module, kernel, name, pointers=("A", "B", "C", "X", "W")):
    arguments = [("ptr", x) for x in pointers] + [("i64", "part")]
    f = module.function(name, arguments, public=True)
    f.call(kernel, "void", *((t, f"%{x}") for t, x in arguments))
    f.give()


def write_witness(module, name, p):
    """An epilogue that counts how often it saw each number of C, and writes down what it saw."""
    kind = TYPE[p.dtype]
    block = [("i64", x) for x in ("batch", "i0", "i1", "j0", "j1")]
    f = module.function(name, [("ptr", "X"), ("ptr", "C"), *block])
    counts, seen = f.load("%X", "ptr"), f.load(f.at("%X", 1, "ptr"), "ptr")
    start, left = 0, "%batch"
    for axis in reversed(range(len(p.batch))):
        start = f.add(start, f.mul(f.mod(left, max(1, p.batch[axis])), p.c_batch[axis]))
        left = f.div(left, max(1, p.batch[axis]))
    with f.loop("%i0", "%i1") as i, f.loop("%j0", "%j1") as j:
        at = f.add(f.mul(f.add(f.mul("%batch", p.m), i), p.n), j)
        count = f.at(counts, at, "i64")
        f.store(f.add(f.load(count, "i64"), 1), count, "i64")
        c = f.at("%C", f.add(start, f.add(f.mul(i, p.c[0]), f.mul(j, p.c[1]))), kind)
        f.store(f.load(c, kind), f.at(seen, at, kind), kind)
    f.give()
    return name


class Trial:
    """Operands, a result, and a way to compute one from the other."""

    def __init__(self, p, accumulate, guard=False):
        self.p, self.accumulate = p, accumulate
        r = np.random.default_rng(0)
        # What lies between and around the numbers of A and B must not matter.
        self.a = Area(p.dtype, (*p.batch, p.m, p.k), (*p.a_batch, *p.a), np.nan, guard)
        self.b = Area(p.dtype, (*p.batch, p.k, p.n), (*p.b_batch, *p.b), np.nan, guard)
        self.c = Area(p.dtype, (*p.batch, p.m, p.n), (*p.c_batch, *p.c), 77.0, guard)
        self.a.view[...] = r.standard_normal(self.a.sizes)
        self.b.view[...] = r.standard_normal(self.b.sizes)
        self.c.view[...] = r.standard_normal(self.c.sizes) if accumulate else np.nan
        self.start = self.c.all.copy()
        self.counts = np.zeros(self.c.sizes, np.int64)
        self.seen = np.full(self.c.sizes, np.nan, p.dtype)
        self.table = (ctypes.c_void_p * 2)(self.counts.ctypes.data, self.seen.ctypes.data)

    def run(self, library, kernel, public, seed=0):
        self.c.all[:] = self.start
        places = (self.a.address, self.b.address, self.c.address, ctypes.addressof(self.table))
        run_parts(library, kernel, public, places, seed)
        return self.c.all.copy()

    def expected(self):
        """The product, and how far from it rounding may lead."""
        a, b = self.a.view.astype(np.float64), self.b.view.astype(np.float64)
        start = np.zeros(self.c.sizes)
        if self.accumulate:
            self.c.all[:] = self.start
            start = self.c.view.astype(np.float64)
        size = abs(a) @ abs(b) + abs(start)
        return a @ b + start, (self.p.k + 4) * np.finfo(self.c.dtype).eps * size


def run_parts(library, kernel, public, places, seed=0):
    """All parts in some order, each with a workspace full of NaN, whose end nobody writes over."""
    kinds = [ctypes.c_void_p] * (len(places) + 1) + [ctypes.c_int64]
    run = ctypes.CFUNCTYPE(None, *kinds)(library.address(public))
    for part in np.random.default_rng(seed).permutation(kernel.parts):
        memory = np.full(kernel.workspace + 128, 0xFF, np.uint8)
        workspace = memory.ctypes.data + -memory.ctypes.data % 64
        run(*places, workspace, int(part))
        end = workspace + kernel.workspace - memory.ctypes.data
        assert (memory[end:] == 0xFF).all()


def trials(kind, dtype, guard=False, general=False):
    """Every case with everything that is needed to run it."""
    library, kernels = compiled(kind, dtype, general)
    for name, ways in kernels.items():
        p, accumulate = CASES[name]
        trial = Trial(replace(p, dtype=dtype), accumulate, guard)
        yield name, trial, [(library, *each) for each in ways]


@pytest.fixture(params=KINDS)
def kind(request):
    machine_of(request.param)
    return request.param


# -- tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_is_what_numpy_says(kind, dtype):
    for name, trial, (compiled_, *_) in trials(kind, dtype):
        trial.run(*compiled_)
        found = trial.c.view.copy()
        want, bound = trial.expected()
        assert (abs(found - want) <= bound).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_in_the_form_for_many_sizes_is_the_same(kind, dtype):
    for name, trial, (compiled_, *_) in trials(kind, dtype, general=True):
        want, bound = trial.expected()
        trial.run(*compiled_)
        assert (trial.counts == 1).all(), name
        assert (trial.seen == trial.c.view).all(), name
        assert (abs(trial.c.view - want) <= bound).all(), name
        trial.c.view[...] = trial.c.dtype.type(77.0)
        assert (trial.c.all == 77.0).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_outside_of_c_is_written(kind, dtype):
    for name, trial, (compiled_, *_) in trials(kind, dtype):
        trial.run(*compiled_)
        trial.c.view[...] = trial.c.dtype.type(77.0)
        assert (trial.c.all == 77.0).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_epilogue_sees_every_number_once_and_complete(kind, dtype):
    for name, trial, (compiled_, *_) in trials(kind, dtype):
        trial.run(*compiled_)
        assert (trial.counts == 1).all(), name
        assert (trial.seen == trial.c.view).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_neither_the_order_of_the_parts_nor_an_epilogue_matters(kind, dtype):
    for name, trial, ways in trials(kind, dtype):
        first = trial.run(*ways[0], seed=1)
        for compiled_ in ways:
            assert (trial.run(*compiled_, seed=2) == first).all(), name


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux to protect pages")
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_behind_the_operands_is_read(kind, dtype):
    """The page behind every operand is forbidden: a child that touches one dies."""
    compiled(kind, dtype)
    child = os.fork()
    if child == 0:
        for _, trial, ways in trials(kind, dtype, guard=True):
            for compiled_ in ways:
                trial.run(*compiled_)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


LONG = {
    "inner product": (case(1, 1, 200_000), False),
    "narrow layer": (case(5, 7, 9001, "columns"), True),
    "transposed": (case(5, 6, 9001, "columns", "columns", "columns"), False),
    "vector": (case(1, 40, 16384), True),
    "odd": (case(4, 5, 20000, "odd", "odd columns", "far columns"), True),
    "batch": (
        replace(case(3, 5, 30000), batch=(2,), a_batch=(90000,), b_batch=(0,), c_batch=(15,)),
        False,
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_long_sum_in_slices_is_what_numpy_says(kind, dtype):
    machine, module, made = machine_of(kind), Module(), {}
    for name, (p, accumulate) in LONG.items():
        p, after = replace(p, dtype=dtype), f"after_{len(made)}"
        write_witness(module, after, p)
        kernels = sliced(module, machine, p, epilogue=after, accumulate=accumulate)
        assert kernels.partial.parts >= 3, name
        make_public(module, kernels.partial.name, f"partial{len(made)}")
        make_public(module, kernels.gathered.name, f"gathered{len(made)}", ("S", "C", "X", "W"))
        made[name] = kernels
    library = native.load(str(module), machine)
    for at, (name, (p, accumulate)) in enumerate(LONG.items()):
        trial = Trial(replace(p, dtype=dtype), accumulate)
        between = np.full(made[name].between + 64, 0xFF, np.uint8)
        s, table = between.ctypes.data, ctypes.addressof(trial.table)
        places = (trial.a.address, trial.b.address, s, table)
        run_parts(library, made[name].partial, f"partial{at}", places)
        run_parts(library, made[name].gathered, f"gathered{at}", (s, trial.c.address, table))
        assert (between[-64:] == 0xFF).all(), name
        assert (trial.counts == 1).all(), name
        assert (trial.seen == trial.c.view).all(), name
        found = trial.c.view.copy()
        want, bound = trial.expected()
        assert (abs(found - want) <= bound).all(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_low_products_read_much_of_a_far_row_at_once(kind, dtype):
    """Wider and lower tiles, where B is larger than the second cache; the same sums."""
    machine, module, made = replace(machine_of(kind), l2=32 << 10), Module(), []
    for m in (7, 8, 12, 13, 29, 50):
        p = replace(case(m, 330, 150), b=(1100, 1), dtype=dtype)
        after = write_witness(module, f"witness{m}", p)
        kernel = product(module, machine, p, epilogue=after)
        make_public(module, kernel.name, f"run{m}")
        made.append((p, kernel, f"run{m}"))
        (_, plan), (_, usual) = planned(p, machine), planned(p, machine_of(kind))
        if kind == "avx512":  # with fewer registers, other ways may be quicker
            assert plan.wide > usual.wide
            assert plan.tall < usual.tall
    library = native.load(str(module), machine)
    for p, kernel, public in made:
        trial = Trial(p, False)
        trial.run(library, kernel, public)
        want, bound = trial.expected()
        assert (abs(trial.c.view - want) <= bound).all(), p.m
        assert (trial.counts == 1).all(), p.m
        assert (trial.seen == trial.c.view).all(), p.m


def test_products_with_parts_enough_are_not_sliced():
    for p in (case(200, 200, 9000), case(4, 4, 600), case(3, 3, 0), case(1, 1, 1)):
        assert sliced(Module(), machine_of("generic"), p) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 5, 12])
def test_a_tile_sums_its_segments_in_every_panel(kind, dtype, rows):
    """As a convolution calls it: runs of A that overlap, runs of B one after the other."""
    machine, module = machine_of(kind), Module()
    columns, panels, segments, k = 2 * machine.lanes(dtype), 3, 4, 7
    f = module.function("run", [("ptr", x) for x in "ABC"], public=True)
    call_tile(
        f, tile(module, machine, dtype, rows, 2),
        a="%A", a_row=2, a_step=1, a_segment=9, segments=segments, k=k,
        b="%B", b_step=columns, b_segment=k * columns, b_panel=segments * k * columns,
        c="%C", c_row=panels * columns, panels=panels, accumulate=True, fetch=True,
    )  # fmt: skip
    f.give()
    r = np.random.default_rng(0)
    a = r.standard_normal(2 * rows + 9 * segments + k).astype(dtype)
    b = r.standard_normal((panels, segments, k, columns)).astype(dtype)
    c = r.standard_normal((rows, panels, columns)).astype(dtype)
    runs = [[a[2 * i + 9 * s :][:k] for s in range(segments)] for i in range(rows)]
    want = c + np.einsum("isp,qspj->iqj", np.array(runs, float), b.astype(float))
    library = native.load(str(module), machine)
    run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(library.address("run"))
    run(a.ctypes.data, b.ctypes.data, c.ctypes.data)
    assert abs(c - want).max() <= 200 * np.finfo(dtype).eps


def test_equal_products_are_written_once():
    machine, module = machine_of("generic"), Module()
    first = product(module, machine, case(33, 40, 50))
    text = str(module)
    assert product(module, machine, case(33, 40, 50)) == first
    assert str(module) == text
    assert product(module, machine, case(33, 40, 50), accumulate=True).name != first.name


def test_products_of_different_sizes_share_their_tiles():
    machine, module = machine_of("generic"), Module()
    product(module, machine, case(96, 64, 50))
    before = str(module).count("@tile_float_6x2x4(")
    product(module, machine, case(48, 96, 77))
    assert str(module).count("define internal void @tile_") == 1
    assert str(module).count("@tile_float_6x2x4(") > before


def test_work_that_is_not_worth_sharing_is_one_part():
    machine = machine_of("generic")
    for p in (case(1, 1, 1), case(32, 32, 32), case(1, 200, 200), case(500, 10, 9)):
        assert product(Module(), machine, p).parts == 1


@pytest.mark.parametrize(
    "p",
    [
        *[
            case(n, n, n, a, b)
            for n in (128, 512, 2048)
            for a in OPERANDS[:2]
            for b in OPERANDS[:2]
        ],
        *[case(128, 512, 784), case(784, 512, 128, "columns"), case(512, 10, 512)],
        *[case(1, 4096, 4096), case(1, 4096, 4096, b="columns")],
        replace(case(64, 64, 64), batch=(30,), a_batch=(0,), b_batch=(0,), c_batch=(4096,)),
    ],
)
def test_large_work_has_several_parts_of_similar_size(kind, p):
    done, plan = planned(p.plain(), machine_of(kind))
    kernel = product(Module(), machine_of(kind), p)
    assert 4 <= kernel.parts <= 20
    assert kernel.workspace <= 4 << 20
    if plan.way == "tiles" and p.m == p.n:
        level, down = len(tiles(done, plan)), plan.parts[1]
        assert -(-level // down) * down <= 1.25 * level


@pytest.mark.parametrize("full", [6, 12])
def test_tiles_cover_the_rows_with_few_heights(full):
    for rows in range(1, 200):
        found = heights(rows, full)
        assert sum(h * times for h, times in found) == rows
        assert len(found) <= 3
        assert all(1 <= h <= full for h, _ in found)
        assert rows < full or all(3 * h > full for h, _ in found)
    assert {h for r in range(8, 200, 4) for h, _ in heights(r, 12)} == {12, 8}

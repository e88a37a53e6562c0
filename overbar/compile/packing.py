"""Moving blocks of numbers: panels packed for the tiles, scratch tiles put in their place.

A panel is the form a tile likes best: for every p in turn, the numbers of one step, side by side.

    D[p·d_row + j] = S[p·s_row + j·s_col]        p < rows, j < width

`pack` chooses by the strides among three functions: rows copied (s_col = 1), columns turned in
registers (s_row = 1), single numbers. Where d_row has room for more than `width` numbers, the
others hold whatever: a tile computes with them, and nobody looks at what comes out.

`place` is the way back, for tiles that could not write where their numbers belong: the last
columns of C, and a C whose rows are not contiguous.

    C[i·c_row + j·c_col] (+)= T[i·t_row + j]     i < rows, j < width
"""

from __future__ import annotations

from .machine import Machine
from .microkernel import SIZE, TYPE, plain_loop
from .text import Function, Index, Module, splat, vector


def pack(
    f: Function,
    machine: Machine,
    dtype: str,
    *,
    to: str,
    d_row: int,
    source: str,
    s_row: int,
    s_col: int,
    rows: Index,
    fewest: int,
    width: int,
    used: Index | None = None,
    panels: Index = 1,
    d_panel: Index = 0,
    s_panel: Index = 0,
) -> None:
    """Emit the packing of a panel, or of several; `fewest` is what `rows` can be at least. `used`:
    how much of the width is there.
    """
    lanes = machine.lanes(dtype)
    vectors = -(-width // lanes)
    whole = d_row % lanes == 0
    sizes = [("i64", rows), ("i64", width if used is None else used)]
    if s_col == 1 and whole:
        name = _copier(f.module, dtype, lanes, vectors)
        strides = [("i64", x) for x in (d_row, d_panel)], [("i64", x) for x in (s_row, s_panel)]
        sizes.append(("i64", panels))
        f.call(name, "void", ("ptr", to), *strides[0], ("ptr", source), *strides[1], *sizes)
        return
    if s_row == 1 and whole and fewest >= group(dtype, lanes):
        name, along = _turner(f.module, dtype, lanes, vectors), [("i64", s_col)]
    else:
        name, along = _picker(f.module, dtype), [("i64", s_row), ("i64", s_col)]
    with f.loop(0, panels, hint=plain_loop(f.module)) as j:
        d = f.at(to, f.mul(j, d_panel), TYPE[dtype])
        s = f.at(source, f.mul(j, s_panel), TYPE[dtype])
        f.call(name, "void", ("ptr", d), ("i64", d_row), ("ptr", s), *along, *sizes)


def _begin(f: Module, name: str, *strides: str) -> Function:
    return f.function(
        name,
        [
            *[("ptr noalias", "D"), ("i64", "d_row"), ("ptr noalias readonly", "S")],
            *[("i64", s) for s in strides],
            *[("i64", "rows"), ("i64", "width")],
        ],
        attributes="noinline nounwind",
    )


def _copier(module: Module, dtype: str, lanes: int, vectors: int) -> str:
    """Rows of S are contiguous. Panels are filled at the same time: rows may lie in different
    pages of memory, and each of these is then visited once.
    """
    kind, size = TYPE[dtype], SIZE[dtype]
    wide, name = vector(kind, lanes), f"pack_rows_{kind}_{vectors}x{lanes}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias", "D"), ("i64", "d_row"), ("i64", "d_panel")],
                *[("ptr noalias readonly", "S"), ("i64", "s_row"), ("i64", "s_panel")],
                *[("i64", "rows"), ("i64", "width"), ("i64", "panels")],
            ],
            attributes="noinline nounwind",
        )
        hint = plain_loop(module)
        masks = [mask(f, f.sub("%width", lanes * j), lanes) for j in range(vectors)]
        whole = f.let(f"icmp eq i64 %width, {lanes * vectors}")
        for full in (True, False):
            with (
                f.when(whole if full else f.let(f"xor i1 {whole}, true")),
                f.loop(0, "%rows", hint=hint) as p,
                f.loop(0, "%panels", hint=hint) as panel,
            ):
                d = f.at("%D", f.add(f.mul(p, "%d_row"), f.mul(panel, "%d_panel")), kind)
                s = f.at("%S", f.add(f.mul(p, "%s_row"), f.mul(panel, "%s_panel")), kind)
                for j in range(vectors):
                    at = f.at(s, lanes * j, kind)
                    x = (
                        f.load(at, wide, align=size)
                        if full
                        else masked_load(f, at, masks[j], kind, lanes)
                    )
                    f.store(x, f.at(d, lanes * j, kind), wide, align=size)
        f.give()

    return module.once(name, write)


def _turner(module: Module, dtype: str, lanes: int, vectors: int) -> str:
    """Columns of S are contiguous: a few numbers of every column are turned in registers; the last
    ones overlap those before.
    """
    kind, size = TYPE[dtype], SIZE[dtype]
    name = f"pack_columns_{kind}_{vectors}x{lanes}"

    def write() -> None:
        f = _begin(module, name, "s_col")
        last, few, hint = f.sub("%width", 1), group(dtype, lanes), plain_loop(module)
        with f.loop(0, vectors * lanes, lanes, hint=hint) as j0:
            columns = [
                f.at("%S", f.mul(f.least(f.add(j0, j), last), "%s_col"), kind) for j in range(lanes)
            ]
            to = f.at("%D", j0, kind)
            with f.loop(0, "%rows", few, hint=hint) as q:
                p = f.least(q, f.sub("%rows", few))
                d = f.at(to, f.mul(p, "%d_row"), kind)
                for i, x in enumerate(turned(f, columns, p, dtype)):
                    f.store(x, f.at(d, f.mul("%d_row", i), kind), vector(kind, lanes), align=size)
        f.give()

    return module.once(name, write)


def _picker(module: Module, dtype: str) -> str:
    """Any strides."""
    kind = TYPE[dtype]
    name = f"pack_numbers_{kind}"

    def write() -> None:
        f = _begin(module, name, "s_row", "s_col")
        hint = plain_loop(module)
        with f.loop(0, "%rows", hint=hint) as p, f.loop(0, "%width", hint=hint) as j:
            s = f.at("%S", f.add(f.mul(p, "%s_row"), f.mul(j, "%s_col")), kind)
            f.store(f.load(s, kind), f.at("%D", f.add(f.mul(p, "%d_row"), j), kind), kind)
        f.give()

    return module.once(name, write)


# -- back to C --------------------------------------------------------------------------------


def place(
    f: Function,
    machine: Machine,
    dtype: str,
    *,
    c: str,
    c_row: int,
    c_col: int,
    scratch: str,
    t_row: int,
    t_col: int = 1,
    rows: Index,
    width: int,
    accumulate: str,
) -> None:
    """Emit the way of a scratch tile to C, which keeps what it had if `accumulate`, an i1."""
    lanes = machine.lanes(dtype)
    if t_col != 1:
        name = _number_placer(f.module, dtype)
    elif c_col == 1:
        name = _placer(f.module, dtype, lanes)
    elif c_row == 1:
        few = group(dtype, lanes)
        whole = width % few == 0 or (width > few and accumulate == "false")
        whole = whole and not f.module.general
        name = _turned_placer(f.module, dtype, lanes, whole)
    else:
        name = _number_placer(f.module, dtype)
    f.call(
        name,
        "void",
        *[("ptr", c), ("i64", c_row), ("i64", c_col), ("ptr", scratch)],
        *[("i64", t_row), ("i64", t_col), ("i64", rows), ("i64", width), ("i1", accumulate)],
    )


PLACE = [
    *[("ptr noalias", "C"), ("i64", "c_row"), ("i64", "c_col")],
    *[("ptr noalias readonly", "T"), ("i64", "t_row"), ("i64", "t_col")],
    *[("i64", "rows"), ("i64", "width"), ("i1", "accumulate")],
]


def _put(f: Function, value: str, at: str, m: str, kind: str, lanes: int) -> None:
    """Lanes of m: C (+)= value"""
    wide = vector(kind, lanes)
    some = f.let(f"select i1 %accumulate, <{lanes} x i1> {m}, <{lanes} x i1> zeroinitializer")
    old = masked_load(f, at, some, kind, lanes)
    masked_store(f, f.let(f"fadd {wide} {value}, {old}"), at, m, kind, lanes)


def _placer(module: Module, dtype: str, lanes: int) -> str:
    kind = TYPE[dtype]
    name = f"place_rows_{kind}_{lanes}"

    def write() -> None:
        f = module.function(name, PLACE, attributes="noinline nounwind")
        hint = plain_loop(module)
        with f.loop(0, "%width", lanes, hint=hint) as j:
            m = mask(f, f.sub("%width", j), lanes)
            c, t = f.at("%C", j, kind), f.at("%T", j, kind)
            with f.loop(0, "%rows", hint=hint) as i:
                x = f.load(
                    f.at(t, f.mul(i, "%t_row"), kind), vector(kind, lanes), align=SIZE[dtype]
                )
                _put(f, x, f.at(c, f.mul(i, "%c_row"), kind), m, kind, lanes)
        f.give()

    return module.once(name, write)


def _turned_placer(module: Module, dtype: str, lanes: int, whole: bool) -> str:
    """Columns of C are contiguous: its rows become lanes, as many as a vector has at a time. A few
    columns are turned in registers; `whole`: their number divides the width, or the last ones may
    be written twice.
    """
    kind = TYPE[dtype]
    name = f"place_columns_{kind}_{lanes}" + ("" if whole else "_rest")

    def write() -> None:
        f = module.function(name, PLACE, attributes="noinline nounwind")
        last, few, hint = f.sub("%rows", 1), group(dtype, lanes), plain_loop(module)
        stop = "%width" if whole else f.let(f"and i64 %width, {-few}")
        with f.loop(0, "%rows", lanes, hint=hint) as i0:
            m = mask(f, f.sub("%rows", i0), lanes)
            lines = [
                f.at("%T", f.mul(f.least(f.add(i0, i), last), "%t_row"), kind) for i in range(lanes)
            ]
            with f.loop(0, stop, few, hint=hint) as j:
                j = f.least(j, f.sub("%width", few))
                c = f.at("%C", f.add(i0, f.mul(j, "%c_col")), kind)
                for i, x in enumerate(turned(f, lines, j, dtype)):
                    _put(f, x, f.at(c, f.mul("%c_col", i), kind), m, kind, lanes)
        if not whole:
            c, t = f.at("%C", f.mul(stop, "%c_col"), kind), f.at("%T", stop, kind)
            f.call(
                _number_placer(module, dtype),
                "void",
                *[("ptr", c), ("i64", "%c_row"), ("i64", "%c_col"), ("ptr", t)],
                *[("i64", "%t_row"), ("i64", 1), ("i64", "%rows")],
                *[("i64", f.sub("%width", stop)), ("i1", "%accumulate")],
            )
        f.give()

    return module.once(name, write)


def _number_placer(module: Module, dtype: str) -> str:
    kind = TYPE[dtype]
    name = f"place_numbers_{kind}"

    def write() -> None:
        f = module.function(name, PLACE, attributes="noinline nounwind")
        hint = plain_loop(module)
        with f.loop(0, "%rows", hint=hint) as i, f.loop(0, "%width", hint=hint) as j:
            at = f.at("%C", f.add(f.mul(i, "%c_row"), f.mul(j, "%c_col")), kind)
            x = f.load(f.at("%T", f.add(f.mul(i, "%t_row"), f.mul(j, "%t_col")), kind), kind)
            old = f.let(f"select i1 %accumulate, {kind} {f.load(at, kind)}, {kind} 0.0")
            f.store(f.let(f"fadd {kind} {x}, {old}"), at, kind)
        f.give()

    return module.once(name, write)


# -- vectors ----------------------------------------------------------------------------------


def mask(f: Function, count: Index, lanes: int) -> str:
    """The first `count` lanes (none if negative, all if more)."""
    ramp = ", ".join(f"i64 {i}" for i in range(lanes))
    return f.let(f"icmp slt <{lanes} x i64> <{ramp}>, {splat(f, str(count), 'i64', lanes)}")


def masked_load(f: Function, at: str, m: str, kind: str, lanes: int) -> str:
    """The lanes of a mask; the others are 0 and are not touched in memory."""
    wide, name = vector(kind, lanes), f"llvm.masked.load.v{lanes}{_short(kind)}.p0"
    f.module.intrinsic(name, wide, "ptr", "i32", f"<{lanes} x i1>", wide)
    size = 8 if kind in ("double", "i64") else 4
    return f.call(
        name, wide, ("ptr", at), ("i32", size), (f"<{lanes} x i1>", m), (wide, "zeroinitializer")
    )


def masked_store(f: Function, x: str, at: str, m: str, kind: str, lanes: int) -> None:
    """Write the lanes of a mask."""
    wide, name = vector(kind, lanes), f"llvm.masked.store.v{lanes}{_short(kind)}.p0"
    f.module.intrinsic(name, "void", wide, "ptr", "i32", f"<{lanes} x i1>")
    size = 8 if kind in ("double", "i64") else 4
    f.call(name, "void", (wide, x), ("ptr", at), ("i32", size), (f"<{lanes} x i1>", m))


def group(dtype: str, lanes: int) -> int:
    """How many numbers of each line `turned` turns: as many as 128 bits hold."""
    return min(16 // SIZE[dtype], lanes)


def turned(f: Function, lines: list[str], at: Index, dtype: str) -> list[str]:
    """Vector q holds number at + q of every line, for q in `group`.

    Quarters of 128 bits are loaded into their places, then zipped inside their places: a fifth of
    the shuffles of a square transpose (which LLVM is slow to compile), and as fast.
    """
    kind, size, lanes = TYPE[dtype], SIZE[dtype], len(lines)
    few = group(dtype, lanes)
    rows = []
    for r in range(few):
        pieces = [
            f.load(f.at(line, at, kind), vector(kind, few), align=size) for line in lines[r::few]
        ]
        wide = few
        while len(pieces) > 1:
            both = list(range(2 * wide))
            pieces = [
                shuffle(f, x, y, kind, wide, both)
                for x, y in zip(pieces[::2], pieces[1::2], strict=True)
            ]
            wide *= 2
        rows.append(pieces[0])
    chunk = 1
    while chunk < few:
        zips = [_zip(lanes, few, chunk, half) for half in (0, few // 2)]
        pairs = [(i, i + chunk) for i in range(few) if not i & chunk]
        rows = [shuffle(f, rows[i], rows[j], kind, lanes, at) for i, j in pairs for at in zips]
        chunk *= 2
    return rows


def _zip(lanes: int, few: int, chunk: int, half: int) -> list[int]:
    """Chunks in turn from the halves of two vectors, inside every 128 bits."""
    starts = [part + half + c for part in range(0, lanes, few) for c in range(0, few // 2, chunk)]
    return [s + x + i for s in starts for x in (0, lanes) for i in range(chunk)]


def shuffle(f: Function, x: str, y: str, kind: str, lanes: int, order: list[int]) -> str:
    """Lanes of x, and of y behind them, in a given order."""
    wide, picks = vector(kind, lanes), ", ".join(f"i32 {i}" for i in order)
    return f.let(f"shufflevector {wide} {x}, {wide} {y}, <{len(order)} x i32> <{picks}>")


def _short(kind: str) -> str:
    return {"float": "f32", "double": "f64"}.get(kind, kind)

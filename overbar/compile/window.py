"""Windows of a pooling: the greatest, the winners, the sum of what each place sees.

Functions that all poolings of a program share. They take some places in a row that see equally many
things, and do them with vectors along the channels.

    S, s_…        what is looked at, and how far apart its entries are along the axes d, h, w
    d, h, w       how many a place sees
    I             positions: written for each place, or read beside S
    position, p_… of the first entry that the first place sees, and behind it along d and h
    R             the result
    places, …_place    how many places, and how far apart everything is from one to the next
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .machine import Machine
from .microkernel import TYPE, plain_loop
from .packing import mask, masked_load, masked_store
from .stages import offset
from .text import Function, Index, Module, literal, splat, vector

ARGUMENTS = [
    ("ptr noalias readonly", "S"),
    *[("i64", f"s_{a}") for a in "dhw"],
    *[("i64", a) for a in "dhw"],
    *[("ptr noalias", "I"), ("i64", "position"), ("i64", "p_d"), ("i64", "p_h")],
    *[("ptr noalias", "R"), ("i64", "channels"), ("i64", "places")],
    *[("i64", f"{x}_place") for x in "sipr"],
]


class Window(NamedTuple):
    """What the functions differ in.

    index     the type of positions: i32, i64
    counter   the type in which they are kept in registers
    axes      how many a window may have
    """

    machine: Machine
    dtype: str
    index: str
    counter: str
    axes: int
    values: bool = True
    winners: bool = True
    scale: float = 1.0


class _Lanes(NamedTuple):
    """Some channels of one place: their first, and how to read and write them."""

    first: Index
    read: Callable[[str, str], str]
    write: Callable[[str, str, str], None]


class _Place(NamedTuple):
    """Where one place's first channel is."""

    s: str
    i: str
    r: str
    position: Index


Body = Callable[[Function, _Place, _Lanes], None]


def _function(module: Module, name: str, w: Window, body: Body) -> str:
    """The name of a function of `ARGUMENTS`; `body` emits some channels of one place."""
    kind, lanes = TYPE[w.dtype], w.machine.lanes(w.dtype)

    def write() -> None:
        f = module.function(name, ARGUMENTS, attributes="noinline nounwind")
        hint = plain_loop(module)
        whole = f.let(f"and i64 %channels, {-lanes}")
        rest = f.sub("%channels", whole)
        m, some = mask(f, rest, lanes), f.let(f"icmp ne i64 {rest}, 0")
        with f.loop(0, "%places", hint=hint) as n:
            place = _Place(
                f.at("%S", f.mul(n, "%s_place"), kind),
                f.at("%I", f.mul(n, "%i_place"), w.index),
                f.at("%R", f.mul(n, "%r_place"), kind),
                f.add("%position", f.mul(n, "%p_place")),
            )
            with f.loop(0, whole, lanes, hint=hint) as j:
                body(
                    f,
                    place,
                    _Lanes(
                        j,
                        lambda at, k: f.load(at, vector(k, lanes), align=_size(k)),
                        lambda x, at, k: f.store(x, at, vector(k, lanes), align=_size(k)),
                    ),
                )
            with f.when(some):
                body(
                    f,
                    place,
                    _Lanes(
                        whole,
                        lambda at, k: masked_load(f, at, m, k, lanes),
                        lambda x, at, k: masked_store(f, x, at, m, k, lanes),
                    ),
                )
        f.give()

    return module.once(name, write)


def _size(kind: str) -> int:
    return 4 if kind in ("float", "i32") else 8


def _look(f: Function, w: Window, body: Callable[[Index, Index], None]) -> None:
    """Emit `body` for everything a place sees: its offset in S, its position behind the first."""
    hint = plain_loop(f.module)
    deep = "%d" if w.axes > 2 else 1
    with (
        f.loop(0, deep, hint=hint) as d,
        f.loop(0, "%h", hint=hint) as h,
        f.loop(0, "%w", hint=hint) as i,
    ):
        at = offset(f, (d, h, i), ("%s_d", "%s_h", "%s_w"))
        body(at, f.add(offset(f, (d, h), ("%p_d", "%p_h")), i))


def _short(f: Function, x: Index, kind: str) -> str:
    """A whole number in this type."""
    return str(x) if kind == "i64" or isinstance(x, int) else f.let(f"trunc i64 {x} to {kind}")


def greatest(module: Module, w: Window) -> str:
    """The greatest and its position; the first of equals; a NaN wins."""
    kind, lanes = TYPE[w.dtype], w.machine.lanes(w.dtype)
    wide, truth, counters = vector(kind, lanes), f"<{lanes} x i1>", vector(w.counter, lanes)
    name = f"greatest_{kind}_{w.index}_{w.counter}_{w.axes}_{w.values:d}{w.winners:d}_{lanes}"

    def body(f: Function, here: _Place, v: _Lanes) -> None:
        s = f.at(here.s, v.first, kind)
        best, won = f.variable(wide, v.read(s, kind)), f.variable(counters, "zeroinitializer")

        def look(at: Index, behind: Index) -> None:
            x, old = v.read(f.at(s, at, kind), kind), f.get(best)
            more = f.let(f"fcmp ugt {wide} {x}, {old}")
            number = f.let(f"fcmp ord {wide} {old}, {old}")
            take = f.let(f"and {truth} {more}, {number}")
            f.set(best, f.let(f"select {truth} {take}, {wide} {x}, {wide} {old}"))
            if w.winners:
                position = splat(f, _short(f, behind, w.counter), w.counter, lanes)
                old = f.get(won)
                f.set(won, f.let(f"select {truth} {take}, {counters} {position}, {counters} {old}"))

        _look(f, w, look)
        if w.values:
            v.write(f.get(best), f.at(here.r, v.first, kind), kind)
        if w.winners:
            at, positions = f.get(won), vector(w.index, lanes)
            if w.counter != w.index:
                how = "sext" if w.index == "i64" else "trunc"
                at = f.let(f"{how} {counters} {at} to {positions}")
            first = splat(f, _short(f, here.position, w.index), w.index, lanes)
            at = f.let(f"add {positions} {at}, {first}")
            v.write(at, f.at(here.i, v.first, w.index), w.index)

    return _function(module, name, w, body)


def chosen(module: Module, w: Window) -> str:
    """The sum of those beside which the place's own position stands."""
    kind, lanes = TYPE[w.dtype], w.machine.lanes(w.dtype)
    wide, truth, positions = vector(kind, lanes), f"<{lanes} x i1>", vector(w.index, lanes)

    def body(f: Function, here: _Place, v: _Lanes) -> None:
        own = splat(f, _short(f, here.position, w.index), w.index, lanes)
        total = f.variable(wide, "zeroinitializer")

        def look(at: Index, _: Index) -> None:
            at = f.add(v.first, at)
            won = v.read(f.at(here.i, at, w.index), w.index)
            ours = f.let(f"icmp eq {positions} {won}, {own}")
            x = f.let(f"fadd {wide} {f.get(total)}, {v.read(f.at(here.s, at, kind), kind)}")
            f.set(total, f.let(f"select {truth} {ours}, {wide} {x}, {wide} {f.get(total)}"))

        _look(f, w, look)
        v.write(f.get(total), f.at(here.r, v.first, kind), kind)

    return _function(module, f"chosen_{kind}_{w.index}_{w.axes}_{lanes}", w, body)


def total(module: Module, w: Window) -> str:
    """scale · the sum"""
    kind, lanes = TYPE[w.dtype], w.machine.lanes(w.dtype)
    wide, factor = vector(kind, lanes), literal(w.scale, kind)

    def body(f: Function, here: _Place, v: _Lanes) -> None:
        so_far = f.variable(wide, "zeroinitializer")

        def look(at: Index, _: Index) -> None:
            x = v.read(f.at(here.s, f.add(v.first, at), kind), kind)
            f.set(so_far, f.let(f"fadd {wide} {f.get(so_far)}, {x}"))

        _look(f, w, look)
        x = f.get(so_far)
        if w.scale != 1:
            x = f.let(f"fmul {wide} {x}, {splat(f, factor, kind, lanes)}")
        v.write(x, f.at(here.r, v.first, kind), kind)

    return _function(module, f"window_sum_{kind}_{factor[2:]}_{w.axes}_{lanes}", w, body)


def scatter(module: Module, dtype: str, index: str) -> str:
    """R[I[n]] += S[n] for n < count, one after the other."""
    kind = TYPE[dtype]
    name = f"scatter_{kind}_{index}"

    def write() -> None:
        f = module.function(
            name,
            [
                *[("ptr noalias", "R"), ("ptr noalias readonly", "S")],
                *[("ptr noalias readonly", "I"), ("i64", "count")],
            ],
            attributes="noinline nounwind",
        )
        with f.loop(0, "%count", hint=plain_loop(module)) as n:
            at = f.load(f.at("%I", n, index), index)
            if index != "i64":
                at = f.let(f"sext {index} {at} to i64")
            to = f.at("%R", at, kind)
            x = f.load(f.at("%S", n, kind), kind)
            f.store(f.let(f"fadd {kind} {f.load(to, kind)}, {x}"), to, kind)
        f.give()

    return module.once(name, write)

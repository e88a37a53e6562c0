"""Kernels that run one after the other on the same arguments, with a barrier between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from .kernel import Kernel
from .microkernel import plain_loop
from .text import Function, Index, Module


class Stages(NamedTuple):
    """What is done one after the other, each a function

        void @name(ptr first, ptr second, ptr result, ptr X, ptr scratch, ptr workspace, i64 part)

    scratch   bytes of memory that all threads share, aligned to 64; contents do not matter
    """

    kernels: tuple[Kernel, ...]
    scratch: int


ARGUMENTS = [
    ("ptr noalias readonly", "first"),
    ("ptr noalias readonly", "second"),
    ("ptr", "result"),  # an epilogue may reach it through X as well
    ("ptr", "X"),
    ("ptr noalias", "scratch"),
    ("ptr noalias", "workspace"),
    ("i64", "part"),
]


def stage(module: Module, name: str) -> Function:
    """A new function of these arguments. Its loops are of calls: LLVM shall not unroll them."""
    f = module.function(name, ARGUMENTS)
    f.hint = plain_loop(module)
    return f


def share(f: Function, total: int, parts: int, part: Index) -> tuple[Index, Index]:
    """Which of `total` things are a part's, none far from equal: from, to."""
    if parts == 1 and not f.module.general:
        return 0, total
    return (
        f.div(f.mul(part, total), parts),
        f.div(f.mul(f.add(part, 1), total), parts),
    )


@contextmanager
def loops(f: Function, *sizes: Index) -> Iterator[tuple[Index, ...]]:
    """One loop in the other; gives the counters."""
    if not sizes:
        yield ()
        return
    with f.loop(0, sizes[0]) as i, loops(f, *sizes[1:]) as rest:
        yield (i, *rest)


def offset(f: Function, at: Sequence[Index], strides: Sequence[Index]) -> Index:
    """Σ at · strides"""
    total: Index = 0
    for i, stride in zip(at, strides, strict=True):
        total = f.add(total, f.mul(i, stride))
    return total


def whole_lines(size: int) -> int:
    """So many bytes, as whole lines of the cache."""
    return -(-size // 64) * 64


def finish(
    f: Function,
    epilogue: str,
    *,
    last: bool,
    images: tuple[Index, Index],
    places: int,
    some: tuple[Index, Index] | None,
    columns: tuple[Index, Index],
) -> None:
    """Emit the epilogue on some places (None: all) of these images, on some channels."""
    first = [("ptr", "%X"), ("ptr", "%result")]
    if last and some is None:  # the images lie one behind the other
        ends = [f.mul(n, places) for n in images]
        block = [*first, ("i64", 0), *(("i64", i) for i in (*ends, *columns))]
        f.call(epilogue, "void", *block)
        return
    with f.loop(*images) as n:
        ends = list(some or (0, places))
        if last:
            before = f.mul(n, places)
            block = [0, *(f.add(before, i) for i in ends), *columns]
        else:
            block = [n, *columns, *ends]
        f.call(epilogue, "void", *first, *(("i64", i) for i in block))

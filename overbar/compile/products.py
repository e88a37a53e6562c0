"""A product of matrices, or a convolution, as stages, and what is done with every entry of it.

The sums themselves are `gemm`'s and `convolution`'s. After each block of them is complete, and
still in the nearest cache, the kernel's other operations are applied to the block's entries: bias,
activation, masks, the update of a parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..graph import Node
from .access import Strided, base_of, is_view, linear, row_major, strided
from .entries import Entries
from .gemm import Product, product
from .kernel import Kernel
from .layout import CONVOLUTIONS, CORES, Arrangement, arrangement, result_letters
from .machine import Machine
from .nest import attributes
from .scalar import Scalar
from .slices import sliced
from .stages import Stages, whole_lines
from .text import Function, Index, Module


def product_stages(
    module: Module, machine: Machine, name: str, node: Node, buffers: Sequence[int], checks: Any
) -> Stages:
    """The functions of a kernel of kind `product`; `buffers` as for `split.nest`."""
    graph = node.params["graph"]
    core = next(n for n in graph.nodes if n.op.name in CORES)
    lies = _arranged(core)
    if lies is None:
        raise AssertionError(f"a product whose operands are not even: {core}")
    count = len(graph.inputs)
    pointers = dict(zip(graph.inputs, (f"%p{k}" for k in buffers), strict=False))
    results = [(y, f"%p{k}") for y, k in zip(graph.outputs, buffers[count:], strict=True)]
    place, scratch = _room(core, graph, buffers, results)
    rest = [n for n in graph.nodes if n.inputs and n not in set(graph.inputs) and n is not core]
    block = None
    if any(not is_view(n) for n in rest):
        block = f"{name}.block"
        Block(module, machine, block, node, core, lies, pointers, results, place, checks)
    after = block and f"{name}.after"
    last = max(buffers, default=-1)
    arguments = [("ptr", f"p{k}") for k in range(last + 1)]
    arguments += [("ptr", "scratch"), ("ptr", "workspace"), ("i64", "part")]
    named = [n for _, n in arguments[:-2]]
    if block:
        _after(module, name, named)
    room = whole_lines(scratch)

    def stage(own: str, kernel: Kernel, operands: Sequence[str]) -> Kernel:
        f = module.function(own, arguments, attributes="nounwind")
        table = "null"
        if block:
            table = f.variable(f"[{last + 2} x ptr]").place
            for i, n in enumerate(named):
                f.store(f"%{n}", f.at(table, i, "ptr"), "ptr")
        first, second = (_start(f, x, pointers) for x in core.inputs)
        where = {
            "first": first, "second": second, "between": f.at("%scratch", room, "i8"),
            "result": place, "table": table, "workspace": "%workspace",
        }  # fmt: skip
        f.call(kernel.name, "void", *(("ptr", where[x]) for x in operands), ("i64", "%part"))
        f.give()
        return Kernel(own, kernel.parts, kernel.workspace)

    kernels, between = _kernels(module, machine, core, lies, after)
    names = [*(f"{name}.{i}" for i in range(len(kernels) - 1)), name]
    stages = [stage(own, *each) for own, each in zip(names, kernels, strict=True)]
    return Stages(tuple(stages), room + between if between else scratch)


def _arranged(core: Node) -> Arrangement | None:
    if core.op.name not in CONVOLUTIONS:
        return arrangement(core)
    from .faces import faced  # many modules, for convolutions only

    return faced(core)


def _kernels(
    module: Module, machine: Machine, core: Node, lies: Arrangement, after: str | None
) -> tuple[list[tuple[Kernel, tuple[str, ...]]], int]:
    """What computes the sums: kernels one after the other, each with the names of the pointers that
    it gets, and how many bytes lie `between` them.
    """
    if core.op.name in CONVOLUTIONS:
        from .convolution import convolution
        from .faces import convolution_of

        made = convolution(module, machine, convolution_of(core), epilogue=after)
        given = ("first", "second", "result", "table", "between", "workspace")
        return [(kernel, given) for kernel in made.kernels], made.scratch
    numbers = _numbers(core, lies)
    cut = sliced(module, machine, numbers, epilogue=after)
    if cut is None:
        given = ("first", "second", "result", "table", "workspace")
        return [(product(module, machine, numbers, epilogue=after), given)], 0
    partial = ("first", "second", "between", "table", "workspace")
    gathered = ("between", "result", "table", "workspace")
    return [(cut.partial, partial), (cut.gathered, gathered)], cut.between


def _room(
    core: Node, graph: Any, buffers: Sequence[int], results: Sequence[tuple[Node, str]]
) -> tuple[str, int]:
    """Where the product is put: into its own output, else into another one, whose entries are then
    computed in place, else into scratch memory.
    """
    read = set(buffers[: len(graph.inputs)])
    free = [
        (y, p)
        for (y, p), k in zip(results, buffers[len(graph.inputs) :], strict=True)
        if k not in read and y.spec is core.spec
    ]
    for y, pointer in free:
        if y is core:
            return pointer, 0
    if free and not any(y is core for y, _ in results):
        return free[0][1], 0
    return "%scratch", core.spec.size * core.spec.dtype.itemsize


def _numbers(core: Node, lies: Arrangement) -> Product:
    rows, columns, inner, batch = lies
    return Product(
        core.spec.dtype.name,
        rows.size,
        columns.size,
        inner.size,
        (rows.strides[0], inner.strides[0]),
        (inner.strides[1], columns.strides[0]),
        (rows.strides[1], columns.strides[1]),
        tuple(x.size for x in batch),
        tuple(x.strides[0] for x in batch),
        tuple(x.strides[1] for x in batch),
        tuple(x.strides[2] for x in batch),
    )


def _start(f: Function, x: Node, pointers: dict[Node, str]) -> str:
    """Where an operand begins."""
    view = strided(x)
    if view is None:
        raise AssertionError(f"an operand without strides: {x}")
    kind = "float" if x.spec.dtype.itemsize == 4 else "double"
    return f.at(pointers[view.root], view.offset, kind)


def _after(module: Module, name: str, names: Sequence[str]) -> None:
    """What `gemm` calls for each block: fetches the buffers' addresses, and goes on."""
    more = [("i64", n) for n in ("batch", "i0", "i1", "j0", "j1")]
    f = module.function(f"{name}.after", [("ptr", "X"), ("ptr", "C"), *more])
    found = [("ptr", f.load(f.at("%X", i, "ptr"), "ptr")) for i in range(len(names))]
    f.call(f"{name}.block", "void", *found, *((t, f"%{n}") for t, n in more))
    f.give()


class Block(Entries):
    """What is done to a block of a product."""

    def __init__(
        self,
        module: Module,
        machine: Machine,
        name: str,
        node: Node,
        core: Node,
        lies: Arrangement,
        pointers: dict[Node, str],
        results: Sequence[tuple[Node, str]],
        place: str,
        checks: Any,
    ) -> None:
        graph = node.params["graph"]
        named = sorted({*pointers.values(), *(p for _, p in results)}, key=lambda p: int(p[2:]))
        last = int(named[-1][2:]) if named else -1
        arguments = [("ptr noalias", f"p{k}") for k in range(last + 1)]
        arguments += [("ptr noalias", "scratch")]
        arguments += [("i64", n) for n in ("batch", "i0", "i1", "j0", "j1")]
        function = module.function(name, arguments, attributes=attributes(machine))
        super().__init__(function, graph, pointers, checks)
        self.core, self.lies, self.place = core, lies, place
        given = set(graph.inputs)
        self.members = {n for n in graph.nodes if n.inputs and n not in given and not is_view(n)}
        letters = zip(result_letters(core), core.spec.shape, strict=True)
        self.sizes = {c: n for c, n in letters if n != 1}
        self.axes = {c: a for a, c in enumerate(self.sizes)}
        self._write([(y, p) for y, p in results if not (y is core and p == place)])

    def _write(self, results: Sequence[tuple[Node, str]]) -> None:
        f, (rows, columns, _, batch) = self.function, self.lies
        at: list[Index] = [0] * len(self.sizes)
        left: Index = "%batch" if batch else 0
        for axis in reversed(batch):
            self._spread(at, axis.letters, f.mod(left, axis.size) if len(batch) > 1 else left)
            left = f.div(left, axis.size)
        outer, inner = (rows, "%i0", "%i1"), (columns, "%j0", "%j1")
        if columns.strides[1] != 1:
            outer, inner = inner, outer
        strides = row_major(tuple(self.sizes.values()))
        with f.loop(*outer[1:]) as i:
            self._spread(at, outer[0].letters, i)
            with f.loop(*inner[1:]) as j, self.scope():
                self._spread(at, inner[0].letters, j)
                self.at = at
                self.linear = linear(f, Strided(self.core, 0, strides), at)
                values = [(pointer, self.value(y)) for y, pointer in results]
                for pointer, x in values:
                    self.put(pointer, self.linear, x)
        f.give()

    def _spread(self, at: list[Index], letters: str, i: Index) -> None:
        """The index along an axis as indices of its letters; as one, if every array read takes
        them as one.
        """
        f = self.function
        whole = [c for c in letters if c in self.axes]
        if not whole:
            return
        if self._as_one(whole):
            at[self.axes[whole[-1]]] = i
            return
        for c in reversed(whole):
            at[self.axes[c]] = f.mod(i, self.sizes[c]) if c != whole[0] else i
            i = f.div(i, self.sizes[c])

    def _as_one(self, letters: Sequence[str]) -> bool:
        if len(letters) == 1:
            return True
        pairs = list(pairwise(letters))
        for n in self.members - {self.core}:
            if n.spec.size == 1:  # the same for every entry: it goes along no axis
                continue
            for x in n.inputs:
                if base_of(x) in self.members or not x.spec.ndim:
                    continue
                view = strided(x)
                if view is None:
                    return False
                real = zip(n.spec.shape, view.strides, strict=True)
                along = dict(zip(self.sizes, (s for m, s in real if m != 1), strict=True))
                if any(along[p] != along[q] * self.sizes[q] for p, q in pairs):
                    return False
        return True

    def entry_of(self, shape: Sequence[int]) -> list[Index]:
        """The indices of the entry being computed, for an array of a member's shape."""
        left = iter(self.at)
        return [0 if n == 1 else next(left) for n in shape]

    def value(self, n: Node) -> Scalar:
        """A member's entry."""
        found = self.known(n)
        if found is None:
            if n is self.core:
                found = self.fetch(self.place, self.linear, n.spec.dtype)
            else:
                found = self.apply(n, self.entry_of(n.spec.shape), self.operand)
            self.memo[-1][n] = found
        return found

    def operand(self, x: Node) -> Scalar:
        """An operand's entry."""
        base = base_of(x)
        if base in self.members and (base.spec.size > 1 or self.core.spec.size == 1):
            return self.value(base)
        return self.read(x, self.entry_of(x.spec.shape))

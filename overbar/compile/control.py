"""Loops and branches in machine code: the body is a block of kernels, run again and again.

A loop keeps each carry in two memories, one read and one written, which change places after every
step; a carry that the body can write over its old value has one. The rows of a scan are read and
written where they lie. All of it is one kernel of one part, for one thread; a loop whose steps are
worth it is run by all threads together, which share the kernels of every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..graph import Graph
from .access import base_of, is_dense
from .block import EXPECTED, QUIET, Block, Program, shared, work_of
from .bodies import LOOPS
from .kernel import Kernel
from .passes import lowered
from .place import Buffer, Step
from .stages import Stages
from .text import Index, Variable, type_of


def control(program: Program, step: Step, numbers: Sequence[int], name: str) -> Stages | None:
    """The kernel of a loop or a branch; None if a part of its body has no native form."""
    if step.node.op.name not in LOOPS:
        return None
    if not all(is_dense(x) and x.spec.dtype.kind in "biuf" for x in step.node.inputs):
        return None
    writer = {"scan": Scan, "while": While, "switch": Switch}[step.node.op.name]
    return writer(program, step, numbers, name).written()


TOGETHER = 1_000_000
"""From so many multiply-adds in a step on, all threads take part in a loop."""


class Carry(NamedTuple):
    """Where a carry is, where its next value goes (None: over it), and its size in bytes."""

    now: Variable
    after: Variable | None
    size: int


class Control:
    """A loop or a branch, being written."""

    def __init__(self, program: Program, step: Step, numbers: Sequence[int], name: str) -> None:
        self.program, self.name, self.node = program, name, step.node
        self.params = step.node.params
        of = dict(zip((*step.inputs, *step.outputs), numbers, strict=True))
        self.inputs = [f"%p{of[base_of(x)]}" for x in step.node.inputs]
        self.specs = [x.spec for x in step.node.inputs]
        self.outputs = {y.params["index"]: f"%p{of[y]}" for y in step.outputs}
        self.count = max(numbers, default=-1) + 1
        self.scratch = 0
        work, steps = work_of(step.node), self.params.get("length", EXPECTED)
        worth = step.node.op.name != "switch" and work > QUIET and work > TOGETHER * steps
        self.together = worth and program.threads > 1

    def written(self) -> Stages | None:
        """The kernel's function."""
        threads, self.program.threads = self.program.threads, 1  # of what is inside
        blocks = self.blocks()
        self.program.threads = threads
        if not all(b.is_native and not b.plan.constants for b in blocks):
            foreign = {s.node.op.name for b in blocks for s in b.plan.steps if not s.native}
            said = f"{', '.join(sorted(foreign))} in its body" if foreign else "arrays in its body"
            self.program.refused[self.node] = said
            return None
        arguments = [("ptr", f"p{k}") for k in range(self.count)]
        arguments += [("ptr", "scratch"), ("ptr", "workspace"), ("i64", "part")]
        if self.together:
            arguments += [("ptr", "counters"), ("i64", "spin")]
        self.function = self.program.module.function(self.name, arguments)
        self.write(*blocks)
        self.function.give()
        return Stages((Kernel(self.name, 1, 0, self.together),), self.scratch)

    def blocks(self) -> list[Block]:
        """The bodies."""
        raise NotImplementedError

    def write(self, *blocks: Block) -> None:
        """The code."""
        raise NotImplementedError

    def block(self, graph: Graph, donated: dict[int, int]) -> Block:
        """A body as kernels."""
        return Block(self.program, lowered(graph), donated)

    def room(self, size: int) -> str:
        """So many bytes of scratch memory."""
        start = self.scratch
        self.scratch += max(64, -(-size // 64) * 64)
        return self.function.at("%scratch", start, "i8")

    def copy(self, source: str, target: str, size: int) -> None:
        """Numbers from one memory to another."""
        name = self.program.module.intrinsic(
            "llvm.memcpy.p0.p0.i64", "void", "ptr", "ptr", "i64", "i1"
        )
        self.function.call(
            name, "void", ("ptr", target), ("ptr", source), ("i64", size), ("i1", "false")
        )

    def run(
        self,
        block: Block,
        inputs: Sequence[str],
        outputs: Sequence[str],
        arena: str,
        turn: Index | None = None,
    ) -> None:
        """A body, once; `turn` says for the how-manieth time, if all threads do it together."""

        def address(buffer: Buffer) -> str:
            if buffer.kind == "arena":
                return self.function.at(arena, buffer.offset, "i8")
            return (inputs if buffer.kind == "input" else outputs)[buffer.index]

        block.inside(self.function, address, arena, turn)

    # -- carries ------------------------------------------------------------------------------

    def carried(self, starts: Sequence[str], block: Block) -> list[Carry]:
        """The carries of a loop, with what they start from copied in."""
        found, copies = [], []
        for j, start in enumerate(starts):
            spec = block.plan.graph.outputs[j].spec
            size = spec.size * spec.dtype.itemsize
            memory = self.room(size)
            copies.append((start, memory, size))
            now = self.function.variable("ptr", memory, align=8)
            after = None
            if j not in block.plan.donated:
                after = self.function.variable("ptr", self.room(size), align=8)
            found.append(Carry(now, after, size))
        self.copied(copies)
        return found

    def turn(self, carries: Sequence[Carry]) -> None:
        """After a step: what was written is what is read next."""
        f = self.function
        for now, after, _ in carries:
            if after is not None:
                was, will = f.get(now), f.get(after)
                f.set(now, will)
                f.set(after, was)

    def finish(self, carries: Sequence[Carry]) -> None:
        """Into the results."""
        self.copied(
            [
                (self.function.get(now), self.outputs[j], size)
                for j, (now, _, size) in enumerate(carries)
                if j in self.outputs
            ]
        )

    def copied(self, copies: Sequence[tuple[str, str, int]]) -> None:
        """Numbers from one memory to another, several times: where, whereto, how many bytes."""

        def all_of_them(_part: Index) -> None:
            for source, target, size in copies:
                self.copy(source, target, size)

        if not self.together:
            all_of_them(0)
        elif copies:
            shared(self.program, self.function, [(all_of_them, 1)], "%counters")


class Scan(Control):
    """A loop over the rows of arrays."""

    def blocks(self) -> list[Block]:
        k, c = self.params["constants"], self.params["carries"]
        return [self.block(self.params["body"], {j: k + j for j in range(c)})]

    def write(self, *blocks: Block) -> None:
        f, (block,) = self.function, blocks
        k, c, length = (self.params[n] for n in ("constants", "carries", "length"))
        arena = self.room(block.plan.arena)
        carries = self.carried(self.inputs[k : k + c], block)
        body = block.plan.graph
        spare = {
            j: self.room(y.spec.size * y.spec.dtype.itemsize)
            for j, y in enumerate(body.outputs)
            if j >= c and j not in self.outputs
        }
        with f.loop(0, length) as step:
            t: Index = f.sub(length - 1, step) if self.params["reverse"] else step
            now = [f.get(carry.now) for carry in carries]
            rows = [
                f.at(p, f.mul(t, x.spec.size), type_of(x.spec.dtype))
                for p, x in zip(self.inputs[k + c :], body.inputs[k + c :], strict=True)
            ]
            outputs = [
                now[j] if carry.after is None else f.get(carry.after)
                for j, carry in enumerate(carries)
            ]
            for j, y in enumerate(body.outputs[c:], c):
                if j in spare:
                    outputs.append(spare[j])
                else:
                    place = f.mul(t, y.spec.size)
                    outputs.append(f.at(self.outputs[j], place, type_of(y.spec.dtype)))
            turn = step if self.together else None
            self.run(block, [*self.inputs[:k], *now, *rows], outputs, arena, turn)
            self.turn(carries)
        self.finish(carries)


class While(Control):
    """A loop as long as a test holds."""

    def blocks(self) -> list[Block]:
        fixed = self.params["of_body"]
        carries = len(self.inputs) - self.params["of_test"] - fixed
        body = self.block(self.params["body"], {j: fixed + j for j in range(carries)})
        return [self.block(self.params["test"], {}), body]

    def write(self, *blocks: Block) -> None:
        f, (test, body) = self.function, blocks
        of_test, fixed = self.params["of_test"], self.params["of_body"]
        arenas = [self.room(b.plan.arena) for b in blocks]
        carries = self.carried(self.inputs[of_test + fixed :], body)
        answer = self.room(1)
        steps = f.variable("i64", 0, align=8) if self.together else None
        with f.forever() as leave:
            now = [f.get(carry.now) for carry in carries]
            turn = None
            if steps:
                turn = f.get(steps)
                f.set(steps, f.add(turn, 1))
            self.run(test, [*self.inputs[:of_test], *now], [answer], arenas[0], turn)
            leave(self.is_over(answer, turn))
            after = [
                now[j] if carry.after is None else f.get(carry.after)
                for j, carry in enumerate(carries)
            ]
            given = [*self.inputs[of_test : of_test + fixed], *now]
            self.run(body, given, after, arenas[1], turn)
            self.turn(carries)
        self.finish(carries)

    def is_over(self, answer: str, turn: Index | None) -> str:
        """Whether the test has failed. A thread that is late may come to it when others are steps
        ahead and the answer is another: so who reads it says after how many turns the loop ends.
        """
        f = self.function
        if turn is None:
            return f.let(f"icmp eq i8 {f.load(answer, 'i8')}, 0")
        end = f.at("%counters", self.program.counters, "i64")  # zero in the beginning
        self.program.counters += 8
        after = f.add(turn, 1)

        def decide(_part: Index) -> None:
            with f.when(f.let(f"icmp eq i8 {f.load(answer, 'i8')}, 0")):
                f.line(f"store atomic i64 {after}, ptr {end} monotonic, align 8")

        shared(self.program, f, [(decide, 1)], "%counters", turn=turn)
        found = f.let(f"load atomic i64, ptr {end} monotonic, align 8")
        return f.let(f"icmp eq i64 {found}, {after}")


class Switch(Control):
    """One of several bodies."""

    def blocks(self) -> list[Block]:
        return [self.block(branch, {}) for branch in self.params["branches"]]

    def write(self, *blocks: Block) -> None:
        f = self.function
        chosen = f.load(self.inputs[0], type_of(self.specs[0].dtype))
        if self.specs[0].dtype.itemsize < 8:
            word = "sext" if self.specs[0].dtype.kind == "i" else "zext"
            chosen = f.let(f"{word} {type_of(self.specs[0].dtype)} {chosen} to i64")
        arena = self.room(max(b.plan.arena for b in blocks))
        outputs = [
            self.outputs.get(j) or self.room(y.spec.size * y.spec.dtype.itemsize)
            for j, y in enumerate(blocks[0].plan.graph.outputs)
        ]
        last = len(blocks) - 1
        for i, block in enumerate(blocks):
            test = "sle" if i == 0 else "sge" if i == last else "eq"
            with f.when(f.let(f"icmp {test} i64 {chosen}, {i}")):
                self.run(block, self.inputs[1:], outputs, arena)

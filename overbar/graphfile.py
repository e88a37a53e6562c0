"""A Graph in a file: its nodes as JSON, its constants as arrays, through `store`.

A node is written as [operation, inputs, params, shape, dtype, weak, name]; inputs are numbers of
earlier nodes, params what JSON can hold and a few tagged things more (tuples, slices, dtypes,
Specs, complex numbers, Graphs). Nothing in a file is believed: every operation is looked up in the
registry and its result's shape worked out again, so what is read runs, or is refused.

Functions cannot be written. So a graph with a rule stated by the user has no file.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np

from .context import UNKNOWN
from .errors import DTypeError, FileError
from .graph import CONST, EMPTY, INPUT, Graph, Node
from .handle import Tensor, from_value
from .primitive import PRIMITIVES
from .spec import Spec, Specs, spec
from .trees import LEAF, Structure

KEY, VERSION = "overbar.graph", 1
DEPTH = 64
"""Graphs within graphs (a scan in a scan), and tuples within tuples."""
OPAQUE = {"callback", "custom_jvp", "custom_vjp", "deferred", "forward_gate", "gate"}
"""Operations with a function among their params."""


def save(graph: Graph, path: str | os.PathLike) -> None:
    """Write the graph to a file; a file that is there stays until the new one is complete.

    What a traced function read from outside (parameters) is written with the values of now.

    Raises:  DTypeError if a node holds a function (custom_vjp, Function, callback).
    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "f.graph")
        >>> ob.trace(lambda x: ob.sin(x) * 2.0)(np.zeros(2)).save(path)
        >>> ob.Graph.load(path).run(np.array([0.0, np.pi / 2]))
        Tensor([0., 2.], float64)
    """
    from . import store  # here, so that `import overbar` stays quick

    arrays: dict[str, np.ndarray] = {}
    writer = _Writer(arrays)
    reads = [
        {"value": writer.array(t.value), "name": t.name} for t in graph.derived.get("reads", [])
    ]
    meta = {"version": VERSION, "graph": writer.graph(graph), "reads": reads}
    trees = graph.derived.get("trees")
    if trees is not None:
        structure, spots, before, out_tree, count = trees
        meta["call"] = {
            "arguments": _written_tree(structure.children[0]),
            "spots": list(spots),
            "leaves": len(before),
            "out": _written_tree(out_tree),
            "results": count,
        }
    store.write(path, arrays, {KEY: meta})


def load(path: str | os.PathLike) -> Graph:
    """The graph that `save` wrote; it runs to the same bits.

    Raises:  FileError if the file is damaged, hostile, newer than this version, or no graph.
    """
    from . import store

    arrays, meta = store.read(path)
    try:
        found = meta[KEY]
        if found["version"] != VERSION:
            raise _DamageError(f"it is of version {found['version']!r:.20}")  # noqa: TRY301
        return _Reader(arrays).whole(found)
    except _DamageError as damage:
        why: Any = damage
    except RecursionError:
        why = "it is nested too deep"
    except Exception as error:  # noqa: BLE001  (whatever a hostile file makes a shape rule do)
        why = f"{type(error).__name__}: {error!s:.200}"
    raise FileError(
        f"{os.fsdecode(path)} holds no graph that can be used: {why}",
        want="a file written by Graph.save",
    )


class _DamageError(Exception):
    """What is wrong with a file."""


# -- writing ----------------------------------------------------------------------------------


class _Writer:
    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays

    def graph(self, graph: Graph) -> dict[str, Any]:
        number = {node: i for i, node in enumerate(graph.nodes)}
        return {
            "nodes": [self.node(n, number, i < len(graph.inputs)) for n, i in number.items()],
            "inputs": len(graph.inputs),
            "outputs": [number[y] for y in graph.outputs],
        }

    def node(self, node: Node, number: dict[Node, int], is_input: bool) -> dict[str, Any]:
        several = isinstance(node.spec, tuple)
        said: dict[str, Any] = (
            {"spec": {"tuple": [{"spec": _written_spec(s)} for s in node.spec]}}
            if several
            else {"spec": _written_spec(node.spec)}
        )
        if node.name:
            said["name"] = node.name
        if is_input or not node.inputs:
            said["op"] = "input" if is_input else "const"
            if node.value is not None and not several:
                said["value"] = self.value(node)
            return said
        said["op"], said["inputs"] = node.op.name, [number[x] for x in node.inputs]
        if node.params:
            said["params"] = {key: self.thing(p, node) for key, p in node.params.items()}
        return said

    def value(self, node: Node) -> Any:
        if isinstance(node.value, np.ndarray | np.generic):
            value = node.value
            if value.shape != node.spec.shape:
                value = np.broadcast_to(value, node.spec.shape)
            return self.array(value)
        return {"number": self.thing(node.value, node)}

    def array(self, value: Any) -> dict[str, Any]:
        """An array, and the order of its axes in memory: sums depend on it in their last bits."""
        value = value if isinstance(value, np.generic) else np.asarray(value)
        name = f"{len(self.arrays)}"
        order = (
            sorted(range(value.ndim), key=lambda k: -abs(value.strides[k]))
            if isinstance(value, np.ndarray)
            else []
        )
        self.arrays[name] = np.ascontiguousarray(np.transpose(value, order)).reshape(
            [value.shape[k] for k in order]
        )
        return {"array": name, "order": order, "scalar": isinstance(value, np.generic)}

    def thing(self, p: Any, node: Node) -> Any:
        """A param as JSON. What JSON has no word for is a one-entry dict."""
        if p is None or isinstance(p, bool | str) or type(p) is int:
            return p
        if isinstance(p, float) and type(p) is float:
            return p if math.isfinite(p) else {"float": repr(p)}
        if type(p) is complex:
            return {"complex": [self.thing(p.real, node), self.thing(p.imag, node)]}
        if type(p) is tuple or type(p) is list:
            return {type(p).__name__: [self.thing(e, node) for e in p]}
        if type(p) is dict and all(isinstance(k, str) for k in p):
            return {"dict": {k: self.thing(e, node) for k, e in p.items()}}
        if isinstance(p, slice):
            return {"slice": [self.thing(e, node) for e in (p.start, p.stop, p.step)]}
        if p is Ellipsis:
            return {"ellipsis": []}
        if isinstance(p, np.dtype):
            return {"dtype": p.str}
        if isinstance(p, type) and issubclass(p, np.generic):
            return {"scalar type": np.dtype(p).str}
        if isinstance(p, Spec):
            return {"spec": _written_spec(p)}
        if isinstance(p, Graph):
            return {"graph": self.graph(p)}
        if isinstance(p, np.ndarray | np.generic):
            return self.array(p)
        raise DTypeError(
            f"a graph with {node.op.name!r} in it cannot be written: "
            f"one of its params is a {type(p).__name__}",
            got={"made at": str(node.origin)} if node.origin else None,
            want="numbers, text, tuples, slices, dtypes, graphs",
            hint="functions (custom_vjp, custom_jvp, Function, callback, a while_loop's reverse) "
            "are code: "
            "keep the source and trace it again",
        )


def _written_spec(s: Spec) -> list[Any]:
    return [list(s.shape), s.dtype.str, s.weak]


def _written_tree(structure: Structure) -> Any:
    """A structure of plain containers; None for one with objects, which is then called flat."""
    if structure.kind is Structure:
        return "leaf"
    if structure.kind is None:
        return "none"
    if structure.kind not in (tuple, list, dict) or not all(
        type(n) in (str, int) for n in structure.names
    ):
        return None
    children = [_written_tree(c) for c in structure.children]
    return None if None in children else [structure.kind.__name__, list(structure.names), children]


# -- reading ----------------------------------------------------------------------------------


class _Reader:
    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.depth = 0

    def whole(self, found: dict[str, Any]) -> Graph:
        graph = self.graph(found["graph"])
        reads = [_read(self.array(r["value"]), r["name"]) for r in found["reads"]]
        if reads:
            if [t.spec for t in reads] != [
                x.spec for x in graph.inputs[len(graph.inputs) - len(reads) :]
            ]:
                raise _DamageError("what it read from outside does not fit its inputs")
            graph.derived["reads"] = reads
        call = found.get("call")
        arguments = len(graph.inputs) - len(reads)
        if call is not None:
            structure, out = self.tree(call["arguments"]), self.tree(call["out"])
            spots, count, leaves = (
                list(map(_whole, call["spots"])),
                _whole(call["results"]),
                _whole(call["leaves"]),
            )
            fits = (
                len(spots) == arguments
                and all(0 <= i < leaves for i in spots)
                and count <= len(graph.outputs)
            )
            if not fits or (out is not None and out.leaves != count):
                raise _DamageError("its arguments or results are not those of its nodes")
            flat_out = Structure(tuple, tuple(range(count)), (LEAF,) * count)
            if structure is None:
                spots, leaves = list(range(arguments)), arguments
            both = Structure(tuple, (0, 1), (structure or _flat(leaves), Structure(dict, (), ())))
            if both.leaves != leaves:
                raise _DamageError("its arguments are not those of its nodes")
            graph.derived["trees"] = both, spots, [None] * leaves, out or flat_out, count
        elif reads:
            raise _DamageError("it reads from outside, but was not traced")
        return graph

    def tree(self, said: Any, depth: int = 0) -> Structure | None:
        if said is None or said in ("leaf", "none") or depth > DEPTH:
            return None if said is None else LEAF if said == "leaf" else Structure(None, (), ())
        kind, names, children = said
        found = tuple(self.tree(c, depth + 1) for c in children)
        if kind not in ("tuple", "list", "dict") or len(names) != len(found) or None in found:
            raise _DamageError("a container of it is unknown")
        return Structure({"tuple": tuple, "list": list, "dict": dict}[kind], tuple(names), found)  # type: ignore[arg-type]

    def graph(self, said: dict[str, Any]) -> Graph:
        self.depth += 1
        if self.depth > DEPTH:
            raise _DamageError("it is nested too deep")
        nodes: list[Node] = []
        for i, one in enumerate(said["nodes"]):
            nodes.append(self.node(one, nodes, i < said["inputs"]))
        if not 0 <= _whole(said["inputs"]) <= len(nodes):
            raise _DamageError("it has fewer nodes than inputs")
        outputs = [nodes[_before(j, len(nodes))] for j in said["outputs"]]
        self.depth -= 1
        return Graph(nodes[: said["inputs"]], outputs)

    def node(self, said: dict[str, Any], nodes: Sequence[Node], is_input: bool) -> Node:
        of = self.spec(said["spec"])
        name = said.get("name")
        if is_input or said["op"] == "const":
            if is_input != (said["op"] == "input"):
                raise _DamageError("its inputs are not its first nodes")
            return self.leaf(said, of, name, is_input)
        op = PRIMITIVES.get(said["op"])
        if op is None or op.name in OPAQUE:
            raise _DamageError(f"it names an operation {said['op']!r:.40} that cannot be in a file")
        inputs = tuple(nodes[_before(j, len(nodes))] for j in said["inputs"])
        if not inputs:
            raise _DamageError(f"{op.name} is applied to nothing")
        params = {str(key): self.thing(p) for key, p in said.get("params", {}).items()} or EMPTY
        _check_graphs(op.name, [x.spec for x in inputs], params)
        if callable(op.forward):
            signature(op.forward).bind(np, *inputs, **params)
        made = op.shape(*(x.spec for x in inputs), **params)
        if not _same(made, of):
            raise _DamageError(f"{op.name} gives {made}, the file says {of}")
        mask = 0
        for x in inputs:
            mask |= x.mask
        return Node(op, inputs, params, of, mask=mask)

    def leaf(self, said: dict[str, Any], of: Any, name: Any, is_input: bool) -> Node:
        value = None
        if "value" in said:
            number = "number" in said["value"]
            value = self.thing(said["value"]["number"]) if number else self.array(said["value"])
            plain = type(value) in (bool, int, float, complex)
            if (number and not (plain and of.weak)) or (
                not number and (of.weak or value.shape != of.shape or value.dtype != of.dtype)
            ):
                raise _DamageError("a constant is not what its node says")
        elif not is_input:
            raise _DamageError("a constant has no value")
        params = {"name": name} if isinstance(name, str) else EMPTY
        return Node(
            INPUT if is_input else CONST,
            (),
            params,
            of,
            value,
            mask=UNKNOWN if value is None else 0,
        )

    def spec(self, said: Any) -> Any:
        if isinstance(said, dict):
            specs = self.thing(said)
            if not isinstance(specs, tuple) or not all(isinstance(s, Spec) for s in specs):
                raise _DamageError("a node has no shape")
            return Specs(specs)
        shape, dtype, weak = said
        sizes = tuple(map(_whole, shape))
        found = np.dtype(dtype) if isinstance(dtype, str) else None
        if found is None or found.kind not in "biufc" or type(weak) is not bool or (weak and sizes):
            raise _DamageError("a node has no shape or no dtype")
        return spec(sizes, found, weak)

    def array(self, said: dict[str, Any]) -> Any:
        stored, order = self.arrays[said["array"]], [_whole(k) for k in said["order"]]
        if sorted(order) != list(range(stored.ndim)):
            raise _DamageError("the axes of a constant are not in any order")
        value = np.transpose(stored, np.argsort(order)) if order else stored
        return value[()] if said["scalar"] else value

    def thing(self, said: Any) -> Any:
        if not isinstance(said, dict):
            if isinstance(said, list):
                raise _DamageError("a list stands where a param should be")
            return said
        if "array" in said:
            return self.array(said)
        ((tag, body),) = said.items()
        if tag in ("tuple", "list", "slice", "complex"):
            parts = [self.thing(e) for e in body]
            return (
                {"tuple": tuple, "list": list}[tag](parts)
                if tag in ("tuple", "list")
                else {"slice": slice, "complex": complex}[tag](*parts)
            )
        if tag == "dict":
            return {key: self.thing(e) for key, e in body.items()}
        if tag == "float":
            return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[body]
        if tag == "ellipsis":
            return Ellipsis
        if tag == "dtype":
            return np.dtype(str(body))
        if tag == "scalar type":
            return np.dtype(str(body)).type
        if tag == "spec":
            return self.spec(body)
        if tag == "graph":
            return self.graph(body)
        raise _DamageError(f"it holds a {tag!r:.40}")


def _read(value: Any, name: Any) -> Tensor:
    t = from_value(value)
    if isinstance(name, str):
        t.name = name
    return t


def _flat(count: int) -> Structure:
    return Structure(tuple, tuple(range(count)), (LEAF,) * count)


def _whole(n: Any) -> int:
    if type(n) is not int or n < 0:
        raise _DamageError(f"{n!r:.20} is no size")
    return n


def _before(j: Any, count: int) -> int:
    if _whole(j) >= count:
        raise _DamageError("a node uses one that comes after it")
    return j


def _same(made: Any, said: Any) -> bool:
    if isinstance(said, tuple):
        return isinstance(made, tuple) and len(made) == len(said) and all(map(_same, made, said))
    return isinstance(made, Spec) and made.shape == said.shape and made.dtype == said.dtype


def _check_graphs(name: str, given: list[Any], params: dict[str, Any]) -> None:
    """A graph inside takes what the operation feeds it."""
    asked: list[tuple[Graph, list[Any]]] = []
    if name == "call":
        asked = [(params["graph"], given)]
    elif name == "switch":
        asked = [(b, given[1:]) for b in params["branches"]]
        if not asked or any(not _all_same(b.outputs, asked[0][0].outputs) for b, _ in asked):
            raise _DamageError("the branches of a switch differ")
    elif name == "scan":
        body, first = params["body"], _whole(params["constants"]) + _whole(params["carries"])
        rows = [
            spec(s.shape[1:], s.dtype)
            for s in given[first:]
            if s.shape and s.shape[0] == _whole(params["length"])
        ]
        asked = [(body, given[:first] + rows)]
        _check_carry(body.outputs[: params["carries"]], body.inputs[params["constants"] : first])
    elif name == "while":
        test, body, a = params["test"], params["body"], _whole(params["of_test"])
        k = a + _whole(params["of_body"])
        asked = [(test, given[:a] + given[k:]), (body, given[a:])]
        _check_carry(body.outputs, body.inputs[params["of_body"] :])
        if len(test.outputs) != 1 or test.outputs[0].spec is not spec((), np.dtype(bool)):
            raise _DamageError("the test of a loop gives no truth value")
    for graph, wanted in asked:
        if len(graph.inputs) != len(wanted) or not all(
            _same(x.spec, s) for x, s in zip(graph.inputs, wanted, strict=True)
        ):
            raise _DamageError(f"{name} feeds its graph what it does not take")


def _check_carry(after: Sequence[Node], before: Sequence[Node]) -> None:
    if not _all_same(after, before):
        raise _DamageError("a loop changes what it carries")


def _all_same(some: Sequence[Node], others: Sequence[Node]) -> bool:
    return len(some) == len(others) and all(
        _same(a.spec, b.spec) for a, b in zip(some, others, strict=True)
    )

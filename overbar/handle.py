"""The handle: what a user holds.

A `Tensor` owns a value and points at one node. Rebinding a handle (`x += 1`, `x[i] = v`,
`opt.step()`) is the only mutation there is: nodes never change. How an operation on handles
becomes a node is in `apply`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from .context import CONTEXT, UNKNOWN, WANTED, Context
from .errors import (
    CutError,
    DTypeError,
    GradientError,
    LeakedTraceError,
    OverbarError,
    UnknownValueError,
)
from .graph import CONST, EMPTY, INPUT, Node, number
from .lanes import refuse_lanes
from .operators import Operators
from .origin import users_frame
from .spec import Spec, spec_of

new = object.__new__
_SCALARS = (bool, int, float, complex)


class Tensor(Operators):
    """An array that remembers where it came from. Made by `ob.tensor` and by every operation.

    Shapes and dtypes are NumPy's. `requires_grad=True` asks for `.grad` after `backward()`.
    """

    __slots__ = (
        "__weakref__", "_grad", "_lanes", "_name", "_node", "_role", "_wants", "spec", "value",
    )  # fmt: skip
    __array_priority__ = 1000

    _node: Node | None
    spec: Any  # a Spec; Specs, where an operation has several results, until `parts`
    value: Any

    # -- what it is ---------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its axes."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype:
        """The kind of its numbers."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """How many axes it has."""
        return self.spec.ndim

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self.spec.size

    @property
    def node(self) -> Node:
        """Its node in the graph; a leaf if it was not computed by a recorded operation."""
        node = self._node
        if node is None:
            node = self._node = self._leaf()
        return node

    def _leaf(self) -> Node:
        if self.requires_grad:
            node = Node(
                INPUT,
                (),
                {"name": self.name} if self.name else EMPTY,
                self.spec,
                self.value,
                mask=WANTED,
            )
            node.handle = weakref.ref(self)
        else:
            node = Node(
                CONST, (), {"name": self.name} if self.name else EMPTY, self.spec, self.value
            )
        frame = users_frame(2)
        node.code, node.at = frame.f_code, frame.f_lasti
        return node

    @property
    def name(self) -> str | None:
        """The name it was given: `ob.tensor(..., name=)`, or its path in a module."""
        return getattr(self, "_name", None)

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    @property
    def is_leaf(self) -> bool:
        """Whether it was given, not computed."""
        node = self._node
        return node is None or not node.inputs or hasattr(node, "handle")

    @property
    def requires_grad(self) -> bool:
        """Whether `backward()` will reach it, or something it was computed from."""
        node = self._node
        return getattr(self, "_wants", False) or (node is not None and bool(node.mask & WANTED))

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, wanted: bool = True) -> Tensor:
        """Ask for a gradient (or no longer), in place.

        Raises:  DTypeError if it holds no floats, GradientError if it was computed.
        """
        if wanted and not self.spec.floating:
            raise DTypeError(
                f"requires_grad: a tensor of {self.dtype} has no derivative",
                got={"tensor": self},
                want="a floating dtype",
                hint="make it with dtype=float, or use .astype(float)",
            )
        trace = CONTEXT.get().trace
        if not (self.is_leaf if trace is None else trace.may_ask(self)):
            if wanted:
                return self
            raise GradientError(
                "requires_grad_(False): this tensor was computed, its history decides",
                hint="use .detach() for the same value without history",
            )
        if trace is not None:
            trace.ask(self, bool(wanted))
            return self
        self._wants, self._node = bool(wanted), None
        if wanted:
            self._node = self._leaf()  # a handle without a node has no history and wants none
        return self

    @property
    def grad(self) -> Tensor | None:
        """What `backward()` has added up here; None if nothing reached it yet."""
        grad = getattr(self, "_grad", None)
        trace = CONTEXT.get().trace
        return grad if trace is None else trace.read_grad(self, grad)

    @grad.setter
    def grad(self, grad: Any) -> None:
        context = CONTEXT.get()
        if grad is not None:
            grad = as_tensor(grad)
            if grad.shape != self.shape:
                raise GradientError(
                    "grad: a gradient has the shape of its variable",
                    got={"variable": self, "gradient": grad},
                )
            refuse_lanes(self, grad, context, "gradient", "use ob.grad inside, and return it")
        if context.trace is not None:
            context.trace.write_grad(self)
        self._grad = grad

    # -- its value ----------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The value as a read-only NumPy array, which never changes later.

        Raises:  CutError inside a transform if it depends on what is being differentiated,
                 UnknownValueError while tracing.
        """
        view = np.asarray(self._known("numpy()", cut=True)).view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        return self._number("item()").item()

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        return np.asarray(self._known("tolist()", cut=True)).tolist()

    def _known(self, asked: str, *, cut: bool = False) -> Any:
        """The value, if it may be looked at."""
        value, context = self.value, CONTEXT.get()
        if value is None or (context.trace is not None and not context.trace.is_constant(self)):
            raise unknown_value(self, asked, context)
        if cut and self._node is not None and self._node.mask & context.active & ~UNKNOWN:
            raise CutError(
                f"{asked}: this tensor depends on what is being differentiated; as a plain number "
                "its derivative would be lost",
                got={"tensor": self},
                hint="compute with overbar's functions (ob.stack for arrays of results), or say "
                "that the cut is meant: ob.stop_gradient(x) or x.detach()",
            )
        return value

    def _number(self, asked: str, *, cut: bool = True) -> Any:
        value = np.asarray(self._known(asked, cut=cut and self.spec.floating))
        if value.size != 1:
            raise DTypeError(
                f"{asked}: only a tensor with one element is a number",
                got={"tensor": self},
                hint="reduce it first: .sum(), .mean(), .any(), .all(), or index one element",
            )
        return value.reshape(())

    def __float__(self) -> float:
        return float(self._number("float()"))

    def __int__(self) -> int:
        return int(self._number("int()"))

    def __complex__(self) -> complex:
        return complex(self._number("complex()"))

    def __index__(self) -> int:
        value = self._number("index")
        if value.dtype.kind not in "iu":
            raise DTypeError(
                "an index is an integer", got={"tensor": self}, hint="use .astype(int)"
            )
        return int(value)

    def __bool__(self) -> bool:
        return bool(self._number("the truth of a tensor (if, while, and, or, not)", cut=False))

    def __len__(self) -> int:
        if not self.shape:
            raise DTypeError("len(): a tensor without axes has no length", got={"tensor": self})
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self._known("conversion to a NumPy array", cut=True)
        if self.requires_grad and CONTEXT.get().allowed & WANTED:
            raise CutError(
                "conversion to a NumPy array: this tensor carries a gradient, which would be lost",
                got={"tensor": self},
                hint="say that the cut is meant: .detach() or .numpy(); or stay with overbar's "
                "functions (ob.stack makes an array of results)",
            )
        if copy is False:
            return np.array(self.numpy(), dtype=dtype, copy=False)
        array = np.asarray(value, dtype=dtype)
        return array.copy() if copy or array is value else array

    def __hash__(self) -> int:
        return id(self) >> 4

    def __repr__(self) -> str:
        if self.value is None:
            return f"Tensor({self.spec}, traced)"
        text = np.array2string(
            np.asarray(self.value), separator=", ", prefix="Tensor(", threshold=200
        )
        asks = ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({text}, {self.dtype}{asks})"

    def __format__(self, how: str) -> str:
        return format(self._number("format()", cut=False).item(), how) if how else repr(self)

    def __copy__(self) -> Tensor:
        return self.detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        twin = copied(self)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> Any:
        raise DTypeError("tensors are not pickled", hint="save with ob.save(tensor, path)")

    # -- handles ------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same value without history: nothing flows back through it."""
        trace = CONTEXT.get().trace
        if self.value is None or trace is not None:
            return stop(self)
        return from_value(self.value)

    def rebind(self, to: Any) -> None:
        """Let this handle stand for another value; graphs that used the old one keep it.

        `requires_grad`, `.grad` and the name stay. Raises: RebindError if a transform in progress
        would lose or leak the value.
        """
        context, to = CONTEXT.get(), as_tensor(to)
        refuse_lanes(self, to, context, "value", "make it inside the function, or return the value")
        if context.trace is not None:
            to = context.trace.rebind(self, to)
        self._node, self.value, self.spec = to._node, to.value, to.spec
        if to._node is None and getattr(self, "_wants", False):
            self._node = self._leaf()

    def backward(
        self, seed: Any = None, *, retain_graph: bool = False, create_graph: bool = False
    ) -> None:
        """Add the derivative of this tensor to `.grad` of every leaf that asked for one.

        seed: the adjoint to start from, of this tensor's shape; 1 for a tensor with one element.
        """
        backward_of([self], None if seed is None else [seed], retain_graph, create_graph)


def backward_of(roots: list[Tensor], seeds: Any, retain_graph: bool, create_graph: bool) -> None:
    """Replaced by the calculus floor, which knows how rules are applied."""
    raise NotImplementedError


def stop(x: Tensor) -> Tensor:
    """Replaced by `ops.logic.stop_gradient`."""
    raise NotImplementedError


# -- making handles ---------------------------------------------------------------------------


def handle(node: Node | None, value: Any, of: Any) -> Tensor:
    """A new handle, which knows for which lanes of a `vmap` it is made."""
    t = new(Tensor)
    t._node, t.value, t.spec = node, value, of
    lanes = CONTEXT.get().lane
    if lanes is not None:
        t._lanes = lanes
    return t


def from_value(value: Any) -> Tensor:
    """A handle on an array that nobody else will change."""
    t, context = new(Tensor), CONTEXT.get()
    t._node, t.value, t.spec = None, value, spec_of(value)
    if context.lane is not None:
        t._lanes = context.lane
    if context.trace is not None:
        context.trace.constant(t)
    return t


def from_node(node: Node) -> Tensor:
    """A handle on one node; its value is known if the node holds one."""
    value = node.value
    if type(value) in _SCALARS and not node.spec.weak:
        value = np.asarray(value, node.spec.dtype)[()]
    if isinstance(value, np.ndarray | np.generic) and value.shape != node.spec.shape:
        value = np.broadcast_to(value, node.spec.shape)  # an implicit broadcast holds its source's
    return handle(node, value, node.spec)


def unknown(of: Spec, mask: int, name: str | None = None) -> Tensor:
    """A handle whose value is not known: an argument of a trace."""
    return from_node(Node(INPUT, (), {"name": name} if name else EMPTY, of, mask=mask | UNKNOWN))


def as_tensor(x: Any, dtype: Any = None) -> Tensor:
    """`x` as a Tensor: a Tensor passes through, a Python number stays weak, all else is copied.

    Raises:  DTypeError for what is no array of numbers, CutError for lists of tracked tensors.
    """
    if isinstance(x, Tensor):
        return x if dtype is None or (x.dtype == dtype and not x.spec.weak) else cast_to(x, dtype)
    if type(x) in _SCALARS and dtype is None:
        return scalar(x)
    trace = CONTEXT.get().trace
    if trace is not None and isinstance(x, np.ndarray):
        known = trace.array(x)
        if known is not None:
            return known if dtype is None else cast_to(known, dtype)
    return from_value(array_of(x, dtype))


def cast_to(x: Tensor, dtype: Any) -> Tensor:
    """Replaced by `ops.movement.astype`."""
    raise NotImplementedError


def array_of(x: Any, dtype: Any = None) -> np.ndarray:
    """A fresh array of numbers, owned by nobody else."""
    if isinstance(x, Tensor):
        return np.array(x._known("tensor()", cut=True), dtype=dtype)
    if isinstance(x, list | tuple) and any(isinstance(e, Tensor) for e in _flat(x)):
        raise CutError(
            "an array made from a list of tensors would lose their history",
            hint="use ob.stack([...]) or ob.concat([...]); numbers go to ob.jit in an array",
        )
    try:
        array = np.array(_exported(x), dtype=dtype)
    except OverbarError:
        raise
    except (ValueError, TypeError) as error:
        raise DTypeError(
            f"this is no array of numbers: {error}",
            got={"data": type(x).__name__},
            want="numbers, nested evenly",
        ) from None
    if array.dtype.kind not in "biufc":
        raise DTypeError(
            f"this is no array of numbers: its dtype is {array.dtype}",
            got={"data": type(x).__name__},
            want="booleans, integers, floats or complex numbers",
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _exported(x: Any) -> Any:
    """What another library's array gives NumPy to read."""
    if isinstance(x, np.ndarray | np.generic):
        return x
    if hasattr(x, "__array__"):  # np.array would ask `__array__(copy=True)`, which not all know
        return np.asarray(x)
    return np.from_dlpack(x) if hasattr(x, "__dlpack__") else x


def _flat(x: Any) -> Iterator[Any]:
    stack = [x]
    while stack:
        e = stack.pop()
        if isinstance(e, list | tuple):
            stack.extend(e)
        else:
            yield e


def scalar(x: Any) -> Tensor:
    """A Python number as a weak tensor: it takes the dtype of what it meets."""
    t, node = new(Tensor), number(x)
    t._node, t.value, t.spec = node, x, node.spec
    return t


def copied(t: Tensor) -> Tensor:
    """A leaf with the same value, name and wish for a gradient."""
    twin = handle(None, t._known("copy", cut=True), t.spec)
    for slot in ("_name", "_role"):
        if hasattr(t, slot):
            setattr(twin, slot, getattr(t, slot))
    return twin.requires_grad_() if getattr(t, "_wants", False) else twin


def tensor(
    data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """A new tensor with a copy of the data: nested lists, NumPy, pandas, anything with
    `__array__` or DLPack. A tensor with history gives its value, as a leaf.

    Raises:  DTypeError if the data are no numbers, or no floats and `requires_grad` is asked.

    Example:
        >>> ob.tensor([[1.0, 2.0], [3.0, 4.0]]).shape
        (2, 2)
    """
    if isinstance(data, Tensor) and (data.value is None or CONTEXT.get().trace is not None):
        t = stop(data if dtype is None else cast_to(data, dtype))
    elif isinstance(data, np.ndarray) and CONTEXT.get().trace is not None and not requires_grad:
        t = as_tensor(data, dtype)
    else:
        t = from_value(array_of(data, dtype))
    if name is not None:
        t._name = name
    if requires_grad:
        t.requires_grad_()
    return t


def asarray(data: Any, *, dtype: Any = None, copy: bool | None = None) -> Tensor:
    """The data as a tensor; a Tensor passes through, history and all."""
    t = as_tensor(data, dtype)
    if t.spec.weak:
        return cast_to(t, t.dtype) if t.node.mask else from_value(np.asarray(t.value, dtype=dtype))
    return t


def unknown_value(t: Tensor, asked: str, context: Context) -> OverbarError:
    """The error for looking at a value that is not known."""
    node = t._node
    if t.value is None and node is not None and not node.mask & context.staging:
        return LeakedTraceError(
            f"{asked}: this value belongs to a transform (jit, vmap, scan, ...) that has ended",
            got={"tensor": t},
            hint="return it from the transformed function instead of storing it outside",
        )
    made = f"made at {node.origin}" if node is not None and node.inputs and node.origin else None
    return UnknownValueError(
        f"{asked}: the value is not known here, only shape and dtype are, because the program is "
        "being traced (jit, vmap, scan, cond, while_loop, checkpoint)",
        got={"tensor": f"{t.spec}" + (f", {made}" if made else "")},
        hint="a choice between values is ob.where(condition, a, b); a branch is "
        "ob.cond(condition, f, g, *operands); a loop is ob.while_loop or ob.scan",
    )

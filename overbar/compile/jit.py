"""`ob.jit`: a function traced once per signature, then run as one program.

The same body runs eagerly. Tracing (`tracing`) finds what it reads (parameters, optimiser state,
generators: inputs), what it rebinds and which gradients it leaves behind (outputs); `signature` and
`surroundings` say when a trace serves again; `program` runs it, and `prepared` does so quickly the
second time. All that knows native code is imported when a function is called for the first time.
"""

from __future__ import annotations

import functools
import inspect
import types
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..apply import apply
from ..calculus.calls import call_
from ..context import CONTEXT, WANTED, Context, within
from ..errors import DomainError, OverbarError
from ..graph import Graph
from ..handle import Tensor, as_tensor
from ..ops.movement import parts
from ..primitive import is_finite
from ..rebinding import rebind
from ..trees import Structure, changes, tree_flatten, tree_unflatten
from .likeness import PLAIN
from .signature import Reader, Signature, difference
from .surroundings import Survey
from .tracing import MISS, UNTIDY, Traced

if TYPE_CHECKING:
    from .compilation import Compilation
    from .prepared import Prepared
    from .reports import Cost, Memory

MOST = 64
"""Traces that a jitted function keeps; then the one unused for longest goes."""
READY = 4
"""So many of them can be called quickly."""
TRIES = 3
"""So often a trace is tried to be made ready."""


class _NotFiniteError(Exception):
    """Something that was computed is not finite."""


def _finite(values: list[Any]) -> None:
    if not all(map(is_finite, values)):
        raise _NotFiniteError


class Jitted:
    """A function and its traces. Made by `jit`."""

    def __init__(
        self, f: Callable[..., Any], static: Sequence[Any], dynamic: Sequence[Any]
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.__name__: str = getattr(f, "__name__", type(f).__name__)
        self._reader = Reader(f, frozenset(static), frozenset(dynamic))
        self._home = getattr(f, "__module__", None) or type(f).__module__
        self._traces: dict[Traced, Signature] = {}  # the last used at the end
        self._ready: list[Prepared] = []  # the latest first
        self._why: list[str] = []
        self._guard: tuple[Traced, list[Any]] | None = None

    def __reduce__(self) -> str:  # as of a function: by its name; a copy is the function itself
        return getattr(self, "__qualname__", self.__name__)

    def __repr__(self) -> str:
        traces = len(self._traces)
        return f"<jitted {self.__name__}: {traces} trace{'' if traces == 1 else 's'}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = CONTEXT.get()
        try:
            for ready in self._ready:
                known = ready.context is context or ready.suits(context)
                if known and ready.flat and ready.epoch == changes():
                    given = args if not (kwargs or ready.words) else ready.joined(args, kwargs)
                    quick = ready.quick
                    result = MISS if quick is None else quick(given)
                    if result is MISS and (quick is None or ready.gate.refused in UNTIDY):
                        result = ready.whole(given)
                    if result is not MISS:
                        return result
            if context.jit == "off" or context.trace is not None:
                return self.f(*args, **kwargs)
            leaves, structure = tree_flatten((args, kwargs), objects=False)
            for ready in self._ready:
                if not ready.flat and ready.serves(context) and ready.structure == structure:
                    result = ready.whole(tuple(leaves))
                    if result is not MISS:
                        return result
            return self._general(leaves, structure, context)
        except OverbarError as error:
            if not error.of_program or context.trace is not None:
                raise
            refused = error
        return self._refused(refused, args, kwargs)

    def _refused(self, error: OverbarError, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A program did not take its values, and has changed nothing: run eagerly, the function
        names them as they came, and the line of this call (unless it is NumPy that complains).
        """
        leaves, structure = tree_flatten((args, kwargs), objects=False)
        with self._found(leaves, structure, CONTEXT.get()).as_before(leaves):
            try:
                self.f(*args, **kwargs)
            except OverbarError as told:
                error = told
            except Exception as raw:  # noqa: BLE001  (NumPy's: the cause of what is told)
                error.__cause__ = raw
            raise error

    def _general(self, leaves: list[Any], structure: Structure, context: Context) -> Any:
        """A call whose like has not been prepared."""
        traced = self._found(leaves, structure, context)
        followed = _is_followed(traced, leaves, context)
        # Draws differ from lane to lane, their count does not. And a guard names the user's line.
        if (context.lane and (traced.rebinds or traced.spots or traced.lane)) or (
            followed and context.guard
        ):
            args, kwargs = tree_unflatten(structure, leaves)
            return self.f(*args, **kwargs)
        if followed:
            return traced.unflattened(_as_node(traced, leaves))
        program = self._program(traced, context)
        if context.guard:
            return self._guarded(traced, program, leaves, structure)
        results = program.call(traced, leaves)
        if program.native:
            self._prepare(traced, program, leaves, context)
        return traced.unflattened(results)

    def _guarded(
        self, traced: Traced, program: Any, leaves: list[Any], structure: Structure
    ) -> Any:
        """A call under `nan_guard`: what is not finite is run again eagerly, which says where it
        was born (or that it came with the arguments). Until then nothing is rebound, and if it
        raises, nothing was.
        """
        values = [s.value(leaves) for s in traced.sources]
        self._guard = traced, [np.array(v) if isinstance(v, np.ndarray) else v for v in values]
        try:
            return traced.unflattened(program.call(traced, leaves, _finite))
        except _NotFiniteError:
            args, kwargs = tree_unflatten(structure, leaves)
            with traced.as_before(leaves):
                return self.f(*args, **kwargs)

    def _prepare(self, traced: Traced, program: Any, leaves: list[Any], context: Context) -> None:
        """Be ready for the next call like this one, if nothing was or what was is out of date."""
        from .prepared import Prepared, Unprepared

        mine = [r for r in self._ready if r.program is program and r.suits(context)]
        if any(r.epoch == traced.epoch and not r.again for r in mine) or traced.unready >= TRIES:
            return
        rest = [r for r in self._ready if r not in mine and r.traced in self._traces]
        try:
            ready = Prepared(traced, self._traces[traced], program, leaves, context)
        except Unprepared:
            traced.unready += 1
            self._ready = rest
        else:
            self._ready = [ready, *rest[: READY - 1]]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    # -- which trace --------------------------------------------------------------------------

    def _found(self, leaves: list[Any], structure: Structure, context: Context) -> Traced:
        """The trace that serves this call, made if there is none."""
        signature, spots = self._reader.read(leaves, structure, context)
        now: Survey | None = None
        for traced, known in reversed(list(self._traces.items())):  # other threads may add some
            if known != signature or traced.serves(leaves) is not None:
                continue
            if traced.epoch != changes() or not traced.survey.holds():
                now = now or self._survey(leaves, structure)
                if not traced.survey.agrees(now):
                    continue
                traced.survey.renew(now)
                traced.epoch = changes()
            break
        else:
            why = self._reason(signature, leaves, structure)
            survey = now or self._survey(leaves, structure)
            traced = Traced(
                self.f, leaves, spots, structure, survey, lambda: self._survey(leaves, structure)
            )
            self._why.append(why)
            traced.number = len(self._why)
            self._join(traced, signature)
        self._traces.pop(traced, None)
        self._traces[traced] = signature
        self._forget()
        return traced

    def _join(self, traced: Traced, signature: Signature) -> None:
        """Programs whose signatures differ in leading sizes alone know of each other."""
        for other, known in self._traces.items():
            if known.but_for_sizes == signature.but_for_sizes:
                traced.families = other.families
                return

    def _survey(self, leaves: Sequence[Any], structure: Structure) -> Survey:
        """What the function can see, from itself and from objects among its arguments."""
        given: list[tuple[str, Any]] = []
        simple = (*PLAIN, Tensor, np.ndarray, np.generic)
        if not all(isinstance(leaf, simple) for leaf in leaves):
            paths = self._reader.paths(structure)
            given = [
                (path, leaf)
                for path, leaf in zip(paths, leaves, strict=True)
                if not isinstance(leaf, simple)
            ]
        return Survey([(self.__name__, self.f)], self._home, given)

    def _forget(self) -> None:
        """Drop what will not be met again."""
        gone = [t for t, s in self._traces.items() if s.gone]
        gone += list(self._traces)[: max(0, len(self._traces) - MOST)]
        for traced in gone:
            self._traces.pop(traced, None)
            self._ready = [r for r in self._ready if r.traced is not traced]

    def _reason(self, now: Signature, leaves: Sequence[Any], structure: Structure) -> str:
        """Why none of the traces serves this call: how it differs from the last."""
        if not self._traces:
            return "the first call"
        traced, before = next(reversed(self._traces.items()))
        why = difference(before, now, self._reader.paths(structure)) or traced.serves(leaves)
        if why is None:
            survey = self._survey(leaves, structure)
            why = traced.survey.difference(survey) or "what surrounds the function changed"
        return why

    # -- running ------------------------------------------------------------------------------

    def _program(self, traced: Traced, context: Context) -> Any:
        """What runs a trace under these settings."""
        threads = context.threads or default_threads()
        key = (context.jit, threads) if context.jit == "native" else (context.jit, 0)
        program = traced.programs.get(key)
        if program is None:
            program = traced.programs[key] = _made(traced, *key)
            if getattr(program, "holes", None) is not None:
                self._why[traced.number - 1] += (
                    "; generalised over the leading size"
                    if program.fresh
                    else "; nothing was compiled: the code of other sizes serves"
                )
        return program

    # -- questions ----------------------------------------------------------------------------

    def run(self, n: int, *args: Any) -> Any:
        """The result of the last of n calls with the same arguments.

        Raises:  DomainError if n is no positive number.
        """
        if not isinstance(n, int) or n < 1:
            raise DomainError(f"run: {n!r} is no number of calls", want="a whole number from 1")
        result, context, done = None, CONTEXT.get(), 0
        while done < n:
            ready = next((r for r in self._ready if r.loops and r.serves(context)), None)
            if ready is not None and ready.flat and n - done > 1:
                result, times = ready.repeated(min(n - done, ready.stretch), args)
                done += times
                if result is not MISS:
                    continue
            result = self(*args)
            done += 1
        return result

    def lower(
        self, until: str | None = None, show: Callable[[str, Graph], Any] | None = None
    ) -> Graph:
        """The graph of the last call, after the pass named `until`: "trace" is what was traced,
        None what all passes made of it. `show(name, graph)` sees each.
        """
        from .passes import lowered

        graph = self._asked().graph
        if show is not None:
            show("trace", graph)
        return graph if until == "trace" else lowered(graph, until, show)

    def replay(self) -> Graph:
        """The graph of the last call under `nan_guard`, its inputs the values they had.

        Raises:  DomainError if there was no such call.
        """
        if self._guard is None:
            raise DomainError(
                f"{self.__name__}: no call is known that could be replayed",
                hint="call it under ob.nan_guard(), which keeps what goes in",
            )
        from .reports import with_values

        traced, values = self._guard
        return with_values(traced.graph, values)

    def compilation(self, *args: Any) -> Compilation:
        """What compiling makes of the function for these arguments: the graph after each pass, the
        kernels, and which node is computed in which; as plain data, which `ob.compiled` shows.

        Without arguments of the last call, if there was one. Nothing is run.
        """
        from .compilation import compilation

        kind = "native" if CONTEXT.get().jit == "off" else CONTEXT.get().jit
        with within(jit=kind, guard=False, record_all=None):
            if args or not self._traces:
                traced, program, _ = self._inputs_of(args)
            else:
                traced = self._asked()
                program = self._program(traced, CONTEXT.get())
        paths = self._reader.paths(self._traces[traced].structure)
        names = [s.called(paths) for s in traced.sources]
        return compilation(self.f, self.__name__, traced, names, program)

    def report(self) -> str:
        """What became of the function: how many operations, and how they are run."""
        from .reports import reported

        return reported(self.__name__, self._asked(), len(self._why))

    def cost(self) -> Cost:
        """Operations on numbers and bytes moved, by operation, of the last call."""
        from .reports import Cost

        return Cost(self._asked().graph)

    def memory(self) -> Memory:
        """Bytes of a call: what the program keeps, needs meanwhile, and gives back."""
        from .reports import Memory

        return Memory(self._asked())

    def why_compiled(self) -> str:
        """For every trace that was made: why the ones before did not serve."""
        return "\n".join(f"{i}. {why}" for i, why in enumerate(self._why, 1)) or "not called yet"

    def _inputs_of(self, args: tuple[Any, ...]) -> tuple[Traced, Any, list[Any]]:
        """The trace that serves these arguments, what runs it, and the values of its inputs."""
        leaves, structure = tree_flatten((args, {}), objects=False)
        context = CONTEXT.get()
        traced = self._found(leaves, structure, context)
        return traced, self._program(traced, context), [s.value(leaves) for s in traced.sources]

    def _asked(self) -> Traced:
        if not self._traces:
            raise DomainError(f"{self.__name__} was not called yet", hint="call it once, then ask")
        return next(reversed(self._traces))


def _is_followed(traced: Traced, leaves: Sequence[Any], context: Context) -> bool:
    """Whether somebody follows what goes in, and what comes of it: then the call is one node."""
    if context.record_all is not None:
        return True
    mask = 0
    for source in traced.sources:
        t = source.tensor(leaves)
        if t is not None and t._node is not None:
            mask |= t._node.mask
    mask &= context.allowed
    return bool(mask if traced.wanted else mask & ~WANTED)


def _as_node(traced: Traced, leaves: Sequence[Any]) -> list[Tensor]:
    """The call as one operation, whose history others follow."""
    inputs = []
    for source in traced.sources:
        t = source.tensor(leaves)
        if t is None:
            t = as_tensor(source.value(leaves))
        inputs.append(t)
    followed, mask, allowed = 0, 0, CONTEXT.get().allowed
    for i, t in enumerate(inputs):
        if t._node is not None and t._node.mask & allowed:
            followed |= 1 << i
            mask |= t._node.mask & allowed
    traced.graph.derived["by"] = _run_graph
    outs = [
        y if flows & followed and (mask & ~WANTED or node.mask & WANTED) else y.detach()
        for y, flows, node in zip(
            parts(apply(call_, tuple(inputs), {"graph": traced.graph})),
            traced.flows,
            traced.graph.outputs,
            strict=True,
        )
    ]
    at, end = traced.results, traced.results + len(traced.rebinds)
    rebind([p.of(leaves) for p in traced.rebinds], outs[at:end])
    grads = iter(outs[end:])
    for p, there in traced.grads:
        p.of(leaves).grad = next(grads) if there else None
    return outs[:at]


def _run_graph(graph: Graph, values: Sequence[Any]) -> Sequence[Any]:
    """The outputs of a graph that others follow: compiled, like those that are derived from it."""
    from . import native
    from .program import Compiled, Interpreted

    context = CONTEXT.get()
    if context.jit != "native" or not native.available():
        return Interpreted(graph).values(values)
    programs = graph.derived.setdefault("programs", {})
    threads = context.threads or default_threads()
    if threads not in programs:
        programs[threads] = Compiled(graph, {}, threads)
    return programs[threads].values(values)


def _made(traced: Traced, kind: str, threads: int) -> Any:
    """The program of a trace."""
    from . import native
    from .family import Family
    from .program import Compiled, Interpreted

    if kind == "interpret":
        return Interpreted(traced.graph, "ob.config(jit='interpret')")
    if not native.available():
        _say_once()
        return Interpreted(traced.graph, MISSING)
    family = traced.families.setdefault(threads, Family())
    return Compiled(traced.graph, traced.donated, threads, family)


MISSING = "llvmlite is not installed (pip install 'overbar[jit]')"


@functools.cache
def _say_once() -> None:
    warnings.warn(
        f"jit: {MISSING}; programs are run one operation after the other with NumPy",
        RuntimeWarning,
        stacklevel=6,
    )


@functools.cache
def default_threads() -> int:
    """Threads of compiled code where nothing else is asked: the cores, up to 8."""
    from . import native

    return min(8, native.host().cores) if native.available() else 1


def jit(
    f: Callable[..., Any] | None = None,
    *,
    static: Sequence[Any] | str | int = (),
    dynamic: Sequence[Any] | str | int = (),
    keep_grads: bool = False,
) -> Any:
    """f, traced once for each signature and then run as one program.

    The signature is made of shapes, dtypes and structure. Arrays, tensors and Python floats are
    inputs at run time; int, bool and str are static (`static=` and `dynamic=` name arguments, by
    position or keyword, to be taken the other way). What f reads from outside (parameters,
    optimiser state, generators) is read at every call; what it rebinds is rebound at every call;
    `.grad` that is there at the end of the body is there after the call (`keep_grads` changes
    nothing: gradients that a training step clears at its end cost nothing).

    Raises:  UnknownValueError where f needs a value while it is traced; DomainError for generators
             and coroutines, and names of no argument.
    Example:
        >>> step = ob.jit(lambda x: x * 2.0 + 1.0)
        >>> step(np.array([1.0, 2.0]))
        Tensor([3., 5.], float64)
    """
    if f is None:
        return functools.partial(jit, static=static, dynamic=dynamic, keep_grads=keep_grads)
    if inspect.isgeneratorfunction(f) or inspect.iscoroutinefunction(f):
        raise DomainError(
            f"jit: {f.__name__} gives a generator or a coroutine, whose body runs after the call",
            hint="jit a function that returns its results, and yield or await outside of it",
        )
    several = [(n,) if isinstance(n, str | int) else tuple(n) for n in (static, dynamic)]
    return Jitted(f, *several)

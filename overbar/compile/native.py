"""LLVM, and nobody else knows it: text in, addresses out.

`load` reads a module's text, verifies it, optimises it, makes machine code for a `Machine` and
gives a `Library` that knows the addresses of its public functions. A long text is compiled in
several parts, by as many threads as there are cores. Code once made is kept on disk (`cache`) and
comes back in a fraction of a millisecond; fresh or kept, it is loaded in the same way. llvmlite is
imported when first needed: `import overbar` does without it.

Machine code computes as NumPy does: denormal numbers are never flushed to zero.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from ..errors import DomainError, MissingPackageError
from . import cache, target
from .complaints import InternalError, line_of, line_with
from .divide import RULES, divided
from .machine import Machine

Result = TypeVar("Result")


class Level(NamedTuple):
    """How hard LLVM tries: the level of its passes, and of its code generator."""

    passes: int
    generator: int


FULL = Level(passes=1, generator=2)
"""Passes of level 2 take a tenth longer for code of the same speed; a generator of level 1 saves
3 % of the time and costs 0.7 % of speed, one of level 0 halves the speed."""

QUICK = Level(passes=0, generator=0)
"""A sixth of the time, for code that only leads to what computes."""

UNROLLED = False
"""Whether LLVM unrolls short loops: 8 to 40 % of the time, for code of the same speed."""

FORCED = {"avx512": (512, 32), "avx2": (256, 16), "generic": (128, 16)}
"""What `forced` takes: bits and number of the vector registers."""

counts = {"compiled": 0, "reloaded": 0}
"""How many modules this process has compiled, and how many it found on disk."""

_busy = threading.RLock()
"""Held while LLVM is in work past llvmlite's lock."""

_given_up: deque[Any] = deque()
"""Engines of libraries that are gone. They are closed when the next one is made: whoever gives up
the last reference to a library may be interrupted.
"""


class Library:
    """Machine code in memory; it stays there as long as this object lives."""

    def __init__(self, image: bytes) -> None:
        waiting = _unpacked(image)
        self._parts = len(waiting)
        self._engine = _apart(lambda: _engine(waiting))

    def __del__(self, given_up: deque[Any] = _given_up) -> None:  # a module loses its names at exit
        if hasattr(self, "_engine"):
            given_up.append(self._engine)

    def address(self, name: str) -> int:
        """Where a public function begins."""
        found = _locked("LLVMPY_GetFunctionAddress", self._engine, name.encode())
        if not found:
            raise KeyError(f"no function {name} in this library")
        return found

    def fill(self, content: bytes) -> None:
        """Fill the `holes`; every part has its own."""
        names = ["holes", *(f"holes{k}" for k in range(1, self._parts))]
        found = [
            _locked("LLVMPY_GetGlobalValueAddress", self._engine, name.encode()) for name in names
        ]
        if not all(found):
            raise KeyError("no holes in this library")
        for place in found:
            ctypes.memmove(place, content, len(content))


def available() -> bool:
    """Whether native code can be made here."""
    if struct.calcsize("P") != 8:  # the text says i64 where it means a size
        return False
    try:
        _apart(lambda: _llvm().check_jit_execution())
    except (ImportError, OSError, RuntimeError):
        return False
    return True


@functools.cache
def host() -> Machine:
    """The machine this process runs on."""
    return _apart(_looked_up)


def _looked_up() -> Machine:
    llvm = _llvm()
    switched = llvm.get_host_cpu_features()
    arch = llvm.get_process_triple().partition("-")[0]
    bits, count = target.registers(arch, [name for name, on in switched.items() if on])
    l1, l2, l3 = target.caches()
    return Machine(
        name=llvm.get_host_cpu_name(),
        features=_with_width(switched.flatten(), bits),
        bits=bits,
        registers=count,
        l1=l1,
        l2=l2,
        l3=l3,
        cores=target.cores(),
    )


@functools.cache
def forced(kind: str) -> Machine:
    """This machine pretending to have less: "avx512", "avx2" or "generic". For tests.

    Raises:  DomainError if this processor cannot run such code.
    """
    if kind not in FORCED:
        raise DomainError(f"no machine is called {kind!r}", want=", ".join(FORCED))
    here, (bits, count) = host(), FORCED[kind]
    intel = _llvm().get_process_triple().startswith("x86_64")
    if here.bits < bits or (kind != "generic" and not intel):
        raise DomainError(
            f"this processor ({here.name}) cannot run {kind} code",
            got={"vector registers": f"{here.bits} bits"},
            want=f"{bits} bits",
        )
    if bits == here.bits and kind != "generic":
        return here
    name, features = {
        "avx512": ("x86-64-v4", ""),
        "avx2": ("x86-64-v3", ""),
        "generic": ("x86-64" if intel else "generic", ""),
    }[kind]
    if not intel:
        count = here.registers
    values = (bits, count, here.l1, here.l2, here.l3, here.cores)
    return Machine(name, _with_width(features, bits), *values)


def load(text: str, machine: Machine | None = None, *, quick: bool = False) -> Library:
    """A module's machine code, ready to be called.

    quick   code that computes nothing and only leads to what does: LLVM need not improve it

    Raises:  InternalError if LLVM refuses the text.
    """
    return Library(image(text, machine, quick=quick))


def image(text: str, machine: Machine | None = None, *, quick: bool = False) -> bytes:
    """A module's machine code, from the disk if it is there, else compiled and kept.

    Raises:  InternalError if LLVM refuses the text.
    """
    return _apart(lambda: _image(text, machine or host(), QUICK if quick else FULL))


def _image(text: str, machine: Machine, level: Level) -> bytes:
    key, shelf = _key(text, machine, level), cache.shelf()
    found = shelf.read(key) if shelf else None
    if found is not None:
        counts["reloaded"] += 1
        return found
    found = _packed(_compiled(divided(text), machine, level))
    counts["compiled"] += 1
    if shelf:
        shelf.write(key, found)
    return found


def lend(name: str, address: int) -> None:
    """Let libraries that are loaded from now on call a function, which has to stay where it is."""
    _apart(lambda: _llvm().add_symbol(name, address))


def assembly(text: str, machine: Machine | None = None) -> str:
    """The machine's own language for a module, to be read."""
    machine = machine or host()
    written = []
    for part in divided(text):
        with _read(part, machine, FULL) as code:
            code.passes.run(code.module, code.builder)
            written.append(code.target.emit_assembly(code.module))
    return "\n".join(written)


# -- inside -----------------------------------------------------------------------------------


@functools.cache
def _llvm() -> Any:
    """llvmlite's binding, ready."""
    try:
        import llvmlite.binding as llvm
    except ImportError as error:
        raise MissingPackageError(
            "native code needs llvmlite", hint="pip install 'overbar[jit]'"
        ) from error
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # the pool's text holds a few instructions as assembly
    # llvmlite calls LLVM under a lock. A fork waits for it: a child of somebody in the middle of a
    # call could never call LLVM again.
    lock = getattr(llvm.ffi.lib, "_lock", None)
    if lock is not None and hasattr(os, "register_at_fork"):
        leave = functools.partial(lock.__exit__, None, None, None)
        os.register_at_fork(before=lock.__enter__, after_in_parent=leave, after_in_child=leave)
        # The one registered last comes first: whoever holds it may want the other.
        ours = _busy.release
        os.register_at_fork(before=_busy.acquire, after_in_parent=ours, after_in_child=ours)
    # LLVM finds the functions of this process (memcpy, fmaf) once it has had an engine.
    first = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    llvm.create_mcjit_compiler(llvm.parse_assembly(""), first).close()
    return llvm


def _with_width(features: str, bits: int) -> str:
    """LLVM prefers 256-bit vectors on many processors that have 512: it fears for their clock.
    The micro-kernels take 512 anyhow, so that price is paid, and the loops may as well have them.
    """
    return ",".join(filter(None, [features, "-prefer-256-bit" if bits == 512 else ""]))


def _apart(work: Callable[[], Result]) -> Result:
    """What `work` gives. The main thread has another one do it: Python raises KeyboardInterrupt
    there between any two instructions. What LLVM has half made then is a crash later, and a lock of
    llvmlite's that was just taken is never let go.
    """
    if threading.current_thread() is not threading.main_thread():
        return work()
    given: list[Result] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            given.append(work())
        except Exception as error:  # noqa: BLE001  (raised again by the thread that waits)
            failed.append(error)

    helper = threading.Thread(target=run)
    try:
        helper.start()
    except RuntimeError:  # at the end of the interpreter there are no new threads
        return work()
    _wait_for(helper)
    if failed:
        raise failed[0]
    return given[0]


def _locked(name: str, *args: Any) -> Any:
    """What a function of LLVM gives, in any thread. Nothing can come between taking the lock and
    letting it go again, as it can where llvmlite does so: that lock is one of C.
    """
    function = getattr(_llvm().ffi.lib, name)
    lock = getattr(getattr(function, "_lock", None), "_lock", None)
    if lock is None:
        return function(*args)
    with lock:
        return function._cfn(*args)


def _wait_for(thread: threading.Thread) -> None:
    """Wait to the end; what interrupts the waiting comes after it."""
    try:
        thread.join()
    finally:
        if thread.is_alive():
            _wait_for(thread)


def _engine(waiting: list[bytes]) -> Any:
    """LLVM's engine with these objects loaded."""
    llvm = _llvm()
    with suppress(IndexError):
        while True:
            _given_up.pop().close()
    # An empty module whose object code is "found in the cache" costs a third of adding an
    # object file to an engine, which compiles its own empty module as well. It lies in LLVM's
    # shared context: the garbage collector cannot dispose of that before the engine.
    first, *others = (llvm.parse_assembly("") for _ in waiting)
    engine = llvm.create_mcjit_compiler(first, _target_machine(host()))
    for module in others:
        engine.add_module(module)
    engine.set_object_cache(None, lambda _: waiting.pop())
    engine.finalize_object()
    return engine


def _target_machine(machine: Machine, generator: int = 0) -> Any:
    return (
        _llvm()
        .Target.from_triple(_llvm().get_process_triple())
        .create_target_machine(cpu=machine.name, features=machine.features, opt=generator, jit=True)
    )


def _key(text: str, machine: Machine, level: Level) -> str:
    """Everything that the machine code depends on."""
    llvm = _llvm()
    version = ".".join(map(str, llvm.llvm_version_info))
    maker = f"{version} {llvm.get_process_triple()} {level} {UNROLLED} {RULES}"
    return cache.key_of(maker, machine.name, machine.features, text)


def _packed(objects: Sequence[bytes]) -> bytes:
    """Several objects as one: how many, how long, and they themselves."""
    sizes = [len(objects), *map(len, objects)]
    return struct.pack(f"={len(sizes)}q", *sizes) + b"".join(objects)


def _unpacked(image: bytes) -> list[bytes]:
    count, *_ = struct.unpack_from("=q", image)
    at, objects = 8 * (count + 1), []
    for size in struct.unpack_from(f"={count}q", image, 8):
        objects.append(image[at : at + size])
        at += size
    return objects


class _Code(NamedTuple):
    """LLVM's objects for one text."""

    target: Any
    module: Any
    passes: Any
    builder: Any


class _Made(NamedTuple):
    """Object code, and of all functions in its text whether they are only declared."""

    code: bytes
    functions: dict[str, bool]


@contextmanager
def _read(text: str, machine: Machine, level: Level) -> Iterator[_Code]:
    """A text parsed and verified, and what is needed to compile it.

    All is closed at the end, in this order. Left to the garbage collector (an error keeps its
    frames, and they are a cycle) the context may go first, and the module crashes.
    """
    llvm = _llvm()
    with ExitStack() as stack:
        made_for = stack.enter_context(_target_machine(machine, level.generator))
        # A context of its own: what the shared one has seen (types, constants) stays for ever, and
        # two threads cannot use one.
        context = stack.enter_context(llvm.create_context())
        try:
            module = stack.enter_context(llvm.parse_assembly(text, context))
            module.verify()
        except RuntimeError as error:
            raise InternalError(str(error), text, line_of(str(error), text)) from None
        module.triple = made_for.triple
        with made_for.target_data as data:
            module.data_layout = str(data)
        options = stack.enter_context(llvm.create_pipeline_tuning_options(speed_level=level.passes))
        options.loop_unrolling = UNROLLED
        options.loop_vectorization = True
        options.slp_vectorization = False
        builder = stack.enter_context(llvm.create_pass_builder(made_for, options))
        passes = builder.getModulePassManager()
        stack.callback(_dispose, passes)
        yield _Code(made_for, module, passes, builder)


def _compiled(texts: Sequence[str], machine: Machine, level: Level) -> list[bytes]:
    """The object code of each text, by as many threads as there are cores."""

    def made(text: str) -> _Made:
        with _read(text, machine, level) as code:
            functions = {f.name: f.is_declaration for f in code.module.functions}
            return _Made(_object(code), functions)

    with _busy:
        parts = _side_by_side(made, texts, min(machine.cores, len(texts)))
    _check_symbols([part.functions for part in parts], texts)
    return [part.code for part in parts]


def _side_by_side(made: Callable[[str], _Made], texts: Sequence[str], count: int) -> list[_Made]:
    """What is made of each text, by `count` threads of which the caller is one.

    Not by an executor of `concurrent.futures`: a fork takes the lock of those before it waits for
    `_busy`, and we would wait for it with `_busy` in our hands.
    """
    parts, turn = iter(enumerate(texts)), threading.Lock()
    found: dict[int, _Made] = {}
    failed: list[Exception] = []

    def work() -> None:
        try:
            while not failed:
                with turn:
                    k, text = next(parts, (0, None))
                if text is None:
                    return
                found[k] = made(text)
        except Exception as error:  # noqa: BLE001  (raised again by the thread that waits)
            failed.append(error)

    helpers = [threading.Thread(target=work) for _ in range(count - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if failed:
        raise failed[0]
    return [found[k] for k in range(len(texts))]


def _object(code: _Code) -> bytes:
    """LLVM's work on a text.

    llvmlite lets one thread at a time into LLVM, since most programs have one LLVM context. Ours
    are apart, so the two functions that take nearly all the time go past its lock.
    """
    lib = _llvm().ffi.lib
    run, emit = (
        getattr(locked, "_cfn", locked)
        for locked in (lib.LLVMPY_RunNewModulePassManager, lib.LLVMPY_TargetMachineEmitToMemory)
    )
    run(code.passes, code.module, code.builder)
    with _llvm().ffi.OutputString() as why:
        buffer = emit(code.target, code.module, 1, why)
        if not buffer:
            raise RuntimeError(str(why))
    try:
        start, size = lib.LLVMPY_GetBufferStart(buffer), lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        lib.LLVMPY_DisposeMemoryBuffer(buffer)


def _dispose(passes: Any) -> None:
    """Free a pass manager (50 kB). llvmlite up to 0.50 does not: its `close` calls the empty
    method of one base class and never comes to that of the other.
    """
    _llvm().newpassmanagers.NewPassManager._dispose(passes)
    passes.detach()


def _check_symbols(parts: Sequence[dict[str, bool]], texts: Sequence[str]) -> None:
    """A function that nobody has would be called at address zero."""
    defined = {name for part in parts for name, absent in part.items() if not absent}
    for part, text in zip(parts, texts, strict=True):
        for name in part.keys() - defined:
            if not name.startswith("llvm.") and _llvm().address_of_symbol(name) is None:
                raise InternalError(
                    f"no function {name} anywhere", text, line_with(f"@{name}(", text.splitlines())
                )

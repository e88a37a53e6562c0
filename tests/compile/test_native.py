"""Text in, addresses out: for every machine, from the disk or fresh, without a trace of LLVM."""

import ast
import ctypes
import gc
import inspect
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import overbar as ob
from overbar.compile import cache, native
from overbar.compile.machine import Machine
from overbar.errors import DomainError, MissingPackageError

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.native

PACKAGE = Path(ob.__file__).parent

SQUARES = """
define void @squares(ptr noalias %x, ptr noalias %y, i64 %n) {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %head ]
  %from = getelementptr float, ptr %x, i64 %i
  %to = getelementptr float, ptr %y, i64 %i
  %a = load float, ptr %from
  %square = fmul float %a, %a
  %more = fadd float %square, 1.0
  store float %more, ptr %to
  %next = add nsw i64 %i, 1
  %again = icmp slt i64 %next, %n
  br i1 %again, label %head, label %done
done:
  ret void
}
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("OVERBAR_CACHE", str(tmp_path))
    return tmp_path / "native"


def adding(k):
    return f"define i64 @add(i64 %x) {{\n  %y = add i64 %x, {k}\n  ret i64 %y\n}}\n"


def function(library, name, result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)(library.address(name))


def add(library, x):
    return function(library, "add", ctypes.c_int64, ctypes.c_int64)(x)


def squares(library, n=100):
    x = np.linspace(-3, 3, n, dtype=np.float32)
    y = np.zeros_like(x)
    call = function(library, "squares", None, *[ctypes.c_void_p] * 3)
    call(x.ctypes.data, y.ctypes.data, n)
    return x, y


def run_python(program, **extra):
    environment = {**os.environ, **extra}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- who knows LLVM ---------------------------------------------------------------------------


def test_one_module_imports_llvmlite_and_importing_overbar_does_not():
    knowing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "llvmlite" for name in names):
                knowing.add(path.name)
    assert knowing == {"native.py"}
    run_python(
        "import sys, overbar, overbar.compile.native, overbar.compile.pool\n"
        "assert 'llvmlite' not in sys.modules"
    )


def test_without_llvmlite_it_says_what_to_install():
    run_python(
        "import sys; sys.modules['llvmlite'] = None\n"
        "from overbar.compile import native\n"
        "assert not native.available()\n"
        "try: native.load('')\n"
        "except native.MissingPackageError as error: assert 'llvmlite' in str(error)\n"
        "else: raise AssertionError\n"
    )
    assert issubclass(MissingPackageError, ImportError)
    assert native.available()


# -- machines ---------------------------------------------------------------------------------


def machines():
    for kind in native.FORCED:
        try:
            yield pytest.param(native.forced(kind), id=kind)
        except DomainError:
            continue


@pytest.mark.parametrize("machine", list(machines()))
def test_code_for_every_machine_runs_and_uses_its_registers(machine):
    x, y = squares(native.load(SQUARES, machine))
    np.testing.assert_array_equal(y, x * x + np.float32(1))
    text = native.assembly(SQUARES, machine)
    if native.host().name.startswith("apple") or "%xmm" not in text:
        return  # registers of another name
    widths = {bits for bits, name in ((128, "%xmm"), (256, "%ymm"), (512, "%zmm")) if name in text}
    assert max(widths) == machine.bits


def test_the_host_is_described():
    host = native.host()
    assert host is native.host()
    assert host.bits in (128, 256, 512)
    assert host.lanes("float32") == 2 * host.lanes("float64") == host.bits // 32
    assert host.cores >= 1
    generic = native.forced("generic")
    assert generic.bits == 128
    assert (generic.l1, generic.l2, generic.l3) == (host.l1, host.l2, host.l3)


@pytest.mark.parametrize("name", ["skylake-avx512", "sapphirerapids", "x86-64-v4", "znver5"])
def test_loops_use_512_bits_also_where_llvm_would_rather_not(name):
    """Written out for a processor that need not be this one."""
    if "%xmm" not in native.assembly(SQUARES):
        pytest.skip("another family of processors")
    features = native._with_width("", 512)
    assert "%zmm" in native.assembly(SQUARES, Machine(name, features, 512, 32, 0, 0, 0, 1))


def test_a_machine_that_is_not_there_is_refused(monkeypatch):
    with pytest.raises(DomainError, match="no machine is called 'sse'"):
        native.forced("sse")
    monkeypatch.setattr(native, "host", lambda: Machine("old", "", 128, 16, 0, 0, 0, 1))
    with pytest.raises(DomainError, match="cannot run avx2 code"):
        native.forced.__wrapped__("avx2")


# -- what LLVM refuses ------------------------------------------------------------------------

DOMINANCE = """define void @other() {
  ret void
}
define i64 @wrong() {
entry:
  br label %b
b:
  %z = add i64 %q, 1
  ret i64 %z
c:
  %q = add i64 3, 1
  br label %b
}
"""


@pytest.mark.parametrize(
    ("text", "line", "where", "said"),
    [
        ("define void @f() {\n  %x = add i64 1, 2.5\n  ret void\n}\n", 2, "@f", "add i64 1, 2.5"),
        ("define void @f() {\n  ret void\n", 2, "@f", "ret void"),
        (DOMINANCE, 11, "@wrong", "%q = add i64 3, 1"),
        ("declare void @nowhere_to_be_found()\n", 1, "outside", "nowhere_to_be_found"),
        (
            "declare void @nowhere()\ndefine void @g() {\n  call void @nowhere()\n  ret void\n}",
            1,
            "outside",
            "no function nowhere anywhere",
        ),
    ],
)
def test_a_refusal_shows_the_line(text, line, where, said):
    with pytest.raises(native.InternalError) as caught:
        native.load(text)
    error = caught.value
    assert error.text == text
    assert error.line == line
    assert f"line {line}, " in str(error)
    assert where in str(error)
    assert said in str(error)
    assert "fault of overbar" in str(error)


def test_a_refusal_shows_the_function_that_is_meant():
    """The builder gives the same names to the registers of every function."""
    fine = "define i64 @fine(i64 %q) {\n  %z = add i64 %q, 1\n  ret i64 %z\n}\n"
    with pytest.raises(native.InternalError, match="in @wrong"):
        native.load(fine + DOMINANCE)


def test_functions_of_the_c_library_are_found_in_a_new_process():
    text = "declare float @fmaf(float, float, float)\n" + adding(1)
    run_python(f"from overbar.compile import native; native.load({text!r})")


def test_a_name_that_is_not_there_is_a_key_error():
    library = native.load(adding(1))
    with pytest.raises(KeyError, match="no function nothing"):
        library.address("nothing")


# -- kept on disk -----------------------------------------------------------------------------


def test_a_program_is_compiled_once_and_then_found(folder):
    before = dict(native.counts)
    assert add(native.load(adding(40)), 2) == 42
    assert native.counts["compiled"] == before["compiled"] + 1
    for _ in range(3):
        assert add(native.load(adding(40)), 2) == 42
    assert native.counts["compiled"] == before["compiled"] + 1
    assert native.counts["reloaded"] == before["reloaded"] + 3
    assert len(list(folder.iterdir())) == 1


def test_another_text_or_machine_is_another_program(folder):
    native.load(adding(1))
    native.load(adding(2))
    native.load(adding(1), native.forced("generic"))
    if native.host() != native.forced("generic"):
        assert len(list(folder.iterdir())) == 3


def test_another_version_of_llvm_compiles_again(monkeypatch):
    native.load(adding(3))
    monkeypatch.setattr(native._llvm(), "llvm_version_info", (99, 0, 0))
    before = native.counts["compiled"]
    native.load(adding(3))
    assert native.counts["compiled"] == before + 1


@pytest.mark.parametrize("where", [0, len(cache.MAGIC) + 5, len(cache.MAGIC) + 60, -1])
def test_a_damaged_file_is_compiled_again(folder, where):
    native.load(adding(5))
    (kept,) = folder.iterdir()
    good = kept.read_bytes()
    bad = bytearray(good)
    bad[where] ^= 255
    kept.write_bytes(bad)
    before = native.counts["compiled"]
    assert add(native.load(adding(5)), 5) == 10
    assert native.counts["compiled"] == before + 1
    assert kept.read_bytes() == good


def test_programs_run_without_a_place_to_keep_them(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    for value in ("", str(tmp_path / "file")):
        monkeypatch.setenv("OVERBAR_CACHE", value)
        assert add(native.load(adding(6)), 1) == 7


def test_processes_that_compile_the_same_at_once_all_get_it(folder):
    program = (
        "import ctypes\nfrom overbar.compile import native\n"
        "for k in range(5):\n"
        "    text = f'define i64 @add(i64 %x) {{\\n  %y = add i64 %x, {k}\\n  ret i64 %y\\n}}'\n"
        "    at = native.load(text).address('add')\n"
        "    library = native.load(text)\n"
        "    add = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address('add'))\n"
        "    assert add(1) == k + 1\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert len(list(folder.iterdir())) == 5


# -- arithmetic, memory, threads --------------------------------------------------------------


def test_denormal_numbers_stay_and_so_does_numpys_arithmetic():
    text = """
define double @half(double %x) {
  %y = fmul double %x, 0.5
  ret double %y
}
define float @halff(float %x) {
  %y = fmul float %x, 0.5
  ret float %y
}
"""
    for kind in ("generic", None):
        library = native.load(text, native.forced(kind) if kind else None)
        half = function(library, "half", ctypes.c_double, ctypes.c_double)
        halff = function(library, "halff", ctypes.c_float, ctypes.c_float)
        assert half(5e-310) == 2.5e-310
        assert halff(1e-40) == np.float32(1e-40) / np.float32(2)
        assert np.float64(5e-310) * 0.5 == 2.5e-310


def resident():
    """Bytes in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("kept", [True, False], ids=["reloaded", "compiled"])
def test_a_thousand_programs_leave_no_memory_behind(monkeypatch, kept):
    if not kept:
        monkeypatch.setenv("OVERBAR_CACHE", "")

    def many(first, count):
        for k in range(first, first + count):
            assert add(native.load(adding(0 if kept else k)), 1) == (1 if kept else k + 1)
        gc.collect()

    many(0, 100)
    before = resident()
    many(100, 1000)
    grown = resident() - before
    # A library takes 150 kB, the passes 50. What is left are 1.5 kB of LLVM's own a compilation.
    assert grown < 4 << 20, f"{grown} bytes"


def test_a_library_stays_as_long_as_it_is_held_and_no_longer():
    library = native.load(adding(9))
    at = library.address("add")
    kept = [native.load(adding(k)) for k in range(20)]
    assert add(library, 1) == 10
    assert library.address("add") == at
    assert [add(each, 0) for each in kept] == list(range(20))


def test_libraries_and_errors_that_only_the_garbage_collector_finds_are_no_trouble():
    for k in range(50):
        library = native.load(adding(k % 3))
        library.itself = library
        try:
            native.load(DOMINANCE)
        except native.InternalError as error:
            error.itself = error
    gc.collect()
    assert add(native.load(adding(1)), 1) == 2


def test_threads_may_compile_at_once():
    def compile_some(first):
        return [add(native.load(adding(k)), 1) - k for k in range(first, first + 10)]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(compile_some, range(0, 400, 100))) == [[1] * 10] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_in_the_middle_of_a_compilation_leaves_a_child_that_can_compile():
    run_python(
        """
import os, threading, warnings
warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
from overbar.compile import native
TEXT = "define i64 @f(i64 %x) {{\\n{}  ret i64 %x\\n}}"
def text(n):
    return TEXT.format("".join(f"  %y{i} = add i64 %x, {i + n}\\n" for i in range(3000)))
native.host()
from concurrent.futures import ThreadPoolExecutor  # it holds a lock of its own during a fork
stop = False
def work():
    n = 0
    while not stop:
        native.load(text(n)); n += 1
thread = threading.Thread(target=work)
thread.start()
for turn in range(50):
    child = os.fork()
    if child == 0:
        native.load(text(-turn)).address("f")
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
stop = True
thread.join()
""",
        OVERBAR_CACHE="",
    )


def many(count):
    """A text that is compiled in parts: functions of a thousand lines each."""
    body = "".join(f"  %y{i} = add i64 %x, {i}\n" for i in range(1000))
    form = "define i64 @f{}(i64 %x) {{\n" + body + "  ret i64 %y{}\n}}\n"
    return "".join(form.format(k, k) for k in range(count))


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_parts_are_compiled_once_each_whoever_does_it(cores):
    library = native.load(many(6), replace(native.host(), cores=cores))
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)
    assert [function(library.address(f"f{k}"))(10) for k in range(6)] == [10 + k for k in range(6)]


def test_a_part_that_fails_is_an_error_and_no_thread_is_left(monkeypatch):
    before, seen, whole = threading.active_count(), [], native._object

    def fails(code):
        seen.append(code)
        if len(seen) == 3:
            raise RuntimeError("the third one")
        return whole(code)

    monkeypatch.setattr(native, "_object", fails)
    with pytest.raises(RuntimeError, match="the third one"):
        native.load(many(6), replace(native.host(), cores=2))
    assert threading.active_count() == before
    assert 3 <= len(seen) < 6


@pytest.mark.skipif(sys.platform == "win32", reason="no such signals")
def test_a_compilation_can_be_interrupted():
    run_python(
        inspect.getsource(many)
        + """
import os, signal, threading, time
from overbar.compile import native
native.load(many(6))
for turn in range(50):
    timer = threading.Timer(0.002 * turn, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        for _ in range(9):
            native.load(many(6))
        timer.join()
        time.sleep(0.01)  # the signal may come a little later
    except KeyboardInterrupt:
        pass
""",
        OVERBAR_CACHE="",
    )

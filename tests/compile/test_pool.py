"""Threads that share out native work: every part once, in order, whatever happens around them."""

import ctypes
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from overbar.compile import native, runtime, sleep
from overbar.compile.complaints import InternalError
from overbar.compile.pool import MOST, Pool, runtime_text
from tests.compile.rounds import BODIES, LENGTH, Job, bodies_text, check, expected, lent_text

pytest.importorskip("llvmlite")
pytestmark = pytest.mark.native


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERBAR_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def library(folder):
    return native.load(bodies_text())


# -- results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_results_do_not_depend_on_the_number_of_threads(library, name, threads, rng):
    """More threads than cores included. Bit for bit: the expected values are NumPy's."""
    for rounds in (1, 2, 7, 300):
        check(Pool.of(threads), library, name, rounds, rng)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("waiting", ["futex", "posix"])
def test_every_way_of_sleeping_works(name, waiting, rng):
    if waiting == "futex" and sys.platform != "linux":
        pytest.skip("futex is Linux")
    library = native.load(bodies_text(waiting))
    pool = Pool.of(3, waiting=waiting)
    for rounds in (1, 50):
        check(pool, library, name, rounds, rng)


def test_a_program_calls_what_the_module_of_a_pool_has(rng):
    """Fresh or from the disk; and a text that asks for what nobody has is refused."""
    pool = Pool.of(3)
    for _ in range(2):
        check(pool, native.load(lent_text()), "shared", 50, rng)
    with pytest.raises(InternalError, match=r"finish\.of_old anywhere"):
        native.load(lent_text().replace(runtime.FINISH, "overbar.finish.of_old"))


def test_every_part_is_done_once_in_each_of_many_calls(library, rng):
    """Threads that come late to one call must not touch the next: calls follow one another at
    once, on more threads than cores, and two programs take turns.
    """
    start = rng.standard_normal(LENGTH)
    jobs = [Job(library, "shared", 1, start), Job(library, "shared", 3, start)]
    for threads in (2, 8):
        pool = Pool.of(threads)
        for job in jobs:
            job.tally[:] = 0
        for _ in range(1000):
            for job in jobs:
                job.x[:] = start
                pool.run_call(job.call)
        for job in jobs:
            np.testing.assert_array_equal(job.tally, 1000 * job.rounds)
            np.testing.assert_array_equal(job.result(), expected(start, job.rounds))


def test_run_takes_a_body_and_its_arguments(library, rng):
    start = rng.standard_normal(LENGTH)
    for threads in (1, 2):
        job = Job(library, "divided", 5, start)
        Pool.of(threads).run(library.address("divided"), job.arguments.ctypes.data)
        np.testing.assert_array_equal(job.result(), expected(start, 5))


def test_a_pool_is_made_once_and_one_of_one_thread_starts_none():
    assert Pool.of(2) is Pool.of(2)
    assert Pool.of(2) is not Pool.of(3)
    assert Pool.of().threads == min(native.host().cores, MOST)
    assert Pool.of(0) is Pool.of(1)
    assert Pool.of(1)._workers == []


def test_python_threads_that_call_at_once_each_get_their_own_result(library, rng):
    pool = Pool.of(2)
    starts = [rng.standard_normal(LENGTH) for _ in range(4)]

    def work(start):
        job = Job(library, "shared", 20, start)
        for _ in range(200):
            job.x[:] = start
            pool.run_call(job.call)
            np.testing.assert_array_equal(job.result(), expected_after_20[start.tobytes()])
        return int(job.tally[0])

    expected_after_20 = {start.tobytes(): expected(start, 20) for start in starts}
    with ThreadPoolExecutor(4) as callers:
        assert list(callers.map(work, starts)) == [4000] * 4


def test_other_python_threads_run_meanwhile(library, rng):
    job = Job(library, "shared", 200_000, np.zeros(LENGTH))
    thread = threading.Thread(target=Pool.of(2).run_call, args=(job.call,))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
    thread.join()
    assert turns > 10
    np.testing.assert_array_equal(job.tally, 200_000)


# -- cores ------------------------------------------------------------------------------------

CORES = """
define i32 @here() { %core = call i32 @core() ret i32 %core }
define i32 @gone(i32 %core) {
  call void @leave(i32 %core)
  %now = call i32 @core()
  ret i32 %now
}
define void @where(ptr %state, i64 %thread, i64 %threads, i64 %spin, ptr %cores) {
  %core = call i32 @core()
  %place = getelementptr i32, ptr %cores, i64 %thread
  store i32 %core, ptr %place
  %count = trunc i64 %threads to i32
  call void @barrier(ptr %state, i32 %count, i64 %spin)
  ret void
}
"""
needs_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="threads cannot be moved, or nowhere to",
)


@pytest.fixture
def allowed():
    """The cores of this thread, which is put back there."""
    cores = os.sched_getaffinity(0)
    yield sorted(cores)
    os.sched_setaffinity(0, cores)


@needs_cores
def test_a_thread_leaves_a_core_and_may_use_the_same_ones_afterwards(folder, allowed):
    library = native.load(runtime_text() + CORES)
    here = ctypes.CFUNCTYPE(ctypes.c_int)(library.address("here"))
    gone = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(library.address("gone"))
    assert here() in allowed
    first, second = allowed[:2]
    for cores in ({first, second}, set(allowed)):
        left = 0
        for core in (first, second) * 5:
            os.sched_setaffinity(0, {core})
            os.sched_setaffinity(0, cores)  # and here it stays, unless it is moved meanwhile
            left += gone(core) != core
            assert os.sched_getaffinity(0) == cores
        assert left > 5
    os.sched_setaffinity(0, {first})
    assert gone(first) == gone(second) == gone(-1) == first  # nowhere to go, or no reason to
    assert os.sched_getaffinity(0) == {first}


@needs_cores
def test_a_thread_that_has_slept_leaves_the_core_of_the_one_that_roused_it(folder, allowed):
    """It fell asleep there; afterwards it may use what it could use before, no more and no less."""
    library = native.load(runtime_text() + CORES)
    pool = Pool.of(2)
    assert pool.stop()
    cores = np.zeros(2, np.int32)

    def run():
        pool.run(library.address("where"), cores.ctypes.data)

    run()
    (worker,) = pool._workers
    first, second = allowed[:2]
    os.sched_setaffinity(0, {first})
    apart = 0
    for _ in range(10):
        os.sched_setaffinity(worker.native_id, {first})
        run()
        assert list(cores) == [first, first]
        assert os.sched_getaffinity(worker.native_id) == {first}
        time.sleep(0.02)  # it sleeps
        os.sched_setaffinity(worker.native_id, {first, second})
        run()
        apart += cores[1] == second
        assert os.sched_getaffinity(worker.native_id) == {first, second}
        assert os.sched_getaffinity(0) == {first}
    assert apart > 5
    assert pool.stop()


# -- beginnings and ends ----------------------------------------------------------------------


def test_threads_end_and_start_again(library, rng):
    pool = Pool.of(3)
    check(pool, library, "shared", 10, rng)
    for _ in range(5):
        assert pool.stop()
        assert pool._workers == []
        check(pool, library, "divided", 10, rng)
        assert len(pool._workers) == 2


def test_where_no_thread_can_start_the_caller_works_alone(library, rng, monkeypatch):
    pool = Pool.of(5)
    started = []

    def start(thread, original=threading.Thread.start):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        original(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        check(pool, library, "divided", 10, rng)
    assert pool._workers == []
    assert not any(thread.is_alive() for thread in started)
    check(pool, library, "shared", 10, rng)
    assert pool.stop()
    check(pool, library, "divided", 10, rng)
    assert len(pool._workers) == 4


def test_a_pool_at_work_is_not_stopped(library):
    pool = Pool.of(2)
    job = Job(library, "shared", 300_000, np.zeros(LENGTH))
    thread = threading.Thread(target=pool.run_call, args=(job.call,))
    thread.start()
    refused = 0
    while thread.is_alive():
        if job.tally.any() and job.tally[0] < 200_000:
            refused += not pool.stop()
            break
    thread.join()
    np.testing.assert_array_equal(job.tally, 300_000)
    assert refused <= 1
    assert pool.stop(patience=5)


def test_denormal_numbers_stay_on_every_thread(library):
    start = np.full(LENGTH, 3e-310)
    for threads in (1, 2, 8):
        job = Job(library, "shared", 50, start)
        Pool.of(threads).run_call(job.call)
        np.testing.assert_array_equal(job.result(), expected(start, 50))
        assert 0 < job.result()[0] < 1e-300
    assert 0 < np.float64(3e-310) * 0.5 < 3e-310


PROGRAM = f"""
import os, signal, sys, threading, time, warnings
import numpy as np
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.compile.rounds import Job, bodies_text, check, expected, LENGTH
from overbar.compile import native
from overbar.compile.pool import Pool
library = native.load(bodies_text())
rng = np.random.default_rng(0)
pool = Pool.of(2)
def right():
    check(pool, library, "shared", 30, rng)
    check(pool, library, "divided", 30, rng)
def long(rounds=2_000_000):
    pool.run_call(Job(library, "shared", rounds, np.zeros(LENGTH)).call)
right()
"""


def run_program(program, expected_code=0):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == expected_code, done.stderr
    return done


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@needs_fork
@pytest.mark.parametrize("moment", ["spinning", "asleep", "stopped"])
def test_the_child_of_a_fork_has_threads_of_its_own(moment):
    before = {"spinning": "", "asleep": "time.sleep(0.05)", "stopped": "pool.stop()"}[moment]
    run_program(f"""
warnings.simplefilter("error")  # of a fork beside threads: there are none
{before}
for turn in range(3):
    child = os.fork()
    if child == 0:
        right()
        assert [worker.is_alive() for worker in pool._workers] == [True]
        grandchild = os.fork()
        right()
        if grandchild == 0:
            os._exit(3)
        os._exit(4 + os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    right()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    right()
""")


@needs_fork
def test_a_fork_while_another_python_thread_is_in_the_pool():
    run_program("""
warnings.simplefilter("ignore")  # there are threads beside this fork
thread = threading.Thread(target=long)
thread.start()
time.sleep(0.05)
child = os.fork()
if child == 0:
    right()
    assert [worker.is_alive() for worker in pool._workers] == [True]
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
thread.join()
right()
""")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_arrives_after_the_call_and_the_pool_goes_on():
    run_program("""
job = Job(library, "shared", 300_000, np.zeros(LENGTH))
for turn in range(3):
    job.tally[:] = 0
    def press():
        while not job.tally.any():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=press).start()
    try:
        pool.run_call(job.call)
        while True:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    assert (job.tally == 300_000).all(), job.tally
    right()
""")


ENDS = {
    "threads spin": "",
    "threads sleep": "time.sleep(0.05)",
    "a pool of many": "Pool.of(12).run_call(Job(library, 'shared', 5, np.zeros(LENGTH)).call)",
    "another thread is in the pool": """
thread = threading.Thread(target=long, args=(2_000_000_000,), daemon=True)
thread.start()
time.sleep(0.02)
""",
    "a call at exit": "import atexit; atexit.register(right)",
    "an early call at exit": """
import atexit
atexit._clear()  # forget the pool's own handler, then go without it
atexit.register(right)
""",
    "an error": "raise SystemExit(0)",
}


@pytest.mark.parametrize("how", ENDS)
def test_the_interpreter_ends_in_good_order(how):
    done = run_program(ENDS[how])
    assert done.stderr == ""


@pytest.mark.slow
def test_the_interpreter_ends_twenty_times():
    program = PROGRAM + "Pool.of(4).run_call(Job(library, 'shared', 3, np.zeros(LENGTH)).call)"
    for _ in range(10):
        running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
        assert [process.wait(timeout=60) for process in running] == [0, 0]


# -- other computers --------------------------------------------------------------------------


@pytest.mark.parametrize("arch", ["x86_64", "AMD64", "aarch64", "arm64", "riscv64"])
@pytest.mark.parametrize("waiting", ["futex", "posix", "windows"])
def test_the_text_for_other_computers_is_sound(monkeypatch, arch, waiting):
    monkeypatch.setattr(sleep.platform, "machine", lambda: arch)
    if waiting == "futex" and arch == "riscv64":
        assert "usleep" in runtime_text()
        return
    text = runtime.pool_text(waiting)
    assert ("@sched_setaffinity" in text) == (waiting == "futex")
    assert ("@usleep" in text, "@Sleep" in text) == (waiting == "posix", waiting == "windows")
    llvm = native._llvm()
    with llvm.create_context() as context, llvm.parse_assembly(text, context) as module:
        module.verify()


@pytest.mark.parametrize(
    ("platform", "arch", "word"),
    [
        ("linux", "x86_64", "syscall"),
        ("linux", "aarch64", "svc #0"),
        ("linux", "riscv64", "@usleep"),
        ("darwin", "arm64", "@usleep"),
        ("win32", "AMD64", "@Sleep"),
    ],
)
def test_a_thread_sleeps_in_the_way_of_its_system(monkeypatch, platform, arch, word):
    monkeypatch.setattr(sleep.platform, "machine", lambda: arch)
    monkeypatch.setattr(sleep.sys, "platform", platform)
    assert word in runtime_text()

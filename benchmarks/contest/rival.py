"""Who competes, and under which settings: each a process of its own (`worker`).

Threads and the allocator are settings of the environment, which libraries read when they are
loaded; so one process cannot hold two of them. "Keeping memory" means that glibc gives nothing
back to the system and takes no mappings of their own for large arrays: without it, several
libraries fault their activations in again at every step.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900.0
"""Seconds until a rival that does not answer is given up."""

KEEP = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_MMAP_MAX_": "0", "MALLOC_ARENA_MAX": "1",
    "MALLOC_TOP_PAD_": str(256 << 20),
}  # fmt: skip


class Setting(NamedTuple):
    """A rival. `name` is what tables call it."""

    library: str
    threads: int
    keep: bool = False

    @property
    def name(self) -> str:
        """Unique."""
        return f"{self.library}, {self.threads}{' keeping' if self.keep else ''}"


def settings(
    threads: Sequence[int], libraries: Sequence[str], *, keeping: bool, never: Sequence[str] = ()
) -> list[Setting]:
    """Everyone: ourselves and the machine with the allocator as it is, the others with both.

    never:  libraries that do not run with the allocator as it is, to save time.
    """
    made = []
    for library in ("overbar", "multiply", "scale", *libraries):
        others = library in libraries and keeping
        for keep in (False, True) if others else (False,):
            if keep or not (others and library in never):
                made += [Setting(library, n, keep) for n in threads]
    return made


def environment(rival: Setting, folder: Path) -> dict[str, str]:
    """Variables for the rival's process; its caches are in `folder`."""
    n = str(rival.threads)
    mine = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    mine |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), n)
    mine |= KEEP if rival.keep else {}
    mine |= {
        "OVERBAR_CACHE": str(folder / f"overbar-{n}"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / f"torch-{n}"),  # its code knows how many threads
        "JAX_PLATFORMS": "cpu", "NPROC": n, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    if rival.library == "jax" and rival.threads == 1:
        mine["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )  # fmt: skip
    return mine


class FailedError(Exception):
    """What a rival said instead of an answer."""


class Rival:
    """A process; leave its context and it is gone."""

    def __init__(self, setting: Setting, folder: Path) -> None:
        self.setting = setting
        command = ("-m", "benchmarks.contest.worker", setting.library, str(setting.threads))
        with (folder / f"{setting.name}.log").open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, cwd=ROOT, env=environment(setting, folder),
            )  # fmt: skip

    def ask(self, *request: Any) -> Any:
        """The answer.

        Raises:  FailedError if there is none, or it says so.
        """
        pipe, answers = self.process.stdin, self.process.stdout
        assert pipe is not None
        assert answers is not None
        try:
            pickle.dump(request, pipe)
            pipe.flush()
            if not select.select([answers], [], [], PATIENCE)[0]:
                raise FailedError(f"no answer in {PATIENCE:g} s")
            answer = pickle.load(answers)  # noqa: S301  written by our child
        except (EOFError, BrokenPipeError):
            raise FailedError(f"ended with status {self.process.wait()}") from None
        if isinstance(answer, tuple) and answer and answer[0] == "failed":
            raise FailedError(answer[1])
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

"""A file that is complete or not there: `replacing` writes one in the place of another.

A reader sees the old file or the new one, never a part, whenever the writer is killed and
whatever the power does. Knows names, locks and disks; what is written is the caller's business.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted and so needs no lock
    fcntl = None

_BINARY = getattr(os, "O_BINARY", 0)  # Windows again: no change of line ends


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A file to write bytes to, which takes the place of `path` once all of it is on the disk.

    The order is the point: the bytes, then the name, then the folder's list of names. A process
    killed before the rename leaves a `.part` file, which the next writer finds and removes. If
    the block raises, `path` stays as it was. The new file has the permissions of the old one.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "answer.txt")
        >>> with replacing(path) as file:
        ...     _ = file.write(b"42")
        >>> path.read_bytes()
        b'42'
    """
    target = Path(os.fsdecode(path)).resolve()  # a link stays; what it points at is replaced
    start = f".{target.name[:50]}."
    _sweep(target.parent, start)
    part, descriptor = _claim(target.parent, start)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor has no Path)
            if target.exists():
                part.chmod(stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(descriptor)
            if fcntl:  # while the lock is held, or a sweep could come in between
                part.replace(target)
        if not fcntl:
            part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    _sync_folder(target.parent)


def _claim(folder: Path, start: str) -> tuple[Path, int]:
    """A new, empty, locked file: its path and descriptor. The lock dies with its process."""
    while True:
        part = folder / f"{start}{os.urandom(6).hex()}.part"
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        _lock(descriptor, wait=True)
        if part.exists():  # else a sweep came between the two lines above
            return part, descriptor
        os.close(descriptor)


def _sweep(folder: Path, start: str) -> None:
    """Remove what dead writers left: the files whose lock is free."""
    for part in folder.iterdir():
        if not (part.name.startswith(start) and part.name.endswith(".part")):
            continue
        with contextlib.suppress(OSError):  # gone already, or not ours to touch
            if fcntl is None:
                part.unlink()
                continue
            descriptor = os.open(part, os.O_RDWR)
            try:
                if _lock(descriptor, wait=False):
                    part.unlink()
            finally:
                os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Whether the lock is held now; file systems without locks say no, and keep their litter."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Compiled objects on disk, so that a program is compiled once per machine and not once per run.

What is kept is machine code that will be run, hence the care: the folder is private to the user
and refused otherwise; a file is used only if it is the user's own, nobody else can write to it,
and its checksum, taken together with the key, is right. Anything wrong with a file means that the
program is compiled again. Nothing that happens to the disk fails a program.

Files arrive under a temporary name and are renamed, so that two processes never see half of one.
Nothing is forced to the disk (`fsync`): after a power cut a file may be empty or torn, which the
checksum finds.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

MAGIC = b"overbar object 1"
"""What a file begins with; the number is the version of its format."""

LIMIT = 256 << 20
"""Bytes that a folder may hold; then the objects unused for longest are removed."""

_SUFFIX = ".object"
_DIGEST = 32  # bytes
_OLD = 3600  # seconds: how exactly "last used" is known, and when a temporary file is a stray one

# Not through a link, which could lead anywhere; not waiting, should it be a pipe.
_CAREFUL = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _CAREFUL |= getattr(os, _flag, 0)

_refused: set[Path] = set()


def key_of(*parts: str) -> str:
    """The name of an object: a digest of everything it depends on."""
    digest = hashlib.sha256(MAGIC)
    for part in parts:
        content = part.encode()
        digest.update(b"%d:" % len(content))  # ("ab", "c") is not ("a", "bc")
        digest.update(content)
    return digest.hexdigest()


def folder() -> Path | None:
    """Where objects are kept; None where nothing shall be, or nowhere is known.

    `$OVERBAR_CACHE/native`, else `$XDG_CACHE_HOME/overbar/native`, else `~/.cache/overbar/native`.
    An empty OVERBAR_CACHE switches the cache off.
    """
    named = os.environ.get("OVERBAR_CACHE")
    if named is not None:
        return Path(named).absolute() / "native" if named else None
    around = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if not around.is_absolute():  # the standard: a relative path is to be ignored
        try:
            around = Path.home() / ".cache"
        except RuntimeError:
            return None
    return around / "overbar" / "native"


def shelf() -> Shelf | None:
    """The objects of this user on this disk; None if there is no folder fit for them."""
    place = folder()
    if place is None:
        return None
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        fault = _fault(place.stat())
    except OSError:  # a read-only disk, no home, no right: an ordinary thing, not worth a word
        return None
    if fault is None:
        return _shelf(place)
    if place not in _refused:
        _refused.add(place)
        warnings.warn(
            f"compiled programs are not kept: the folder {place} {fault}. Make it private "
            "(chmod 700), or name another one in OVERBAR_CACHE.",
            RuntimeWarning,
            stacklevel=2,
        )
    return None


class Shelf:
    """A folder of objects. Reading gives the whole content or None, and never raises."""

    def __init__(self, place: Path, limit: int = LIMIT) -> None:
        self.place, self.limit = place, limit
        self._unswept = limit  # bytes written since the last sweep: the first write sweeps

    def read(self, key: str) -> bytes | None:
        """The object of a key, if there is one and it is sound."""
        path = self._path(key)
        try:
            with os.fdopen(os.open(path, _CAREFUL), "rb") as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode) or _fault(info):
                    return None
                found = file.read()
        except OSError:
            return None
        head, content = found[: len(MAGIC) + _DIGEST], found[len(MAGIC) + _DIGEST :]
        if head != _head(key, content):
            return None
        if time.time() - info.st_mtime > _OLD:
            with suppress(OSError):
                os.utime(path)
        return content

    def write(self, key: str, content: bytes) -> bool:
        """Keep an object; whether that went well."""
        if len(content) > self.limit // 4:
            return False
        name = None
        try:
            handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=self.place)
            with os.fdopen(handle, "wb") as file:
                file.write(_head(key, content))
                file.write(content)
            Path(name).replace(self._path(key))
        except OSError:
            if name is not None:
                with suppress(OSError):
                    Path(name).unlink()
            return False
        self._unswept += len(content)
        if self._unswept >= self.limit // 16:
            self._unswept = 0
            self.sweep()
        return True

    def sweep(self) -> None:
        """Remove strays, and what was not used for longest, until the rest fits comfortably."""
        kept, now = [], time.time()
        with suppress(OSError), os.scandir(self.place) as entries:
            for entry in entries:
                with suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    if entry.name.endswith(_SUFFIX):
                        kept.append((info.st_mtime, info.st_size, Path(entry.path)))
                    elif entry.name.endswith(".part") and now - info.st_mtime > _OLD:
                        Path(entry.path).unlink()
        total = sum(size for _, size, _ in kept)
        if total <= self.limit:
            return
        for _, size, path in sorted(kept):
            with suppress(OSError):  # another process sweeps too
                path.unlink()
            total -= size
            if total <= self.limit * 3 // 4:
                return

    def _path(self, key: str) -> Path:
        return self.place / (key + _SUFFIX)


@functools.cache
def _shelf(place: Path) -> Shelf:
    return Shelf(place)


def _head(key: str, content: bytes) -> bytes:
    """What stands before the content. The checksum takes in the key: a file is good for one."""
    seal = hashlib.blake2b(content, digest_size=_DIGEST, key=bytes.fromhex(key))
    return MAGIC + seal.digest()


def _fault(info: os.stat_result) -> str | None:
    """Why code must not be taken from here, if so."""
    if hasattr(os, "geteuid"):
        if info.st_uid != os.geteuid():
            return "belongs to another user"
        if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return "can be written by other users"
    return None

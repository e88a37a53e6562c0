"""IDX files, the format of MNIST: four bytes, the sizes, the numbers.

Why our own lines and no package: docs/decisions/0010-idx-files.md.
"""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from overbar.errors import DataError, FileError
from overbar.store import replacing

__all__ = ["read_idx", "write_idx"]

_CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an IDX file, packed with gzip or not.

    Raises:  FileError if it is none, is cut short, or has something after its end.
    Source:  LeCun, Cortes, Burges, The MNIST database of handwritten digits: two zeros, a code for
             the kind of number, the count of axes, their sizes as big-endian 32-bit numbers.
    Example:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp(), "labels.idx1-ubyte.gz")
        >>> ob.data.write_idx(path, np.array([3, 1, 4], np.uint8))
        >>> ob.data.read_idx(path)
        array([3, 1, 4], dtype=uint8)
    """
    raw = Path(path).read_bytes()
    if raw[:2] == _GZIP:
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{path}: it is packed with gzip and damaged: {error}") from None
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _CODES:
        raise FileError(
            f"{path} is not an IDX file",
            got={"it begins with": repr(raw[:4])},
            want="two zero bytes, one for the kind of number, one for the count of axes",
        )
    dtype, start = np.dtype(_CODES[raw[2]]), 4 + 4 * raw[3]
    sizes = [int(n) for n in np.frombuffer(raw[4:start].ljust(4 * raw[3], b"\0"), ">u4")]
    count = dtype.itemsize
    for n in sizes:
        count *= n
    if len(raw) != start + count:
        raise FileError(
            f"{path}: it announces {sizes} numbers of {dtype.itemsize} bytes, {count:,} in all",
            got={"it holds": f"{max(0, len(raw) - start):,}"},
            hint="it is cut short" if len(raw) < start + count else None,
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(sizes).astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike, array: Any) -> None:
    """Write an array as an IDX file; packed with gzip if the name ends with `.gz`.

    Raises:  DataError for a kind of number that the format does not have.
    """
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder(">")
    codes = {np.dtype(name): code for code, name in _CODES.items()}
    if dtype not in codes or array.ndim > 255 or max(array.shape, default=0) >= 1 << 32:
        raise DataError(
            "write_idx: an IDX file cannot hold this",
            got={"array": array},
            want="uint8, int8, int16, int32, float32 or float64",
        )
    head = bytes([0, 0, codes[dtype], array.ndim]) + np.array(array.shape, ">u4").tobytes()
    raw = head + array.astype(dtype).tobytes()
    with replacing(path) as file:
        file.write(gzip.compress(raw, mtime=0) if str(path).endswith(".gz") else raw)

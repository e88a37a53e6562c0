"""Named arrays and a small record in one file: complete or not there, checked or refused.

The layout is safetensors (eight bytes of length, a JSON header, the raw numbers), so every
library that reads safetensors reads these files. What is added lives in the header's
`__metadata__`: a format version, a CRC-32 for each array, the caller's record, and a *seal*,
the CRC-32 of the header itself with the seal's own digits zeroed.

This module knows bytes and NumPy arrays; tensors and modules are flattened by a layer above.
The format is small enough to write and read here, and the package's own functions would not do:
its `save_file` makes a temporary file (mode 0600) that a killed process leaves behind for ever,
its `save` needs the model twice in memory, and it has no checksums. The package is the oracle
of the tests. Start with `write` and `read` here; `header` knows the layout, `atomic` the disk.
"""

from __future__ import annotations

import io
import json
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from overbar.errors import DataError, FileError

from .atomic import replacing
from .header import (
    CODES,
    DTYPES,
    FORMAT,
    METADATA,
    DamageError,
    Place,
    in_order,
    is_sealed,
    is_text,
    longest,
    parsed,
    written,
)

_PAIR = "<c16"  # safetensors has no complex128: stored as F64 with one axis more

UNCHECKED = "overbar.unchecked"
"""A key of `meta`, True if the file came from another library and had no checksums."""


def write(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], meta: dict) -> None:
    """A file at `path` holding `arrays` and `meta`; until it is complete, the old one stays.

    Shapes:  any, 0-d and empty included; order in memory and byte order do not matter.
    Dtypes:  bool, (u)int8 to 64, float16 to 64, complex64, and complex128 as pairs of float64
             (other libraries see one axis of length 2 more). Every bit is kept, NaN payloads too.
    meta:    what JSON gives back unchanged: dict with text keys, list, str, int, finite float,
             bool, None.
    Raises:  DataError if something cannot be stored, before the disk is touched; OSError if the
             disk refuses. In both cases the old file is untouched.
    Cost:    the numbers are read twice (checksum, then disk) and copied only if not contiguous.
    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "weights.safetensors")
        >>> write(path, {"w": np.array([1.0, 2.0])}, {"epoch": 3})
        >>> read(path)
        ({'w': array([1., 2.])}, {'epoch': 3})
    """
    contents = {_storable_name(name): _storable(name, array) for name, array in arrays.items()}
    ordered = sorted(contents.items(), key=lambda item: (-item[1].itemsize, item[0]))
    record = {
        "crc32": {name: _checksum(array) for name, array in contents.items()},
        "pairs": [name for name, array in contents.items() if array.dtype.str == _PAIR],
        "meta": _storable_meta(meta),
    }
    header = written(_places(ordered), record)
    with replacing(path) as file:
        file.write(header)
        for _, array in ordered:
            file.write(_raw(array))


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict]:
    """The (arrays, meta) that `write` put into the file, bit for bit, or an error.

    Every array is fresh and writable. A safetensors file of another library is read too: it has
    no checksums, so `meta[UNCHECKED]` is True, beside the text it carries.

    Raises:  FileError if the file is damaged, hostile, or of a newer format; OSError if it cannot
             be opened.
    Cost:    one pass. Memory: the arrays, a few kilobytes, and some 30 times the header, which
             may take 1 MiB or 1/64 of the file: never more than twice the file plus 40 MiB.
    """
    path = Path(os.fsdecode(path))
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait for ever
        raise FileError(f"{path} is not a file", want="a regular file")
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return _contents(file, size)
        except DamageError as damage:
            raise FileError(
                f"{path}: {damage}",
                got={"file": f"{size:,} bytes"},
                want="a complete safetensors file, as it was written",
                hint=damage.hint,
            ) from None


# --- what can be stored ---------------------------------------------------------------------


def _storable_name(name: Any) -> str:
    if isinstance(name, str) and name != METADATA and is_text(name):
        return name
    raise DataError(
        f"an array cannot be stored under the name {name!r:.80}",
        want=f"text that UTF-8 can hold, other than {METADATA!r}",
    )


def _storable(name: str, array: Any) -> np.ndarray:
    """The array, contiguous and little-endian, with the shape it had."""
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in CODES and dtype.str != _PAIR:
        raise DataError(
            f"the array {name!r} holds what a file cannot",
            got={name: array},
            want="bool, (u)int8 to 64, float16 to 64, complex64 or complex128",
        )
    if dtype == np.bool_:  # a bool made by a view may hold other bytes than 0 and 1
        return np.asarray(array.view(np.uint8) != 0, order="C")
    return array.astype(dtype, order="C", copy=False)


def _storable_meta(meta: Any) -> dict:
    """`meta`, if JSON gives it back as it is."""
    try:
        same = isinstance(meta, dict) and json.loads(json.dumps(meta, allow_nan=False)) == meta
        why = "it would come back changed"
    except (TypeError, ValueError, RecursionError) as error:
        same, why = False, str(error)
    if not same or UNCHECKED in meta:
        raise DataError(
            f"this record cannot be stored: {UNCHECKED + ' is reserved' if same else why}",
            got={"meta": f"{meta!r:.200}"},
            want="a dict of lists, dicts with text keys, text, finite numbers, bools and None",
            hint="turn tuples into lists, and put many numbers into `arrays`",
        )
    return meta


def _places(ordered: list[tuple[str, np.ndarray]]) -> dict[str, Place]:
    """Where each array comes to lie: one after the other, the widest numbers first."""
    places, at = {}, 0
    for name, array in ordered:
        pair = array.dtype.str == _PAIR
        code = "F64" if pair else CODES[array.dtype.str]
        shape = [*array.shape, 2] if pair else list(array.shape)
        places[name] = Place(code, shape, [at, at + array.nbytes])
        at += array.nbytes
    return places


# --- what is read ---------------------------------------------------------------------------


def _contents(file: io.RawIOBase, size: int) -> tuple[dict[str, np.ndarray], dict]:
    raw = _raw_header(file, size)
    sealed = is_sealed(raw)
    places, texts = parsed(raw)
    record = _record(texts, places) if sealed else None
    arrays = {}
    for name in in_order(places, size - len(raw)):
        array = arrays[name] = _array(file, name, places[name])
        if record is None:
            continue
        if _checksum(array) != record["crc32"][name]:
            raise DamageError(f"the numbers of {name!r:.80} are damaged: their checksum differs")
        if name in record["pairs"]:
            arrays[name] = array.reshape(-1).view(_PAIR).reshape(array.shape[:-1])
    if record is None:
        names, meta = places, {**texts, UNCHECKED: True}
    else:
        names, meta = record["crc32"], record["meta"]
    return {name: _native(arrays[name]) for name in names}, meta


def _native(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _raw_header(file: io.RawIOBase, size: int) -> bytes:
    """The eight bytes of length and the header they announce."""
    if size < 10:
        raise DamageError("it is too short to hold anything")
    start = bytearray(8)
    _fill(file, memoryview(start))
    length = int.from_bytes(start, "little")
    if length > size - 8:
        raise DamageError(
            f"it announces a header of {length:,} bytes, but only {size - 8:,} follow",
            "it is cut short, or is not a safetensors file",
        )
    if length > longest(size):
        raise DamageError(
            f"its header takes {length:,} bytes, more than 1 MiB and 1/64 of the file"
        )
    rest = bytearray(length)
    _fill(file, memoryview(rest))
    return bytes(start + rest)


def _record(texts: dict[str, str], places: dict[str, Place]) -> dict:
    """Our part of the header. The seal keeps accidents out, not malice: nothing is believed."""
    try:
        record = json.loads(
            texts["overbar"], object_pairs_hook=_no_key_twice, parse_constant=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise DamageError(f"its record is not JSON: {error!s:.80}") from None
    wanted = {"overbar": int, "seal": str, "crc32": dict, "pairs": list, "meta": dict, "end": str}
    if {key: type(part) for key, part in record.items()} != wanted:
        raise DamageError("its record lacks a part, or has one of the wrong kind")
    if record["overbar"] != FORMAT or UNCHECKED in record["meta"]:
        raise DamageError("its record says of itself what cannot be")
    if record["crc32"].keys() != places.keys():
        raise DamageError("its checksums are not those of its arrays")
    for name in record["pairs"]:
        if not isinstance(name, str) or name not in places:
            raise DamageError("its record speaks of arrays that it does not have")
        if places[name].dtype != "F64" or places[name].shape[-1:] != [2]:
            raise DamageError(f"{name!r:.80} should be complex, but is not made of pairs")
    return {**record, "pairs": set(record["pairs"])}


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _array(file: io.RawIOBase, name: str, place: Place) -> np.ndarray:
    try:
        array = np.empty(place.shape, DTYPES[place.dtype])
    except (ValueError, OverflowError):  # 0 numbers, but more axes or longer ones than NumPy has
        raise DamageError(f"{name!r:.80} has a shape that NumPy cannot hold") from None
    _fill(file, _raw(array))
    if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
        raise DamageError(f"{name!r:.80} should hold bools, but has other bytes than 0 and 1")
    return array


# --- bytes ----------------------------------------------------------------------------------


def _checksum(array: np.ndarray) -> str:
    return f"{zlib.crc32(_raw(array)):08x}"


def _raw(array: np.ndarray) -> memoryview:
    """The bytes of a contiguous array, writable if it is."""
    return array.reshape(-1).view(np.uint8).data


def _fill(file: io.RawIOBase, space: memoryview) -> None:
    while space.nbytes:
        count = file.readinto(space[: 1 << 28])
        if not count:
            raise DamageError("it became shorter while it was read")
        space = space[count:]

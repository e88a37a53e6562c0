"""The header of a safetensors file: eight bytes of length, then JSON of a fixed depth.

`written` makes one and seals it; `is_sealed`, `parsed` and `in_order` read one and take nothing
for granted. Knows what a header says about numbers, never the numbers themselves.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from overbar.errors import DataError

FORMAT = 1
"""The newest format this version reads, and the one it writes. The seal is the same in all."""

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "C64": "<c8", "BOOL": "|b1",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1",
}  # fmt: skip
CODES = {dtype: code for code, dtype in DTYPES.items()}
METADATA = "__metadata__"
_NO_SEAL = b"00000000"
_SEALED = re.compile(
    rb'.{8}\{"__metadata__":\{"overbar":"\{\\"overbar\\":([0-9]{1,9}),\\"seal\\":\\"([0-9a-f]{8})\\"',
    re.DOTALL,
)
# A file that has one of these is ours. No swap of two blocks spoils all five, since it has four
# edges; so damage cannot pass our file off as another library's, which would have no checksums.
_SIGNS = (
    b'"overbar":"',
    rb"{\"overbar\":",
    rb"\"seal\":\"",
    rb"\"crc32\":{",
    rb"\"end\":\"overbar\"",
)


def is_text(string: str) -> bool:
    """Half of a surrogate pair is no text: UTF-8 cannot hold it."""
    return string.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in string)


class DamageError(Exception):
    """What is wrong with a file; `read` adds its name."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.hint = hint


class Place(NamedTuple):
    """Where in the data one array lies, as the header says; not yet believed."""

    dtype: str
    shape: list[int]
    offsets: list[int]


# --- written --------------------------------------------------------------------------------


def written(places: dict[str, Place], record: dict) -> bytes:
    """The sealed header, padded to eight bytes; `record` is what `__metadata__` keeps of ours."""
    marked = {"overbar": FORMAT, "seal": _NO_SEAL.decode(), **record, "end": "overbar"}
    described = {
        name: {"dtype": place.dtype, "shape": place.shape, "data_offsets": place.offsets}
        for name, place in places.items()
    }
    text = _json({METADATA: {"overbar": _json(marked)}, **described}).encode("ascii")
    text += b" " * (-len(text) % 8)
    end = max((place.offsets[1] for place in places.values()), default=0)
    if len(text) > longest(8 + len(text) + end):
        raise DataError(
            f"{len(places):,} arrays and the record make a header of {len(text):,} bytes",
            want="at most 1 MiB, or 1/64 of the file if that is more",
            hint="join small arrays, and move long lists out of the record into an array",
        )
    raw = len(text).to_bytes(8, "little") + text
    at = raw.index(_NO_SEAL)  # nothing that a caller chose stands before it
    return raw[:at] + _seal(raw, at) + raw[at + 8 :]


def _json(thing: Any) -> str:
    return json.dumps(thing, allow_nan=False, separators=(",", ":"))


def _seal(raw: bytes, at: int) -> bytes:
    """CRC-32 of length and header, as if the eight digits at `at` were zeros."""
    crc = zlib.crc32(_NO_SEAL, zlib.crc32(raw[:at]))
    return b"%08x" % zlib.crc32(raw[at + 8 :], crc)


def longest(size: int) -> int:
    """A parsed header takes up to 30 times its text: 1/64 keeps that below half the file."""
    return max(1 << 20, size // 64)


# --- read -----------------------------------------------------------------------------------


def is_sealed(raw: bytes) -> bool:
    """False for a file of another library; damage and newer formats raise."""
    seal = _SEALED.match(raw)
    if seal is None:
        if any(sign in raw for sign in _SIGNS):
            raise DamageError("its header is damaged, or was rewritten by another program")
        return False
    if seal[2] != _seal(raw, seal.start(2)):
        raise DamageError("its header is damaged: the checksum differs")
    if int(seal[1]) > FORMAT:
        raise DamageError(
            f"it has format {int(seal[1])}, and this version of overbar reads up to {FORMAT}",
            "install a newer overbar: pip install --upgrade overbar",
        )
    return True


def in_order(places: dict[str, Place], length: int) -> list[str]:
    """The names in the order of their bytes, which must cover the data once, without a gap."""
    end = max((place.offsets[1] for place in places.values()), default=0)
    if end != length:
        raise DamageError(
            f"its header describes {end:,} bytes of numbers, but {length:,} follow",
            "it is cut short: copy or download it again" if end > length else None,
        )
    names = sorted(places, key=lambda name: places[name].offsets)
    at = 0
    for name in names:
        dtype, shape, (begin, end) = places[name]
        if dtype not in DTYPES:
            raise DamageError(
                f"{name!r:.80} has the dtype {dtype!r:.20}, which NumPy does not have",
                "convert it to F32 with the library that wrote it",
            )
        if begin != at:
            raise DamageError(f"the bytes of {name!r:.80} overlap others, or leave a gap")
        if prod(shape) * np.dtype(DTYPES[dtype]).itemsize != end - begin:
            raise DamageError(
                f"{name!r:.80} has {end - begin:,} bytes, which is not {dtype} of its shape"
            )
        at = end
    return names


# --- parsed ---------------------------------------------------------------------------------
#
# A safetensors header is JSON of fixed depth, so no recursion is needed, and nothing larger than
# its own text is ever built: `json.loads` would make 100 bytes of a hostile "[]," before anyone
# could look at it.

_BLANKS = frozenset(" \t\r\n")
_NUMBERS = re.compile(r"\[[0-9, \t\r\n]{0,2000}\]")
_DECODER = json.JSONDecoder()

_Reader = Callable[[str, int], tuple[Any, int]]
"""(text, position) -> (what stands there, position after it)."""


def parsed(raw: bytes) -> tuple[dict[str, Place], dict[str, str]]:
    """The arrays' places, and the text in `__metadata__`."""
    try:
        text = raw[8:].decode("utf-8")
    except UnicodeDecodeError:
        raise DamageError("its header is not text", "it may not be a safetensors file") from None
    header, at = _object(text, 0, lambda name: _texts if name == METADATA else _place)
    if text[at:].strip(" "):
        raise DamageError("something follows the end of its header")
    texts = header.pop(METADATA, {})
    return header, texts


def _object(text: str, at: int, reader: Callable[[str], _Reader]) -> tuple[dict, int]:
    """The JSON object that opens at `at`; `reader(key)` reads the value of that key."""
    _, at = _mark(text, at, "{")
    found: dict[str, Any] = {}
    closing = _after_blanks(text, at)
    if text[closing : closing + 1] == "}":
        return found, closing + 1
    while True:
        key, at = _string(text, at)
        if key in found:
            raise DamageError(f"its header has {key!r:.80} twice")
        _, at = _mark(text, at, ":")
        found[key], at = reader(key)(text, at)
        mark, at = _mark(text, at, ",}")
        if mark == "}":
            return found, at


def _after_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in _BLANKS:
        at += 1
    return at


def _mark(text: str, at: int, wanted: str) -> tuple[str, int]:
    at = _after_blanks(text, at)
    mark = text[at : at + 1]
    if not mark or mark not in wanted:
        raise DamageError(f"its header is not what safetensors writes, from character {at:,} on")
    return mark, at + 1


def _string(text: str, at: int) -> tuple[str, int]:
    _, after = _mark(text, at, '"')
    try:
        string, end = _DECODER.raw_decode(text, after - 1)
    except ValueError:
        raise DamageError(
            f"its header has text without an end, from character {after:,} on"
        ) from None
    if not is_text(string):
        raise DamageError("its header has text that is not Unicode")
    return string, end


def _numbers(text: str, at: int) -> tuple[list[int], int]:
    at = _after_blanks(text, at)
    found = _NUMBERS.match(text, at)
    digits = found[0] if found else ""
    try:
        numbers = json.loads(digits)
    except ValueError:  # no list of digits, or "[1,,2]", or "[01]"
        raise DamageError(f"its header lacks a list of sizes at character {at:,}") from None
    if any(number >= 1 << 63 for number in numbers):
        raise DamageError(f"its header has a size beyond all memory at character {at:,}")
    return numbers, at + len(digits)


def _texts(text: str, at: int) -> tuple[dict[str, str], int]:
    return _object(text, at, lambda key: _string)


_FIELDS: dict[str, _Reader] = {"dtype": _string, "shape": _numbers, "data_offsets": _numbers}


def _place(text: str, at: int) -> tuple[Place, int]:
    fields, at = _object(text, at, lambda key: _FIELDS.get(key, _unknown))
    if fields.keys() != _FIELDS.keys() or len(fields["data_offsets"]) != 2:
        raise DamageError("its header does not say what and where an array is")
    return Place(fields["dtype"], fields["shape"], fields["data_offsets"]), at


def _unknown(text: str, at: int) -> tuple[Any, int]:
    raise DamageError(f"its header says something unknown of an array, at character {at:,}")

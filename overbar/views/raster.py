"""PNG files: from an array of colours, enough of the format for a picture of a matrix; and from SVG
by an optional package.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from ..errors import MissingPackageError


def png_of(pixels: np.ndarray) -> bytes:
    """The PNG of an array of 8-bit colours, (height, width, 3).

    Source:  PNG (Portable Network Graphics) Specification, Third Edition, W3C 2025.
    """
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((
        _chunk(b"IHDR", header),
        _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
        _chunk(b"IEND", b""),
    ))  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_of_svg(what: str, svg: str, scale: float) -> bytes:
    """The PNG of an SVG document.

    Raises:  MissingPackageError without resvg_py.
    """
    try:
        from resvg_py import svg_to_bytes  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingPackageError(
            f"{what}: a PNG needs resvg_py; SVG, HTML and text need nothing",
            hint="pip install 'overbar[plot]'",
        ) from None
    return bytes(svg_to_bytes(svg_string=svg, zoom=scale))

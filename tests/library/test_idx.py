"""IDX files: written, read, and refused when they are damaged."""

import gzip
import struct

import numpy as np
import pytest

from overbar.data import read_idx, write_idx
from overbar.errors import DataError, FileError

KINDS = [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("shape", [(), (7,), (3, 4, 5), (0, 2)])
def test_what_is_written_is_read(kind, ending, shape, tmp_path, rng):
    array = np.asarray(100 * rng.standard_normal(shape)).astype(kind)
    path = tmp_path / f"numbers.idx{ending}"
    write_idx(path, array)
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert found.flags.writeable
    assert np.array_equal(found, array)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (ending == ".gz")


def test_the_layout_is_that_of_mnist(tmp_path):
    """train-labels-idx1-ubyte begins with the number 2049, then the count, big-endian."""
    raw = struct.pack(">II", 2049, 3) + bytes([5, 0, 4])
    (tmp_path / "labels").write_bytes(raw)
    assert read_idx(tmp_path / "labels").tolist() == [5, 0, 4]
    write_idx(tmp_path / "mine", np.array([5, 0, 4], np.uint8))
    assert (tmp_path / "mine").read_bytes() == raw
    raw = struct.pack(">IIII", 2051, 1, 2, 2) + bytes([1, 2, 3, 4])
    (tmp_path / "images.gz").write_bytes(gzip.compress(raw))
    assert read_idx(tmp_path / "images.gz").tolist() == [[[1, 2], [3, 4]]]


def damaged():
    raw = struct.pack(">III", 0x00000802, 2, 3) + bytes(6)
    yield "nothing", b""
    yield "text", b"label,pixel\n"
    yield "a picture", b"\x89PNG\r\n\x1a\n"
    yield "an unknown kind", b"\0\0\x0a\x01" + bytes(8)
    yield "no sizes", raw[:4]
    yield "half a size", raw[:10]
    yield "a byte short", raw[:-1]
    yield "a byte more", raw + b"x"
    yield "enormous sizes", b"\0\0\x08\xff" + b"\xff" * 1020
    yield "half a gzip", gzip.compress(raw)[:-9]
    yield "a broken gzip", gzip.compress(raw)[:12] + b"?????" + gzip.compress(raw)[17:]


@pytest.mark.parametrize("raw", [r for _, r in damaged()], ids=[name for name, _ in damaged()])
def test_a_damaged_file_is_refused(raw, tmp_path):
    (tmp_path / "f").write_bytes(raw)
    with pytest.raises(FileError, match="f"):
        read_idx(tmp_path / "f")


@pytest.mark.parametrize("array", [np.zeros(2, bool), np.zeros(2, np.int64), np.array(["a"])])
def test_what_the_format_has_not_is_refused_and_nothing_is_written(array, tmp_path):
    with pytest.raises(DataError):
        write_idx(tmp_path / "f", array)
    assert not list(tmp_path.iterdir())

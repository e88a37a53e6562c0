"""The store: what comes back is what went in, bit for bit, or it is an error."""

import contextlib
import json
import os
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from overbar import store
from overbar.errors import DataError, FileError, OverbarError
from overbar.store import atomic

ROOT = Path(__file__).resolve().parents[2]
DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
MIB = 1 << 20


def assert_same(found, wanted):
    """Names, order, dtypes, shapes and bits."""
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.astype(found[name].dtype).tobytes()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def safetensors_bytes(header, data=b""):
    """A file made by hand: `header` is text, or anything JSON can hold."""
    text = (
        header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    )
    return struct.pack("<Q", len(text)) + text + data


def sealed_bytes(record, tensors, data=b""):
    """A file whose seal is right, whatever else is not: what a forger would make."""
    record = {"overbar": 1, "seal": "00000000", **record, "end": "overbar"}
    inner = json.dumps(record, separators=(",", ":"))
    header = {"__metadata__": {"overbar": inner}, **tensors}
    raw = safetensors_bytes(header, data)
    end = len(raw) - len(data)
    seal = b"%08x" % zlib.crc32(raw[:end])
    return raw.replace(b"00000000", seal, 1)


def resealed(raw):
    """The same bytes with the length and the seal made right again, where there is a seal."""
    start = raw.find(b'\\"seal\\":\\"') + 11
    if start < 11:
        return raw
    end = len(raw) - 8
    raw = struct.pack("<Q", end - 8) + raw[8:start] + b"00000000" + raw[start + 8 :]
    return raw.replace(b"00000000", b"%08x" % zlib.crc32(raw[:end]), 1)


# ------------------------------------------------------------------------------ round trips


@st.composite
def named_arrays(draw):
    names = draw(st.lists(st.text(max_size=12), max_size=4, unique=True))
    arrays = {}
    for name in names:
        dtype = np.dtype(draw(st.sampled_from(DTYPES)))
        shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
        count = int(np.prod(shape)) * dtype.itemsize
        raw = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8)
        raw = raw & 1 if dtype.kind == "b" else raw
        array = raw.view(dtype).reshape(shape)  # any bits: NaN payloads, subnormals, -0
        way = draw(st.sampled_from(["plain", "transposed", "reversed", "big-endian"]))
        if way == "transposed":
            array = array.T
        elif way == "reversed" and array.ndim:
            array = array[::-1]
        elif way == "big-endian":
            array = array.astype(dtype.newbyteorder(">"))
        arrays[name] = array
    return arrays


records = st.dictionaries(
    st.text(max_size=8).filter(lambda key: key != store.UNCHECKED),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=6,
    ),
    max_size=4,
)  # fmt: skip


@given(arrays=named_arrays(), meta=records)
@settings(max_examples=200)
def test_what_was_written_is_read(arrays, meta, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    store.write(path, arrays, meta)
    found, found_meta = store.read(path)
    assert_same(found, arrays)
    assert found_meta == meta
    assert json.dumps(found_meta) == json.dumps(meta)  # and 1 stays 1, not True or 1.0


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_fresh_writable_and_aligned(dtype, tmp_path):
    arrays = {"b": np.ones(3, np.int8), "x": np.arange(6).reshape(2, 3).astype(dtype)}
    store.write(tmp_path / "a", arrays, {})
    found, _ = store.read(tmp_path / "a")
    assert_same(found, arrays)
    assert found["x"].flags.writeable
    assert found["x"].flags.aligned
    assert found["x"].flags.c_contiguous


def test_every_array_lies_where_its_dtype_may_be_mapped(tmp_path):
    """Its place in the file is a multiple of the width of its numbers: mmap needs no copy."""
    arrays = {f"{d} {n}": np.ones(n, d) for n in (1, 3) for d in DTYPES}
    store.write(tmp_path / "a", arrays, {"any": "length"})
    raw = (tmp_path / "a").read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    for name, array in arrays.items():
        at = start + header[name]["data_offsets"][0]
        assert at % min(array.itemsize, 8) == 0
        assert raw[at : at + array.nbytes] == array.tobytes()


def test_nan_payloads_survive(tmp_path):
    bits = np.array([0x7FF8_0000_0000_0001, 0x7FF0_0000_0000_0BAD, 0xFFF8 << 48], np.uint64)
    store.write(tmp_path / "a", {"x": bits.view(np.float64)}, {})
    assert np.array_equal(store.read(tmp_path / "a")[0]["x"].view(np.uint64), bits)


def test_a_bool_with_odd_bytes_is_stored_as_a_bool(tmp_path):
    odd = np.array([0, 1, 2, 255], np.uint8).view(bool)
    store.write(tmp_path / "a", {"x": odd, "scalar": odd[3]}, {})
    found, _ = store.read(tmp_path / "a")
    assert found["x"].view(np.uint8).tolist() == [0, 1, 1, 1]
    assert found["scalar"].shape == ()


def test_equal_contents_make_equal_files(tmp_path):
    for name in "ab":
        store.write(tmp_path / name, {n: np.arange(3.0) for n in "zyx"}, {"k": [1, {"j": 2}]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_link_stays_and_its_target_is_replaced_with_the_permissions_it_had(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    store.write(link, {"x": np.ones(2)}, {})
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert_same(store.read(target)[0], {"x": np.ones(2)})


@pytest.mark.parametrize(
    ("arrays", "meta", "said"),
    [
        ({"x": np.array(["text"])}, {}, "'x' holds what a file cannot"),
        ({"x": np.array([object()])}, {}, "'x' holds what a file cannot"),
        ({"x": np.zeros(2, "M8[s]")}, {}, "'x' holds what a file cannot"),
        ({"__metadata__": np.ones(1)}, {}, "cannot be stored under the name"),
        ({"\ud800": np.ones(1)}, {}, "cannot be stored under the name"),
        ({3: np.ones(1)}, {}, "cannot be stored under the name"),
        ({}, {"shape": (1, 2)}, "it would come back changed"),
        ({}, {1: 2}, "it would come back changed"),
        ({}, {"loss": float("nan")}, "not JSON compliant"),
        ({}, {"x": np.ones(2)}, "not JSON serializable"),
        ({}, [1], "it would come back changed"),
        ({}, {store.UNCHECKED: True}, "reserved"),
        ({}, {"long": "x" * (2 * MIB)}, "a header of 2,"),
    ],
)
def test_what_cannot_come_back_is_refused_and_the_old_file_stays(tmp_path, arrays, meta, said):
    path = tmp_path / "a"
    store.write(path, {"old": np.ones(1)}, {})
    with pytest.raises(DataError, match=said):
        store.write(path, arrays, meta)
    assert names_in(tmp_path) == ["a"]
    assert_same(store.read(path)[0], {"old": np.ones(1)})


# ---------------------------------------------------------------------- the other libraries


def test_the_safetensors_package_reads_what_is_written(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    arrays = {dtype: np.arange(6).reshape(1, 2, 3).astype(dtype) for dtype in DTYPES}
    store.write(tmp_path / "a", arrays, {"é": "ü"})
    found = numpy_side.load_file(tmp_path / "a")
    pairs = found.pop("c16")
    assert_same({n: found[n] for n in DTYPES[:-1]}, {n: arrays[n] for n in DTYPES[:-1]})
    assert_same({"c16": pairs}, {"c16": arrays["c16"].view(float).reshape(1, 2, 3, 2)})


def test_a_file_of_the_safetensors_package_is_read_and_marked_unchecked(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    arrays = {dtype: np.arange(6).reshape(2, 3).astype(dtype) for dtype in DTYPES[:-1]}
    arrays |= {"scalar": np.array(1.5), "empty": np.zeros((0, 3)), "": np.ones(1)}
    numpy_side.save_file(arrays, tmp_path / "a", metadata={"format": "np", "q": '"{'})
    found, meta = store.read(tmp_path / "a")
    assert_same({name: found[name] for name in arrays}, arrays)
    assert meta == {"format": "np", "q": '"{', store.UNCHECKED: True}


def test_a_file_of_another_library_without_metadata_is_read(tmp_path):
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    (tmp_path / "a").write_bytes(safetensors_bytes({"w": tensor}, struct.pack("<2f", 1, 2)))
    found, meta = store.read(tmp_path / "a")
    assert_same(found, {"w": np.array([1, 2], np.float32)})
    assert meta == {store.UNCHECKED: True}


def test_our_file_rewritten_by_another_program_is_refused(tmp_path):
    """The checksums travel along, but the seal no longer fits."""
    numpy_side = pytest.importorskip("safetensors.numpy")
    from safetensors import safe_open

    store.write(tmp_path / "a", {"w": np.ones(2)}, {})
    with safe_open(tmp_path / "a", "np") as file:
        kept = file.metadata()
    numpy_side.save_file({"w": np.zeros(2)}, tmp_path / "b", metadata=kept)
    with pytest.raises(FileError, match="damaged"):
        store.read(tmp_path / "b")


# ------------------------------------------------------------------------ damaged by accident


def small_files():
    """Three small files, as bytes, with what they hold."""
    rng = np.random.default_rng(0)
    yield {"w": rng.normal(size=(3, 4)), "b": np.zeros(4, np.float32)}, {"epoch": 3, "lr": 0.1}
    yield {"flags": rng.integers(0, 2, 9) > 0, "z": rng.normal(size=3) + 1j}, {"note": 'é " ü'}
    yield {"empty": np.zeros((0, 7)), "scalar": np.array(2, np.int16)}, {}


def damaged(raw, rng):
    """One of the ways in which disks, networks and people spoil a file."""
    raw = bytearray(raw)
    at, other = rng.integers(len(raw), size=2)
    length = int(rng.integers(1, 20))
    match rng.integers(11):
        case 0 | 1 | 2:
            raw[at] ^= 1 << int(rng.integers(8))
        case 3:
            for at in rng.integers(len(raw), size=length):
                raw[at] = rng.integers(256)
        case 4:
            del raw[at:]
        case 5:
            raw += rng.bytes(length)
        case 6:
            del raw[at : at + length]
        case 7:
            raw[at:at] = rng.bytes(length)
        case 8:
            raw[at : at + 64] = bytes(len(raw[at : at + 64]))
        case 9 | 10:  # two blocks change places, short ones or long ones
            length = length if other % 2 else int(rng.integers(len(raw) // 2))
            at, other = sorted((at, other))
            length = min(length, other - at)
            raw[at : at + length], raw[other : other + length] = (
                raw[other : other + length],
                raw[at : at + length],
            )
    return bytes(raw)


def test_ten_thousand_damaged_files_are_all_refused(tmp_path):
    rng = np.random.default_rng(20)
    path = tmp_path / "a"
    sources = []
    for arrays, meta in small_files():
        store.write(path, arrays, meta)
        sources.append((path.read_bytes(), arrays, meta))
    refused = 0
    for _ in range(10_000):
        raw, arrays, meta = sources[rng.integers(len(sources))]
        spoiled = damaged(raw, rng)
        path.write_bytes(spoiled)
        if spoiled == raw:
            found, found_meta = store.read(path)
            assert_same(found, arrays)
            assert found_meta == meta
            continue
        with pytest.raises(FileError):
            store.read(path)
        refused += 1
    assert refused > 9_500


def test_every_single_bit_counts(tmp_path):
    path = tmp_path / "a"
    arrays, meta = next(small_files())
    store.write(path, arrays, meta)
    raw = path.read_bytes()
    for at in range(8 * len(raw)):
        spoiled = bytearray(raw)
        spoiled[at // 8] ^= 1 << at % 8
        path.write_bytes(spoiled)
        with pytest.raises(FileError):
            store.read(path)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "a"
    arrays, meta = next(small_files())
    store.write(path, arrays, meta)
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(FileError, match=r"short|damaged|announces"):
            store.read(path)


def test_damage_to_a_file_without_checksums_never_crashes(tmp_path):
    """Wrong numbers cannot be seen there; the header still has to make sense."""
    rng = np.random.default_rng(21)
    tensors = {
        "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BOOL", "shape": [8], "data_offsets": [24, 32]},
    }
    raw = safetensors_bytes({"__metadata__": {"format": "np"}, **tensors}, bytes(32))
    path = tmp_path / "a"
    read = 0
    for _ in range(3_000):
        path.write_bytes(damaged(raw, rng))
        try:
            arrays, meta = store.read(path)
        except FileError:
            continue
        read += 1
        assert sum(array.nbytes for array in arrays.values()) <= 64
        assert meta[store.UNCHECKED] is True
    assert 0 < read < 1_500


def test_the_message_names_file_tensor_and_size(tmp_path):
    path = tmp_path / "weights.safetensors"
    store.write(path, {"layer.weight": np.arange(9.0)}, {})
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 16
    path.write_bytes(raw)
    with pytest.raises(FileError) as caught:
        store.read(path)
    message = str(caught.value)
    assert "weights.safetensors: the numbers of 'layer.weight' are damaged" in message
    assert f"{len(raw):,} bytes" in message
    assert isinstance(caught.value, OverbarError)
    assert isinstance(caught.value, ValueError)


def test_a_newer_format_is_named_as_such(tmp_path):
    (tmp_path / "a").write_bytes(sealed_bytes({"overbar": 7, "anything": "new"}, {}))
    with pytest.raises(FileError, match="format 7, and this version of overbar reads up to 1"):
        store.read(tmp_path / "a")


# ------------------------------------------------------------------------ damaged on purpose

W = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
ONE = struct.pack("<d", 1.0)
CRC = {"w": f"{zlib.crc32(ONE):08x}"}
FINE = {"crc32": CRC, "pairs": [], "meta": {}}

HOSTILE = {
    "header of 2^63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "header of all ones": b"\xff" * 64,
    "nothing": b"",
    "length only": struct.pack("<Q", 0),
    "no JSON": safetensors_bytes(b"hello, world"),
    "no UTF-8": safetensors_bytes(b'{"\xff\xfe": 1}'),
    "a list": safetensors_bytes([W], ONE),
    "a string": safetensors_bytes(b'"w"'),
    "something after the header": safetensors_bytes(b'{} {"w": 1}'),
    "deep lists": safetensors_bytes(b"[" * 100_000),
    "deep lists in a shape": safetensors_bytes(b'{"w":{"shape":' + b"[" * 100_000),
    "deep dicts": safetensors_bytes(b'{"a":' * 100_000),
    "the same name twice": safetensors_bytes(
        b'{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', ONE,
    ),
    "the same field twice": safetensors_bytes(
        b'{"w":{"dtype":"F64","dtype":"I64","shape":[1],"data_offsets":[0,8]}}', ONE
    ),
    "metadata twice": safetensors_bytes(b'{"__metadata__":{},"__metadata__":{}}'),
    "metadata that is no text": safetensors_bytes({"__metadata__": {"a": 1}}),
    "metadata that is a list": safetensors_bytes({"__metadata__": []}),
    "overlap": safetensors_bytes(
        {"a": W | {"data_offsets": [0, 8]}, "b": W | {"data_offsets": [4, 12]}}, bytes(12)
    ),
    "the same bytes twice": safetensors_bytes({"a": W, "b": W}, ONE),
    "a gap": safetensors_bytes({"a": W, "b": W | {"data_offsets": [16, 24]}}, bytes(24)),
    "a gap at the start": safetensors_bytes({"a": W | {"data_offsets": [8, 16]}}, bytes(16)),
    "beyond the end": safetensors_bytes({"a": W | {"data_offsets": [0, 1 << 40]}}, ONE),
    "a huge tensor": safetensors_bytes(
        {"a": W | {"shape": [1 << 40], "data_offsets": [0, 1 << 43]}}, ONE
    ),
    "shape beyond the bytes": safetensors_bytes({"a": W | {"shape": [1 << 40]}}, ONE),
    "a product that wraps at 2^64": safetensors_bytes({"a": W | {"shape": [1 << 61, 8]}}, bytes(8)),
    "backwards": safetensors_bytes({"a": W | {"data_offsets": [8, 0]}}, ONE),
    "negative offsets": safetensors_bytes({"a": W | {"data_offsets": [-8, 0]}}, ONE),
    "negative shape": safetensors_bytes({"a": W | {"shape": [-1]}}, ONE),
    "a fraction": safetensors_bytes({"a": W | {"shape": [1.0]}}, ONE),
    "true for 1": safetensors_bytes({"a": W | {"shape": [True]}}, ONE),
    "no list of offsets": safetensors_bytes({"a": W | {"data_offsets": 8}}, ONE),
    "three offsets": safetensors_bytes({"a": W | {"data_offsets": [0, 4, 8]}}, ONE),
    "a size of 5,000 digits": safetensors_bytes(
        b'{"w":{"dtype":"F64","shape":[%s],"data_offsets":[0,8]}}' % (b"9" * 5000), ONE
    ),
    "a size of 1,000 digits": safetensors_bytes(
        b'{"w":{"dtype":"F64","shape":[0,%s],"data_offsets":[0,0]}}' % (b"9" * 1000)
    ),
    "100 axes": safetensors_bytes({"a": W | {"shape": [1] * 100}}, ONE),
    "a thousand axes": safetensors_bytes({"a": W | {"shape": [1] * 1000}}, ONE),
    "empty but too large for NumPy": safetensors_bytes(
        {"a": W | {"shape": [0, (1 << 63) - 1, 4], "data_offsets": [0, 0]}}
    ),
    "bfloat16": safetensors_bytes({"a": {**W, "dtype": "BF16", "data_offsets": [0, 2]}}, b"\0\0"),
    "an unknown dtype": safetensors_bytes({"a": W | {"dtype": "O"}}, ONE),
    "a dtype that is a list": safetensors_bytes({"a": W | {"dtype": ["F64"]}}, ONE),
    "a field more": safetensors_bytes({"a": W | {"order": "F"}}, ONE),
    "a field less": safetensors_bytes({"a": {"dtype": "F64", "shape": [1]}}, ONE),
    "half a surrogate": safetensors_bytes({"\ud800": W}, ONE),
    "bools of 2": safetensors_bytes({"a": {**W, "dtype": "BOOL", "data_offsets": [0, 1]}}, b"\2"),
    "bytes after the end": safetensors_bytes({"a": W}, ONE + b"\0"),
    "our key without our seal": safetensors_bytes({"__metadata__": {"overbar": "{}"}}),
    "our seal in another place": safetensors_bytes({"__metadata__": {"a": '{"seal":"'}}),
    "our checksums under another key": safetensors_bytes({"__metadata__": {'"crc32":{': "}"}}),
    "the end of our record": safetensors_bytes({"__metadata__": {"a": ',"end":"overbar"}'}}),
    "our record under another key": safetensors_bytes(
        {"__metadata__": {"pverbar": json.dumps({"overbar": 1}, separators=(",", ":"))}}
    ),
    "sealed, no record": sealed_bytes({}, {"w": W}, ONE),
    "sealed, checksum missing": sealed_bytes(FINE | {"crc32": {}}, {"w": W}, ONE),
    "sealed, checksum wrong": sealed_bytes(FINE | {"crc32": {"w": "00000001"}}, {"w": W}, ONE),
    "sealed, checksum a number": sealed_bytes(FINE | {"crc32": {"w": 1}}, {"w": W}, ONE),
    "sealed, checksum too many": sealed_bytes(FINE | {"crc32": CRC | {"v": ""}}, {"w": W}, ONE),
    "sealed, meta a list": sealed_bytes(FINE | {"meta": []}, {"w": W}, ONE),
    "sealed, deep meta": sealed_bytes(FINE, {"w": W}, ONE).replace(
        b'\\"meta\\":{}', b'\\"meta\\":' + b"[" * 50_000
    ),
    "sealed, pairs of nothing": sealed_bytes(FINE | {"pairs": ["v"]}, {"w": W}, ONE),
    "sealed, pairs that are none": sealed_bytes(FINE | {"pairs": ["w"]}, {"w": W}, ONE),
    "sealed, pairs of lists": sealed_bytes(FINE | {"pairs": [["w"]]}, {"w": W}, ONE),
    "sealed, format 0": sealed_bytes(FINE | {"overbar": 0}, {"w": W}, ONE),
    "sealed, marked unchecked": sealed_bytes(
        FINE | {"meta": {store.UNCHECKED: True}}, {"w": W}, ONE
    ),
    "sealed, a key of meta twice": resealed(
        sealed_bytes(FINE, {"w": W}, ONE).replace(
            b'\\"meta\\":{}', b'\\"meta\\":{\\"a\\":1,\\"a\\":2}'
        )
    ),
    "sealed, NaN in meta": sealed_bytes(FINE | {"meta": {"x": float("nan")}}, {"w": W}, ONE),
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_within_its_own_size(tmp_path, raw):
    path = tmp_path / "a"
    path.write_bytes(resealed(raw) if b"[[[[" in raw else raw)
    tracemalloc.start()
    try:
        with pytest.raises(FileError) as caught:
            store.read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(caught.value.what) < len(str(path)) + 200
    assert peak < 12 * len(raw) + 200_000  # the error, its traceback and pytest's own part of it


def test_a_forged_file_with_nothing_wrong_is_read(tmp_path):
    """The forger's tools work: what the cases above are refused for is what they say."""
    path = tmp_path / "a"
    path.write_bytes(sealed_bytes(FINE, {"w": W}, ONE))
    assert store.read(path)[0]["w"].tolist() == [1.0]
    path.write_bytes(resealed(sealed_bytes(FINE, {"w": W}, ONE)))
    assert store.read(path)[0]["w"].tolist() == [1.0]


EMPTY = '"%06d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
GREEDY = {  # headers of 1 MiB that make the most of what is built from them
    "lists": safetensors_bytes(b'{"a":' + b"[]," * (MIB // 3 - 9)),
    "empty tensors": safetensors_bytes(
        ("{" + ",".join(EMPTY % i for i in range(17_000)) + "}").encode()
    ),
    "metadata": safetensors_bytes(
        ('{"__metadata__":{' + ",".join(f'"{i:x}":""' for i in range(90_000)) + "}}").encode()
    ),
    "wide text": safetensors_bytes('{"\U0001f600'.encode() + b"a" * (MIB - 100)),
    "sealed, lists": resealed(
        sealed_bytes(FINE, {"w": W}, ONE).replace(
            b'\\"meta\\":{}', b'\\"meta\\":{\\"a\\":[' + b"[]," * (MIB // 3 - 200) + b"[]]}"
        )
    ),
    "sealed, dicts": resealed(
        sealed_bytes(FINE, {"w": W}, ONE).replace(
            b'\\"meta\\":{}', b'\\"meta\\":{\\"a\\":[' + b'{\\"\\":{}},' * 95_000 + b"{}]}"
        )
    ),
}


@pytest.mark.parametrize("raw", GREEDY.values(), ids=GREEDY)
def test_a_greedy_header_takes_no_more_than_is_promised(tmp_path, raw):
    assert 0.8 * MIB < len(raw) <= MIB + 8 + len(ONE)
    path = tmp_path / "a"
    path.write_bytes(raw)
    tracemalloc.start()
    try:
        with contextlib.suppress(FileError):
            store.read(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(raw) + 40 * MIB


def test_a_header_beyond_its_share_of_the_file_is_refused(tmp_path):
    path = tmp_path / "a"
    text = b"{}" + b" " * (MIB + 8)
    path.write_bytes(safetensors_bytes(text))
    with pytest.raises(FileError, match="more than 1 MiB and 1/64"):
        store.read(path)


def test_reading_takes_little_more_than_the_numbers(tmp_path):
    arrays = {"a": np.ones(2 * MIB), "b": np.ones((MIB, 4), np.float32)}
    store.write(tmp_path / "a", arrays, {})
    tracemalloc.start()
    try:
        found, _ = store.read(tmp_path / "a")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_same(found, arrays)
    assert peak < 32 * MIB + 200_000


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="is not a file"):
        store.read(tmp_path / "pipe")


# ------------------------------------------------------------------------------- interrupted


def test_the_bytes_reach_the_disk_before_the_name_and_the_folder_last(tmp_path, monkeypatch):
    path, steps = tmp_path / "a", []
    sync, rename = os.fsync, Path.replace

    def noting_sync(descriptor):
        folder = os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        steps.append("folder" if folder else os.fstat(descriptor).st_size)
        sync(descriptor)

    def noting_rename(part, target):
        assert part.parent == tmp_path
        steps.append("rename")
        return rename(part, target)

    monkeypatch.setattr(atomic.os, "fsync", noting_sync)
    monkeypatch.setattr(atomic.Path, "replace", noting_rename)
    store.write(path, {"x": np.ones(100)}, {})
    assert steps == [path.stat().st_size, "rename", "folder"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a"
    store.write(path, {"x": np.ones(3)}, {})

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.write(path, {"x": np.zeros(3)}, {})
    assert names_in(tmp_path) == ["a"]
    assert_same(store.read(path)[0], {"x": np.ones(3)})


def test_what_a_dead_writer_left_is_swept_and_what_a_living_one_holds_is_not(tmp_path):
    (tmp_path / ".a.0123456789ab.part").write_bytes(b"half")
    (tmp_path / ".b.0123456789ab.part").write_bytes(b"of another file")
    with atomic.replacing(tmp_path / "a") as living:
        living.write(b"first")
        store.write(tmp_path / "a", {}, {"second": True})
        assert len(list(tmp_path.glob(".a.*.part"))) == 1
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names_in(tmp_path) == [".b.0123456789ab.part", "a"]


ROUNDS = 200
KILLING = textwrap.dedent(
    """
    # A process that writes without end, killed at a random moment; again and again.
    import os, random, signal, sys, time
    from pathlib import Path
    import numpy as np
    from overbar import store

    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    path = folder / "model.safetensors"

    def write(count):
        arrays = {f"w{i}": np.full(20_000, count, np.float64) for i in range(4)}
        store.write(path, arrays, {"count": count})

    random.seed(16)
    write(0)
    last, interrupted, advanced, most = 0, 0, 0, 0
    for _ in range(rounds):
        child = os.fork()
        if not child:
            count = last
            while True:
                count += 1
                write(count)
        time.sleep(random.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        arrays, meta = store.read(path)
        assert len(arrays) == 4 and meta["count"] >= last, (meta, last)
        for array in arrays.values():
            assert array.shape == (20_000,) and (array == meta["count"]).all()
        left = len(os.listdir(folder)) - 1
        interrupted, most = interrupted + (left > 0), max(most, left)
        advanced, last = advanced + (meta["count"] > last), meta["count"]
    write(last + 1)
    print(interrupted, advanced, most, len(os.listdir(folder)))
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_writer_leaves_a_complete_file(tmp_path):
    """kill -9 at 200 random moments: the last complete file always loads."""
    done = subprocess.run(
        [sys.executable, "-c", KILLING, str(tmp_path), str(ROUNDS)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    interrupted, advanced, most, files = map(int, done.stdout.split())
    assert interrupted > ROUNDS // 10  # the moments were inside a write, not beside it
    assert advanced > ROUNDS // 10  # and not all before the first was complete
    assert most == 1  # a dead writer's file lasts until the next writer comes
    assert files == 1


def test_the_store_is_imported_without_the_safetensors_package():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, overbar.store; print('safetensors' in sys.modules)"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"

"""What the tests of kernels share: memory with an end, parts in any order, witnesses."""

import ctypes
import mmap

import numpy as np
import pytest

from overbar.compile import native
from overbar.errors import DomainError

KINDS = ["avx512", "avx2", "generic"]


def machine_of(kind):
    try:
        return native.forced(kind)
    except DomainError as error:
        pytest.skip(str(error))


class Area:
    """So many numbers, right before a page that nobody may touch."""

    def __init__(self, count, dtype="uint8", fill=0):
        size = count * np.dtype(dtype).itemsize
        whole = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        self.memory = mmap.mmap(-1, whole + mmap.PAGESIZE)
        raw = np.frombuffer(self.memory, np.uint8)
        protect = ctypes.CDLL(None).mprotect
        address = ctypes.c_void_p(raw.ctypes.data + whole)
        assert protect(address, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
        self.values = raw[whole - size : whole].view(dtype)
        self.values[:] = fill

    @property
    def address(self):
        return self.values.ctypes.data


def lines(size):
    """So many bytes as whole cache lines: an area of them begins at one."""
    return -(-size // 64) * 64


def last(a):
    """(n, channels, *space) as it lies in memory with channels last."""
    return np.ascontiguousarray(np.moveaxis(a, 1, -1))


def first(a, shape):
    """The way back: flat numbers, channels last, of an array of this shape."""
    return np.moveaxis(a.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


WITNESSED = ["batch", "i0", "i1", "j0", "j1"]


def write_witness(module, name="witness"):
    """An epilogue that writes down which blocks it was called for: how many, then five of each."""

    def write():
        block = [("i64", x) for x in WITNESSED]
        f = module.function(name, [("ptr", "X"), ("ptr", "C"), *block])
        n = f.let("atomicrmw add ptr %X, i64 1 seq_cst")
        for i, x in enumerate(WITNESSED):
            f.store(f"%{x}", f.at("%X", f.add(f.mul(n, 5), 1 + i), "i64"), "i64")
        f.give()

    return module.once(name, write)


def seen(witness, shape):
    """How often each number of the result, matrices of this shape, was in a block."""
    times = np.zeros(shape, int)
    for n in range(witness[0]):
        batch, i0, i1, j0, j1 = witness[1 + 5 * n : 6 + 5 * n]
        assert 0 <= i0 < i1 <= shape[1]
        assert 0 <= j0 < j1 <= shape[2]
        times[batch, i0:i1, j0:j1] += 1
    return times


def make_public(module, kernel, name, pointers):
    """A public function that calls an internal kernel."""
    arguments = [*(("ptr", f"p{i}") for i in range(pointers)), ("i64", "part")]
    f = module.function(name, arguments, public=True)
    f.call(kernel, "void", *((t, f"%{x}") for t, x in arguments))
    f.give()


def function(library, name, pointers):
    """It, callable from Python."""
    types = [ctypes.c_void_p] * pointers + [ctypes.c_int64]
    return ctypes.CFUNCTYPE(None, *types)(library.address(name))


def work(kernel, call, arguments, rng, pool=None):
    """All parts in a random order (on a pool: at the same time), each with a workspace of its own
    that holds rubbish.
    """
    order = rng.permutation(kernel.parts).tolist()
    size = lines(kernel.workspace)

    def one(part):
        workspace = Area(size, fill=0xFF)
        call(*arguments, workspace.address, part)

    list((pool.map if pool else map)(one, order))

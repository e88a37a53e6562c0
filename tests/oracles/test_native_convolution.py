"""Convolution and pooling in native code beside PyTorch, in double precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)

pytest.importorskip("llvmlite")
from tests.compile import test_convolution as convolutions
from tests.compile import test_pooling as poolings

pytestmark = pytest.mark.native

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def padded(x, padding):
    """PyTorch's convolutions pad evenly only."""
    return F.pad(x, [n for pair in reversed(padding) for n in pair])


def face_of(c, given):
    """PyTorch's answer; a gradient for the faces that are one."""
    sizes = convolutions.shapes(c)
    x, w = (
        torch.tensor(given[k]) if k in given else torch.zeros(sizes[k], dtype=torch.float64)
        for k in "xw"
    )
    x.requires_grad_(c.face == "input")
    w.requires_grad_(c.face == "weight")
    how = {"stride": c.stride, "dilation": c.dilation, "groups": c.groups}
    y = CONV[len(c.space)](padded(x, c.padding), w, **how)
    if c.face == "output":
        return y.numpy()
    y.backward(torch.tensor(given["y"]))
    return (x if c.face == "input" else w).grad.numpy()


def test_convolution():
    library, made = convolutions.compiled("avx512", "float64", small=True)
    rng, compared = np.random.default_rng(5), 0
    for name, (c, stages, publics) in made.items():
        sizes = convolutions.shapes(c)
        if any(0 in size for size in sizes.values()) or min(c.space) == 0:
            continue
        given = convolutions.draw(c, rng)
        flat, _ = convolutions.run(library, c, stages, publics, given, rng)
        y = convolutions.out_of_memory(flat, convolutions.FACES[c.face][2], c)
        np.testing.assert_allclose(y, face_of(c, given), rtol=1e-11, atol=1e-11, err_msg=name)
        compared += 1
    assert compared > 40


def test_pooling():
    library, made = poolings.compiled("avx512", "float64")
    rng, compared = np.random.default_rng(6), 0
    for name, one in made.items():
        p = one[0]
        x, y = poolings.draw(p, rng)
        if not x.size or any(a != b for a, b in p.padding) or not (p.values and p.winners):
            continue
        x = rng.standard_normal(x.shape)
        _, winners = poolings.answers(p, x, y)
        got, at, _ = poolings.run(library, one, x, y, winners, rng)
        pad = [before for before, _ in p.padding]
        there = torch.tensor(x, requires_grad=True)
        if p.face in ("greatest", "chosen"):
            theirs, where = MAX[len(p.space)](there, p.size, p.stride, pad, return_indices=True)
        else:
            theirs = AVERAGE[len(p.space)](there, p.size, p.stride, pad)
            theirs = theirs * (np.prod(p.size) * p.scale)
        if p.face == "greatest":
            assert np.array_equal(at, where.numpy()), name
        if p.face in ("chosen", "spread"):
            theirs.backward(torch.tensor(y))
            theirs = there.grad
        np.testing.assert_allclose(got, theirs.detach(), rtol=1e-12, atol=1e-12, err_msg=name)
        compared += 1
    assert compared > 20

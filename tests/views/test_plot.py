"""plot_derivatives and spy: points are the engine's, kinks exact, pictures are read back."""

import struct
import zlib
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import overbar as ob
from overbar.errors import DomainError, FileError, GradientError, MissingPackageError
from overbar.views.plot import plot_derivatives
from overbar.views.raster import png_of
from overbar.views.spy import LARGEST, spy

SVG = "{http://www.w3.org/2000/svg}"


def derivative(f, x, order=1):
    for _ in range(order):
        f = ob.grad(lambda x, f=f: ob.sum(f(x)))
    return np.asarray(f(x))


# -- derivatives --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("f", [ob.relu, ob.softplus, ob.gelu, ob.tanh, ob.abs, ob.silu])
def test_every_point_is_a_derivative_of_the_engine(f, order):
    (curve,) = plot_derivatives(f, order=order).curves
    np.testing.assert_array_equal(curve.y, derivative(f, curve.x, order))
    for bend in curve.bends:
        at = np.array([np.nextafter(bend.x, -9), bend.x, np.nextafter(bend.x, 9)])
        assert [bend.left, bend.taken, bend.right] == derivative(f, at, order).tolist()


@pytest.mark.parametrize(
    ("f", "where"),
    [
        (ob.relu, [0.0]),
        (lambda x: ob.relu(x - 0.3), [0.3]),
        (lambda x: ob.relu(3 * x - 1), [1 / 3]),
        (lambda x: ob.relu(x**3 - x), [-1.0, 0.0, 1.0]),
        (lambda x: ob.clip(x, -1.5, 2.25), [-1.5, 2.25]),
        (ob.hard_tanh, [-1.0, 1.0]),
        (lambda x: ob.maximum(x, -0.1 * x), [0.0]),
        (lambda x: ob.where(x > 0.7, x, 2 * x - 0.7), [0.7]),
        (lambda x: ob.where(x * x > 2.0, x * x, 2.0 * x), [-np.sqrt(2.0), np.sqrt(2.0)]),
        (lambda x: ob.floor(x) * x, [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]),
        (ob.abs, [0.0]),
        (ob.tanh, []),
        (ob.gelu, []),
        (ob.elu, []),
    ],
)
def test_kinks_are_found_to_the_last_bit(f, where):
    (curve,) = plot_derivatives(f).curves
    found = [b.x for b in curve.bends]
    assert len(found) == len(where)
    assert all(abs(a - b) <= np.spacing(abs(b)) for a, b in zip(found, where, strict=True))
    assert not set(found) & set(curve.x.tolist())


def test_the_subgradient_taken_is_marked():
    leaky = plot_derivatives(lambda x: ob.leaky_relu(x, 0.1)).curves[0]
    (bend,) = leaky.bends
    assert (bend.left, bend.right, bend.taken) == (
        0.1,
        1.0,
        float(derivative(lambda x: ob.leaky_relu(x, 0.1), np.zeros(1))[0]),
    )
    for choice, taken in (("left", 0.0), ("right", 1.0), ("middle", 0.5)):
        with ob.config(kinks=choice):
            (bend,) = plot_derivatives(ob.relu).curves[0].bends
        assert bend.taken == taken


def test_s3_10_the_four_activations():
    def leaky_relu(x):
        return ob.leaky_relu(x, 0.1)

    plot = plot_derivatives(ob.relu, leaky_relu, ob.softplus, ob.gelu)
    closed = [
        lambda x: (x > 0) * 1.0,
        lambda x: np.where(x > 0, 1.0, 0.1),
        lambda x: 1 / (1 + np.exp(-x)),
    ]
    for curve, formula in zip(plot.curves, closed, strict=False):
        np.testing.assert_allclose(curve.y, formula(curve.x), rtol=1e-12)
    assert [c.name for c in plot.curves] == ["relu", "leaky_relu", "softplus", "gelu"]
    assert [len(c.bends) for c in plot.curves] == [1, 1, 0, 0]
    root = ET.fromstring(plot.svg())  # noqa: S314  (our own)
    kinks = [e for e in root.iter(f"{SVG}g") if e.attrib.get("class") == "kink"]
    assert len(kinks) == 2
    for kink in kinks:
        circles = [c.attrib["class"].split()[0] for c in kink.iter(f"{SVG}circle")]
        assert circles == ["ring", "ring", "dot"]
    lines = list(root.iter(f"{SVG}polyline"))
    assert len(lines) == 2 + 2 + 1 + 1  # the kinked ones have a gap


def test_a_kink_of_a_lower_derivative_is_a_gap_of_the_next():
    (bend,) = plot_derivatives(ob.relu, order=2).curves[0].bends
    assert (bend.x, bend.left, bend.right) == (0.0, 0.0, 0.0)


def test_poles_and_points_without_value_are_left_out():
    plot = plot_derivatives(ob.sqrt, ob.log, range=(-1, 4))
    for curve in plot.curves:
        assert not np.isfinite(curve.y[curve.x < 0]).any()
    svg = plot.svg()
    assert "nan" not in svg.split("<title>")[0]
    ET.fromstring(svg)  # noqa: S314  (our own)


def test_the_text_says_where_the_kinks_are():
    said = plot_derivatives(ob.relu, ob.tanh).text()
    assert said.splitlines()[1].split() == ["relu′", "0", "0", "1.00", "0"]
    assert "no kinks" in plot_derivatives(ob.tanh).text()
    assert plot_derivatives(ob.relu).text(ascii=True).isascii()


def test_axes_of_matplotlib_get_the_same_points():
    class Axes:
        def __init__(self):
            self.lines, self.legends = [], 0

        def plot(self, x, y, *args, **_):
            self.lines.append((np.asarray(x), np.asarray(y), args))

        def legend(self):
            self.legends += 1

    ax = Axes()
    plot = plot_derivatives(ob.relu, ax=ax)
    curve = plot.curves[0]
    pieces = [line for line in ax.lines if not line[2]]
    np.testing.assert_array_equal(np.concatenate([p[0] for p in pieces]), curve.x)
    np.testing.assert_array_equal(np.concatenate([p[1] for p in pieces]), curve.y)
    dots = [line for line in ax.lines if line[2]]
    assert [d[1].tolist() for d in dots] == [[0.0, 1.0], [0.0]]
    assert ax.legends == 1


def test_what_cannot_be_plotted_is_refused():
    with pytest.raises(DomainError, match="entry by entry"):
        plot_derivatives(ob.sum, order=0)
    for how in ({"range": (1, 1)}, {"order": -1}):
        with pytest.raises(DomainError, match="nothing to plot"):
            plot_derivatives(ob.tanh, **how)
    with pytest.raises(DomainError, match="nothing to plot"):
        plot_derivatives()


def test_plots_are_saved(tmp_path, monkeypatch):
    plot = plot_derivatives(ob.relu)
    for ending in ("svg", "html", "txt"):
        plot.save(tmp_path / f"a.{ending}")
        assert (tmp_path / f"a.{ending}").read_text("utf-8")
    with pytest.raises(FileError):
        plot.save(tmp_path / "a.pdf")
    monkeypatch.setitem(__import__("sys").modules, "resvg_py", None)
    with pytest.raises(MissingPackageError, match="pip install"):
        plot.png()


# -- spy ----------------------------------------------------------------------------------------


def read_png(data):
    """The colours of a PNG, read by the specification."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert crc == zlib.crc32(kind + body)
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + length
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 2, [0, 0, 0])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, 1 + 3 * width)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 3)


def test_png_is_read_back(rng):
    pixels = rng.integers(0, 256, (13, 29, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read_png(png_of(pixels)), pixels)


def test_png_is_read_by_others_too(rng):
    image = pytest.importorskip("PIL.Image")
    import io

    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(image.open(io.BytesIO(png_of(pixels)))), pixels)


def banded(x):
    return ob.sin(x[1:] * x[:-1])


def test_the_picture_of_a_sparse_jacobian_is_its_pattern():
    x = np.arange(1.0, 9.0)
    picture = spy(banded, x)
    J = np.asarray(ob.jacobian(banded)(x))
    np.testing.assert_allclose(picture.matrix, J, rtol=1e-12)
    np.testing.assert_array_equal(picture.pattern, J != 0)
    assert picture.density == np.mean(J != 0)
    assert not picture.dense
    dark = read_png(picture.png()).sum(axis=-1) < 300
    np.testing.assert_array_equal(dark, J != 0)


def test_the_picture_of_a_dense_jacobian_has_its_signs_and_sizes(rng):
    A = rng.normal(size=(9, 7))
    picture = spy(lambda x: ob.asarray(A) @ x, np.ones(7))
    np.testing.assert_allclose(picture.matrix, A, rtol=1e-12)
    assert picture.dense
    pixels = read_png(picture.png()).astype(int)
    red, blue = pixels[..., 0], pixels[..., 2]
    np.testing.assert_array_equal(red > blue, A > 0)
    np.testing.assert_array_equal(blue > red, A < 0)
    for sign in (A > 0, A < 0):  # the greater, the darker
        order = np.argsort(np.abs(A[sign]))
        assert (np.diff(pixels.sum(axis=-1)[sign][order]) <= 0).all()


def test_several_arguments_stand_side_by_side():
    picture = spy(lambda x, b: ob.tanh(x) * 2.0 + b, np.ones(3), np.zeros(3))
    assert picture.blocks == [("x", 0, 3), ("b", 3, 6)]
    np.testing.assert_allclose(picture.matrix[:, 3:], np.eye(3), rtol=1e-12)
    assert picture.text().splitlines()[-2:] == ["columns 0 to 2: x", "columns 3 to 5: b"]


def test_results_have_jacobians_too_by_whichever_sweep_is_shorter():
    W = ob.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    x = ob.tensor(np.array([1.0, 2.0, 3.0]))
    tall = ob.concat([W @ x, ob.sum(W * W, axis=0), ob.ravel(W) ** 2])
    wide = W @ x
    for y in (tall, wide):
        picture = spy(y)
        rows = []
        for j in range(y.size):
            (row,) = [ob.adjoint(ob.reshape(y, (-1,))[j], W)]
            rows.append(np.ravel(row.numpy()))
        np.testing.assert_allclose(picture.matrix, np.array(rows), rtol=1e-12)


def test_large_ones_are_binned_with_the_largest_entry_kept():
    n = 1300
    picture = spy(lambda x: x * np.r_[np.ones(n - 1), -50.0], np.ones(n))
    pixels = read_png(picture.png())
    assert pixels.shape == (LARGEST, LARGEST, 3)
    dark = pixels.sum(axis=-1) < 300
    assert dark.any(axis=0).all()
    assert dark.any(axis=1).all()
    assert picture.matrix.shape == (n, n)


def test_not_a_number_shows():
    with np.errstate(all="ignore"):
        picture = spy(lambda x: ob.sqrt(x) * 1.0, np.array([-1.0, 0.0, 4.0]))
    assert np.isnan(picture.matrix[0, 0])
    assert picture.pattern[0, 0]
    read_png(picture.png())


def test_spy_is_well_formed_and_saved(tmp_path):
    picture = spy(banded, np.arange(1.0, 9.0))
    root = ET.fromstring(picture.svg())  # noqa: S314  (our own)
    assert len(list(root.iter(f"{SVG}image"))) == 1
    for ending in ("png", "svg", "html", "txt"):
        picture.save(tmp_path / f"a.{ending}")
    assert (tmp_path / "a.png").read_bytes() == picture.png()
    assert picture.text(ascii=True).isascii()
    with pytest.raises(FileError):
        picture.save(tmp_path / "a.pdf")
    with pytest.raises(GradientError):
        spy(ob.tensor(1.0) * 2.0)


def test_looking_changes_nothing():
    w = ob.tensor([1.0, 2.0], requires_grad=True)
    y = ob.tanh(w * 3.0)
    y.backward(np.ones(2))
    before = (w.grad, w.value, w.node, y.value)
    spy(y).svg()
    plot_derivatives(lambda x: ob.tanh(x) * 1.0)
    assert all(a is b for a, b in zip(before, (w.grad, w.value, w.node, y.value), strict=True))

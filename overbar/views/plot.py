"""plot_derivatives: the derivative of a function of one number, with its kinks as gaps.

Every point is a derivative that the engine made. A kink is found from what the primitives say of
themselves (`kinks.CORNERS`): where the argument of one of them comes to its corner is found by
bisection, to the last bit. There the curve has a gap: open circles are the limits from both sides,
the dot is the subgradient that the engine takes.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..calculus.after import trace
from ..calculus.transforms import grad
from ..errors import DomainError
from ..graph import Node
from ..handle import Tensor
from ..ops.reduce import sum as total
from .answer import Pictured, Table, number, padded, plain
from .kinks import CORNERS
from .measure import FACES, text_width
from .raster import png_of_svg
from .record import unchanged

POINTS = 481
WIDTH, HEIGHT = 560, 340
COLOURS = ("#2f6fd0", "#c2281d", "#2e9960", "#d97b00", "#7a4fc0", "#6b7280")
DARK = ("#7fb0ff", "#ff8273", "#66cc8f", "#ffb454", "#bb9af7", "#b6bdc9")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "4 4", "12 3")

STEPS = frozenset({"floor", "ceil", "trunc", "round", "floor_divide", "remainder"})
COMPARISONS = frozenset(
    {"greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "maximum", "minimum"}
)


@dataclasses.dataclass(frozen=True)
class Bend:
    """A kink of a curve: the limits of the derivative from both sides, and what is taken there."""

    x: float
    left: float
    right: float
    taken: float


@dataclasses.dataclass(frozen=True)
class Curve:
    """A derivative: `order` of it, its points, without the kinks, which are in `bends`."""

    name: str
    order: int
    x: np.ndarray
    y: np.ndarray
    bends: tuple[Bend, ...]


def plot_derivatives(
    *functions: Callable[..., Any],
    range: tuple[float, float] = (-4.0, 4.0),
    order: int = 1,
    ax: Any = None,
) -> Plot:
    """The derivatives of functions of one number, over a range, as one picture.

    Each function is given an array and acts entry by entry. A kink, where there is no derivative,
    is a gap between open circles, with a dot at the subgradient that is taken, as
    `ob.config(kinks=)` says. `order=0` shows the functions themselves. `ax`: axes of matplotlib to
    draw into as well.

    Raises:  DomainError if a function does not act entry by entry.
    Example:
        >>> plot = ob.plot_derivatives(ob.relu, ob.tanh)
        >>> plot.curves[0].bends
        (Bend(x=0.0, left=0.0, right=1.0, taken=0.0),)
        >>> plot.curves[1].bends
        ()
    """
    low, high = (float(v) for v in range)
    if not low < high or not functions or order < 0:
        raise DomainError(
            "plot_derivatives: nothing to plot",
            got={
                "functions": str(len(functions)),
                "range": f"({low}, {high})",
                "order": str(order),
            },
            want="one function or more, a range (low, high), order >= 0",
        )
    with unchanged():
        curves = [_curve(f, low, high, order) for f in functions]
    plot = Plot(curves, (low, high), order)
    if ax is not None:
        plot.draw(ax)
    return plot


def _curve(f: Callable[..., Any], low: float, high: float, order: int) -> Curve:
    d = _derivative(f, order)
    x = np.linspace(low, high, POINTS)
    kinks = _corners(f, x)
    bends = []
    for k in kinks:
        before, after = np.nextafter(k, -np.inf), np.nextafter(k, np.inf)
        slopes = [_derivative(f, n)(np.array([before, k, after])) for n in [*_orders(order), order]]
        left, taken, right = (float(v) for v in slopes[-1])
        if any(_jumps(*s) for s in slopes):
            bends.append(Bend(float(k), left, right, taken))
    at = np.array([b.x for b in bends])
    sides = np.concatenate([np.nextafter(at, -np.inf), np.nextafter(at, np.inf)])
    x = np.union1d(x, sides[(sides >= low) & (sides <= high)])
    x = x[~np.isin(x, at)]
    y = np.where(np.isnan(_derivative(f, 0)(x)), np.nan, d(x))  # no value, no derivative
    return Curve(_name(f), order, x, y, tuple(bends))


def _orders(order: int) -> Sequence[int]:
    """The derivatives below: where one of them jumps, the next does not exist."""
    return [n for n in (1, 2, 3) if n < order]


def _jumps(left: float, taken: float, right: float) -> bool:
    values = np.array([left, taken, right])
    if not np.isfinite(values).all():
        return True
    return float(np.ptp(values)) > 1e-9 * max(1.0, float(np.abs(values).max()))


def _derivative(f: Callable[..., Any], order: int) -> Callable[[np.ndarray], np.ndarray]:
    """The derivative of f entry by entry, by the engine."""
    g = f
    for _ in np.arange(order):
        g = grad(lambda x, g=g: total(g(x)))

    def at(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            y = g(x)
        y = np.asarray(y.value if isinstance(y, Tensor) else y, np.float64)
        if y.shape != x.shape:
            raise DomainError(
                f"plot_derivatives: {_name(f)} does not act entry by entry",
                got={"an array of": str(x.shape), "became one of": str(y.shape)},
            )
        return y

    return at


def _name(f: Callable[..., Any]) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return "f" if name == "<lambda>" else name.rstrip("_")


# -- where the kinks are ------------------------------------------------------------------------


def _corners(f: Callable[..., Any], x: np.ndarray) -> list[float]:
    """Where an argument of a primitive with a corner comes to it, to the last bit."""
    probe = _Probe(f, len(x))
    found: set[float] = set()
    for i, (d, jumps) in enumerate(probe.at(x)):
        if jumps:
            turns = np.flatnonzero((d[:-1] != d[1:]) & ~np.isnan(d[:-1]) & ~np.isnan(d[1:]))
        else:
            found |= {float(v) for v in x[d == 0]}
            turns = np.flatnonzero((d[:-1] * d[1:] < 0) & np.isfinite(d[:-1] - d[1:]))
        if len(turns):
            found |= set(probe.bisected(i, x[turns], x[turns + 1], d[turns]))
    return sorted(v for v in found if x[0] <= v <= x[-1])


class _Probe:
    """The graph of a function, run at points: how far each corner's argument is from the corner."""

    def __init__(self, f: Callable[..., Any], size: int) -> None:
        self.size, self.graph = size, trace(f)(np.ones(size))
        self.reads = [t.value for t in self.graph.derived.get("reads", ())]

    def at(self, x: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        """For each corner its distance; or the value of a step, which jumps."""
        given = np.concatenate([x, np.full(self.size - len(x), x[0])])
        values: dict[Node, Any] = dict(zip(self.graph.inputs, [given, *self.reads], strict=True))
        found = []
        with np.errstate(all="ignore"):
            for node in self.graph.nodes:
                if node not in values:
                    xs = [values[v] for v in node.inputs]
                    values[node] = node.op.run(*xs, **node.params) if node.inputs else node.value
                    found += _from_corner(node.op.name, xs, values[node])
        return [
            (np.asarray(d, np.float64)[: len(x)], jumps)
            for d, jumps in found
            if np.shape(d) == (self.size,)
        ]

    def bisected(self, i: int, low: np.ndarray, high: np.ndarray, d: np.ndarray) -> list[float]:
        """Where the i-th distance is zero, or turns, or a step jumps."""
        low, high, zero = low.copy(), high.copy(), np.full(low.shape, np.nan)
        for _ in np.arange(1100):  # halving reaches the least number there is
            middle = low + (high - low) / 2
            done = (middle <= low) | (middle >= high) | ~np.isnan(zero)
            if done.all():
                break
            here, jumps = self.at(middle)[i]
            zero = np.where((here == 0) & (not jumps) & np.isnan(zero), middle, zero)
            same = here == d if jumps else np.sign(here) == np.sign(d)
            low, high = np.where(same & ~done, middle, low), np.where(same | done, high, middle)
        rounder = [
            min(a, b, key=lambda v: len(repr(float(v)))) for a, b in zip(low, high, strict=True)
        ]
        return [float(v) for v in np.where(np.isnan(zero), rounder, zero)]


def _from_corner(name: str, xs: Sequence[Any], y: Any) -> list[tuple[Any, bool]]:
    if name in STEPS:
        return [(y, True)]
    if name in COMPARISONS:
        return [(np.asarray(xs[0], np.float64) - xs[1], False)]
    if name == "clip":
        return [(np.asarray(xs[0]) - xs[1], False), (np.asarray(xs[0]) - xs[2], False)]
    return [(xs[0], False)] if name == "sign" or name in CORNERS else []


# -- the picture --------------------------------------------------------------------------------


class Plot(Pictured):
    """The picture: `.svg()`, `.png()`, `.save(path)`, `.draw(ax)`; `.curves`: its data."""

    def __init__(self, curves: Sequence[Curve], range: tuple[float, float], order: int) -> None:
        self.curves, self.range, self.order = list(curves), range, order

    def _heights(self) -> tuple[float, float]:
        """What the vertical axis covers: all, unless a few points are far out; and 0, if near."""
        ends = [v for c in self.curves for b in c.bends for v in (b.left, b.right, b.taken)]
        every = np.concatenate([*(c.y for c in self.curves), np.array(ends)])
        finite = every[np.isfinite(every)]
        if not finite.size:
            return -1.0, 1.0
        low, high = float(finite.min()), float(finite.max())
        a, b = (float(v) for v in np.percentile(finite, [3, 97]))
        if high - low > 8 * max(b - a, 1e-12) and b > a:
            low, high = a - 0.5 * (b - a), b + 0.5 * (b - a)
        if high - low < 1e-12 * max(1.0, abs(high)):
            low, high = low - 1, high + 1
        if 0 < low < high - low:
            low = 0.0
        if low - high < high < 0:
            high = 0.0
        room = 0.06 * (high - low)
        return low - room, high + room

    def svg(self) -> str:
        """The picture as SVG."""
        low, high = self._heights()
        left, top, right, bottom = 54.0, 16.0, WIDTH - 16.0, HEIGHT - 34.0
        (a, b) = self.range

        def u(x: float) -> float:
            return left + (x - a) / (b - a) * (right - left)

        def v(y: float) -> float:
            y = min(high + (high - low), max(low - (high - low), y))
            return bottom - (y - low) / (high - low) * (bottom - top)

        title = html.escape(self._title())
        area = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}"'
        out = [
            '<svg xmlns="http://www.w3.org/2000/svg" class="ob-plot" role="img"',
            f' aria-label="{title}"',
            f' viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"',
            f' font-family="{FACES}" font-size="11">',
            f"<title>{title}</title>",
            STYLE,
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            f'<clipPath id="ob-plot-area"><rect {area}/></clipPath>',
            '<g class="grid" stroke="#d9dde3">',
        ]
        labels = []
        for x in _ticks(a, b):
            out.append(f'<path d="M{u(x):.1f} {top}V{bottom}"/>')
            labels.append(f'<text class="quiet" x="{u(x):.1f}" y="{bottom + 15}" text-anchor="middle" fill="#5b6470">{_short(x)}</text>')  # fmt: skip  # noqa: E501
        for y in _ticks(low, high):
            out.append(f'<path d="M{left} {v(y):.1f}H{right}"/>')
            labels.append(f'<text class="quiet" x="{left - 7}" y="{v(y) + 4:.1f}" text-anchor="end" fill="#5b6470">{_short(y)}</text>')  # fmt: skip  # noqa: E501
        out += ["</g>", '<g class="axes" stroke="#67707c">']
        if low < 0 < high:
            out.append(f'<path d="M{left} {v(0):.1f}H{right}"/>')
        if a < 0 < b:
            out.append(f'<path d="M{u(0):.1f} {top}V{bottom}"/>')
        out += ["</g>", *labels, '<g clip-path="url(#ob-plot-area)">']
        for i, c in enumerate(self.curves):
            out += list(_drawn(c, i, u, v))
        out += ["</g>", *self._legend(left), "</svg>"]
        return "\n".join(out)

    def _legend(self, left: float) -> list[str]:
        """A line for each curve; at the top left, on paper."""
        said = [_called(c) for c in self.curves]
        wide = max(text_width(s, 11) for s in said) + 48
        tall = 17 * len(said) + 8
        out = [f'<rect class="paper grid" x="{left + 8}" y="22" width="{wide:.1f}" height="{tall}" rx="5" fill="#ffffff" stroke="#d9dde3"/>']  # fmt: skip  # noqa: E501
        for i, name in enumerate(said):
            y = 36 + 17 * i
            out.append(
                f'<path class="curve c{i % 6}" d="M{left + 14} {y - 4}h24" fill="none" '
                f'stroke="{COLOURS[i % 6]}" stroke-width="2"{_dash(i)}/>'
                f'<text class="ink" x="{left + 45}" y="{y}" fill="#1d2129">'
                f"{html.escape(name)}</text>"
            )
        return out

    def _title(self) -> str:
        return ", ".join(_called(c) for c in self.curves)

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return self.svg()

    def png(self, scale: float = 2.0) -> bytes:
        """The picture as PNG.

        Raises:  MissingPackageError without resvg_py.
        """
        return png_of_svg("plot_derivatives", self.svg(), scale)

    def draw(self, ax: Any) -> Any:
        """The curves in axes of matplotlib."""
        for i, c in enumerate(self.curves):
            colour = COLOURS[i % 6]
            for k, (x, y) in enumerate(_pieces(c)):
                ax.plot(x, y, color=colour, label=_called(c) if k == 0 else None)
            for b in c.bends:
                ax.plot([b.x, b.x], [b.left, b.right], "o", color=colour, fillstyle="none")
                ax.plot([b.x], [b.taken], "o", color=colour)
        ax.legend()
        return ax

    def text(self, *, ascii: bool = False) -> str:
        """The kinks as a table."""
        rows = [row for _, _, rows in self.tables() for row in rows]
        if not rows:
            return plain(f"{self._title()}: no kinks in {list(self.range)}", ascii)
        rows = [["", "kink at", "from the left", "from the right", "taken"], *map(list, rows)]
        wide = [max(len(r[i]) for r in rows) + 2 for i in np.arange(5)]
        lines = ["".join(padded(c, w) for c, w in zip(r, wide, strict=True)) for r in rows]
        return plain("\n".join(line.rstrip() for line in lines), ascii)

    def tables(self) -> list[Table]:
        """The kinks."""
        rows = [
            [_called(c), number(b.x), number(b.left), number(b.right), number(b.taken)]
            for c in self.curves
            for b in c.bends
        ]
        return [("kinks", ["", "at", "from the left", "from the right", "taken"], rows)]


def _called(c: Curve) -> str:
    return f"{c.name}{'′' * c.order if c.order < 4 else f' ({c.order})'}"


def _dash(i: int) -> str:
    dash = DASHES[i % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _pieces(c: Curve) -> list[tuple[np.ndarray, np.ndarray]]:
    """The curve between its kinks, and between points where it has no value."""
    cuts = np.searchsorted(c.x, [b.x for b in c.bends])
    found = []
    for x, y in zip(np.split(c.x, cuts), np.split(c.y, cuts), strict=True):
        gaps = np.flatnonzero(~np.isfinite(y))
        for p, q in zip(np.split(x, gaps), np.split(y, gaps), strict=True):
            keep = np.isfinite(q)
            if keep.any():
                found.append((p[keep], q[keep]))
    return found


def _drawn(c: Curve, i: int, u: Callable[[float], float], v: Callable[[float], float]) -> list[str]:
    """A curve, its gaps and its dots."""
    colour, out = COLOURS[i % 6], []
    for x, y in _pieces(c):
        points = " ".join(f"{u(p):.2f},{v(q):.2f}" for p, q in zip(x, y, strict=True))
        out.append(
            f'<polyline class="curve c{i % 6}" points="{points}" fill="none" stroke="{colour}" '
            f'stroke-width="2"{_dash(i)}/>'
        )
    for b in c.bends:
        said = f"{_called(c)} at {_short(b.x)}: {number(b.left)} from the left, {number(b.right)} from the right, {number(b.taken)} is taken"  # noqa: E501
        rings = [
            f'<circle class="ring c{i % 6}" cx="{u(b.x):.2f}" cy="{v(y):.2f}" r="4" '
            f'fill="#ffffff" stroke="{colour}" stroke-width="1.6"/>'
            for y in (b.left, b.right)
            if math.isfinite(y)
        ]
        dot = (
            f'<circle class="dot c{i % 6}" cx="{u(b.x):.2f}" cy="{v(b.taken):.2f}" r="4" '
            f'fill="{colour}"/>'
            if math.isfinite(b.taken)
            else ""
        )
        out.append(f'<g class="kink"><title>{html.escape(said)}</title>{"".join(rings)}{dot}</g>')
    return out


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, five to ten of them."""
    raw = (high - low) / 7
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in np.arange(first, math.floor(high / step + 1e-9) + 1)]


def _short(v: float) -> str:
    return f"{v:.10g}" if v else "0"


STYLE = (
    "<style>@media(prefers-color-scheme:dark){.ob-plot .paper{fill:#14171c}"
    ".ob-plot .ink{fill:#eceef1}.ob-plot .quiet{fill:#a9b2be}.ob-plot .grid{stroke:#2a313c}"
    ".ob-plot .ring{fill:#14171c}"
    + "".join(
        f".ob-plot .c{i}{{stroke:{c}}}.ob-plot .dot.c{i}{{fill:{c}}}" for i, c in enumerate(DARK)
    )
    + "}</style>"
)

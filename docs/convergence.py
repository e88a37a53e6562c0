"""A picture of how many evaluations bring a function how far down, as SVG.

Every curve is a list of counts: the evaluations after which the best value so far was at most
10⁰, 10⁻¹, ... Counts are whole numbers, so the picture is the same wherever it is drawn.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 560, 320, 60, 150, 16, 44
COLOURS = ("#2f6fd0", "#c2281d", "#2e9960", "#d97b00")


class Counted:
    """A function that remembers the best value after each of its calls."""

    def __init__(self, f: Callable[..., float]) -> None:
        self.f, self.best = f, []

    def __call__(self, x: Any, *args: Any) -> float:
        value = float(self.f(x, *args))
        self.best.append(min(value, self.best[-1]) if self.best else value)
        return value

    def reached(self, powers: int) -> list[int]:
        """The number of the call that came down to 10⁰, 10⁻¹, ...; as far as it came."""
        best = np.array(self.best)
        counts = [int(np.argmax(best <= 10.0**-k)) + 1 for k in range(powers)]
        return [n for k, n in enumerate(counts) if best[n - 1] <= 10.0**-k]


class Convergence:
    """Curves by name: see `Counted.reached`."""

    def __init__(self, curves: dict[str, list[int]]) -> None:
        self.curves = curves

    def save(self, path: str) -> None:
        """Write the picture."""
        Path(path).write_text(self.svg(), encoding="utf-8")

    def svg(self) -> str:
        """The picture, with a table of its numbers for who cannot see it."""
        least = 10 ** (len(str(min(counts[0] for counts in self.curves.values()))) - 1)
        most = 10 ** len(str(max(counts[-1] for counts in self.curves.values()) - 1))
        powers = max(map(len, self.curves.values()))
        across = (WIDTH - LEFT - RIGHT) / np.log10(most / least)
        down = (HEIGHT - TOP - BOTTOM) / (powers - 1)

        def spot(n: int, k: int) -> tuple[int, int]:
            return round(LEFT + across * np.log10(n / least)), round(TOP + down * k)

        said = "; ".join(f"{name}: {counts}" for name, counts in self.curves.items())
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            "<title>How many evaluations bring the value how far down</title>",
            f"<desc>Evaluations until 1, 0.1, 0.01, …: {html.escape(said)}</desc>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            '<g font-family="sans-serif" font-size="12">',
        ]
        for k in range(powers):
            y = spot(least, k)[1]
            lines.append(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#dde1e7"/>')
            label = f'10<tspan dy="-5" font-size="9">−{k}</tspan>' if k else "1"
            lines.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{label}</text>')
        for n in (1, 10, 100, 1000, 10_000):
            if least <= n <= most:
                x = spot(n, 0)[0]
                lines.append(f'<path d="M{x} {TOP}V{HEIGHT - BOTTOM}" stroke="#dde1e7"/>')
                foot = HEIGHT - BOTTOM + 16
                lines.append(f'<text x="{x}" y="{foot}" text-anchor="middle">{n:,}</text>')
        middle = (LEFT + WIDTH - RIGHT) // 2
        lines.append(
            f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">evaluations of f</text>'
        )
        for i, ((name, counts), colour) in enumerate(zip(self.curves.items(), COLOURS)):
            spots = [spot(n, k) for k, n in enumerate(counts)]
            path = "M" + "L".join(f"{x} {y}" for x, y in spots)
            lines.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            lines += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in spots]
            at = f'x="{WIDTH - RIGHT + 16}" y="{TOP + 4 + 18 * i}" fill="{colour}"'
            lines.append(f"<text {at}>{html.escape(name)}</text>")
        return "\n".join([*lines, "</g></svg>", ""])

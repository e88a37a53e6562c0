"""The lines of a layout as they are drawn, and how often they cross."""

import itertools

import numpy as np


def sampled(route, n=8):
    """Points of a route as it is drawn: straight, then a curve, and so on."""
    points = [route[0]]
    for k in range(1, len(route)):
        (x, y), (u, v) = route[k - 1], route[k]
        if k % 2:
            points.append((u, v))
            continue
        m = (y + v) / 2
        for t in np.linspace(0, 1, n + 1)[1:]:
            s = 1 - t
            points.append((
                s**3 * x + 3 * s * s * t * x + 3 * s * t * t * u + t**3 * u,
                s**3 * y + 3 * s * s * t * m + 3 * s * t * t * m + t**3 * v,
            ))  # fmt: skip
    return points


def crossings(curves):
    """How often the curves cross one another, as they are drawn."""
    count = 0
    for a, b in itertools.combinations(curves, 2):
        p, r = a[:-1, None], (a[1:] - a[:-1])[:, None]
        q, s = b[None, :-1], (b[1:] - b[:-1])[None]
        left = _cross(r, q - p) * _cross(r, q + s - p)
        right = _cross(s, p - q) * _cross(s, p + r - q)
        count += int(((left < 0) & (right < 0)).sum())
    return count


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]

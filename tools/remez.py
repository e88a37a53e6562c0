"""The best polynomials, and quotients of two, in the sense of Chebyshev: Remez's exchange.

A best one has the least greatest error, weighted. With 50 digits; needs mpmath.
"""

import mpmath as mp

mp.mp.dps = 50


def best(f, a, b, degree, weight):
    """(c, e): the coefficients with the least greatest |Σ c xᵏ − f(x)| weight(x), and that."""
    return nearest(f, a, b, [lambda x, k=k: x**k for k in range(degree + 1)], weight)


def nearest(f, a, b, terms, weight):
    """The same of |Σ c term(x) − f(x)| weight(x)."""
    n = len(terms)
    m = 40 * (n + 1)
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * m)) for k in range(m)]
    weights = [weight(x) for x in points]
    enough = max(weights) / 10**25  # where it is 0, any error will do
    points, weights = zip(*((x, w) for x, w in zip(points, weights) if w > enough), strict=True)
    m = len(points)
    values = [f(x) for x in points]
    rows = [[term(x) for term in terms] for x in points]
    chosen = [round((m - 1) * k / n) for k in range(n + 1)]
    for _ in range(40):
        equations, wanted = mp.matrix(n + 1, n + 1), mp.matrix(n + 1, 1)
        for i, k in enumerate(chosen):
            for j in range(n):
                equations[i, j] = rows[k][j]
            equations[i, n] = (-1) ** i / weights[k]
            wanted[i] = values[k]
        *c, level = mp.lu_solve(equations, wanted)
        errors = [
            (mp.fdot(c, row) - value) * w
            for row, value, w in zip(rows, values, weights, strict=True)
        ]
        greatest = max(map(abs, errors))
        extrema = peaks(errors, n + 1)
        if len(extrema) <= n or greatest <= abs(level) * 1.001:
            break
        chosen = extrema
    return c, greatest


def peaks(errors, count):
    """Where the errors are greatest between their changes of sign: `count` places, alternating."""
    found, k = [], 0
    while k < len(errors):
        positive, peak = errors[k] >= 0, k
        while k < len(errors) and (errors[k] >= 0) == positive:
            if abs(errors[k]) > abs(errors[peak]):
                peak = k
            k += 1
        found.append(peak)
    while len(found) > count:
        heights = [abs(errors[k]) for k in found]
        low = heights.index(min(heights))
        if 0 < low < len(found) - 1 and len(found) > count + 1:  # two neighbours go together
            low -= heights[low - 1] < heights[low + 1]
            del found[low : low + 2]
        else:
            del found[0 if heights[0] < heights[-1] else -1]
    return found


def rounded(x, digits):
    """The nearest number with so many bits."""
    x = mp.mpf(x)
    if x == 0:
        return x
    _, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(x, digits - e)), e - digits)


def fitted(f, a, b, degree, weight, digits):
    """As `best`, with coefficients of so many bits: each is rounded before the next are found."""
    c, e = [], mp.inf
    for k in range(degree + 1):

        def rest(x, k=k):
            return (f(x) - mp.fsum(a * x**i for i, a in enumerate(c))) / x**k if k else f(x)

        found, e = best(rest, a, b, degree - k, lambda x, k=k: weight(x) * abs(x) ** k)
        c.append(rounded(found[0], digits))
    return c, e


def quotient(f, a, b, degrees, weight, digits):
    """(top, bottom, e): as `fitted`, for Σ top xᵏ / Σ bottom xᵏ with bottom₀ = 1.

    The error times the denominator is linear in the coefficients; the weight takes the denominator
    away that was found in the round before (Loeb, 1957).
    """
    n, m = degrees
    terms = [lambda x, k=k: x**k for k in range(n + 1)]
    terms += [lambda x, k=k: -f(x) * x**k for k in range(1, m + 1)]
    c, found, e = [], [], mp.inf
    for k in range(n + m + 1):
        for _ in range(8 if k == 0 else 2):
            bottom = [1, *(c + found)[n + 1 :]]

            def rest(x):
                return f(x) - mp.fsum(a * term(x) for a, term in zip(c, terms, strict=False))

            def shares(x, bottom=bottom):
                return weight(x) / mp.fsum(a * x**k for k, a in enumerate(bottom))

            found, e = nearest(rest, a, b, terms[k:], shares)
        c.append(rounded(found.pop(0), digits))
    return c[: n + 1], [1, *c[n + 1 :]], e

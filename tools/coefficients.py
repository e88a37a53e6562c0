"""Makes overbar/compile/vmath/coefficients.py: the polynomials of the compiled mathematics.

    python tools/coefficients.py            write the file
    python tools/coefficients.py EXP LOG    only print these, with the size of their errors

Each polynomial is the best one in the sense of Chebyshev (Remez's exchange, with 50 digits): it has
the least greatest error, weighted so that what is least is the relative error of the function that
it goes into. Its first coefficients are then rounded one by one, the others found anew each time,
so that the rounding of one is made good by those after it. Needs mpmath.
"""

import sys
from pathlib import Path

import mpmath as mp

OUT = Path(__file__).parent.parent / "overbar" / "compile" / "vmath" / "coefficients.py"
BITS = {4: 24, 8: 53}
mp.mp.dps = 50


# ---------------------------------------------------------------------- Remez's exchange


def best(f, a, b, degree, weight):
    """(c, e): the coefficients with the least greatest |Σ c xᵏ − f(x)| weight(x), and that."""
    n = degree + 1
    m = 40 * (n + 1)
    points = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * m)) for k in range(m)]
    weights = [weight(x) for x in points]
    enough = max(weights) / 10**25  # where it is 0, any error will do
    points, weights = zip(*((x, w) for x, w in zip(points, weights) if w > enough), strict=True)
    m = len(points)
    values = [f(x) for x in points]
    rows = [[x**p for p in range(n)] for x in points]
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


# ---------------------------------------------------------------------- the polynomials


def doubled_atanh(z):
    """(2 atanh s − 2s) / s³ as a function of z = s²"""
    s = mp.sqrt(z)
    return (2 * mp.atanh(s) / s - 2) / z


def erfcx(x):
    """exp(x²) erfc x"""
    if x < 50:
        return mp.exp(x * x) * mp.erfc(x)
    terms, term = [], mp.mpf(1)  # the asymptotic series
    for k in range(25):
        terms.append(term)
        term *= -(2 * k + 1) / (2 * x * x)
    return mp.fsum(terms) / (x * mp.sqrt(mp.pi))


def scaled_erfc(c, k, scale=1):
    """t -> ((k + x) exp(y²) erfc(y) − k) / s, y = scale x, s = x / (x + c) = (1 + t) / 2"""

    def f(t):
        s = (1 + t) / 2
        x = c * s / (1 - s)
        return ((k + x) * erfcx(scale * x) - k) / s

    return f


def end(x, c):
    """The t of this x."""
    return mp.mpf(x - c) / (x + c)


def series(f, near, at=1e-12):
    """f, and its limit where it is 0/0."""
    return lambda x: f(x) if abs(x) > at else mp.mpf(near)


LN2 = mp.log(2)
QUARTER_PI = mp.pi / 4 * mp.mpf("1.001")
HALF_LN2 = LN2 / 2 * mp.mpf("1.0005")

# name -> (what it is, the function, from, to, {bytes: degree}, weight)
POLYNOMIALS = {
    "EXP": (
        "exp r = 1 + r + r² EXP(r), |r| <= log(2)/2",
        series(lambda r: (mp.expm1(r) - r) / r**2, 0.5),
        -HALF_LN2, HALF_LN2, {4: 4, 8: 9}, lambda r: abs(r**2 / mp.expm1(r)),
    ),
    "EXP2": (
        "2^r = 1 + r EXP2(r), |r| <= 1/2",
        series(lambda r: mp.expm1(r * LN2) / r, LN2),
        -0.5005, 0.5005, {4: 5, 8: 10}, lambda r: abs(r / mp.exp(r * LN2)),
    ),
    "SINH": (
        "sinh r = r + r³ SINH(r²), |r| <= log(2)/2",
        series(lambda z: (mp.sinh(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(1) / 6),
        0, HALF_LN2**2, {4: 1, 8: 4}, lambda z: z,
    ),
    "COSH": (
        "cosh r = 1 + r²/2 + r⁴ COSH(r²), |r| <= log(2)/2",
        series(lambda z: (mp.cosh(mp.sqrt(z)) - 1 - z / 2) / z**2, mp.mpf(1) / 24),
        0, HALF_LN2**2, {4: 1, 8: 3}, lambda z: z**2,
    ),
    "LOG": (
        "log(1 + f) = f − f²/2 + f³ LOG(f), √½ <= 1 + f <= √2",
        series(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, mp.mpf(1) / 3),
        mp.sqrt(0.5) - 1, mp.sqrt(2) - 1, {4: 7}, lambda f: abs(f**3 / mp.log1p(f)),
    ),
    "ATANH": (
        "log(1 + f) = 2s + s³ ATANH(s²), s = f / (2 + f), √½ <= 1 + f <= √2",
        series(doubled_atanh, mp.mpf(2) / 3),
        0, (mp.sqrt(2) - 1) ** 4, {4: 2, 8: 6}, lambda z: z,
    ),
    "LOG1P": (
        "log(1 + x) = x + x² LOG1P(x), 0 <= x <= 1",
        series(lambda x: (mp.log1p(x) - x) / x**2, -0.5),
        0, 1, {4: 8}, lambda x: x**2 / mp.log1p(x),
    ),
    "ATANH_UNIT": (
        "log(1 + x) = 2s + s³ ATANH_UNIT(s²), s = x / (2 + x), 0 <= x <= 1",
        series(doubled_atanh, mp.mpf(2) / 3),
        0, mp.mpf(1) / 9, {8: 9}, lambda z: z,
    ),
    "SIN": (
        "sin r = r + r³ SIN(r²), |r| <= π/4",
        series(lambda z: (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, -mp.mpf(1) / 6),
        0, QUARTER_PI**2, {4: 2, 8: 5}, lambda z: z,
    ),
    "COS": (
        "cos r = 1 − r²/2 + r⁴ COS(r²), |r| <= π/4",
        series(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2, mp.mpf(1) / 24),
        0, QUARTER_PI**2, {4: 2, 8: 5}, lambda z: z**2,
    ),
    "ERF": (
        "erf x = x + x ERF(x²), |x| <= EDGE",
        series(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, 2 / mp.sqrt(mp.pi) - 1),
        0, {4: mp.mpf("0.82") ** 2, 8: mp.mpf("0.875") ** 2}, {4: 5, 8: 10}, lambda z: 1,
    ),
    "LOG_ERFC": (
        "log erfc x, EDGE <= x <= 4 (6), where erf x = 1 − erfc x",
        lambda x: mp.log(mp.erfc(x)),
        {4: mp.mpf("0.82"), 8: mp.mpf("0.875")}, {4: 3.95, 8: 5.95}, {4: 6, 8: 17},
        lambda x: mp.erfc(x) / mp.erf(x),
    ),
    "ERFC": (
        "(k + x) exp(x²) erfc x = k + s ERFC(2s − 1), s = x / (x + c), c = 3, x <= 10.1 (4, 28)",
        {4: scaled_erfc(3, 0.6875), 8: scaled_erfc(4, 0.6875)},
        -1, {4: end(10.1, 3), 8: end(28, 4)}, {4: 9, 8: 21}, lambda t: (1 + t) / 2,
    ),
    "NDTR": (
        "(1 + x) exp(x²/2) 2 Φ(−x) = 1 + s NDTR(2s − 1), s as above, c = 4 (6), x < 14.6 (39.6)",
        {4: scaled_erfc(4, 1, mp.sqrt(0.5)), 8: scaled_erfc(6, 1, mp.sqrt(0.5))},
        -1, {4: end(14.6, 4), 8: end(39.6, 6)}, {4: 9, 8: 21}, lambda t: (1 + t) / 2,
    ),
    "ERFCX": (
        "(k + x) exp(x²) erfc x = k + s ERFCX(2s − 1), s = x / (x + 4), 0 <= x",
        lambda t: scaled_erfc(4, 0.6875)(t) if t < 1 else 1 / mp.sqrt(mp.pi) - 0.6875,
        -1, 1, {8: 24}, lambda t: (1 + t) / 2,
    ),
    "ATAN": (
        "atan t = t + t³ ATAN(t²), |t| <= 1",
        series(lambda z: (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, -mp.mpf(1) / 3),
        0, 1, {4: 7, 8: 18}, lambda z: z / (mp.atan(mp.sqrt(z)) / mp.sqrt(z)),
    ),
    "ASIN": (
        "asin t = t + t³ ASIN(t²), |t| <= 1/2",
        series(lambda z: (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z, mp.mpf(1) / 6),
        0, 0.25, {4: 4, 8: 11}, lambda z: z,
    ),
    "CBRT": (
        "∛m, √½ <= m <= √2",
        mp.cbrt, mp.sqrt(0.5), mp.sqrt(2), {4: 2, 8: 5}, lambda m: 1,
    ),
    "EXP_SHORT": (
        "e^r, |r| <= log(2)/2, for float32 computed in float64",
        mp.exp, -HALF_LN2, HALF_LN2, {8: 6}, lambda r: mp.exp(-r),
    ),
    "LOG_SHORT": (
        "log(1 + f) = f + f² LOG_SHORT(f), √½ <= 1 + f <= √2, for float32 computed in float64",
        series(lambda f: (mp.log1p(f) - f) / f**2, -mp.mpf(1) / 2),
        mp.sqrt(0.5) - 1, mp.sqrt(2) - 1, {8: 11}, lambda f: abs(f**2 / mp.log1p(f)),
    ),
    "ATANH_LONG": (
        "log(1 + f) = 2s + s³ (2/3 + s² ATANH_LONG(s²)), s = f / (2 + f), √½ <= 1 + f <= √2",
        series(lambda z: (doubled_atanh(z) - mp.mpf(2) / 3) / z, mp.mpf(2) / 5, 1e-10),
        0, (mp.sqrt(2) - 1) ** 4, {8: 7}, lambda z: z**2,
    ),
}  # fmt: skip


HEAD = '''"""Coefficients, lowest power first, by the bytes of a number (4: float32, 8: float64).

Made by tools/coefficients.py, which says how: change that. The comment is the greatest error
relative to the function that the polynomial goes into.
"""

# fmt: off

def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float.fromhex, text.split()))

'''


def short(x):
    """Hexadecimal without zeros at the end."""
    mantissa, exponent = float(x).hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') or '0x0'}p{exponent}"


def table(name, what, f, a, b, degrees, weight):
    """One entry of the file, and what to print about it."""
    lines, notes = [f"# {what}", f"{name} = {{"], []
    for size, degree in degrees.items():
        mine = [x[size] if isinstance(x, dict) else x for x in (f, a, b)]
        c, error = fitted(mine[0], mp.mpf(mine[1]), mp.mpf(mine[2]), degree, weight, BITS[size])
        note = f"2^{float(mp.log(error, 2)):.1f}"
        lines.append(f"    {size}: _numbers(  # {note}")
        row = ""
        for x in c:
            if len(row) + len(short(x)) > 84:
                lines.append(f'        "{row}"')
                row = ""
            row += short(x) + " "
        lines.append(f'        "{row.strip()}"')
        lines.append("    ),")
        notes.append(f"{name} {8 * size} bits, degree {degree}: {note}")
    return "\n".join([*lines, "}"]), notes


def main(names):
    """Write the file, or print what was asked for."""
    entries = []
    for name in names or POLYNOMIALS:
        text, notes = table(name, *POLYNOMIALS[name])
        print(*notes, sep="\n")
        entries.append(text)
    if names:
        print("\n\n".join(entries))
    else:
        OUT.write_text(HEAD + "\n" + "\n".join(entries) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

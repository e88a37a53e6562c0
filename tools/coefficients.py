"""Makes overbar/compile/vmath/coefficients.py: the polynomials of the compiled mathematics.

    python -m tools.coefficients            write the file
    python -m tools.coefficients EXP LOG    only print these, with the size of their errors

Each polynomial is the best one in the sense of Chebyshev (Remez's exchange, with 50 digits): it has
the least greatest error, weighted so that what is least is the relative error of the function that
it goes into. Its first coefficients are then rounded one by one, the others found anew each time,
so that the rounding of one is made good by those after it. Needs mpmath.
"""

import functools
import sys
from pathlib import Path

import mpmath as mp

from tools.remez import fitted, quotient

OUT = Path(__file__).parent.parent / "overbar" / "compile" / "vmath" / "coefficients.py"
BITS = {4: 24, 8: 53}


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


@functools.cache
def short_erfc(g, scale=1):
    """x -> ((1 + g x) exp(y²) erfc(y) − 1) / x, y = scale x"""
    return functools.cache(lambda x: ((1 + g * x) * erfcx(scale * x) - 1) / x)


def end(x, c):
    """The t of this x."""
    return mp.mpf(x - c) / (x + c)


def series(f, near, at=1e-12):
    """f, and its limit where it is 0/0."""
    return lambda x: f(x) if abs(x) > at else mp.mpf(near)


@functools.cache
def inverse_erf(w):
    """y / x with erf y = x, for w = −log(1 − x²)"""
    x = mp.sqrt(-mp.expm1(-w))
    return mp.erfinv(x) / x if x else mp.sqrt(mp.pi) / 2


@functools.cache
def inverse_erfc(s):
    """y − s with erfc y = exp(−s²), by Newton's steps for its logarithm."""
    y = s
    for _ in range(60):
        rest = mp.erfc(y)
        step = (s * s + mp.log(rest)) / (2 / mp.sqrt(mp.pi) * mp.exp(-y * y) / rest)
        y += step
        if abs(step) < mp.mpf(10) ** -45:
            break
    return y - s


@functools.cache
def stirling(w):
    """(log Γ(x) − (x − ½) log x + x − ½ log 2π) x, w = 1 / x²"""
    x = 1 / mp.sqrt(w)
    return (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) * x


@functools.cache
def modulus_and_phase(n, w):
    """(P, Q x) of Jₙ(x) = √(2/πx) (P cos χ − Q sin χ), χ = x − (2n + 1) π/4, w = 1 / x²"""
    x = 1 / mp.sqrt(w)
    j, y, chi = mp.besselj(n, x), mp.bessely(n, x), x - (2 * n + 1) * mp.pi / 4
    scale, c, s = mp.sqrt(mp.pi * x / 2), mp.cos(chi), mp.sin(chi)
    return scale * (j * c + y * s), scale * (y * c - j * s) * x


@functools.cache
def between_zeros(n, z):
    """Jₙ(x) without its zeros up to 8, and without x of J₁; z = x²"""
    if not z:
        z = mp.mpf(10) ** -30
    x = mp.sqrt(z)
    zeros = [mp.besseljzero(n, k) for k in (1, 2)]
    return mp.besselj(n, x) / (x**n) / mp.fprod(z - zero**2 for zero in zeros)


@functools.cache
def scaled_bessel_i(n, u):
    """Iₙ(x) e⁻ˣ √x, u = 1 / x"""
    if u < mp.mpf(10) ** -12:
        return 1 / mp.sqrt(2 * mp.pi)
    return mp.besseli(n, 1 / u) * mp.exp(-1 / u) / mp.sqrt(u)


LN2 = mp.log(2)
PSI_ZERO = mp.findroot(lambda x: mp.psi(0, x), 1.46)
QUARTER_PI = mp.pi / 4 * mp.mpf("1.001")
HALF_LN2 = LN2 / 2 * mp.mpf("1.0005")

# name -> (what it is, the function, from, to, {bytes: degree}, weight); a quotient has two degrees
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
        "(k + x) exp(x²) erfc x = k + s ERFC(2s − 1), s = x / (x + 4), 0 <= x <= 28",
        scaled_erfc(4, 0.6875), -1, end(28, 4), {8: 21}, lambda t: (1 + t) / 2,
    ),
    "NDTR": (
        "(1 + x) exp(x²/2) 2 Φ(−x) = 1 + s NDTR(2s − 1), s = x / (x + 6), 0 <= x <= 39.6",
        scaled_erfc(6, 1, mp.sqrt(0.5)), -1, end(39.6, 6), {8: 21}, lambda t: (1 + t) / 2,
    ),
    "ERFC_SHORT": (
        "(1 + 2x) exp(x²) erfc x = 1 + x top(x) / bottom(x), 0 <= x <= 10.1",
        short_erfc(2), 0, 10.1, {4: (4, 5)}, lambda x: x / (1 + x * short_erfc(2)(x)),
    ),
    "NDTR_SHORT": (
        "(1 + x) exp(x²/2) 2 Φ(−x) = 1 + x top(x) / bottom(x), 0 <= x <= 14.6",
        short_erfc(1, mp.sqrt(0.5)), 0, 14.6, {4: (4, 5)},
        lambda x: x / (1 + x * short_erfc(1, mp.sqrt(0.5))(x)),
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
    "LOG_GAMMA": (
        "log Γ(2 + r) = r LOG_GAMMA(r), |r| <= 1/2",
        functools.cache(series(lambda r: mp.loggamma(2 + r) / r, 1 - mp.euler)),
        -0.5, 0.5, {8: 17}, lambda r: r / mp.loggamma(2 + r) if abs(r) > 1e-12 else mp.mpf(2),
    ),
    "STIRLING": (
        "log Γ(x) = (x − ½) log x − x + ½ log 2π + STIRLING(1/x²) / x, x >= 4.5",
        series(stirling, mp.mpf(1) / 12),
        0, 1 / mp.mpf("4.499") ** 2, {8: 8},
        series(lambda w: mp.sqrt(w) / mp.loggamma(1 / mp.sqrt(w)), 0, 1e-40),
    ),
    "PSI": (
        "ψ(1.5 + r) = (1.5 + r − x₀) PSI(r), |r| <= 1/2, ψ(x₀) = 0",
        functools.cache(lambda r: mp.psi(0, 1.5 + r) / (1.5 + r - PSI_ZERO)),
        -0.5, 0.5, {8: 20}, lambda r: (1.5 + r - PSI_ZERO) / mp.psi(0, 1.5 + r),
    ),
    "PSI_TAIL": (
        "ψ(x) = log x − 1/(2x) − PSI_TAIL(1/x²) / x², x >= 4",
        functools.cache(series(
            lambda w: (-mp.log(w) / 2 - mp.sqrt(w) / 2 - mp.psi(0, 1 / mp.sqrt(w))) / w,
            mp.mpf(1) / 12,
        )),
        0, 1 / mp.mpf("3.999") ** 2, {8: 8}, lambda w: w,
    ),
    "TRIGAMMA_TAIL": (
        "ψ'(x) = 1/x + 1/(2x²) + TRIGAMMA_TAIL(1/x²) / x³, x >= 4",
        functools.cache(series(
            lambda w: (mp.psi(1, 1 / mp.sqrt(w)) - mp.sqrt(w) - w / 2) / mp.sqrt(w) ** 3,
            mp.mpf(1) / 6,
        )),
        0, 1 / mp.mpf("3.999") ** 2, {8: 9}, lambda w: w,
    ),
    "ERFINV": (
        "erf⁻¹ x = x ERFINV(w − 2.5), w = −log(1 − x²) <= 5",
        lambda r: inverse_erf(r + 2.5), -2.5, 2.5005, {8: 22}, lambda r: 1 / inverse_erf(r + 2.5),
    ),
    "ERFINV_TAIL": (
        "erfc⁻¹ q = s + ERFINV_TAIL(s / (s + 2) − 0.65), s = √(−log q), 2.35 <= s <= 6",
        lambda v: inverse_erfc(2 * (v + 0.65) / (0.35 - v)), mp.mpf("2.35") / mp.mpf("4.35") - 0.65,
        0.1001, {8: 15}, lambda v: (0.35 - v) / (v + 0.65) / 2,
    ),
    "ERFINV_END": (
        "erfc⁻¹ q = s + ERFINV_END(s / (s + 8) − 0.6), s = √(−log q), 6 <= s <= 27.4",
        lambda v: inverse_erfc(8 * (v + 0.6) / (0.4 - v)), mp.mpf(6) / 14 - 0.6001,
        mp.mpf("27.4") / mp.mpf("35.4") - 0.6, {8: 19}, lambda v: (0.4 - v) / (v + 0.6) / 8,
    ),
    "BESSEL_I0": (
        "I₀(x) = 1 + a BESSEL_I0(a), a = x²/4, x <= 7.75",
        functools.cache(series(lambda a: (mp.besseli(0, 2 * mp.sqrt(a)) - 1) / a, 1)),
        0, mp.mpf("7.751") ** 2 / 4, {8: 13},
        lambda a: a / mp.besseli(0, 2 * mp.sqrt(a)),
    ),
    "BESSEL_I0_FAR": (
        "I₀(x) = eˣ / √x BESSEL_I0_FAR(1/x − 1/16), x >= 7.75",
        lambda v: scaled_bessel_i(0, v + 0.0625), -0.0625, 0.0666, {8: 22},
        lambda v: 1 / scaled_bessel_i(0, v + 0.0625),
    ),
    "BESSEL_J0": (
        "J₀(x) = (x² − z₁²) (x² − z₂²) BESSEL_J0(x² − 32), zₖ its zeros, x <= 8",
        lambda z: between_zeros(0, z + 32), -32, 32.01, {8: 17},
        lambda z: 1 / between_zeros(0, z + 32),
    ),
    "BESSEL_P0": (
        "J₀(x) = √(2/πx) (P cos χ − Q sin χ), χ = x − π/4, x >= 8: P of 1/x²",
        series(lambda w: modulus_and_phase(0, w)[0], 1), 0, 0.01563, {8: 11}, lambda w: 1,
    ),
    "BESSEL_Q0": (
        "and x Q",
        series(lambda w: modulus_and_phase(0, w)[1], -0.125), 0, 0.01563, {8: 11},
        mp.sqrt,
    ),
    "BESSEL_I1": (
        "I₁(x) = x/2 (1 + a BESSEL_I1(a)), a = x²/4, x <= 7.75",
        series(lambda a: (mp.besseli(1, 2 * mp.sqrt(a)) / mp.sqrt(a) - 1) / a, 0.5),
        0, mp.mpf("7.751") ** 2 / 4, {8: 13},
        lambda a: a * mp.sqrt(a) / mp.besseli(1, 2 * mp.sqrt(a)) if a else mp.mpf(0),
    ),
    "BESSEL_I1_FAR": (
        "I₁(x) = eˣ / √x BESSEL_I1_FAR(1/x − 1/16), x >= 7.75",
        lambda v: scaled_bessel_i(1, v + 0.0625), -0.0625, 0.0666, {8: 23},
        lambda v: 1 / scaled_bessel_i(1, v + 0.0625),
    ),
    "BESSEL_J1": (
        "J₁(x) = x (x² − z₁²) (x² − z₂²) BESSEL_J1(x² − 32), zₖ its zeros, x <= 8",
        lambda z: between_zeros(1, z + 32), -32, 32.01, {8: 17},
        lambda z: 1 / between_zeros(1, z + 32),
    ),
    "BESSEL_P1": (
        "J₁(x) = √(2/πx) (P cos χ − Q sin χ), χ = x − 3π/4, x >= 8: P of 1/x²",
        series(lambda w: modulus_and_phase(1, w)[0], 1), 0, 0.01563, {8: 11}, lambda w: 1,
    ),
    "BESSEL_Q1": (
        "and x Q",
        series(lambda w: modulus_and_phase(1, w)[1], 0.375), 0, 0.01563, {8: 11},
        mp.sqrt,
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


def written(c):
    """The numbers of a polynomial in lines."""
    rows = [""]
    for x in c:
        if len(rows[-1]) + len(short(x)) > 84:
            rows.append("")
        rows[-1] += short(x) + " "
    rows[-1] = rows[-1].strip()
    return [f'        "{row}"' for row in rows]


def table(name, what, f, a, b, degrees, weight):
    """One entry of the file, and what to print about it."""
    lines, notes = [f"# {what}", f"{name} = {{"], []
    for size, degree in degrees.items():
        mine = [x[size] if isinstance(x, dict) else x for x in (f, a, b)]
        fit = quotient if isinstance(degree, tuple) else fitted
        *parts, error = fit(mine[0], mp.mpf(mine[1]), mp.mpf(mine[2]), degree, weight, BITS[size])
        note = f"2^{float(mp.log(error, 2)):.1f}"
        for c in parts:
            if c is not parts[0]:
                lines += ["}, {"]
            lines += [f"    {size}: _numbers(  # {note}", *written(c), "    ),"]
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

"""What the mathematics of compiled loops is held against: mpmath, at arguments worth trying."""

import math

import mpmath as mp
import numpy as np

KINDS = {"float": np.float32, "double": np.float64}
INF, NAN = math.inf, math.nan


def _erfcx(x):
    if x < 40:
        return mp.exp(x * x) * mp.erfc(x)
    terms, term = [], mp.mpf(1)  # the asymptotic series
    for k in range(12):
        terms.append(term)
        term *= -(2 * k + 1) / (2 * x * x)
    return mp.fsum(terms) / (x * mp.sqrt(mp.pi))


def _phi(x):
    return (
        _erfcx(-x / mp.sqrt(2)) * mp.exp(-x * x / 2) / 2 if x < -1 else mp.erfc(-x / mp.sqrt(2)) / 2
    )


def _log_phi(x):
    if x < -1:
        return mp.log(_erfcx(-x / mp.sqrt(2)) / 2) - x * x / 2
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2)


def _mills(x):
    if x < -1:
        return mp.sqrt(2 / mp.pi) / _erfcx(-x / mp.sqrt(2))
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi) / _phi(x)


def _sigma(x):
    return 1 / (1 + mp.exp(-x)) if x > 0 else mp.exp(x) / (1 + mp.exp(x))


def _odd_root(x):
    return mp.sign(x) * mp.cbrt(abs(x))


def _erfc_inverse(q):
    """By Newton's steps for log erfc."""
    s = y = mp.sqrt(-mp.log(q))
    for _ in range(80):
        rest = mp.erfc(y)
        step = (s * s + mp.log(rest)) / (2 / mp.sqrt(mp.pi) * mp.exp(-y * y) / rest)
        y += step
        if abs(step) < mp.mpf(10) ** -30 * y:
            break
    return y


def _erf_inverse(x):
    return mp.sign(x) * _erfc_inverse(1 - abs(x)) if abs(x) > 0.9 else mp.erfinv(x)


def _quantile(p):
    if abs(p - 0.5) < 0.45:
        return mp.sqrt(2) * mp.erfinv(2 * p - 1)
    return mp.sqrt(2) * mp.sign(p - 0.5) * _erfc_inverse(2 * min(p, 1 - p))


def _log_gamma(x):
    return mp.re(mp.loggamma(x)) if x > 0 else mp.log(abs(mp.gamma(x)))


def _log_beta(a, b):
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


REFERENCE = {
    "gammaln": _log_gamma,
    "digamma": lambda x: mp.psi(0, x),
    "trigamma": lambda x: mp.psi(1, x),
    "betaln": _log_beta,
    "erfinv": _erf_inverse,
    "i0": lambda x: mp.besseli(0, x),
    "i1": lambda x: mp.besseli(1, x),
    "j0": lambda x: mp.besselj(0, x),
    "j1": lambda x: mp.besselj(1, x),
    "ndtri": _quantile,
    "exp": mp.exp,
    "exp2": lambda x: mp.mpf(2) ** x,
    "expm1": mp.expm1,
    "tanh": mp.tanh,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": mp.log10,
    "log1p": mp.log1p,
    "sigmoid": _sigma,
    "silu": lambda x: x * _sigma(x),
    "gelu_tanh": lambda x: x * _sigma(mp.sqrt(8 / mp.pi) * (x + mp.mpf("0.044715") * x**3)),
    "softplus": lambda x: mp.log1p(mp.exp(-abs(x))) + max(x, 0),
    "log_sigmoid": lambda x: -mp.log1p(mp.exp(-abs(x))) + min(x, 0),
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "erf": mp.erf,
    "erfc": mp.erfc,
    "ndtr": _phi,
    "gelu": lambda x: x * _phi(x),
    "scaled_erfc": _erfcx,
    "log_ndtr": _log_phi,
    "mills": _mills,
    "sqrt": mp.sqrt,
    "cbrt": _odd_root,
    "pow": lambda x, y: x**y,
    "atan2": mp.atan2,
    "hypot": mp.hypot,
    "remainder": lambda x, y: x - mp.floor(x / y) * y,
    "floor_divide": lambda x, y: mp.floor(x / y),
    "logaddexp": lambda x, y: max(x, y) + mp.log1p(mp.exp(-abs(x - y))),
}

# Where a function is defined, and where it stops being computable by mpmath in reasonable time,
# because the value is 0 or infinite by then.
DOMAIN = {
    "exp": (-800, 800), "exp2": (-1200, 1200), "expm1": (-800, 800), "tanh": (-400, 400),
    "sinh": (-800, 800), "cosh": (-800, 800), "log": (0, INF), "log2": (0, INF),
    "log10": (0, INF), "log1p": (-1, INF), "sigmoid": (-800, 800), "silu": (-800, 1e300),
    "gelu_tanh": (-30, 1e90), "softplus": (-800, 1e300), "log_sigmoid": (-1e300, 800),
    "asin": (-1, 1), "acos": (-1, 1), "acosh": (1, INF), "atanh": (-1, 1), "erf": (-30, 30),
    "erfc": (-30, 30), "ndtr": (-50, 50), "gelu": (-50, 50), "scaled_erfc": (-27, 1e150),
    "log_ndtr": (-1e150, 40), "mills": (-1e150, 40), "sqrt": (0, INF), "gammaln": (0, INF),
    "digamma": (0, INF), "trigamma": (0, INF), "erfinv": (-1, 1), "ndtri": (0, 1),
    "i0": (-720, 720), "i1": (-720, 720), "j0": (-1e5, 1e5), "j1": (-1e5, 1e5),
}  # fmt: skip

# Where formulas meet, results overflow, or digits are easily lost: points are put around these.
HARD = {
    "exp": [math.log(2) / 2, 709.78, -708.4, -745.13, 88.72, -87.34, -103.97],
    "exp2": [0.5, 1024, -1022, -1075, 128, -126, -150],
    "expm1": [math.log(2) / 2, -math.log(2) / 2, 709.78, 88.72, -37, -17],
    "tanh": [0.17328, math.log(2) / 4, 19, 9],
    "sinh": [math.log(2) / 2, 710.47, 89.41],
    "cosh": [math.log(2) / 2, 710.47, 89.41],
    "log": [1, math.sqrt(2), math.sqrt(0.5), 2.3e-308, 1.2e-38],
    "log2": [1, math.sqrt(2), math.sqrt(0.5), 2.3e-308, 1.2e-38],
    "log10": [1, math.sqrt(2), math.sqrt(0.5), 1000, 2.3e-308, 1.2e-38],
    "log1p": [-1, math.sqrt(2) - 1, math.sqrt(0.5) - 1, 1e-16, 6e-8, 2.0**127, 2.0**1023],
    "sigmoid": [-745.1, -708.4, -103.9, -87.3, 36.7],
    "silu": [-750, -708.4, -107, -87.3],
    "gelu_tanh": [-21.5, -20.9, -10.4, -9.8, 1],
    "softplus": [-745.1, -708.4, -103.9, -36.7],
    "log_sigmoid": [745.1, 708.4, 103.9, 36.7],
    "sin": [math.pi, math.pi / 2, math.pi / 4, 2.0**30, 2.0**40, 1e22],
    "cos": [math.pi, math.pi / 2, math.pi / 4, 2.0**30, 2.0**40, 1e22],
    "tan": [math.pi, math.pi / 2, math.pi / 4, 2.0**30, 2.0**40, 1e22],
    "asin": [0.5, 1], "acos": [0.5, 1, -0.5], "atan": [1, 1e16],
    "asinh": [1, 2.0**30, 2.0**60, 1e-8], "acosh": [1, 1.5, 2.0**30, 2.0**60],
    "atanh": [0.5, 1, math.sqrt(2) - 1, 0.1715],
    "erf": [0.82, 0.875, 3.92, 5.92], "erfc": [0.5, 26.5, 27.2, 9.3, 10.1],
    "ndtr": [-37.5, -38.5, -13, -14.2], "gelu": [-37.5, -38.5, -13, -14.4, 1],
    "scaled_erfc": [-26.6, -9.4, 1e8], "log_ndtr": [-1, 0, 38], "mills": [-1, 0, 38, -1e9],
    "gammaln": [0.5, 1, 1.5, 2, 2.5, 3.5, 4.5, 2.5e305], "digamma": [1, 1.4616, 2, 3, 4],
    "trigamma": [1, 4, 1e154], "erfinv": [0.9966, 1], "ndtri": [0.0017, 0.5, 0.9983, 1],
    "i0": [7.75, 713], "i1": [7.75, 713], "j0": [2.4048, 5.5201, 8], "j1": [3.8317, 7.0156, 8],
    "sqrt": [1, 2.3e-308], "cbrt": [1, 8, math.sqrt(2), 2.3e-308],
}  # fmt: skip


def special(kind):
    """Zeros, infinities, NaN, the least and the greatest numbers."""
    info = np.finfo(KINDS[kind])
    some = [info.smallest_subnormal, info.tiny, np.nextafter(info.tiny, 0), info.max, 1, 0.5, 2, 3]
    half = np.array([0.0, INF, *some], KINDS[kind])
    return np.concatenate([half, -half, np.array([NAN], KINDS[kind])])


def patterns(rng, kind, n):
    """Numbers with random bits: every size, as many denormal as there are."""
    bits = 32 if kind == "float" else 64
    x = rng.integers(0, 1 << bits, n, dtype=np.uint64).astype(f"u{bits // 8}").view(KINDS[kind])
    return x[~np.isnan(x)]


def around(rng, kind, places, n):
    """The next neighbours of some numbers, and some not so near."""
    dtype, out = KINDS[kind], []
    for place in [*places, *(-p for p in places)]:
        with np.errstate(over="ignore"):
            centre = dtype(place)
        if not np.isfinite(centre):
            continue
        steps = rng.integers(-50, 50, n)
        size = 1 << np.clip(rng.integers(-8, 22 if kind == "float" else 45, n), 0, None)
        bits = np.array([centre]).view(f"i{dtype().itemsize}") + steps * size
        out.append(bits.astype(f"i{dtype().itemsize}").view(dtype))
    return np.concatenate(out)


def turns(rng, kind, n):
    """The numbers next to multiples of π/2, with multiples of every size, where sin or cos is 0."""
    with mp.workprec(2000):
        top = 125 if kind == "float" else 1020
        ks = [mp.mpf(2) ** rng.uniform(0, top) for _ in range(n)]
        return np.array([float(mp.nint(k) * mp.pi / 2) for k in ks], KINDS[kind])


def points(rng, name, kind, n):
    """Arguments worth trying, within the domain."""
    low, high = DOMAIN.get(name, (-INF, INF))
    span = min(high, 20.0) - max(low, -20.0)
    xs = [
        patterns(rng, kind, n),
        around(rng, kind, [0.0, *HARD[name]], n // 8),
        (max(low, -20.0) + span * rng.random(n)).astype(KINDS[kind]),
        np.ldexp(rng.uniform(-1, 1, n), rng.integers(-60, 11, n)).astype(KINDS[kind]),
    ]
    if name in ("sin", "cos", "tan"):
        xs.append(turns(rng, kind, n // 4))
    x = np.concatenate(xs)
    x = x[np.isfinite(x)]
    wide = x.astype(np.float64)
    return x[(x != 0) & (wide > low) & (wide < high)]


def exact(name, *xs):
    """The value by mpmath, with as many digits as the arguments' sizes ask for."""
    sizes = [abs(math.frexp(x)[1]) for x in xs if x]
    circular = name in ("sin", "cos", "tan")
    with mp.workprec(120 + 2 * max([min(s, 1100 if circular else 300) for s in sizes], default=0)):
        return REFERENCE[name](*map(mp.mpf, map(float, xs)))


def ulps(y, r, kind, floor=0):
    """How far y is from r, in units in the last place of r; beyond the greatest number, infinity
    stands for the next power of two.
    """
    digits, least, top = (24, -149, 128) if kind == "float" else (53, -1074, 1024)
    if mp.isnan(r) or math.isnan(y):
        return 0.0 if mp.isnan(r) and math.isnan(y) else INF
    limit = mp.ldexp(1, top)
    r = max(-limit, min(limit, r))
    size = max(abs(r), floor)
    unit = max(mp.frexp(size)[1] - digits, least) if size else least
    unit = min(unit, top - digits)
    value = mp.mpf(float(y)) if math.isfinite(y) else math.copysign(1, y) * limit
    return float(abs(value - r) / mp.ldexp(1, unit))


# -- two arguments ----------------------------------------------------------------------------


def pairs(rng, name, kind, n):
    """Arguments worth trying together."""
    x, y = patterns(rng, kind, 2 * n), patterns(rng, kind, 2 * n)
    m = min(x.size, y.size)
    near = rng.normal(size=n), rng.normal(size=n)
    xs, ys = [x[:m], near[0]], [y[:m], near[1]]
    if name == "pow":
        base = np.abs(np.concatenate([patterns(rng, kind, n), 1 + rng.normal(size=n) * 1e-3]))
        base = base[(base > 0) & np.isfinite(base) & (base != 1)].astype(KINDS[kind])
        reach = 104 if kind == "float" else 746
        xs.append(base)
        ys.append(rng.uniform(-reach, reach, base.size) / np.log(base.astype(np.float64)))
        xs.append(rng.integers(-20, 20, n))
        ys.append(rng.integers(-20, 20, n))
    elif name == "betaln":
        xs, ys = [10 ** rng.uniform(-5, 6, n)], [10 ** rng.uniform(-5, 6, n)]
        xs, ys = [*xs, rng.uniform(0, 10, n)], [*ys, rng.uniform(0, 200, n)]
        xs, ys = [*xs, rng.uniform(-3, 0, n // 4)], [*ys, 10 ** rng.uniform(1, 6, n // 4)]
    elif name == "logaddexp":
        xs, ys = [20 * near[0], 700 * near[0], x[:m]], [20 * near[1], 700 * near[1], y[:m]]
    else:
        scale = np.ldexp(1.0, rng.integers(-100, 100, n))
        xs.append(near[0] * scale)
        ys.append(near[1] * scale)
        xs.append(1 + near[0] * 1e-3)
        ys.append(1 + near[1] * 1e-3)
    with np.errstate(over="ignore"):
        x, y = (np.concatenate(v).astype(KINDS[kind]) for v in (xs, ys))
    fine = np.isfinite(x) & np.isfinite(y) & (x != 0) & (y != 0)
    return x[fine], y[fine]


def exact_pair(name, x, y):
    x, y = float(x), float(y)
    if name == "pow":
        if x < 0 and y != math.trunc(y):
            return mp.nan
        sign = -1 if x < 0 and abs(y) < 2.0**53 and int(y) % 2 else 1
        with mp.workprec(200):
            log = y * mp.log(abs(mp.mpf(x)))
            return sign * mp.exp(max(-800, min(800, log)))
    if name == "logaddexp" and abs(x - y) > 1e4:
        return mp.mpf(max(x, y))
    with mp.workprec(2500 if name in ("atan2", "remainder", "floor_divide") else 300):
        return REFERENCE[name](mp.mpf(x), mp.mpf(y))

"""The mathematics of compiled loops, against mpmath, at every kind of number, for every machine."""

import ctypes
import functools
import importlib
import math
import os
import re

import numpy as np
import pytest
import scipy.special

from overbar.compile import vmath
from overbar.compile.text import Module
from overbar.errors import DomainError
from tests.compile.mathematics import (
    KINDS,
    exact,
    exact_pair,
    pairs,
    patterns,
    points,
    special,
    ulps,
)

pytest.importorskip("llvmlite")
from overbar.compile import native

pytestmark = pytest.mark.native

MACHINES = ["avx512", "avx2", "generic"]
ULPS = 2.5
MORE = {"gammaln": 12, "digamma": 4, "erfinv": 4, "ndtri": 4, "betaln": 12}
MORE |= {"i0": 5, "i1": 5, "j0": 20, "j1": 8}
"""Of what is no basic function: gammaln near 1.5 is a difference."""
INF, NAN = math.inf, math.nan
LOG_2 = math.log(2)
UNARY = [name for name in vmath.NAMES if vmath.arity(name) == 1]
BINARY = [name for name in vmath.NAMES if vmath.arity(name) == 2]


# -- compiled loops ---------------------------------------------------------------------------


def text_of(name, kind, machine):
    """A module with a loop over the function; the loop is the public function `loop`."""
    module, arity = Module(machine.bits), vmath.arity(name)
    called = vmath.define(module, name, kind)
    pointers = [f"x{i}" for i in range(arity)]
    arguments = [("i64", "n"), *[("ptr noalias", p) for p in (*pointers, "y")]]
    f = module.function("loop", arguments, public=True)
    with f.loop(0, "%n") as i:
        xs = [(kind, f.load(f.at(f"%{p}", i, kind), kind)) for p in pointers]
        f.store(f.call(called, kind, *xs), f.at("%y", i, kind), kind)
    f.give()
    return str(module)


@functools.cache
def machine_of(name):
    return native.host() if name == "host" else native.forced(name)


@functools.cache
def compiled(name, kind, machine="host"):
    """The function on arrays."""
    here = machine_of(machine)
    library = native.load(text_of(name, kind, here), here)
    pointers = [ctypes.c_void_p] * (vmath.arity(name) + 1)
    loop = ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers)(library.address("loop"))

    def run(*xs):
        xs = [np.ascontiguousarray(x, KINDS[kind]) for x in xs]
        y = np.full_like(xs[0], 77)
        loop(y.size, *(x.ctypes.data for x in xs), y.ctypes.data)
        return y

    run.library = library
    return run


# -- one argument -----------------------------------------------------------------------------


def _check_with_mpmath(x, name, kind):
    y = compiled(name, kind)(x)
    wave = [
        abs(2 / math.pi / float(a)) ** 0.5 if name in ("j0", "j1") and abs(a) > 8 else 0 for a in x
    ]
    off = [ulps(b, exact(name, a), kind, f) for a, b, f in zip(x, y, wave, strict=True)]
    k = int(np.argmax(off))
    said = f"{off[k]:.2f} ulp at {x[k]!r}, {float(x[k]).hex()}: {y[k]!r}"
    assert off[k] <= MORE.get(name, ULPS), said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNARY)
def test_functions_agree_with_mpmath(name, kind, rng):
    _check_with_mpmath(points(rng, name, kind, 120), name, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNARY)
def test_functions_agree_with_mpmath_at_many_points(name, kind, rng):
    _check_with_mpmath(points(rng, name, kind, 3000), name, kind)


def _every(stride):
    """All float32 there are, but only one in so many."""
    return np.arange(0, 1 << 32, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def _check_float32(name, stride):
    """float32 results against those of the same function in float64, which mpmath has checked."""
    x = _every(stride)
    y = compiled(name, "float")(x)
    with np.errstate(over="ignore", invalid="ignore"):
        r = compiled(name, "double")(x.astype(np.float64))
        rounded = r.astype(np.float32)
        unit = np.spacing(np.maximum(np.abs(rounded), np.finfo(np.float32).tiny))
        unit = np.where(np.isinf(rounded), np.spacing(np.finfo(np.float32).max), unit)
        off = np.abs(y.astype(np.float64) - np.clip(r, -(2.0**128), 2.0**128)) / unit
    same = (y == rounded) | (np.isnan(y) & np.isnan(r))
    off = np.where(same, 0, off)
    worst = int(np.argmax(np.where(np.isnan(off), INF, off)))
    assert off[worst] <= ULPS + 0.01, f"{off[worst]} ulp at {x[worst]!r}: {y[worst]!r}"
    lost = (y == 0) & (r == 0) & (np.signbit(y) != np.signbit(r))
    assert not lost.any(), f"the sign of zero at {x[lost][:3]}"


@pytest.mark.parametrize("name", UNARY)
def test_float32_results_agree_over_all_bit_patterns(name):
    _check_float32(name, 40_961)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNARY)
def test_float32_results_agree_over_very_many_bit_patterns(name):
    _check_float32(name, 499)


# name -> the values at 0, −0, ∞, −∞
EDGES = {
    "exp": (1, 1, INF, 0), "exp2": (1, 1, INF, 0), "expm1": (0, -0.0, INF, -1),
    "tanh": (0, -0.0, 1, -1), "sinh": (0, -0.0, INF, -INF), "cosh": (1, 1, INF, INF),
    "log": (-INF, -INF, INF, NAN), "log2": (-INF, -INF, INF, NAN),
    "log10": (-INF, -INF, INF, NAN), "log1p": (0, -0.0, INF, NAN),
    "sigmoid": (0.5, 0.5, 1, 0), "silu": (0, -0.0, INF, -0.0), "gelu_tanh": (0, -0.0, INF, -0.0),
    "softplus": (LOG_2, LOG_2, INF, 0), "log_sigmoid": (-LOG_2, -LOG_2, 0, -INF),
    "sin": (0, -0.0, NAN, NAN), "cos": (1, 1, NAN, NAN), "tan": (0, -0.0, NAN, NAN),
    "asin": (0, -0.0, NAN, NAN), "acos": (math.pi / 2, math.pi / 2, NAN, NAN),
    "atan": (0, -0.0, math.pi / 2, -math.pi / 2), "asinh": (0, -0.0, INF, -INF),
    "acosh": (NAN, NAN, INF, NAN), "atanh": (0, -0.0, NAN, NAN), "erf": (0, -0.0, 1, -1),
    "erfc": (1, 1, 0, 2), "ndtr": (0.5, 0.5, 1, 0), "gelu": (0, -0.0, INF, -0.0),
    "scaled_erfc": (1, 1, 0, INF), "log_ndtr": (-LOG_2, -LOG_2, -0.0, -INF),
    "mills": (math.sqrt(2 / math.pi), math.sqrt(2 / math.pi), 0, INF),
    "sqrt": (0, -0.0, INF, NAN), "cbrt": (0, -0.0, INF, -INF),
    "gammaln": (INF, INF, INF, -INF), "digamma": (-INF, INF, INF, NAN),
    "trigamma": (INF, INF, 0, INF), "erfinv": (0, -0.0, NAN, NAN), "ndtri": (-INF, -INF, NAN, NAN),
    "i0": (1, 1, NAN, NAN), "i1": (0, -0.0, NAN, NAN), "j0": (1, 1, NAN, NAN),
    "j1": (0, -0.0, NAN, NAN),
}  # fmt: skip


def same(y, r):
    """Equal numbers, equal signs of zeros, NaN beside NaN."""
    return np.array_equal(y, r, equal_nan=True) and np.array_equal(
        np.signbit(y)[~np.isnan(y)], np.signbit(r)[~np.isnan(r)]
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", UNARY)
def test_zeros_infinities_and_nan_give_what_they_must(name, kind):
    y = compiled(name, kind)([0.0, -0.0, INF, -INF, NAN])
    assert same(y, np.array([*EDGES[name], NAN], KINDS[kind])), y


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_outside_the_domain_give_nan(kind):
    for name, xs in {
        "log": [-1.0, -1e-40], "log2": [-1.0], "log10": [-1.0], "log1p": [-1.5, -1e30],
        "asin": [1.5, -1.0000002, 1e30], "acos": [1.5, -1.0000002, 1e30], "atanh": [1.5, -2.0],
        "acosh": [0.5, 0.0, -1.0, -5.0, -1e30], "sqrt": [-1.0, -1e-40],
        "erfinv": [1.5, -1.0000002, 1e30], "ndtri": [-1e-40, 1.0000002], "digamma": [-1.0, -7.0],
    }.items():  # fmt: skip
        assert np.isnan(compiled(name, kind)(xs)).all(), name


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exact_is_exact(kind):
    """Powers of two and their logarithms, multiples of a turn, whole powers, roots of cubes."""
    n = np.arange(-100, 101).astype(KINDS[kind])
    assert same(compiled("exp2", kind)(n), np.ldexp(KINDS[kind](1), n.astype(int)))
    assert same(compiled("log2", kind)(np.ldexp(KINDS[kind](1), n.astype(int))), n)
    assert same(compiled("exp", kind)([0.0, -0.0]), np.array([1, 1], KINDS[kind]))
    assert same(compiled("cos", kind)([0.0, 1e-30, -1e-12]), np.ones(3, KINDS[kind]))
    assert same(compiled("log1p", kind)([1e-30, -1e-38]), np.array([1e-30, -1e-38], KINDS[kind]))
    assert same(compiled("pow", kind)(n, np.full_like(n, 2)), n * n)
    assert same(
        compiled("pow", kind)(np.full_like(n, 2), n), np.ldexp(KINDS[kind](1), n.astype(int))
    )
    assert same(compiled("cbrt", kind)(n**3), n)
    assert same(compiled("hypot", kind)(3 * n, 4 * n), abs(5 * n))
    assert same(compiled("log", kind)([1.0]), np.zeros(1, KINDS[kind]))


def test_denormal_results_are_not_flushed():
    least = 5e-324
    assert compiled("exp", "double")([-745.0]) == [least]
    assert compiled("sin", "double")([least]) == [least]
    assert compiled("sqrt", "double")([least]) == [2.0**-537]
    assert compiled("pow", "double")([2.0], [-1074.0]) == [least]
    assert compiled("gelu", "double")([-38.4]) < 0
    assert compiled("tanh", "float")([1e-45]) == [np.float32(1e-45)]


# -- two arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers_agree_with_mpmath(name, kind, rng):
    x, y = pairs(rng, name, kind, 250)
    z = compiled(name, kind)(x, y)
    for a, b, c in zip(x, y, z, strict=True):
        # log(eˣ + eʸ) passes through 0, where it is as good as its greater argument; so does log B
        floor = {"logaddexp": max(abs(float(a)), abs(float(b))), "betaln": 1}.get(name, 0)
        off = ulps(c, exact_pair(name, a, b), kind, floor)
        assert off <= MORE.get(name, ULPS), (name, off, a, b, c)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_special_numbers_agree_with_numpy(name, kind):
    few = [0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, -2.5, INF, -INF, NAN]
    x, y = (v.ravel() for v in np.meshgrid(np.array(few, KINDS[kind]), np.array(few, KINDS[kind])))
    z = compiled(name, kind)(x, y)
    theirs = {"pow": np.power, "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp}
    theirs |= {"remainder": np.remainder, "floor_divide": np.floor_divide}
    theirs["betaln"] = scipy.special.betaln
    with np.errstate(all="ignore"):
        r = theirs[name](x, y)
    for a, b, c, d in zip(x, y, z, r, strict=True):
        exact_here = not np.isfinite(d) or d == 0
        assert same(c, d) if exact_here else abs(c - d) <= 4 * np.spacing(abs(d)), (a, b, c, d)


# -- code -------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", vmath.NAMES)
def test_every_machine_gives_the_same_bits(name, machine, rng):
    try:
        native.forced(machine)
    except DomainError as error:
        pytest.skip(str(error))
    for kind in KINDS:
        x = np.concatenate([special(kind), patterns(rng, kind, 2000), rng.normal(size=500)])
        xs = [x.astype(KINDS[kind]), rng.permutation(x).astype(KINDS[kind])][: vmath.arity(name)]
        here, there = compiled(name, kind)(*xs), compiled(name, kind, machine)(*xs)
        assert same(here, there)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["exp", "sin", "tan", "pow", "gelu"])
def test_a_result_does_not_depend_on_its_neighbours(name, kind, rng):
    """Also where a few numbers of a vector are rare, and in the rest of a loop."""
    run = compiled(name, kind)
    x = np.concatenate([rng.normal(size=200), special(kind), rng.normal(size=30) * 1e15, [1e30]])
    xs = [x.astype(KINDS[kind]), rng.permutation(x).astype(KINDS[kind])][: vmath.arity(name)]
    whole = run(*xs)
    alone = np.concatenate([run(*(v[i : i + 1] for v in xs)) for i in range(x.size)])
    assert same(whole, alone)
    order = rng.permutation(x.size)
    assert same(whole[order], run(*(v[order] for v in xs)))
    for n in range(40):
        assert same(whole[:n], run(*(v[:n] for v in xs)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", vmath.NAMES)
def test_functions_are_straight_code_without_liberties(name, kind):
    module = Module()
    vmath.define(module, name, kind)
    vmath.define(module, name, kind)  # twice is once
    text = str(module)
    found = re.search(rf"define internal {kind} @ob\.{name}\.f\d\d\(.*?\n}}", text, re.DOTALL)[0]
    assert "alwaysinline nounwind" in found
    assert not re.search(r"\b(br|load|store|alloca|switch|phi)\b", found)
    assert not re.search(r"\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b", text)
    called = set(re.findall(r"call \S+ @([\w.]+)\(", found))
    assert {c for c in called if not c.startswith(("llvm.", "ob.far.", "ob.left."))} == set()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", vmath.NAMES)
def test_loops_over_them_become_loops_of_vectors(name, kind):
    here = native.host()
    register = {512: "zmm", 256: "ymm"}.get(here.bits)
    if register is None:
        pytest.skip("no wide vectors here")
    code = native.assembly(text_of(name, kind, here), here)
    loop = code[code.index("\nloop:") :]
    assert register in loop[: loop.index(".Lfunc_end")]


def test_a_module_of_known_width_has_what_its_loops_call():
    wide, narrow = Module(512), Module(128)
    for module in (wide, narrow):
        vmath.define(module, "sin", "double")
    assert wide.has("ob.far.f64.8")
    assert not wide.has("ob.far.f64.2")
    assert narrow.has("ob.far.f64.2")


# -- coefficients -----------------------------------------------------------------------------


def _check_tables(names):
    tool = importlib.import_module("tools.coefficients")
    text = tool.OUT.read_text(encoding="utf-8")
    for name in names:
        assert tool.table(name, *tool.POLYNOMIALS[name])[0] in text, name


def test_the_coefficients_are_what_the_tool_makes():
    _check_tables(["EXP", "SIN", "CBRT", "NDTR_SHORT"])


@pytest.mark.skipif("OVERBAR_PROGRAMS" not in os.environ, reason="two minutes: `make programs`")
def test_all_coefficients_are_what_the_tool_makes():
    tool = importlib.import_module("tools.coefficients")
    _check_tables(tool.POLYNOMIALS)
    text = tool.OUT.read_text(encoding="utf-8")
    assert len(re.findall(r"^\w+ = {", text, re.MULTILINE)) == len(tool.POLYNOMIALS)

"""Elementary functions of compiled loops: errors of at most 2 units in the last place, special values, and vectors."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterator
from functools import cache
from math import erf as precise_erf
from math import inf, isinf, isnan, log, nan, nextafter, pi, ulp
from typing import Any

import numpy
import pytest

numba = pytest.importorskip("numba", reason="compiled loops need Numba")
from mpmath import mp  # noqa: E402

from rustorch.backends.numba import mathematics  # noqa: E402
from rustorch.backends.numba.processor import prefers_wide_vectors  # noqa: E402

#: The largest error, in units in the last place of the expected number.
MOST = 2.0
#: Function -> the numbers for which it is defined, NumPy's function and mpmath's.
UNARY: dict[str, tuple[tuple[float, float], Callable[..., Any], Callable[..., Any]]] = {
    "exp": ((-inf, inf), numpy.exp, mp.exp),
    "expm1": ((-inf, inf), numpy.expm1, mp.expm1),
    "sinh": ((-inf, inf), numpy.sinh, mp.sinh),
    "cosh": ((-inf, inf), numpy.cosh, mp.cosh),
    "tanh": ((-inf, inf), numpy.tanh, mp.tanh),
    "erf": ((-inf, inf), numpy.frompyfunc(precise_erf, 1, 1), mp.erf),
    "log": ((0, inf), numpy.log, mp.log),
    "log1p": ((-1, inf), numpy.log1p, mp.log1p),
    "log2": ((0, inf), numpy.log2, lambda x: mp.log(x) / mp.ln2),
    "log10": ((0, inf), numpy.log10, mp.log10),
    "asinh": ((-inf, inf), numpy.arcsinh, mp.asinh),
    "acosh": ((1, inf), numpy.arccosh, mp.acosh),
    "atanh": ((-1, 1), numpy.arctanh, mp.atanh),
    "sin": ((-inf, inf), numpy.sin, mp.sin),
    "cos": ((-inf, inf), numpy.cos, mp.cos),
    "tan": ((-inf, inf), numpy.tan, mp.tan),
    "asin": ((-1, 1), numpy.arcsin, mp.asin),
    "acos": ((-1, 1), numpy.arccos, mp.acos),
    "atan": ((-inf, inf), numpy.arctan, mp.atan),
}
BINARY: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "atan2": (numpy.arctan2, mp.atan2),
    "pow": (numpy.power, mp.power),
    "hypot": (numpy.hypot, mp.hypot),
}
#: Functions that are exact.
EXACT: dict[str, Any] = {
    "sqrt": numpy.sqrt,
    "abs": numpy.abs,
    "floor": numpy.floor,
    "ceil": numpy.ceil,
    "rint": numpy.rint,
    "trunc": numpy.trunc,
    "sign": numpy.sign,
    "isnan": numpy.isnan,
    "isinf": numpy.isinf,
    "isfinite": numpy.isfinite,
    "signbit": numpy.signbit,
}
EXACT_BINARY: dict[str, Any] = {
    "copysign": numpy.copysign,
    "maximum": numpy.maximum,
    "minimum": numpy.minimum,
    "remainder": numpy.remainder,
}
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


@cache
def compiled(name: str, dtype: str, flags: frozenset[str] = frozenset({"contract"})) -> Any:
    """A loop that calls the function for each element."""
    function = getattr(mathematics, name)
    element = numba.from_dtype(numpy.dtype(dtype))
    result = numba.types.boolean if name.startswith("is") or name == "signbit" else element
    arity = 2 if name in {*BINARY, *EXACT_BINARY, "logaddexp", "exp_of_sum"} else 1

    def unary(out: Any, x: Any) -> None:
        for i in range(x.size):
            out[i] = function(x[i])

    def binary(out: Any, x1: Any, x2: Any) -> None:
        for i in range(x1.size):
            out[i] = function(x1[i], x2[i])

    signature = numba.types.void(result[::1], *[element[::1]] * arity)
    return numba.njit(signature, error_model="numpy", fastmath=set(flags))(unary if arity == 1 else binary)


def call(name: str, *arrays: Any, flags: frozenset[str] = frozenset({"contract"})) -> Any:
    """The function of all elements."""
    loop = compiled(name, arrays[0].dtype.name, flags)
    is_truth = loop.signatures[0][0].dtype == numba.types.boolean
    out = numpy.empty(arrays[0].shape, bool if is_truth else arrays[0].dtype)
    loop(out, *arrays)
    return out


def same(a: Any, b: Any) -> Any:
    """Whether numbers are equal with their signs, or both nan."""
    return numpy.where(numpy.isnan(a), numpy.isnan(b), (a == b) & (numpy.signbit(a) == numpy.signbit(b)))


# -- float32 against NumPy's float64 -----------------------------------------------------------------------------------
def check_single(out: Any, expected: Any, *inputs: Any) -> None:
    """Compare with float64. What overflows is compared as if there were an exponent more."""
    with numpy.errstate(all="ignore"):
        rounded = numpy.asarray(expected).astype("float32")
        units = numpy.spacing(numpy.minimum(numpy.abs(rounded), numpy.finfo("float32").max)).astype("float64")
        near = [numpy.clip(x.astype("float64"), -(2.0**128), 2.0**128) for x in (out, expected)]
        error = numpy.abs(near[0] - near[1]) / units
    wrong = ~(same(out, rounded) | (error <= MOST))
    wrong |= (rounded == 0) & (out == 0) & (numpy.signbit(out) != numpy.signbit(rounded))
    places = numpy.flatnonzero(wrong)[:5]
    assert not places.size, [(*(float(x[i]) for x in inputs), float(out[i]), float(expected[i])) for i in places]


@pytest.mark.parametrize("name", UNARY)
def test_float32_at_all_exponents(name: str) -> None:
    for start in range(len(name), 2**32, 2**26):
        x = numpy.arange(start, start + 2**26, 997, dtype="uint64").astype("uint32").view("float32")
        with numpy.errstate(all="ignore"):
            expected = UNARY[name][1](x.astype("float64")).astype("float64")
        check_single(call(name, x), expected, x)


@pytest.mark.parametrize("name", BINARY)
def test_float32_of_two_arguments(name: str) -> None:
    generator = numpy.random.default_rng(1)
    for i in range(20):
        x, y = generator.integers(0, 2**32, (2, 100_000), dtype="uint32").view("float32")
        if i % 2:
            x, y = generator.lognormal(0, 3, (2, 100_000)).astype("float32")
            x *= generator.choice(numpy.array([-1, 1], "float32"), x.size)
        with numpy.errstate(all="ignore"):
            expected = BINARY[name][0](x.astype("float64"), y.astype("float64"))
        check_single(call(name, x, y), expected, x, y)


# -- float64 against mpmath --------------------------------------------------------------------------------------------
def neighbours(x: float, count: int = 2) -> Iterator[float]:
    """x and the numbers beside it."""
    below = above = x
    yield x
    for _ in range(count):
        below, above = nextafter(below, -inf), nextafter(above, inf)
        yield from (below, above)


#: Where formulas change, results overflow, vanish or become subnormal, and where cancellation is worst.
HARD = (
    *(0.0, 5e-324, 1e-310, 2.0**-1022, 2.0**-1021, 1e-300, 1e-17, 2.0**-53, 2.0**-27, 1e-5, 0.1, 0.25),
    *(0.2928932188134525, 0.41421356237309503, 0.5, 0.625, 0.66, 2**-0.5, 1.0, 2**0.5, 1.5, 1.515, 2.0, 4.0, 5.0, 6.0),
    *(5.921587195794507, 10.0, 18.0, 19.0, 20.0, 36.7, 38.0, 53 * log(2), 200.0, 708.3964185322641, 709.782712893384),
    *(710.4758600739439, 711.0, 744.4400719213812, 745.1332191019411, 746.0, 1e3),
    *(2.0**28, 2.0**53, 2.0**54, 2.0**56, 2.0**60, 2.0**500, 2.0**511, 2.0**1021, 2.0**1023, 1.7976931348623157e308),
    *(k * pi / 4 for k in (*range(1, 60), 1001, 123456, 10**9 + 1, 10**15 + 1)),
    6381956970095103 * 2.0**797,  # no float64 is nearer to a multiple of pi / 2 (Muller, "Elementary functions")
)


def check_double(name: str, precise: Callable[..., Any], *inputs: Any) -> None:
    """Compare with arithmetic of 120 bits. What overflows is compared as if there were an exponent more."""
    out = call(name, *inputs)
    limit, wrong, worst = mp.mpf(2) ** 1024, [], 0.0
    with mp.workprec(120):
        for *xs, result in zip(*(x.tolist() for x in inputs), out.tolist(), strict=True):
            expected = mp.mpf(precise(*map(mp.mpf, xs)))
            expected = max(-limit, min(limit, expected))
            rounded = float(expected)
            unit = ulp(min(abs(rounded), 1.7976931348623157e308))
            number = mp.mpf(result) if not isinf(result) else limit * (1 if result > 0 else -1)
            error = inf if isnan(result) else float(abs(number - expected) / unit)
            worst = max(worst, error)
            if error > MOST:
                wrong.append((*xs, result, rounded, error))
    assert not wrong, (len(wrong), wrong[:5])
    # otherwise the comparison itself would be wrong
    assert worst > 0.4


@pytest.mark.parametrize("name", UNARY)
def test_float64_over_the_whole_range(name: str) -> None:
    (low, high), _, precise = UNARY[name]
    generator = numpy.random.default_rng(2)
    hard = [y for x in HARD for y in neighbours(x)]
    sizes = generator.uniform(numpy.log(1e-17), numpy.log(800), 700)
    parts = [
        numpy.array(hard),
        generator.integers(0, 2**63, 500, dtype="uint64").view("float64"),
        numpy.exp(sizes),
        1 + numpy.exp(generator.uniform(-36, 0, 500)) * generator.choice([-1, 1], 500),
        *(generator.uniform(a, b, 500) for a, b in ((0, 1), (0.5, 2), (1, 6), (0, 40), (690, 750))),
        (2 * generator.integers(0, 300, 300) + 1) * (log(2) / 2) * (1 + generator.normal(0, 1e-13, 300)),
    ]
    x = numpy.concatenate(parts)
    x = numpy.concatenate([x, -x])
    x = x[numpy.isfinite(x) & (x > low if name in ("log", "log2", "log10", "log1p", "atanh") else x >= low)]
    check_double(name, precise, x[x < high if name == "atanh" else x <= high])


@pytest.mark.parametrize("name", BINARY)
def test_float64_of_two_arguments(name: str) -> None:
    generator = numpy.random.default_rng(3)
    x, y = generator.integers(0, 2**64, (2, 1500), dtype="uint64").view("float64")
    near = numpy.exp(generator.uniform(-20, 20, 1500)) * generator.choice([-1, 1], 1500)
    hard = numpy.array([y for x in HARD[1:60] for y in neighbours(x, 1)])
    x = numpy.concatenate([x, near, near, generator.permutation(hard), 1 + generator.uniform(-1e-3, 1e-3, 500)])
    y = numpy.concatenate(
        [y, generator.permutation(near), near * generator.uniform(0.5, 2, 1500), hard, 0.1 / x[-500:]]
    )
    fine = numpy.isfinite(x) & numpy.isfinite(y) & ((x != 0) | (y != 0))
    x, y = x[fine], y[fine]
    if name == "pow":
        x, whole = numpy.abs(x), generator.integers(-30, 31, 1500).astype("float64")
        results = generator.uniform(-1100, 1100, x.size)  # exponents of the results, also beyond both ends
        y = numpy.where(generator.random(x.size) < 0.7, results / numpy.log2(numpy.where((x == 0) | (x == 1), 2, x)), y)
        x, y = numpy.concatenate([x, near]), numpy.concatenate([y, whole])
    check_double(name, BINARY[name][1], x, y)


# -- special values ----------------------------------------------------------------------------------------------------
def special(dtype: str) -> Any:
    limits = numpy.finfo(dtype)
    small = [
        0.0,
        limits.smallest_subnormal,
        limits.tiny,
        0.5,
        1 - limits.epsneg,
        1.0,
        1 + limits.eps,
        2.0,
        3.0,
        2.5,
        7.0,
    ]
    x = numpy.array([*small, 1e10, 2.0**limits.nmant, limits.max, inf], dtype)
    return numpy.concatenate([x, -x, numpy.array([nan], dtype)])


@DTYPES
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, dtype: str) -> None:
    x = special(dtype)
    with numpy.errstate(all="ignore"):
        expected = UNARY[name][1](x.astype("float64")).astype(dtype)
    out = call(name, x)
    fixed = (expected == 0) | ~numpy.isfinite(expected)
    assert same(out, expected)[fixed].all()
    numpy.testing.assert_allclose(out[~fixed], expected[~fixed], rtol=4 * numpy.finfo(dtype).eps)


@DTYPES
@pytest.mark.parametrize("name", [*BINARY, *EXACT_BINARY, "logaddexp"])
def test_special_values_of_two_arguments(name: str, dtype: str) -> None:
    x, y = (numpy.ascontiguousarray(a.ravel()) for a in numpy.meshgrid(special(dtype), special(dtype)))
    function = {**EXACT_BINARY, "logaddexp": numpy.logaddexp}.get(name) or BINARY[name][0]
    with numpy.errstate(all="ignore"):
        expected = function(x, y)
    out = call(name, x, y)
    equal = same(out, expected)
    if name in ("maximum", "minimum"):
        equal |= (x == 0) & (y == 0)  # the standard leaves open which zero is larger
    elif name not in EXACT_BINARY:
        with numpy.errstate(all="ignore"):
            equal |= numpy.abs(out - expected) <= 4 * numpy.spacing(numpy.abs(expected))
    assert equal.all(), [*zip(x[~equal], y[~equal], out[~equal], expected[~equal], strict=True)][:5]


@DTYPES
@pytest.mark.parametrize("name", EXACT)
def test_exact_functions(name: str, dtype: str) -> None:
    x = numpy.concatenate([special(dtype), numpy.random.default_rng(4).normal(0, 3, 1000).astype(dtype)])
    with numpy.errstate(all="ignore"):
        expected = EXACT[name](x)
    out = call(name, x)
    assert out.dtype == expected.dtype
    assert (out == expected).all() if expected.dtype == bool else same(out, expected).all()


@DTYPES
def test_logaddexp_and_remainder(dtype: str) -> None:
    generator = numpy.random.default_rng(5)
    x, y = generator.normal(0, 20, (2, 5000)).astype(dtype)
    assert same(call("remainder", x, y), numpy.remainder(x, y)).all()
    # The sum of a maximum and a logarithm: near 0 it loses digits, as NumPy's.
    unit = numpy.spacing(numpy.maximum(numpy.abs(x), numpy.abs(y)))
    assert (numpy.abs(call("logaddexp", x, y) - numpy.logaddexp(x, y)) <= 2 * unit).all()


# -- dtypes and conditions ---------------------------------------------------------------------------------------------
@DTYPES
def test_the_exponential_of_a_sum_that_no_float_holds(dtype: str) -> None:
    generator = numpy.random.default_rng(0)
    end = 104.0 if dtype == "float32" else 745.0
    x = numpy.round(16 * generator.uniform(-end, 88, 4000)) / 16
    rest = generator.uniform(-1, 1, 4000) * 10.0 ** -generator.integers(0, 12, 4000)
    x, rest = x.astype(dtype), rest.astype(dtype)
    out = call("exp_of_sum", x, rest)
    with mp.workdps(40):
        for a, b, result in zip(x.tolist(), rest.tolist(), out.tolist(), strict=True):
            expected = mp.exp(mp.mpf(a) + mp.mpf(b))
            unit = float(numpy.spacing(numpy.asarray(float(expected), dtype)))
            assert abs(mp.mpf(result) - expected) <= MOST * unit, (a, b)
    special_x = numpy.asarray([nan, inf, -inf, -1000.0, 1000.0, 0.0, -0.0], dtype)
    numpy.testing.assert_array_equal(
        call("exp_of_sum", special_x, numpy.zeros(7, dtype)), [nan, inf, 0.0, 0.0, inf, 1.0, 1.0]
    )
    assert isnan(call("exp_of_sum", numpy.ones(1, dtype), numpy.full(1, nan, dtype))[0])


def test_dtypes_of_results() -> None:
    def loop(single: Any, double: Any, integer: Any) -> Any:
        a, b, c = mathematics.exp(single), mathematics.exp(double), mathematics.exp(integer)
        d, e = mathematics.pow(single, 2), mathematics.pow(single, integer)
        return a, b, c, d, e, mathematics.where(single > 0, single, 0), mathematics.maximum(single, double)

    compiled_loop = numba.njit(loop)
    out = compiled_loop(numpy.float32(0.3), 0.3, 3)
    results = [str(t) for t in compiled_loop.nopython_signatures[0].return_type]
    assert results == ["float32", "float64", "float64", "float32", "float64", "float32", "float64"]
    assert out[:3] == pytest.approx([numpy.exp(numpy.float32(0.3)), numpy.exp(0.3), numpy.exp(3.0)], rel=1e-7)
    assert out[2] == pytest.approx(numpy.exp(3.0), rel=1e-15)
    assert out[3:5] == pytest.approx([0.09, 0.027], rel=1e-6)


def test_arguments_that_are_not_numbers() -> None:
    def loop(x: Any) -> Any:
        return mathematics.exp(x)

    with pytest.raises(numba.TypingError):
        numba.njit(loop)(numpy.ones(3))


@DTYPES
def test_where_takes_both_values_as_they_are(dtype: str) -> None:
    def loop(out: Any, x: Any) -> None:
        for i in range(x.size):
            out[i] = mathematics.where(x[i] > 0, x[i], -x[i])

    x = special(dtype)
    out = numpy.empty_like(x)
    numba.njit(loop, error_model="numpy")(out, x)
    assert same(numpy.abs(out), numpy.abs(x)).all()
    assert (out[~numpy.isnan(x)] >= 0).all()


# -- loops -------------------------------------------------------------------------------------------------------------
@DTYPES
@pytest.mark.parametrize("name", ["exp", "expm1", "log1p", "log2", "asinh", "sin", "asin", "pow"])
def test_sums_in_any_order_change_no_function(name: str, dtype: str) -> None:
    """Instructions of a function keep their order in a loop whose own sums may be in any order."""
    generator = numpy.random.default_rng(6)
    xs = [(generator.normal(0, 3, 4000)).astype(dtype) for _ in range(1 if name in UNARY else 2)]
    free = call(name, *xs, flags=frozenset({"contract", "reassoc", "nsz"}))
    assert same(free, call(name, *xs)).all()


@DTYPES
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "erf", "sin", "log1p"])
def test_results_do_not_depend_on_the_place(name: str, dtype: str) -> None:
    """The last elements, which are too few for a vector, have the same results."""
    x = numpy.random.default_rng(7).normal(0, 3, 150).astype(dtype)
    whole = call(name, x)
    for size in (*range(40), 63, 64, 65, 149):
        assert same(call(name, x[:size]), whole[:size]).all()


def loops(code: str) -> Iterator[str]:
    """The bodies of the innermost loops in assembly: blocks that end with a jump to their own beginning."""
    for label, body in re.findall(r"^(\.L\w+):\s*\n((?:(?!^\.L\w+:).*\n)*)", code, re.MULTILINE):
        jump = re.search(rf"^\s+j\w+\s+{re.escape(label)}\s*$", body, re.MULTILINE)
        if jump:
            yield body[: jump.end()]


def is_x86_with_fma() -> bool:
    from llvmlite.binding import get_host_cpu_features

    return platform.machine().lower() in ("x86_64", "amd64") and bool(get_host_cpu_features().get("fma"))


@pytest.mark.skipif(not is_x86_with_fma(), reason="reads the assembly of x86 processors with AVX2 and FMA")
@DTYPES
@pytest.mark.parametrize("name", [*UNARY, *BINARY, *EXACT, "copysign", "maximum", "minimum", "logaddexp", "exp_of_sum"])
def test_loops_are_vectors(name: str, dtype: str) -> None:
    loop = compiled(name, dtype)
    bodies = list(loops(loop.inspect_asm(loop.signatures[0])))
    wide = [body for body in bodies if re.search(r"%[yz]mm", body)]
    assert wide, "no loop works on vectors"
    assert not any("call" in body for body in bodies)
    if name in UNARY or name in BINARY:
        packed = rf"v(?:mul|fn?m(?:add|sub)\d*)p{'ds'[dtype == 'float32']}\s.*%[yz]mm"
        either = r"v(?:mul|fn?m(?:add|sub)\d*)p[ds]\s.*%[yz]mm"
        # sin, cos, tan, pow and hypot of float32 are computed in float64
        assert any(re.search(either if name in ("sin", "cos", "tan", "pow", "hypot") else packed, b) for b in wide)


@pytest.mark.skipif(not is_x86_with_fma(), reason="reads the assembly of x86 processors with AVX2 and FMA")
@pytest.mark.parametrize("name", ["exp", "tanh", "erf", "log", "sin"])
def test_functions_use_the_widest_vectors(name: str) -> None:
    """Where the processor is good at them; llvmlite has no method for the attribute that asks LLVM for them."""
    loop = compiled(name, "float64")
    code = loop.inspect_asm(loop.signatures[0])
    widened = '"prefer-vector-width"="512"' in loop.inspect_llvm(loop.signatures[0])
    assert widened == prefers_wide_vectors()
    assert not widened or any("%zmm" in body for body in loops(code))


def test_a_loop_with_a_call_is_recognised() -> None:
    """The test above would fail for a function of the C library."""
    loop = compiled("remainder", "float64")
    bodies = list(loops(loop.inspect_asm(loop.signatures[0])))
    assert not any(re.search(r"v\w+pd\s.*%[yz]mm", body) for body in bodies if "call" not in body)

"""Traced loops: every function in both languages against NumPy at special values, and what a loop records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

from rustorch.backends.fusing import FUNCTIONS, Loop
from rustorch.backends.numba.availability import wanted
from rustorch.backends.symbols import Number, Refused
from tests.support.target import Target

UNARY = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "exp", "expm1", "floor",
    "isfinite", "isinf", "isnan", "log", "log10", "log1p", "log2", "negative", "positive", "reciprocal", "round",
    "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
)  # fmt: skip
BINARY = (
    "add", "atan2", "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less",
    "less_equal", "logaddexp", "maximum", "minimum", "multiply", "not_equal", "pow", "remainder", "subtract",
)  # fmt: skip
#: Zeros, numbers of all sizes, halves, infinities and nan.
SPECIAL = (
    0.0, -0.0, 1.0, -1.0, 0.1, -0.1, 0.5, -0.5, 1.5, 2.0, 2.5, -2.5, 3.0, -3.0, 64.0, -64.0, 1e-30, 1e30, -1e30,
    numpy.inf, -numpy.inf, numpy.nan,
)  # fmt: skip
FLOATS = ["float32", "float64"]


@pytest.fixture
def fused(backend: Target, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes a loop, or a launch, of a plain function. It takes and returns NumPy's arrays."""
    if backend.device not in ("cpu", "cuda"):
        pytest.skip(f"there are no loops on {backend.device!r}")
    if backend.device == "cpu":
        if not wanted():
            pytest.skip("Numba is not installed, or turned off")
        monkeypatch.setattr("rustorch.backends.numba.kernel.LEAST", 1)
        monkeypatch.setattr("rustorch.backends.numba.kernel.PATIENT", 0)

    def make(plain: Callable[..., Any]) -> Callable[..., Any]:
        if backend.device == "cpu":
            from rustorch.backends.numba.fusing import Fused

            loop: Any = Fused(plain, least=1)
        else:
            loop = backend.library.fused(plain)

        def call(*values: Any) -> Any:
            given = [backend.array(v, v.dtype) if isinstance(v, numpy.ndarray) else v for v in values]
            out = loop(*given)
            assert out is not NotImplemented
            return tuple(map(backend.numpy, out)) if isinstance(out, tuple) else backend.numpy(out)

        return call

    return make


def same(got: numpy.ndarray, expected: numpy.ndarray, what: str) -> None:
    """Compare values to 4 units in the last place, and the signs of zeros and infinities."""
    assert got.dtype == expected.dtype, what
    if got.dtype == bool:
        numpy.testing.assert_array_equal(got, expected, what)
        return
    limits = numpy.finfo(got.dtype)  # what is smaller than a normal number, GPUs make 0 in float32
    numpy.testing.assert_allclose(got, expected, rtol=4 * float(limits.eps), atol=float(limits.tiny), err_msg=what)
    number = expected == expected
    numpy.testing.assert_array_equal(numpy.signbit(got[number]), numpy.signbit(expected[number]), what)


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_one_number_are_numpys(dtype: str, fused: Callable[..., Any]) -> None:
    x = numpy.array(SPECIAL, dtype)
    outs = fused(lambda xp, x: tuple([getattr(xp, name)(x) for name in UNARY]))(x)
    with numpy.errstate(all="ignore"):
        for name, out in zip(UNARY, outs, strict=True):
            same(out, getattr(numpy, name)(x), name)


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_two_numbers_are_numpys(dtype: str, fused: Callable[..., Any]) -> None:
    x1, x2 = (a.ravel().astype(dtype) for a in numpy.meshgrid(SPECIAL, SPECIAL))
    outs = fused(lambda xp, x1, x2: tuple([getattr(xp, name)(x1, x2) for name in BINARY]))(x1, x2)
    with numpy.errstate(all="ignore"):
        for name, out in zip(BINARY, outs, strict=True):
            same(out, getattr(numpy, name)(x1, x2), name)


@pytest.mark.parametrize("dtype", FLOATS)
def test_operators_and_numbers(dtype: str, fused: Callable[..., Any]) -> None:
    def plain(xp: Any, x: Any, a: Any) -> tuple[Any, ...]:
        return (
            x + a, a - x, x * a, a / x, x // a, a // x, x % a, a % x, -x, abs(x), x**2, x**-1, x**a, a**x,
            x * (2 * a - 1), x * (a // 2) + a % 2, xp.maximum(x, a), xp.minimum(a, x), xp.clip(x, -a, a),
            xp.full_like(x, a),
        )  # fmt: skip

    x = numpy.linspace(0.25, 4, 50).astype(dtype)
    run = fused(plain)
    for a in (3.0, 2, 0.5):
        for i, (out, expected) in enumerate(zip(run(x, a), plain(numpy, x, a), strict=True)):
            same(out, expected, f"{i} with {a}")


def test_truth_values(fused: Callable[..., Any]) -> None:
    def plain(xp: Any, x: Any, m: Any) -> tuple[Any, ...]:
        above = x > 0
        return (
            above & m, above | m, above ^ m, ~m, xp.logical_and(x, m), xp.logical_or(x, m), xp.logical_xor(x, m),
            xp.logical_not(x), xp.bitwise_and(above, m), xp.bitwise_or(above, m), xp.bitwise_xor(above, m),
            xp.bitwise_invert(m), xp.where(m, x, -x), xp.where(m, above, m), xp.where(m, 1.0, x),
            above == m, above != m,
        )  # fmt: skip

    x, m = numpy.array([0.0, 1.0, -2.0, numpy.nan]), numpy.array([True, False, True, False])
    for i, (out, expected) in enumerate(zip(fused(plain)(x, m), plain(numpy, x, m), strict=True)):
        same(out, expected, str(i))


def test_missing_values_and_results(fused: Callable[..., Any]) -> None:
    run = fused(lambda xp, x, y: (x + 1, None if y is None else x * y))
    x = numpy.arange(5.0)
    assert [out.tolist() for out in run(x, x)] == [(x + 1).tolist(), (x * x).tolist()]


# -- what is recorded --------------------------------------------------------------------------------------------------
def trace(plain: Callable[..., Any], numbers: tuple[Any, ...] = ()) -> Loop:
    return Loop(lambda xp, *values: (plain(xp, *values),), ["x", "y"], numbers)


def test_repeated_and_unused_lines_are_left_out() -> None:
    def plain(xp: Any, x: Any, y: Any) -> Any:
        xp.log(y)  # nobody uses it
        return xp.exp(x) * xp.exp(x) + xp.exp(x) * xp.exp(x) + (x + 0.0) * (x + -0.0)

    operations = [line.operation for line in trace(plain).lines]
    assert operations == ["exp", "multiply", "add", "add", "add", "multiply", "add"]  # 0 and -0 stay apart


def test_numbers_are_computed_once_by_the_host() -> None:
    loop = trace(lambda xp, x, y, a, b: x * (a + 2 * b) - (-abs(a) // b) ** 2 + (x / (a % b)), (3.0, 0.5))
    assert loop.values((3.0, 0.5)) == [4.0, 36.0, 0.0]
    assert len(loop.lines) == 4


@pytest.mark.parametrize(
    "plain",
    [
        lambda xp, x, y: x if x > 0 else y,
        lambda xp, x, y: float(x),
        lambda xp, x, y: x[0],
        lambda xp, x, y: [*x],
        lambda xp, x, y: xp.bitwise_and(x, y),
    ],
)
def test_what_needs_a_value_is_refused(plain: Callable[..., Any]) -> None:
    with pytest.raises(Refused):
        trace(plain)


def test_a_number_has_no_value_while_a_loop_is_traced() -> None:
    number = Number(lambda given: given[0])
    for use in (float, int, bool, lambda n: n > 0, lambda n: n == 1, range):
        with pytest.raises(Refused):
            use(number)  # type: ignore[operator]
    assert len({number, number}) == 1


def test_the_standards_elementwise_functions_can_be_traced() -> None:
    from rustorch.ops import elementwise

    others = {"bitwise_left_shift", "bitwise_right_shift", "imag", "nextafter"}
    assert {name for name in elementwise.__all__ if not hasattr(FUNCTIONS, name)} == others

"""Powers: small powers by multiplication, and derivatives in bases and exponents."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy
import pytest
from mpmath import mpf

import rustorch
from rustorch.backends.kernels.elementwise import SMALL_POWERS
from tests.support.target import Target

INF, NAN = numpy.inf, numpy.nan


def _specials(dtype: str) -> numpy.ndarray:
    info = numpy.finfo(dtype)
    return numpy.asarray(
        [0.0, -0.0, 1.0, -1.0, 1.5, -2.5, info.max, -info.max, info.tiny, -info.tiny, INF, -INF, NAN], dtype
    )


def _expected(x: numpy.ndarray, n: float) -> numpy.ndarray:
    """NumPy's power in long double, rounded once."""
    return numpy.asarray(numpy.power(x.astype("longdouble"), numpy.longdouble(n)), x.dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of 1 / 0 and of overflow
@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize("n", [*range(-5, 10), 53, -54])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_powers_have_the_values_of_a_power(dtype: str, n: int, kind: Any, backend: Target) -> None:
    x = _specials(dtype)
    got = backend.numpy(backend.variable(x, dtype) ** kind(n))
    assert got.dtype == dtype
    expected = _expected(x, n)
    if backend.device in ("jax", "cuda"):  # numbers below the smallest normal one may count as 0 there
        normal = (numpy.abs(expected) >= numpy.finfo(dtype).tiny) | (expected == 0)
        got, expected = got[normal], expected[normal]
    numpy.testing.assert_array_equal(
        numpy.signbit(got[~numpy.isnan(got)]), numpy.signbit(expected[~numpy.isnan(expected)])
    )
    numpy.testing.assert_allclose(got, expected, rtol=4 * numpy.finfo(dtype).eps)


@pytest.mark.parametrize("n", [-9, -3, *sorted(SMALL_POWERS - {0, 1}), 5, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_small_powers_are_accurate(dtype: str, n: int, backend: Target, rng: numpy.random.Generator) -> None:
    x = (rng.uniform(0.5, 2, 2000) * numpy.where(rng.random(2000) < 0.5, -1, 1)).astype(dtype)
    got = backend.numpy(backend.variable(x, dtype) ** n)
    expected = numpy.power(x.astype("longdouble"), n)
    # PyTorch and JAX multiply, too, and more often
    limit = 3 if n in SMALL_POWERS else 1 if backend.device == "cpu" else 8
    assert numpy.max(numpy.abs((got - expected) / numpy.spacing(numpy.abs(got)))) < limit


def test_a_negative_power_does_not_overflow(backend: Target) -> None:
    """``x ** 2`` is infinite here, but its reciprocal is a number below the smallest normal one."""
    if backend.device in ("jax", "cuda"):
        pytest.skip("such numbers may count as 0 there")
    x = backend.variable([-2.0e19, 3.0e19], "float32")
    numpy.testing.assert_allclose(backend.numpy(x**-2), numpy.asarray([-2.0e19, 3.0e19]) ** -2.0, rtol=1e-6)


def test_integers_keep_their_powers(backend: Target) -> None:
    out = backend.variable([-3, 2], rustorch.int32) ** 3
    assert out.dtype == rustorch.int32
    assert backend.numpy(out).tolist() == [-27, 8]


def test_a_power_is_a_new_array(backend: Target) -> None:
    x = backend.variable([1.0, 2.0])
    assert (x**1).data is not x.data


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 3.0, 2, -2, 5, 1, 0, 2.5, 0.1, -0.001])
def test_derivatives_of_powers(dtype: str, n: float, backend: Target) -> None:
    values = [0.75, 3.0, 1e3, 1e-3] + ([-0.75, -3.0] if n % 1 == 0 else [])
    x = backend.variable(values, dtype, requires_grad=True)
    (first,) = rustorch.grad([x**n], [x], [rustorch.ones_like(x)], create_graph=True)
    (second,) = rustorch.grad([first], [x], [rustorch.ones_like(x)])
    exact = numpy.asarray(values, dtype).astype("longdouble")
    power = numpy.longdouble(numpy.asarray(n, dtype))
    ulp = numpy.finfo(dtype).eps
    numpy.testing.assert_allclose(
        backend.numpy(first), numpy.asarray(power * exact ** (power - 1), dtype), rtol=8 * ulp
    )
    expected = numpy.asarray(power * (power - 1) * exact ** (power - 2), dtype)
    numpy.testing.assert_allclose(backend.numpy(second), expected, rtol=16 * ulp)


def _derivatives(backend: Target, base: float, exponent: float) -> list[float]:
    """d/dx1, d/dx2, and the second derivatives in x1, in both (either way) and in x2."""
    xs = [backend.variable(value, requires_grad=True) for value in (base, exponent)]
    first = rustorch.grad([rustorch.pow(*xs)], xs, create_graph=True)
    found = list(first)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        found += rustorch.grad([first[i]], [xs[j]], retain_graph=True)
    return [float(backend.numpy(g)) for g in found]


def test_an_exponent_of_zero_does_not_end_the_graph(backend: Target) -> None:
    """The derivative in the base, x2 * x1 ** (x2 - 1), is 0 at 0, and has itself the derivative 1 / x1 in the
    exponent.
    """
    log = numpy.log(4.0)
    numpy.testing.assert_allclose(_derivatives(backend, 4.0, 0.0), [0, log, 0, 0.25, 0.25, log * log], rtol=1e-15)


def test_a_rounded_exponent_loses_no_digit(backend: Target) -> None:
    """-0.001 - 1 is rounded by 1e-16; the power of 1e-150 would be wrong by 350 times that."""
    first = _derivatives(backend, 1e-150, -0.001)[0]
    with mpmath.workdps(60):
        expected = mpf(-0.001) * mpf(1e-150) ** (mpf(-0.001) - 1)
    assert first == pytest.approx(float(expected), rel=4e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("base", "exponent", "expected"),
    [(0.0, 0.0, (0, 0)), (0.0, INF, (0, 0)), (INF, -1.0, (0, 0)), (1.0, INF, (INF, 0))],
)
def test_powers_at_zero_and_infinity(base: float, exponent: float, expected: tuple, backend: Target) -> None:
    xs = [backend.variable(value, requires_grad=True) for value in (base, exponent)]
    found = rustorch.grad([rustorch.pow(*xs)], xs)
    assert tuple(float(backend.numpy(g)) for g in found) == expected

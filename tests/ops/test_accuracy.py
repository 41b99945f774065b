"""Derivatives that are exact to a few units in the last place, although a simpler formula would lose digits."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import mpmath
import numpy
import pytest
from mpmath import mp, mpf

import rustorch
from tests.support.target import Target

#: function, points, first and second derivative
UNARY: dict[str, tuple[list[float], Callable, Callable]] = {
    "tanh": (
        [1e-5, 0.3, 3.0, 9.5, 20.0, -20.0],
        lambda x: mp.sech(x) ** 2,
        lambda x: -2 * mp.tanh(x) * mp.sech(x) ** 2,
    ),
    "expm1": ([-30.0, -1.0, 1e-8, 5.0], mp.exp, mp.exp),
    "asinh": ([1e-6, 1.0, -1e15], lambda x: 1 / mp.sqrt(1 + x * x), lambda x: -x / mp.sqrt(1 + x * x) ** 3),
    "acosh": ([1 + 2**-20, 2.0, 1e10], lambda x: 1 / mp.sqrt(x * x - 1), lambda x: -x / mp.sqrt(x * x - 1) ** 3),
    "atanh": ([1e-6, 0.5, 1 - 2**-20, -1 + 2**-20], lambda x: 1 / (1 - x * x), lambda x: 2 * x / (1 - x * x) ** 2),
    "asin": (
        [1e-6, 0.5, 1 - 2**-20, -1 + 2**-20],
        lambda x: 1 / mp.sqrt(1 - x * x),
        lambda x: x / mp.sqrt(1 - x * x) ** 3,
    ),
    "acos": (
        [1e-6, 0.5, 1 - 2**-20, -1 + 2**-20],
        lambda x: -1 / mp.sqrt(1 - x * x),
        lambda x: -x / mp.sqrt(1 - x * x) ** 3,
    ),
    "atan": ([1e-6, 1.0, 1e12, -1e18], lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "tan": ([1e-5, 1.0, 1.5707], lambda x: mp.sec(x) ** 2, lambda x: 2 * mp.tan(x) * mp.sec(x) ** 2),
    "log1p": ([-1 + 2**-20, 1e-8, 1e10], lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "log2": ([1e-37, 3.0, 1e37], lambda x: 1 / (x * mp.log(2)), lambda x: -1 / (x * x * mp.log(2))),
    "reciprocal": ([1e-15, 3.0, -1e15], lambda x: -1 / (x * x), lambda x: 2 / x**3),
}
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


def _rounded(values: list[Any], dtype: str) -> numpy.ndarray:
    with numpy.errstate(all="ignore"):
        return numpy.asarray([float(v) for v in values]).astype(dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of a second derivative beyond float32
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_first_and_second_derivatives(name: str, dtype: str, backend: Target) -> None:
    points, slope, curvature = UNARY[name]
    at = numpy.asarray(points, dtype)
    x = backend.variable(at, dtype, requires_grad=True)
    (first,) = rustorch.grad([getattr(rustorch, name)(x)], [x], [rustorch.ones_like(x)], create_graph=True)
    (second,) = rustorch.grad([first], [x], [rustorch.ones_like(x)])
    with mpmath.workdps(60):
        expected = [_rounded([f(mpf(float(p))) for p in at], dtype) for f in (slope, curvature)]
    tiny = float(numpy.finfo(dtype).tiny)
    for found, want, ulps in zip((first, second), expected, (8, 16), strict=True):
        numpy.testing.assert_allclose(backend.numpy(found), want, rtol=ulps * EPS[dtype], atol=tiny)


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1.0, 1e20, 1e30])
def test_angles_of_small_and_large_points(scale: float, backend: Target) -> None:
    one, two = numpy.asarray([3.0, 4.0, -4.0]) * scale, numpy.asarray([4.0, 3.0, 3.0]) * scale
    xs = [backend.variable(x, "float32", requires_grad=True) for x in (one, two)]
    first = rustorch.grad([rustorch.atan2(*xs)], xs, [rustorch.ones_like(xs[0])])
    square = one * one + two * two
    for found, want in zip(first, (two / square, -one / square), strict=True):
        numpy.testing.assert_allclose(backend.numpy(found), want, rtol=1e-6)
    first = rustorch.grad([rustorch.hypot(*xs)], xs, [rustorch.ones_like(xs[0])])
    for found, want in zip(first, (one, two), strict=True):
        numpy.testing.assert_allclose(backend.numpy(found), want / numpy.sqrt(square), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the value
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hypot_at_the_end_of_the_range(dtype: str, backend: Target) -> None:
    huge = float(numpy.finfo(dtype).max)
    for size in (huge, inf):
        xs = [backend.variable(size, dtype, requires_grad=True) for _ in range(2)]
        found = rustorch.grad([rustorch.hypot(*xs)], xs)
        numpy.testing.assert_allclose([backend.numpy(g) for g in found], [0.5**0.5] * 2, rtol=2 * EPS[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pair", [(1e4, 1e4), (1e4, 1e4 + 1), (30.0, 1e-3), (-35.3, 47.3), (3.0, 2.0)])
def test_shares_of_exponentials(pair: tuple[float, float], dtype: str, backend: Target) -> None:
    """The logaddexp of large numbers is rounded so much that ``exp(x - out)`` would have few correct digits."""
    one, two = numpy.asarray(pair, dtype)
    xs = [backend.variable(x, dtype, requires_grad=True) for x in (one, two)]
    first = rustorch.grad([rustorch.logaddexp(*xs)], xs, create_graph=True)
    second = rustorch.grad([first[0]], xs)
    with mpmath.workdps(60):
        share = 1 / (1 + mp.exp(mpf(float(two)) - mpf(float(one))))
        expected = _rounded([share, 1 - share, share * (1 - share), -share * (1 - share)], dtype)
    numpy.testing.assert_allclose([backend.numpy(g) for g in (*first, *second)], expected, rtol=8 * EPS[dtype])


def test_complex_tanh_and_tan_far_from_zero(backend: Target) -> None:
    """``1 - tanh(z) ** 2`` has no correct digit at 30, and ``1 / cosh(z) ** 2`` is nan at 800."""
    for call, at in ((rustorch.tanh, 30 + 1j), (rustorch.tanh, -30 + 0.5j), (rustorch.tan, 1 + 30j)):
        z = backend.variable(at, "complex128", requires_grad=True)
        (g,) = rustorch.grad([call(z)], [z], [rustorch.ones_like(z)])
        with mpmath.workdps(60):
            slope = mp.sech(at) ** 2 if call is rustorch.tanh else mp.sec(at) ** 2
            numpy.testing.assert_allclose(backend.numpy(g), complex(mp.conj(slope)), rtol=1e-14)
    z = backend.variable(-800 + 1j, "complex128", requires_grad=True)
    (g,) = rustorch.grad([rustorch.tanh(z)], [z], [rustorch.ones_like(z)])
    assert complex(backend.numpy(g)) == 0

"""Points without a derivative, or with a limit of it: exact values in first and second order, and no warnings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.ops import network
from tests.support.target import Target

INF, NAN = numpy.inf, numpy.nan
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


def _gradients(backend: Target, call: Callable[..., Any], dtype: str, *inputs: Any) -> tuple[Any, list, list]:
    """The value, its gradients, and the gradients of their sum. Warnings are errors."""
    xs = [backend.variable(x, dtype, requires_grad=True) for x in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = call(*xs)
        first = rustorch.grad([out], xs, [rustorch.ones_like(out)], create_graph=True)
        second = [
            rustorch.grad([g], xs, [rustorch.ones_like(g)], retain_graph=True, allow_unused=True)
            if g.requires_grad
            else None
            for g in first
        ]
    plain = rustorch.grad([call(*xs)], xs, [rustorch.ones_like(out)])
    for one, two in zip(first, plain, strict=True):
        numpy.testing.assert_array_equal(backend.numpy(one), backend.numpy(two))
    flat = [None if row is None else [None if g is None else backend.numpy(g) for g in row] for row in second]
    return backend.numpy(out), [backend.numpy(g) for g in first], flat


@DTYPES
def test_hypot_and_atan2_at_the_origin(dtype: str, backend: Target) -> None:
    for call in (rustorch.atan2, rustorch.hypot):
        out, first, second = _gradients(backend, call, dtype, [0.0], [0.0])
        assert out.tolist() == [0]
        numpy.testing.assert_array_equal(first, [[0], [0]])
        numpy.testing.assert_array_equal(second, [[[0], [0]], [[0], [0]]])


@pytest.mark.parametrize("at", [(0.0, 0.0), (0.0, -2.0), (3.0, 4.0)])
def test_the_square_of_a_hypot_is_smooth(at: tuple, backend: Target) -> None:
    x = backend.variable(at)
    hessian = rustorch.func.hessian(lambda x: rustorch.hypot(x[0], x[1]) ** 2)(x)
    numpy.testing.assert_allclose(backend.numpy(hessian), [[2, 0], [0, 2]], atol=1e-15)


@DTYPES
def test_logaddexp_of_infinities(dtype: str, backend: Target) -> None:
    out, (one, two), _ = _gradients(
        backend, rustorch.logaddexp, dtype, [INF, INF, INF, -INF, -INF, 1.0], [INF, 1.0, -INF, -INF, 1.0, -INF]
    )
    numpy.testing.assert_array_equal(out, [INF, INF, INF, -INF, 1, 1])
    numpy.testing.assert_array_equal(one, [0.5, 1, 1, 0.5, 0, 1])
    numpy.testing.assert_array_equal(two, [0.5, 0, 0, 0.5, 1, 0])


@DTYPES
def test_logsumexp_of_infinities(dtype: str, backend: Target) -> None:
    rows = [[-INF, -INF], [INF, 1.0], [INF, INF], [-INF, 1.0]]
    xs = backend.variable(rows, dtype, requires_grad=True)
    out = network.logsumexp(xs, 1)
    numpy.testing.assert_array_equal(backend.numpy(out)[:, 0], [-INF, INF, INF, 1])
    (g,) = rustorch.grad([out], [xs], [rustorch.ones_like(out)])
    numpy.testing.assert_array_equal(backend.numpy(g), [[0, 0], [1, 0], [0.5, 0.5], [0, 1]])


@DTYPES
def test_nan_elements_share_the_gradient_of_nan(dtype: str, backend: Target) -> None:
    for call in (rustorch.maximum, rustorch.minimum):
        out, first, _ = _gradients(backend, call, dtype, [NAN, 1.0, 2.0], [1.0, NAN, 2.0])
        numpy.testing.assert_array_equal(out, [NAN, NAN, 2])
        numpy.testing.assert_array_equal(first, [[1, 1, 0.5], [1, 1, 0.5]])
    for call in (rustorch.max, rustorch.min):
        out, first, _ = _gradients(backend, call, dtype, [NAN, 1.0, NAN])
        assert numpy.isnan(out)
        numpy.testing.assert_array_equal(first, [[0.5, 0, 0.5]])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_abs_and_sign_at_zero_are_silent(dtype: str, backend: Target) -> None:
    for call in (rustorch.abs, rustorch.sign):
        out, first, second = _gradients(backend, call, dtype, [0j])
        assert out.tolist() == [0]
        assert first[0].tolist() == [0]
        assert second[0][0].tolist() == [0]


@DTYPES
@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "sign", "abs"])
def test_piecewise_constant_functions_have_second_derivatives_of_zero(name: str, dtype: str, backend: Target) -> None:
    _, _, second = _gradients(backend, getattr(rustorch, name), dtype, [-1.5, 0.0, 2.25])
    assert second[0][0].tolist() == [0, 0, 0]


@DTYPES
@pytest.mark.parametrize("call", [rustorch.copysign, rustorch.floor_divide])
def test_piecewise_constant_functions_of_two_arguments(call: Callable[..., Any], dtype: str, backend: Target) -> None:
    _, first, second = _gradients(backend, call, dtype, [-1.5, 3.0], [2.0, -2.5])
    assert first[1].tolist() == [0, 0]
    for k in range(2):
        assert second[k][k].tolist() == [0, 0]


def test_powers_of_zero_and_one_have_second_derivatives(backend: Target) -> None:
    for n in (0, 1, 1.0):
        _, first, second = _gradients(backend, lambda x, n=n: x**n, "float64", [0.0, -2.0, 3.0])
        assert first[0].tolist() == [n, n, n]
        assert second[0][0].tolist() == [0, 0, 0]


@DTYPES
@pytest.mark.parametrize("scale", [1e20, 1.0, 1e-25])
def test_deviations_that_are_large_or_small(scale: float, dtype: str, backend: Target) -> None:
    x = backend.variable(numpy.asarray([1.0, 5.0, 9.0]) * scale, dtype, requires_grad=True)
    out = rustorch.std(x)
    out.backward()
    assert float(backend.numpy(out)) == pytest.approx(scale * 32**0.5 / 3**0.5, rel=1e-6)
    expected = numpy.asarray([-1, 0, 1]) / 6**0.5
    numpy.testing.assert_allclose(backend.numpy(x.grad), expected, rtol=1e-6, atol=1e-6)


@DTYPES
def test_products_with_zeros_and_infinities(dtype: str, backend: Target) -> None:
    x = backend.variable([INF, 0.0], dtype, requires_grad=True)
    (g,) = rustorch.grad([rustorch.prod(x[1:])], [x])
    assert backend.numpy(g).tolist() == [0, 1]
    x = backend.variable([0.0, 2.0, 0.0], dtype, requires_grad=True)
    rustorch.prod(x).backward()
    assert backend.numpy(x.grad).tolist() == [0, 0, 0]


@DTYPES
def test_a_mean_of_nothing_is_nan_without_a_warning(dtype: str) -> None:
    x = rustorch.Variable(numpy.zeros((0, 2), dtype), requires_grad=True)
    out = rustorch.mean(x, axis=0)
    assert out.dtype == dtype
    assert numpy.isnan(out.data).all()
    rustorch.mean(x).backward()
    assert x.grad.shape == (0, 2)

"""Norms of huge, tiny and zero vectors and matrices: values, and derivatives of first and second order."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import linalg as la
from rustorch.func import hessian
from tests.support.target import Target

ORDERS = pytest.mark.parametrize("ord", [2, 1, 0.5, 1.5, 3, 100, -1, -2.5, numpy.inf, -numpy.inf])
#: dtype -> scales, from ones whose squares underflow to ones whose squares overflow
SCALES = {"float32": [1e-30, 1.0, 1e20, 3e37], "float64": [1e-200, 1.0, 1e200, 3e307]}
EACH = pytest.mark.parametrize(("dtype", "scale"), [(dtype, scale) for dtype in SCALES for scale in SCALES[dtype]])


def _expected(x: numpy.ndarray, ord: float) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The norms of rows and their derivatives, in higher precision."""
    wide = numpy.abs(x.astype("longdouble"))
    scale = wide.max()
    norm = scale * numpy.linalg.vector_norm(wide / scale, axis=1, keepdims=True, ord=ord)
    if numpy.isinf(ord):
        return norm, numpy.sign(x) * (wide == norm)
    return norm, numpy.sign(x) * (wide / norm) ** (ord - 1)


@ORDERS
@EACH
def test_powers_do_not_overflow_or_underflow(backend: Target, dtype: str, scale: float, ord: float) -> None:
    if ord == 0.5 and scale > 1e37:
        scale /= 100  # the norm itself is larger than the largest number
    host = (numpy.asarray([[3.0, -4.0, 1.0], [0.5, 0.25, -2.0]]) * (scale if scale < 1e37 else scale / 4)).astype(dtype)
    x = backend.variable(host, dtype, requires_grad=True)
    norm = la.vector_norm(x, axis=1, keepdims=True, ord=ord)
    norm.sum().backward()
    value, slope = _expected(host, ord)
    rtol = 8 * numpy.finfo(dtype).eps * max(1.0, min(abs(ord), 100))
    numpy.testing.assert_allclose(backend.numpy(norm).astype("longdouble"), value, rtol=rtol)
    numpy.testing.assert_allclose(
        backend.numpy(x.grad), slope.astype(dtype), rtol=2 * rtol, atol=numpy.finfo(dtype).tiny
    )


@EACH
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, numpy.inf])
def test_norms_of_huge_and_tiny_matrices(backend: Target, dtype: str, scale: float, ord: Any) -> None:
    host = (numpy.asarray([[3.0, 0.0], [4.0, 5.0]]) * min(scale, 1e37 if dtype == "float32" else 1e307)).astype(dtype)
    got = backend.numpy(la.matrix_norm(backend.variable(host, dtype), ord=ord))
    unit = numpy.linalg.norm(numpy.asarray([[3.0, 0.0], [4.0, 5.0]]), ord=ord)
    want = numpy.longdouble(host[0, 0]) / 3 * numpy.longdouble(unit)
    numpy.testing.assert_allclose(got.astype("longdouble"), want, rtol=32 * numpy.finfo(dtype).eps)


def test_huge_and_ordinary_rows_together(backend: Target) -> None:
    host = numpy.asarray(
        [[3.0, 4.0], [0.0, 0.0], [3e20, 4e20], [3e-30, -4e-30], [numpy.inf, 1.0], [numpy.nan, 1.0]], "float32"
    )
    got = backend.numpy(la.vector_norm(backend.variable(host, "float32"), axis=-1))
    numpy.testing.assert_allclose(got, numpy.asarray([5, 0, 5e20, 5e-30, numpy.inf, numpy.nan], "float32"), rtol=1e-6)
    got = backend.numpy(la.vector_norm(backend.variable(host.T, "float32"), axis=0))
    numpy.testing.assert_allclose(got, numpy.asarray([5, 0, 5e20, 5e-30, numpy.inf, numpy.nan], "float32"), rtol=1e-6)


def test_complex_numbers(backend: Target) -> None:
    x = backend.variable(numpy.asarray([3e20 + 4e20j, 0], "complex64"), "complex64", requires_grad=True)
    norm = la.vector_norm(x)
    norm.backward()
    numpy.testing.assert_allclose(backend.numpy(norm), numpy.float32(5e20), rtol=1e-6)
    numpy.testing.assert_allclose(backend.numpy(x.grad), numpy.asarray([0.6 + 0.8j, 0], "complex64"), rtol=1e-6)


@pytest.mark.parametrize("ord", [2, 3, 1.5, 0.5, -2])
def test_norms_of_empty_arrays_are_zero(backend: Target, ord: float) -> None:
    x = backend.variable(numpy.zeros((2, 0)), requires_grad=True)
    norm = la.vector_norm(x, axis=1, ord=ord)
    numpy.testing.assert_array_equal(backend.numpy(norm), [0, 0] if ord > 0 else [numpy.inf] * 2)
    norm.sum().backward()
    assert x.grad.shape == (2, 0)
    assert la.vector_norm(x, axis=0, ord=ord).shape == (0,)


# -- at zero -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ord", [2, 1, 3, 1.5, 0.5, -1, numpy.inf])
def test_the_gradient_at_zero_is_zero(backend: Target, ord: float) -> None:
    x = backend.variable(numpy.zeros(3), requires_grad=True)
    la.vector_norm(x, ord=ord).backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.zeros(3))


def _hessian(backend: Target, function: Any, at: Any) -> numpy.ndarray:
    return backend.numpy(hessian(function)(backend.variable(numpy.asarray(at, "float64"))))


def test_the_square_of_a_norm_has_its_hessian_at_zero(backend: Target) -> None:
    def squares(x: Any) -> Any:
        return rustorch.sum(la.vector_norm(rustorch.reshape(x, (2, 2)), axis=1) ** 2)

    numpy.testing.assert_allclose(_hessian(backend, lambda x: la.vector_norm(x) ** 2, [0.0] * 3), 2 * numpy.eye(3))
    numpy.testing.assert_allclose(_hessian(backend, squares, [0.0, 0.0, 1.0, 2.0]), 2 * numpy.eye(4), atol=1e-12)
    numpy.testing.assert_allclose(
        _hessian(backend, lambda x: rustorch.cos(la.vector_norm(x)), [0.0] * 2), -numpy.eye(2)
    )
    numpy.testing.assert_allclose(_hessian(backend, lambda x: la.vector_norm(x) ** 4, [0.0] * 2), numpy.zeros((2, 2)))
    numpy.testing.assert_allclose(
        _hessian(backend, lambda x: la.matrix_norm(rustorch.reshape(x, (1, 2))) ** 2, [0.0] * 2), 2 * numpy.eye(2)
    )


def test_a_product_of_one_norm_with_itself(backend: Target) -> None:
    def product(x: Any) -> Any:
        norm = la.vector_norm(x)
        return norm * norm

    numpy.testing.assert_allclose(_hessian(backend, product, [0.0] * 2), 2 * numpy.eye(2))


def test_undefined_second_derivatives_are_nan(backend: Target) -> None:
    for function in (la.vector_norm, lambda x: la.vector_norm(x) * la.vector_norm(x)):
        found = _hessian(backend, function, [0.0, 0.0])
        assert numpy.isnan(numpy.diag(found)).all()


def test_a_norm_that_is_not_used_has_derivatives_of_zero(backend: Target) -> None:
    def unused(x: Any) -> Any:
        norm = la.vector_norm(x)
        return rustorch.where(norm > 0, norm, 0.0) + rustorch.sum(x**3)

    numpy.testing.assert_array_equal(_hessian(backend, unused, [0.0, 0.0]), numpy.zeros((2, 2)))


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e12])
def test_second_derivatives_away_from_zero(backend: Target, scale: float) -> None:
    """``(1 - u u^T) / norm``."""
    found = backend.numpy(hessian(la.vector_norm)(backend.variable(numpy.asarray([3, 4]) * scale)))
    numpy.testing.assert_allclose(found * 5 * scale, [[0.64, -0.48], [-0.48, 0.36]], rtol=1e-12)

"""Factorizations with equal eigenvalues or singular values, of empty matrices, and of matrices that have none."""

from __future__ import annotations

import warnings
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import linalg as la
from rustorch.func import hessian
from tests.support.target import Target

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
WEIGHTS = numpy.asarray([[1.0, -2.0, 0.5, 1.5], [0.0, 1.0, 2.0, -1.0], [0.25, 3.0, 1.0, 0.5], [2.0, 1.0, -1.0, 0.0]])


def _matrix(values: list[float], dtype: str, rng: numpy.random.Generator) -> numpy.ndarray:
    """A symmetric or Hermitian matrix with these eigenvalues."""
    x = rng.standard_normal((len(values),) * 2)
    q = numpy.linalg.qr(x + 1j * rng.standard_normal(x.shape) if dtype == "complex128" else x)[0]
    return (q * numpy.asarray(values)) @ q.conj().T


def _h(x: Any) -> Any:
    return rustorch.conj(rustorch.matrix_transpose(x))


def _gradient(backend: Target, function: Any, host: numpy.ndarray, dtype: str) -> numpy.ndarray:
    x = backend.variable(host, dtype, requires_grad=True)
    function(x).backward()
    return backend.numpy(x.grad)


@DTYPES
def test_a_loss_on_the_span_of_all_eigenvectors_has_gradient_zero(
    backend: Target, dtype: str, rng: numpy.random.Generator
) -> None:
    weights = backend.variable(WEIGHTS, "float32" if dtype == "float32" else "float64")

    def loss(x: Any) -> Any:
        v = la.eigh(x).eigenvectors
        return rustorch.sum(rustorch.real(v @ _h(v)) * weights)

    for host in (numpy.eye(4), numpy.zeros((4, 4)), _matrix([1, 1, 1, 3], dtype, rng)):
        found = _gradient(backend, loss, host, dtype)
        numpy.testing.assert_allclose(found, numpy.zeros((4, 4)), atol=1e-4 if dtype == "float32" else 1e-12)


@DTYPES
@pytest.mark.parametrize("function", ["eigh", "svd"])
def test_the_projector_on_equal_eigenvectors_has_its_gradient(
    backend: Target, function: str, dtype: str, rng: numpy.random.Generator
) -> None:
    host = _matrix([3, 3, 1, 0.5], dtype, rng)
    weights = backend.variable(WEIGHTS, "float32" if dtype == "float32" else "float64")

    def loss(x: Any) -> Any:
        v = la.eigh(x).eigenvectors[..., 2:] if function == "eigh" else la.svd(x).U[..., :2]
        return rustorch.sum(rustorch.real(v @ _h(v)) * weights)

    def projected(x: numpy.ndarray) -> float:
        v = numpy.linalg.eigh(x)[1][:, 2:]
        return float(numpy.sum(numpy.real(v @ v.conj().T) * WEIGHTS))

    gradient = _gradient(backend, loss, host, dtype)
    step = _matrix([1, -1, 2, 0.5], dtype, rng) * 1e-5
    expected = (projected(host + step) - projected(host - step)) / 2
    found = float(numpy.real(numpy.sum(gradient.conj() * step)))
    numpy.testing.assert_allclose(found, expected, rtol=1e-3 if dtype == "float32" else 1e-6)


@pytest.mark.parametrize("function", [la.eigvalsh, la.svdvals])
def test_second_derivatives_at_equal_values_are_nan_and_not_zero(backend: Target, function: Any) -> None:
    step = backend.variable([[1.0, 2.0], [2.0, -1.0]])
    for values, expected in (([1.0, 2.0], 20.0), ([1.0, 1.0], numpy.nan)):
        x = backend.variable(numpy.diag(values))
        with numpy.errstate(invalid="ignore"):
            found = hessian(lambda t, x=x: rustorch.sum(function(x + t[0] * step) ** 2))(backend.variable([0.0]))
        numpy.testing.assert_allclose(backend.numpy(found), [[expected]], rtol=1e-12)


def test_eigenvalues_that_are_equal(backend: Target) -> None:
    for function in (la.eigvalsh, lambda x: la.svdvals(x)):
        found = _gradient(backend, lambda x, f=function: rustorch.sum(f(x) ** 2), numpy.eye(3), "float64")
        numpy.testing.assert_allclose(found, 2 * numpy.eye(3), atol=1e-12)
    found = _gradient(backend, lambda x: rustorch.sum(la.svdvals(x) ** 2), numpy.zeros((3, 2)), "float64")
    numpy.testing.assert_array_equal(found, numpy.zeros((3, 2)))


# -- nothing -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(0, 3, 3), (0, 0), (2, 0, 0)], ids=str)
@pytest.mark.parametrize(
    "name", ["eigh", "eigvalsh", "inv", "cholesky", "det", "slogdet", "svd", "svdvals", "qr", "pinv", "eig"]
)
def test_factorizations_of_empty_matrices(backend: Target, name: str, shape: tuple) -> None:
    x = backend.variable(numpy.zeros(shape), requires_grad=True)
    out = getattr(la, name)(x)
    parts = out if isinstance(out, tuple) else (out,)
    total = sum(rustorch.sum(rustorch.real(part) if part.dtype.kind == "c" else part) for part in parts)
    total.backward()
    assert x.grad is None or x.grad.shape == shape


# -- no result ---------------------------------------------------------------------------------------------------------
def _raises(backend: Target) -> list:
    bad, singular = backend.variable([[1.0, 2.0], [2.0, 1.0]]), backend.variable([[1.0, 2.0], [2.0, 4.0]])
    right = backend.variable(numpy.ones((2, 5)))
    return [
        ("not positive definite", lambda: la.cholesky(bad)),
        ("singular", lambda: la.inv(singular)),
        ("singular", lambda: la.solve(singular, right)),
        ("singular", lambda: la.matrix_power(singular, -2)),
    ]


def test_a_matrix_without_a_result_raises_numpys_error(backend: Target) -> None:
    for text, call in _raises(backend):
        with pytest.raises(numpy.linalg.LinAlgError, match=text):
            call()
        with pytest.raises(ValueError, match=text):
            call()


def test_a_loop_that_adds_jitter_ends(backend: Target) -> None:
    x, jitter = backend.variable(numpy.ones((3, 3))) - 1e-3 * backend.variable(numpy.eye(3)), 1e-4
    while True:
        try:
            factor = la.cholesky(x + jitter * backend.variable(numpy.eye(3)))
            break
        except numpy.linalg.LinAlgError:
            jitter *= 10
    assert jitter == pytest.approx(1e-2)
    assert numpy.isfinite(backend.numpy(factor)).all()


def test_numpys_errors_of_arithmetic_keep_their_type() -> None:
    x = rustorch.asarray([0.0, 1e300], dtype="float64")
    with numpy.errstate(all="raise"):
        with pytest.raises(FloatingPointError, match=r"divide of float64\(2,\), float64\(2,\): divide by zero|divide"):
            1.0 / x
        with pytest.raises(FloatingPointError, match=r"multiply of .*overflow"):
            x * x
        with pytest.raises(FloatingPointError, match="overflow"):
            rustorch.exp(x)
    with warnings.catch_warnings(), pytest.raises(OverflowError):
        warnings.simplefilter("ignore")
        rustorch.asarray([1], dtype="int64") + 2**100

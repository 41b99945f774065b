"""linalg on every backend: values, names, norms of every order, and errors. Derivatives are in tests/specs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import linalg as la
from tests.support.target import Target

SHAPES = pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)], ids=str)
DTYPES = pytest.mark.parametrize("dtype", ["float64", "complex128"])


def _random(rng: numpy.random.Generator, shape: tuple[int, ...], dtype: str) -> numpy.ndarray:
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if dtype == "complex128" else x


def _h(x: numpy.ndarray) -> numpy.ndarray:
    return numpy.conj(numpy.swapaxes(x, -1, -2))


def _close(got: Any, want: Any) -> None:
    numpy.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


# -- factorizations ----------------------------------------------------------------------------------------------------
@SHAPES
@DTYPES
def test_factors_multiply_to_the_matrix(backend: Target, shape: tuple, dtype: str, rng: numpy.random.Generator) -> None:
    host = _random(rng, shape, dtype)
    for grad in (False, True):  # recorded calls use other primitives
        x = backend.variable(host, dtype, requires_grad=grad)
        out = la.qr(x)
        assert out._fields == ("Q", "R")
        q, r = backend.numpy(out.Q), backend.numpy(out.R)
        _close(q @ r, host)
        _close(_h(q) @ q, numpy.broadcast_to(numpy.eye(q.shape[-1]), (*q.shape[:-2], q.shape[-1], q.shape[-1])))
        _close(r, numpy.triu(r))
        svd = la.svd(x, full_matrices=False)
        assert svd._fields == ("U", "S", "Vh")
        u, s, vh = map(backend.numpy, svd)
        _close(u * s[..., None, :] @ vh, host)
        assert svd.S.dtype == rustorch.float64
        _close(backend.numpy(la.svdvals(x)), s)


@SHAPES
def test_complete_factors_are_square(backend: Target, shape: tuple, rng: numpy.random.Generator) -> None:
    x = backend.variable(_random(rng, shape, "float64"))
    m, n = shape[-2:]
    q, r = la.qr(x, mode="complete")
    assert (q.shape[-2:], r.shape[-2:]) == ((m, m), (m, n))
    _close(backend.numpy(q @ r), backend.numpy(x))
    u, s, vh = la.svd(x)
    assert (u.shape[-2:], s.shape[-1:], vh.shape[-2:]) == ((m, m), (min(m, n),), (n, n))


@DTYPES
def test_eigenvectors_are_eigenvectors(backend: Target, dtype: str, rng: numpy.random.Generator) -> None:
    host = _random(rng, (2, 3, 3), dtype)
    out = la.eig(backend.variable(host, dtype))
    assert out._fields == ("eigenvalues", "eigenvectors")
    assert out.eigenvalues.dtype == out.eigenvectors.dtype == rustorch.complex128
    w, v = map(backend.numpy, out)
    _close(host @ v, v * w[..., None, :])
    _close(numpy.sort_complex(backend.numpy(la.eigvals(backend.variable(host, dtype)))), numpy.sort_complex(w))
    hermitian = host + _h(host)
    found = la.eigh(backend.variable(hermitian, dtype))
    assert found._fields == ("eigenvalues", "eigenvectors")
    w, v = map(backend.numpy, found)
    assert w.dtype == "float64"
    _close(v * w[..., None, :] @ _h(v), hermitian)
    for grad in (False, True):
        _close(backend.numpy(la.eigvalsh(backend.variable(hermitian, dtype, requires_grad=grad))), w)


@DTYPES
def test_inverses_and_determinants_are_numpys(backend: Target, dtype: str, rng: numpy.random.Generator) -> None:
    host = _random(rng, (2, 3, 3), dtype)
    x = backend.variable(host, dtype)
    _close(backend.numpy(la.inv(x)), numpy.linalg.inv(host))
    _close(backend.numpy(la.det(x)), numpy.linalg.det(host))
    out = la.slogdet(x)
    assert out._fields == ("sign", "logabsdet")
    _close(backend.numpy(out.sign * rustorch.exp(out.logabsdet)), numpy.linalg.det(host))
    positive = host @ _h(host)
    lower = backend.numpy(la.cholesky(backend.variable(positive, dtype)))
    _close(lower @ _h(lower), positive)
    _close(backend.numpy(la.cholesky(backend.variable(positive, dtype), upper=True)), _h(lower))
    vector = _random(rng, (3,), dtype)
    _close(
        backend.numpy(la.solve(x, backend.variable(vector, dtype))), numpy.linalg.solve(host, vector[:, None])[..., 0]
    )
    for n in (-3, -1, 0, 1, 6):
        _close(backend.numpy(la.matrix_power(x, n)), numpy.linalg.matrix_power(host, n))


@SHAPES
@DTYPES
def test_rank_and_pseudo_inverse_are_numpys(
    backend: Target, shape: tuple, dtype: str, rng: numpy.random.Generator
) -> None:
    column, row = _random(rng, (*shape[:-1], 1), dtype), _random(rng, (*shape[:-2], 1, shape[-1]), dtype)
    host = column @ row  # of rank 1
    for matrix in (host, host + 0.5 * numpy.eye(*shape[-2:]), 0 * host):
        x = backend.variable(matrix, dtype)
        # on a GPU, what is 0 may be above the default tolerance, which is that of the last bits
        got = la.matrix_rank(x) if backend.library.readable else la.matrix_rank(x, rtol=1e-12)
        assert got.dtype == rustorch.int64
        numpy.testing.assert_array_equal(backend.numpy(got), numpy.linalg.matrix_rank(matrix))
        _close(backend.numpy(la.pinv(x)), numpy.linalg.pinv(matrix, rtol=1e-14))


def test_the_tolerance_of_rank_and_pseudo_inverse(backend: Target) -> None:
    host = numpy.stack([numpy.diag([1.0, 1e-3])] * 2)
    x, rtol = backend.variable(host), backend.variable([1e-2, 1e-4])
    numpy.testing.assert_array_equal(backend.numpy(la.matrix_rank(x, rtol=rtol)), [1, 2])
    numpy.testing.assert_array_equal(backend.numpy(la.matrix_rank(x, rtol=0.5)), [1, 1])
    _close(backend.numpy(la.pinv(x, rtol=rtol)), [numpy.diag([1.0, 0.0]), numpy.diag([1.0, 1e3])])
    _close(backend.numpy(la.pinv(x, rtol=0.5)), [numpy.diag([1.0, 0.0])] * 2)


# -- norms and products ------------------------------------------------------------------------------------------------
@DTYPES
@pytest.mark.parametrize("ord", [2, 1, 0, 0.5, 3, -1, -2.5, numpy.inf, -numpy.inf])
def test_norms_of_vectors_are_numpys(backend: Target, dtype: str, ord: float, rng: numpy.random.Generator) -> None:
    host = _random(rng, (2, 3), dtype)
    host[0, 1] = 0
    x = backend.variable(host, dtype)
    for axis in (None, 0, (1,), (0, -1)):
        for keepdims in (False, True):
            got = la.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
            assert got.dtype == rustorch.float64
            with numpy.errstate(divide="ignore"):
                want = numpy.linalg.vector_norm(host, axis=axis, keepdims=keepdims, ord=ord)
            _close(backend.numpy(got), want)


@DTYPES
@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, numpy.inf, -numpy.inf])
def test_norms_of_matrices_are_numpys(backend: Target, dtype: str, ord: Any, rng: numpy.random.Generator) -> None:
    host = _random(rng, (2, 3, 2), dtype)
    for keepdims in (False, True):
        got = la.matrix_norm(backend.variable(host, dtype), ord=ord, keepdims=keepdims)
        assert got.dtype == rustorch.float64
        _close(backend.numpy(got), numpy.linalg.matrix_norm(host, ord=ord, keepdims=keepdims))


@pytest.mark.parametrize("ord", [2, 0.5, 3, 1, numpy.inf])
def test_the_gradient_of_a_norm_at_zero_is_zero(backend: Target, ord: float) -> None:
    x = backend.variable([0.0, 0.0], requires_grad=True)
    la.vector_norm(x, ord=ord).backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [0.0, 0.0])


def test_the_number_of_elements_that_are_not_zero_has_no_gradient(backend: Target) -> None:
    assert not la.vector_norm(backend.variable([1.0, 0.0], requires_grad=True), ord=0).requires_grad


@pytest.mark.parametrize("offset", range(-4, 5))
def test_diagonals_and_traces_are_numpys(backend: Target, offset: int, rng: numpy.random.Generator) -> None:
    for shape in ((3, 3), (2, 4), (2, 4, 3), (0, 2)):
        host = rng.integers(-9, 9, shape)
        x = backend.variable(host, "int64")
        want = numpy.linalg.diagonal(host, offset=offset)
        numpy.testing.assert_array_equal(backend.numpy(la.diagonal(x, offset=offset)), want)
        numpy.testing.assert_array_equal(backend.numpy(la.trace(x, offset=offset)), want.sum(-1))
    assert la.trace(backend.variable([[1]], "int8"), dtype=rustorch.float32).dtype == rustorch.float32


def test_products_take_integers(backend: Target) -> None:
    x, y = backend.variable([1, 2, 3], "int64"), backend.variable([4, 5, 7], "int64")
    numpy.testing.assert_array_equal(backend.numpy(la.cross(x, y)), [-1, 5, -3])
    numpy.testing.assert_array_equal(backend.numpy(la.outer(x, y)), numpy.outer([1, 2, 3], [4, 5, 7]))
    assert la.matmul is rustorch.matmul
    assert la.tensordot is rustorch.tensordot


# -- singular matrices -------------------------------------------------------------------------------------------------
def _cofactors(x: numpy.ndarray) -> numpy.ndarray:
    """The cofactors by their definition: determinants without a row and a column, with alternating signs."""
    n = x.shape[-1]
    minors = [[numpy.linalg.det(numpy.delete(numpy.delete(x, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    return numpy.array(minors) * (-1) ** numpy.add.outer(range(n), range(n))


def _of_rank(rank: int, n: int, dtype: str, rng: numpy.random.Generator) -> numpy.ndarray:
    return _random(rng, (n, rank), dtype) @ _random(rng, (rank, n), dtype)


@DTYPES
@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (4, 3), (4, 2), (4, 0), (4, 4)])
def test_determinants_have_derivatives_at_matrices_of_any_rank(
    backend: Target, n: int, rank: int, dtype: str, rng: numpy.random.Generator
) -> None:
    host, weights = _of_rank(rank, n, dtype, rng), _random(rng, (n, n), dtype)
    x = backend.variable(host, dtype, requires_grad=True)
    (first,) = rustorch.grad(rustorch.real(la.det(x)) if dtype == "complex128" else la.det(x), x, create_graph=True)
    _close(backend.numpy(first), _cofactors(host).conj())
    product = (first * backend.variable(weights, dtype)).sum()
    (second,) = rustorch.grad(rustorch.real(product) if dtype == "complex128" else product, x)
    want = numpy.zeros((n, n), dtype)
    step = 1e-3
    for i, j in numpy.ndindex(n, n):
        for unit in (1, 1j) if dtype == "complex128" else (1,):
            shift = numpy.zeros((n, n), dtype)
            shift[i, j] = step * unit
            above, below = (numpy.sum(_cofactors(host + way * shift).conj() * weights).real for way in (1, -1))
            want[i, j] += (above - below) / (2 * step) * unit
    numpy.testing.assert_allclose(backend.numpy(second), want, atol=1e-4)  # differences are not exact for n = 4


def test_a_singular_matrix_among_regular_ones(backend: Target) -> None:
    host = numpy.array([[[1.0, 2.0], [2.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0 + 1e-13]]])
    x = backend.variable(host, requires_grad=True)
    la.det(x).sum().backward()
    _close(backend.numpy(x.grad), numpy.array([_cofactors(matrix) for matrix in host]))
    x = backend.variable([[numpy.nan, 1.0], [1.0, 1.0]], requires_grad=True)
    with numpy.errstate(invalid="ignore"):
        la.det(x).backward()
    assert numpy.isnan(backend.numpy(x.grad)).all()


def test_second_derivatives_of_determinants_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    host, weights = numpy.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 1.0, 1.0]]), numpy.arange(9.0).reshape(3, 3)

    def both(grad: Callable[..., Any], det: Callable[..., Any], x: Any, weights: Any) -> tuple[Any, Any]:
        (first,) = grad(det(x), x, create_graph=True)
        return first, grad((first * weights).sum(), x)[0]

    ours = both(rustorch.grad, la.det, rustorch.tensor(host, requires_grad=True), rustorch.asarray(weights))
    theirs = both(torch.autograd.grad, torch.linalg.det, torch.tensor(host, requires_grad=True), torch.tensor(weights))
    for got, want in zip(ours, theirs, strict=True):
        _close(got.detach().data, want.detach().numpy())


# -- equal values ------------------------------------------------------------------------------------------------------
def test_equal_values_have_gradients_and_their_vectors_have_none(backend: Target) -> None:
    x = backend.variable(2 * numpy.eye(2), requires_grad=True)
    for function in (la.eigvalsh, lambda x: la.eigh(x).eigenvalues, la.svdvals, lambda x: la.svd(x).S):
        x.zero_grad()
        function(x).sum().backward()
        _close(backend.numpy(x.grad), numpy.eye(2))
    w = backend.variable([[1.0, 2.0], [2.0, 5.0]])
    for function in (
        lambda x: (lambda w, v: v * w[None, :] @ v.mT)(*la.eigh(x)),  # tells equal values apart: their gradients differ
        lambda x: (lambda u, s, vh: u * s[None, :] @ vh)(*la.svd(x)),
    ):
        x.zero_grad()
        with numpy.errstate(all="ignore"):
            (function(x) * w).sum().backward()
        assert not numpy.all(numpy.isfinite(backend.numpy(x.grad)))


def test_singular_values_that_are_zero_have_gradients(backend: Target) -> None:
    x = backend.variable(numpy.zeros((3, 2)), requires_grad=True)
    la.svdvals(x).sum().backward()
    assert numpy.all(numpy.isfinite(backend.numpy(x.grad)))


# -- errors ------------------------------------------------------------------------------------------------------------
SQUARE: list[Callable[..., Any]] = [la.inv, la.det, la.slogdet, la.cholesky, la.eigh, la.eigvalsh, la.eig, la.eigvals]
OF_MATRICES = [*SQUARE, la.qr, la.svd, la.svdvals, la.pinv, la.matrix_rank]


@pytest.mark.parametrize("function", OF_MATRICES, ids=lambda f: f.__name__)
def test_matrices_have_two_dimensions_and_floating_point_numbers(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=rf"^{function.__name__} needs at least two dimensions, not the shape \(2,\)$"):
        function(rustorch.ones(2))
    text = rf"^{function.__name__} is of floating-point arrays, not int64; convert with x.astype\(rustorch.float32\)$"
    with pytest.raises(TypeError, match=text):
        function(rustorch.asarray([[1, 0], [0, 1]]))


@pytest.mark.parametrize("function", [*SQUARE, lambda x: la.matrix_power(x, 2), lambda x: la.solve(x, x)])
def test_matrices_that_are_not_square_raise(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"^\w+ is of square matrices, not of the shape \(2, 3\)$"):
        function(rustorch.ones((2, 3)))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize(
    "host", [[[1.0, 2.0], [2.0, 4.0]], [[1.0, 0.0], [0.0, 0.0]], [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]]]
)
def test_singular_matrices_raise(backend: Target, grad: bool, host: list) -> None:
    x = backend.variable(host, requires_grad=grad)
    text = (
        r"^{} of float64\([0-9, ]*2, 2\)(, float64\([0-9, ]*\))?: a matrix is singular; "
        r"add a small multiple of the identity to it, "
    )
    vector = backend.variable([1.0, 0.0])  # the equations with diag(1, 0) have many solutions
    for name, call in (
        ("inv", la.inv),
        ("inv", lambda x: la.matrix_power(x, -1)),
        ("solve", lambda x: la.solve(x, x)),
        ("solve", lambda x: la.solve(x, vector)),
    ):
        with pytest.raises(ValueError, match=text.format(name)):
            call(x)
    with pytest.raises(
        ValueError,
        match=r"^cholesky of float64\([0-9, ]*2, 2\): a matrix is not positive definite; add a small multiple",
    ):
        la.cholesky(x - 1)
    assert float(rustorch.min(la.det(x.detach()))) == 0
    if grad:
        logarithm = la.slogdet(x).logabsdet.sum()
        with pytest.raises(
            ValueError, match=r"a matrix is singular; add a small multiple of the identity to it, or take linalg.pinv"
        ):
            logarithm.backward()
        assert x.grad is None


def test_nan_is_no_error(backend: Target) -> None:
    x = backend.variable([[numpy.nan, 1.0], [1.0, 2.0]])
    for call in (la.inv, lambda x: la.solve(x, x)):
        assert numpy.isnan(backend.numpy(call(x))).any()


@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf])
@pytest.mark.parametrize("lead", [(), (3,)])
def test_matrices_that_are_not_finite_have_the_results_of_the_cpu(
    bad: float, lead: tuple[int, ...], backend: Target
) -> None:
    if backend.device not in ("cpu", "cuda"):
        pytest.skip(f"{backend.device}: its library has answers of its own")
    host = numpy.broadcast_to(numpy.eye(2), (*lead, 2, 2)).copy()
    host[(*[1] * len(lead), slice(None), slice(None))] = [[1.0, bad], [bad, 2.0]]
    x = backend.variable(host)
    spoiled = numpy.isnan(host).any(axis=(-2, -1)) | numpy.isinf(host).any(axis=(-2, -1))
    for values in (la.eigvalsh(x), la.eigh(x).eigenvalues):
        numpy.testing.assert_array_equal(numpy.isnan(backend.numpy(values)).any(axis=-1), spoiled)
    if numpy.isnan(bad):
        numpy.testing.assert_array_equal(numpy.isnan(backend.numpy(la.inv(x))).any(axis=(-2, -1)), spoiled)
        numpy.testing.assert_array_equal(numpy.isnan(backend.numpy(la.cholesky(x))).any(axis=(-2, -1)), spoiled)
        for right in (backend.variable(numpy.ones((2, 3))), backend.variable(numpy.ones(2))):
            solved = numpy.isnan(backend.numpy(la.solve(x, right))).reshape(*lead, -1).any(axis=-1)
            numpy.testing.assert_array_equal(solved, spoiled)
        for call in (la.svd, la.svdvals, la.pinv):
            with pytest.raises(ValueError, match="did not converge"):
                call(x)
    for call in (la.eig, la.eigvals):
        with pytest.raises(ValueError, match="did not converge"):
            call(x)


def test_shapes_that_do_not_fit_raise(backend: Target) -> None:
    x = backend.variable(numpy.ones((2, 3)), requires_grad=True)
    with pytest.raises(ValueError, match=r"^solve: shapes \(2, 2\) and \(3,\) differ in the number of equations$"):
        la.solve(backend.variable(numpy.eye(2)), x[0, :])
    with pytest.raises(
        ValueError, match=r"^cross: sizes along axis -1 are 3, not 3 and 2 \(shapes \(2, 3\) and \(2,\)\)$"
    ):
        la.cross(x, backend.variable([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"^outer is of two vectors, not of shapes \(2, 3\) and \(2, 3\)$"):
        la.outer(x, x)
    for function in (la.diagonal, la.trace, la.matrix_norm):
        with pytest.raises(
            ValueError, match=rf"^{function.__name__} needs at least two dimensions, not the shape \(3,\)$"
        ):
            function(x[0, :])
    with pytest.raises(ValueError, match=r"^matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not 3$"):
        la.matrix_norm(x, ord=3)
    with pytest.raises(TypeError, match=r"^vector_norm is of floating-point arrays, not int64; "):
        la.vector_norm(rustorch.asarray([1]))
    with pytest.raises(ValueError, match=r"^qr: mode is 'reduced' or 'complete', not 'r'$"):
        la.qr(x, mode="r")


def test_vectors_that_are_arbitrary_have_no_gradient(backend: Target, rng: numpy.random.Generator) -> None:
    x = backend.variable(rng.standard_normal((3, 2)), requires_grad=True)
    q, r = la.qr(x, mode="complete")
    assert (q.shape, r.shape) == ((3, 3), (3, 2))
    with pytest.raises(
        ValueError,
        match=r"qr: the columns that mode='complete' adds for the shape \(3, 2\) have no gradient; use mode='reduced'$",
    ):
        r.sum().backward()
    assert x.grad is None
    # of svd they are ignored: PyTorch's choice
    for y, part in ((x, lambda svd: svd.U[:, 2:]), (x.mT, lambda svd: svd.Vh[2:, :])):
        x.zero_grad()
        part(la.svd(y)).sum().backward()
        numpy.testing.assert_array_equal(backend.numpy(x.grad), numpy.zeros((3, 2)))

"""Compiled inverses of small matrices against NumPy's in float64: sizes, layouts, pivots, special values, threads."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.errors import LinAlgError
from rustorch.backends.numba.linalg import MOST, OVERRIDES, inv
from tests.support.compiled import call, draw, odd_copies, same_with_threads


def _compare(x: Any) -> None:
    """The result is the inverse in float64, rounded: NumPy computes float32 in float64, too."""
    out = call(OVERRIDES, "linalg.inv", x)
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    numpy.testing.assert_allclose(out, numpy.linalg.inv(x.astype("float64")), rtol=2e-7, atol=1e-44)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 16, 31, 32, 33, 64, 65, 95, MOST])
def test_inverses_are_those_of_float64_rounded(n: int) -> None:
    for lead in ((), (1,), (5,), (2, 3)):
        _compare(draw((*lead, n, n), "float32"))


def test_larger_matrices_and_other_dtypes_are_left_to_numpy() -> None:
    for x in (numpy.eye(MOST + 1, dtype="f4"), numpy.eye(3), numpy.eye(3, dtype="c8"), numpy.eye(3, dtype=">f4")):
        assert inv(x) is NotImplemented
    for shape in ((0, 0), (3,), (2, 3), (2, 0, 0)):
        assert inv(numpy.ones(shape, "float32")) is NotImplemented


def test_any_layout_is_served_and_nothing_is_written_to_it() -> None:
    x = draw((3, 12, 12), "float32")
    for view in (x.swapaxes(1, 2), x[:, ::-1], x[:, ::2, ::2], numpy.broadcast_to(x[0], x.shape), *odd_copies(x)):
        before = view.copy()
        view.flags.writeable = False
        _compare(view)
        numpy.testing.assert_array_equal(view, before)


def test_empty_stacks_have_empty_inverses() -> None:
    assert call(OVERRIDES, "linalg.inv", numpy.ones((0, 4, 4), "float32")).shape == (0, 4, 4)


def test_rows_change_places_where_a_pivot_is_small() -> None:
    for order in ([1, 0, 2], [2, 0, 1], [1, 2, 0]):
        _compare(numpy.eye(3, dtype="float32")[order])
    _compare(numpy.asarray([[1e-20, 1], [1, 1]], "float32"))
    _compare(numpy.triu(numpy.ones((30, 30), "float32"))[::-1])


def test_matrices_are_inverted_whatever_their_scale() -> None:
    x = draw((2, 20, 20), "float32")
    for scale in (1e-30, 1e30):
        _compare(x * numpy.float32(scale))
    x = numpy.diag(numpy.asarray([1e-37, 1, 1e37], "float32"))
    numpy.testing.assert_array_equal(rustorch.linalg.inv(rustorch.Variable(x)).data, numpy.linalg.inv(x))


def test_a_nearly_singular_matrix_loses_no_more_than_numpy() -> None:
    n = 7  # Hilbert's matrix, of condition 5e8: in float32, no digit would be left
    x = (1 / (1 + numpy.arange(n)[:, None] + numpy.arange(n))).astype("float32")
    _compare(x)


SINGULAR: list[Any] = [
    [[1, 2], [2, 4]],
    [[0, 0], [0, 0]],
    [[0, 1], [0, 2]],
    [[1, 2, 3], [4, 5, 6], [7, 8, 9]],  # rounding makes the last pivot 1e-16, here or in LAPACK
]


@pytest.mark.parametrize("n", range(2, 8))
def test_numpy_decides_whether_a_matrix_is_singular(n: int) -> None:
    generator = numpy.random.default_rng(n)
    for _ in range(30):
        x = generator.integers(-4, 5, (n, n)).astype("float32")
        x[-1] = x[:-1].sum(0)
        assert inv(x) is NotImplemented
        big = numpy.kron(numpy.eye(9, dtype="float32"), x)
        assert inv(big) is NotImplemented


@pytest.mark.parametrize("bad", SINGULAR)
def test_a_singular_matrix_in_a_stack_raises_as_in_numpy(bad: Any) -> None:
    x = numpy.stack([numpy.eye(len(bad), dtype="float32")] * 3)
    x[1] = bad
    assert inv(x) is NotImplemented
    v = rustorch.Variable(x, requires_grad=True)
    with pytest.raises(LinAlgError, match="a matrix is singular"):
        rustorch.linalg.inv(v)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("bad", [numpy.nan, numpy.inf, -numpy.inf])
def test_numpy_serves_where_a_number_is_not_finite(bad: float) -> None:
    for place in ((0, 0), (2, 1), (4, 4)):
        x = draw((5, 5), "float32")
        x[place] = bad
        with numpy.errstate(all="ignore"):
            expected = numpy.linalg.inv(x)
        numpy.testing.assert_array_equal(rustorch.linalg.inv(rustorch.Variable(x)).data, expected)


@pytest.mark.usefixtures("quiet")
def test_numpy_serves_where_an_inverse_overflows() -> None:
    x = numpy.diag(numpy.asarray([1e-39, 1], "float32"))
    assert inv(x) is NotImplemented
    numpy.testing.assert_array_equal(rustorch.linalg.inv(rustorch.Variable(x)).data, numpy.linalg.inv(x))


def test_results_do_not_depend_on_the_threads() -> None:
    same_with_threads(lambda: inv(draw((70, 40, 40), "float32")))


def test_the_gradient_is_that_of_the_plain_function() -> None:
    x = rustorch.Variable(draw((4, 6, 6), "float32"), requires_grad=True)
    y = rustorch.Variable(x.data.astype("float64"), requires_grad=True)
    for v in (x, y):
        rustorch.sum(rustorch.linalg.inv(v) ** 2).backward()
    numpy.testing.assert_allclose(x.grad, y.grad, rtol=2e-5, atol=1e-5 * numpy.abs(y.grad).max())

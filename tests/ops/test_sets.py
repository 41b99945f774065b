"""Distinct elements and membership, on every backend, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

#: (dtype, elements): repeats, one kind of element, none.
ARRAYS: list[tuple[str, Any]] = [
    ("int64", [[3, 1, 3], [2, 1, 3]]),
    ("uint8", [255, 0, 255]),
    ("bool", [True, False, True]),
    ("float32", [[0.5, -1.0], [0.5, 0.5]]),
    ("float64", [2.0, 2.0, 2.0]),
    ("float64", []),
    ("float64", 1.5),
    ("complex128", [1 + 2j, 1 - 2j, 1 + 2j, -1 + 2j, 1 - 2j]),
]
CASES = pytest.mark.parametrize(("dtype", "values"), ARRAYS)


@CASES
def test_unique_finds_what_numpy_finds(backend: Target, dtype: str, values: Any) -> None:
    host = numpy.asarray(values, dtype)
    found = rustorch.unique_all(backend.variable(host, dtype))
    want, first, inverse, counts = numpy.unique(host, return_index=True, return_inverse=True, return_counts=True)
    assert found._fields == ("values", "indices", "inverse_indices", "counts")
    assert found.values.dtype == dtype
    for got, expected in zip(found, (want, first, inverse.reshape(host.shape), counts), strict=True):
        assert got.device == backend.device
        numpy.testing.assert_array_equal(backend.numpy(got), expected)
    assert [found.indices.dtype, found.inverse_indices.dtype, found.counts.dtype] == [rustorch.int64] * 3


@CASES
def test_the_parts_are_those_of_unique_all(backend: Target, dtype: str, values: Any) -> None:
    x = backend.variable(values, dtype)
    whole, counts, inverse = rustorch.unique_all(x), rustorch.unique_counts(x), rustorch.unique_inverse(x)
    assert (counts._fields, inverse._fields) == (("values", "counts"), ("values", "inverse_indices"))
    for got, want in [
        (rustorch.unique_values(x), whole.values),
        (counts.values, whole.values),
        (counts.counts, whole.counts),
        (inverse.values, whole.values),
        (inverse.inverse_indices, whole.inverse_indices),
    ]:
        numpy.testing.assert_array_equal(backend.numpy(got), backend.numpy(want))


def test_every_nan_is_distinct_and_zeros_of_both_signs_are_one(backend: Target) -> None:
    found = rustorch.unique_counts(backend.variable([numpy.nan, 0.0, -0.0, numpy.nan]))
    numpy.testing.assert_array_equal(backend.numpy(found.values), [0.0, numpy.nan, numpy.nan])
    numpy.testing.assert_array_equal(backend.numpy(found.counts), [2, 1, 1])


def test_the_gradient_of_a_value_goes_to_its_first_place(backend: Target) -> None:
    x = backend.variable([3.0, 1.0, 3.0], requires_grad=True)
    rustorch.unique_values(x).backward(backend.variable([10.0, 20.0]))
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [20.0, 10.0, 0.0])


@pytest.mark.parametrize(
    ("dtype", "x", "among"),
    [
        ("int64", [[3, 1], [2, 9]], [9, 3, 3]),
        ("int64", 4, [4]),
        ("int64", [], [4]),
        ("int64", [4], []),
        ("bool", [True, False], [True]),
        ("float64", [numpy.nan, 1.0, numpy.inf], [numpy.nan, numpy.inf]),
        ("complex128", [1j, 1 + 1j, 2], [[1 + 1j, 2 - 1j]]),
    ],
)
def test_isin_finds_what_numpy_finds(backend: Target, dtype: str, x: Any, among: Any) -> None:
    want = numpy.isin(numpy.asarray(x, dtype), numpy.asarray(among, dtype))
    for invert in (False, True):
        got = rustorch.isin(backend.variable(x, dtype), backend.variable(among, dtype), invert=invert)
        assert (got.dtype, got.device) == (rustorch.bool, backend.device)
        numpy.testing.assert_array_equal(backend.numpy(got), want != invert)


def test_isin_takes_numbers_and_promotes(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    got = rustorch.isin(x, 2)
    assert not got.requires_grad
    numpy.testing.assert_array_equal(backend.numpy(got), [False, True])
    assert bool(rustorch.isin(2.0, x))
    narrow, wide = backend.variable([1, 2], "int8"), backend.variable([2, 300], "int64")
    numpy.testing.assert_array_equal(backend.numpy(rustorch.isin(narrow, wide)), [False, True])


def test_isin_refuses_two_numbers_and_mixed_kinds() -> None:
    with pytest.raises(TypeError, match=r"^isin needs at least one array; got the Python numbers 1 and 2$"):
        rustorch.isin(1, 2)
    with pytest.raises(TypeError, match=r"^int64 and float32 mix kinds"):
        rustorch.isin(rustorch.asarray([1]), rustorch.asarray([1.0]))
    with pytest.raises(TypeError, match=r"^unique_all takes Variables, arrays and Python numbers, not list"):
        rustorch.unique_all([1, 2])

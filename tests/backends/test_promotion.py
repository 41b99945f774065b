"""Promotion: one table decides for every function, for arrays, Python's numbers and NumPy's scalars."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends import dtypes
from rustorch.backends.promotion import PYTHON_SCALARS, promoted, promoted_with
from rustorch.backends.symbols import Number
from tests.support.target import Target

#: All but the number of a traced loop, which has no value.
PYTHON_NUMBERS = [kind for kind in PYTHON_SCALARS if kind is not Number]

PAIRS = list(itertools.combinations_with_replacement(dtypes.ALL, 2))
#: Pairs for the libraries beside NumPy: one of each two kinds. PyTorch computes with no wider unsigned integers.
FEW = list(
    itertools.combinations_with_replacement((dtypes.bool, dtypes.int8, dtypes.uint8, *dtypes.REAL, *dtypes.COMPLEX), 2)
)


def dtype_or_error(function: Any, *args: Any) -> Any:
    """The dtype of a result, or TypeError."""
    try:
        return function(*args).dtype
    except TypeError:
        return TypeError


@pytest.mark.parametrize(("one", "two"), PAIRS, ids=lambda dtype: dtype.name)
def test_the_table_is_symmetric_and_keeps_to_the_kinds_of_the_standard(one: Any, two: Any) -> None:
    strict = pytest.importorskip("array_api_strict")
    try:
        expected = strict.result_type(getattr(strict, one.name), getattr(strict, two.name))._np_dtype
    except TypeError:
        for pair in ((one, two), (two, one)):
            with pytest.raises(TypeError, match=r"mix kinds.*convert one of them, as in x\.astype\(rustorch\."):
                promoted(*pair)
    else:
        assert promoted(one, two) == promoted(two, one) == expected


def check_pair(one: Any, two: Any, backend: Target) -> None:
    """Compare the results of several functions of two arrays with the table."""
    x, y = backend.variable([1], one), backend.variable([1], two)
    mask = backend.variable([True], "bool")
    try:
        expected: Any = promoted(one, two)
    except TypeError:
        expected = TypeError
        with pytest.raises(TypeError):
            rustorch.result_type(x, y)
    else:
        assert rustorch.result_type(x, y) == expected
    assert dtype_or_error(lambda x, y: rustorch.where(mask, x, y), x, y) == expected
    assert dtype_or_error(lambda x, y: rustorch.concat([x, y]), x, y) == expected
    assert dtype_or_error(lambda x, y: rustorch.asarray([x[0], y[0]]), x, y) == expected
    if "b" not in (one.kind, two.kind):
        assert dtype_or_error(rustorch.multiply, x, y) == expected
        assert dtype_or_error(rustorch.matmul, x, y) == expected


def check_number(dtype: Any, number: type, backend: Target) -> None:
    """Compare the results of functions of an array and a Python number with the table."""
    x, mask = backend.variable([1], dtype), backend.variable([True], "bool")
    try:
        expected: Any = promoted_with(dtype, number)
    except TypeError as error:
        expected = TypeError
        assert f"a Python {number.__name__} and an array of" in str(error)
    assert dtype_or_error(lambda x: rustorch.where(mask, x, number(1)), x) == expected
    if dtype.kind != "b":
        assert dtype_or_error(lambda x: x * number(1), x) == expected
        assert dtype_or_error(lambda x: number(1) * x, x) == expected


@pytest.mark.parametrize(("one", "two"), PAIRS, ids=lambda dtype: dtype.name)
def test_every_function_promotes_as_the_table_says(one: Any, two: Any) -> None:
    check_pair(one, two, Target("cpu"))


@pytest.mark.parametrize(("one", "two"), FEW, ids=lambda dtype: dtype.name)
def test_every_library_promotes_as_the_table_says(one: Any, two: Any, backend: Target) -> None:
    check_pair(one, two, backend)


@pytest.mark.parametrize("number", PYTHON_NUMBERS)
@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_python_numbers_are_weak_in_every_function(number: type, dtype: Any) -> None:
    check_number(dtype, number, Target("cpu"))


@pytest.mark.parametrize("number", PYTHON_NUMBERS)
def test_python_numbers_are_weak_on_every_library(number: type, backend: Target) -> None:
    for dtype in (dtypes.int8, dtypes.float32, dtypes.complex64):
        check_number(dtype, number, backend)


@pytest.mark.parametrize("device", ["torch", "jax"])
def test_bfloat16_promotes_like_a_float_of_lower_precision(device: str) -> None:
    pytest.importorskip("ml_dtypes")
    pytest.importorskip(device)
    low = rustorch.zeros(2, dtype="bfloat16", device=device)
    for dtype in (dtypes.float32, dtypes.float64, dtypes.complex64):
        high = rustorch.zeros(2, dtype=dtype, device=device)
        assert (low * high).dtype == (high * low).dtype == rustorch.result_type(low, high) == dtype
    with pytest.raises(TypeError, match=r"multiply: .* mix kinds"):
        low * rustorch.zeros(2, dtype=dtypes.int8, device=device)


def test_layers_promote_nothing() -> None:
    x, weight = rustorch.zeros((2, 3)), rustorch.zeros((4, 3), dtype=rustorch.float64)
    with pytest.raises(TypeError, match="layers do not convert silently"):
        rustorch.nn.functional.linear(x, weight)
    assert (x @ weight.mT).dtype == numpy.float64

"""Compares values of functions with those of NumPy or of another backend."""

from __future__ import annotations

from typing import Any

import numpy
from array_api_compat import numpy as reference

import rustorch
from rustorch import backends
from tests.specs import Spec
from tests.values import Value

from .differences import values
from .target import Target

#: Libraries sum in different orders, and their elementary functions differ in the last digits.
RTOL, ATOL = 1e-10, 1e-12


def _on_host(actual: Any, target: Target | None) -> Any:
    """A result with its Variables as NumPy arrays. They must be on the target's device."""
    if isinstance(actual, tuple):
        return tuple(_on_host(one, target) for one in actual)
    if isinstance(actual, rustorch.Variable):
        assert target is not None and actual.device == target.device
        return target.numpy(actual)
    return actual


def _assert_same(actual: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            _assert_same(one, other)
    elif isinstance(expected, (numpy.ndarray, numpy.generic)):
        assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
        numpy.testing.assert_allclose(actual, expected, rtol=RTOL, atol=ATOL)
    else:
        assert actual == expected


def assert_numpys_value(value: Value, target: Target) -> None:
    """Assert that a function without a derivative returns what NumPy's function returns."""

    def new(data: Any) -> rustorch.Variable:
        return target.variable(data, numpy.asarray(data).dtype)

    actual = value.call(rustorch, new, target.device)
    _assert_same(_on_host(actual, target), _on_host(value.call(reference, numpy.asarray, None), None))


def assert_cpus_value(spec: Spec, arrays: list[numpy.ndarray], target: Target) -> None:
    """Assert that a function returns on the target what it returns on "cpu"."""
    actual, expected = values(spec.call, arrays, target), values(spec.call, arrays, Target(backends.resolve("cpu")))
    _assert_same(tuple(actual), tuple(expected))

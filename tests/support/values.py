"""Values of functions, held against those of NumPy or of another backend."""

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

#: Libraries sum in different orders and have their own elementary functions.
RTOL, ATOL = 1e-10, 1e-12


def _plain(found: Any, target: Target | None) -> Any:
    """What a function gave, its arrays as NumPy's; they must be where the others are."""
    if isinstance(found, tuple):
        return tuple(_plain(one, target) for one in found)
    if isinstance(found, rustorch.Variable):
        assert target is not None and found.device == target.device
        return target.numpy(found)
    return found


def _same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _same(one, other)
    elif isinstance(expected, (numpy.ndarray, numpy.generic)):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        numpy.testing.assert_allclose(found, expected, rtol=RTOL, atol=ATOL)
    else:
        assert found == expected


def assert_numpys_value(value: Value, target: Target) -> None:
    """A function without a derivative gives what NumPy's own does."""

    def new(data: Any) -> rustorch.Variable:
        return target.variable(data, numpy.asarray(data).dtype)

    found = value.call(rustorch, new, target.device)
    _same(_plain(found, target), _plain(value.call(reference, numpy.asarray, None), None))


def assert_cpus_value(spec: Spec, arrays: list[numpy.ndarray], target: Target) -> None:
    """A function gives on the target what it gives on "cpu"."""
    found, expected = values(spec.call, arrays, target), values(spec.call, arrays, Target(backends.resolve("cpu")))
    _same(tuple(found), tuple(expected))

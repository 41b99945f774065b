"""asarray and tensor on nested lists that hold Variables."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from tests.support.target import Target


def test_asarray_stacks_variables_and_keeps_their_gradients(backend: Target) -> None:
    a, b = backend.variable(2.0, requires_grad=True), backend.variable(3.0)
    x = rustorch.asarray([[a, b], [b, a * a]])
    assert x.device == backend.device
    numpy.testing.assert_array_equal(backend.numpy(x), [[2.0, 3.0], [3.0, 4.0]])
    rustorch.sum(x).backward()
    assert float(backend.numpy(a.grad)) == 5.0


def test_asarray_of_numbers_beside_variables(backend: Target) -> None:
    x = rustorch.asarray([1.0, backend.variable(2.0)], device=backend.device)
    numpy.testing.assert_array_equal(backend.numpy(x), [1.0, 2.0])


def test_leaves_are_not_made_of_variables(backend: Target) -> None:
    a = backend.variable(2.0, requires_grad=True)
    for make in (rustorch.tensor, rustorch.Variable):
        with pytest.raises(TypeError, match=r"a list that holds Variables .* rustorch.stack"):
            make([a, a])


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_vecdot_keeps_narrow_integers(dtype: str, backend: Target) -> None:
    x = backend.variable([1, 2, 3], dtype)
    out = rustorch.vecdot(x, x)
    assert out.dtype == dtype
    assert int(out) == 14

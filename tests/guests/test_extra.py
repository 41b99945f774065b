"""array-api-extra computes with Variables; gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch

xpx = pytest.importorskip("array_api_extra")

CASES: dict[str, Callable[[Any], Any]] = {
    "atleast_nd": lambda x: xpx.atleast_nd(x, ndim=3),
    "cov": lambda x: xpx.cov(x),
    "kron": lambda x: xpx.kron(x, x),
    "sinc": lambda x: xpx.sinc(x),
    "pad": lambda x: xpx.pad(x, 1),
    "create_diagonal": lambda x: xpx.create_diagonal(x[0, :]),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, rng: numpy.random.Generator) -> None:
    function, array = CASES[name], rng.standard_normal((2, 3))
    x = rustorch.Variable(array, requires_grad=True)
    y = function(x)
    assert isinstance(y, rustorch.Variable)
    numpy.testing.assert_allclose(y.data, function(array), rtol=1e-12, atol=1e-14)
    weights = rng.standard_normal(y.shape)
    (gradient,) = rustorch.grad(y, x, weights)
    step = 1e-6
    expected = numpy.zeros_like(array)
    for index in numpy.ndindex(array.shape):
        shift = numpy.zeros_like(array)
        shift[index] = step
        expected[index] = ((function(array + shift) - function(array - shift)) * weights).sum() / (2 * step)
    numpy.testing.assert_allclose(gradient.data, expected, atol=1e-7)

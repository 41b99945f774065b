"""einops rearranges Variables and passes their gradients on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch

einops = pytest.importorskip("einops.array_api")

CASES: dict[str, Callable[[Any], Any]] = {
    "rearrange": lambda x: einops.rearrange(x, "(a b) c -> b (c a)", a=2),
    "reduce mean": lambda x: einops.reduce(x, "a b -> b", "mean"),
    "reduce max": lambda x: einops.reduce(x, "(a two) b -> a b", "max", two=2),
    "repeat": lambda x: einops.repeat(x, "a b -> b a c", c=3),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, rng: numpy.random.Generator) -> None:
    function, array = CASES[name], rng.standard_normal((4, 3))
    x = rustorch.Variable(array, requires_grad=True)
    y = function(x)
    assert isinstance(y, rustorch.Variable)
    numpy.testing.assert_array_equal(y.data, function(array))
    weights = rng.standard_normal(y.shape)
    (gradient,) = rustorch.grad(y, x, weights)

    def value(a: numpy.ndarray) -> float:
        return float((function(a) * weights).sum())

    step = 1e-6
    expected = numpy.zeros_like(array)
    for index in numpy.ndindex(array.shape):
        shift = numpy.zeros_like(array)
        shift[index] = step
        expected[index] = (value(array + shift) - value(array - shift)) / (2 * step)
    numpy.testing.assert_allclose(gradient.data, expected, atol=1e-8)

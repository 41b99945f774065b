"""einops rearranges Variables, and gradients pass through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.differences import check
from tests.support.target import Target

einops = pytest.importorskip("einops.array_api")

CASES: dict[str, Callable[[Any], Any]] = {
    "rearrange": lambda x: einops.rearrange(x, "(a b) c -> b (c a)", a=2),
    "reduce mean": lambda x: einops.reduce(x, "a b -> b", "mean"),
    "reduce max": lambda x: einops.reduce(x, "(a two) b -> a b", "max", two=2),
    "repeat": lambda x: einops.repeat(x, "a b -> b a c", c=3),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, backend: Target, rng: numpy.random.Generator) -> None:
    function, array = CASES[name], rng.standard_normal((4, 3))
    y = function(backend.variable(array))
    assert isinstance(y, rustorch.Variable)
    numpy.testing.assert_allclose(backend.numpy(y), function(array), rtol=1e-14)  # a GPU adds in another order
    check(function, [array], backend)

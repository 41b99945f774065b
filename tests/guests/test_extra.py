"""array-api-extra computes with Variables; gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.differences import check
from tests.support.target import Target

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
def test_values_and_gradients(name: str, backend: Target, rng: numpy.random.Generator) -> None:
    function, array = CASES[name], rng.standard_normal((2, 3))
    y = function(backend.variable(array))
    assert isinstance(y, rustorch.Variable)
    numpy.testing.assert_allclose(backend.numpy(y), function(array), rtol=1e-12, atol=1e-14)
    check(function, [array], backend)

"""NumPy's activations take long arrays in pieces: the same numbers as the plain versions, wherever a piece ends."""

from __future__ import annotations

import numpy
import pytest

from rustorch.backends.kernels import activation as plain
from rustorch.backends.numpy.activation import OVERRIDES
from rustorch.backends.numpy.pieces import PIECE
from tests.support.plain_namespace import PLAIN

ONE = ["gelu", "gelu_tanh", "mish", "silu", "tanh_softplus", "tanhshrink"]
TWO = ["gelu_tanh_gate_grad", "gelu_tanh_grad", "mish_grad", "sigmoid_grad", "silu_grad", "tanh_softplus_grad"]


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5])
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_pieces_are_put_together(name: str, size: int, rng: numpy.random.Generator) -> None:
    x = rng.normal(0, 3, size)
    x[-1] = numpy.inf  # the last piece takes the version for all numbers, others the one for usual numbers
    given = [x] if name in ONE else [rng.normal(size=size), x]
    found, expected = OVERRIDES[name](*given), getattr(plain, name)(PLAIN, *given)
    assert found.shape == x.shape and found.dtype == x.dtype
    # where a slope crosses 0, it is the difference of numbers near 1
    numpy.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)

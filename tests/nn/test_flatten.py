"""Flatten and Unflatten: shapes, gradients and bad arguments."""

from __future__ import annotations

import numpy
import pytest

from rustorch import nn
from tests.support.target import Target


@pytest.mark.parametrize(
    ("arguments", "shape", "expected"),
    [
        ((), (2, 3, 4), (2, 12)),
        ((), (2, 3), (2, 3)),
        ((0,), (2, 3, 4), (24,)),
        ((0, 1), (2, 3, 4), (6, 4)),
        ((1, 2), (2, 3, 4, 5), (2, 12, 5)),
        ((-2,), (2, 3, 4), (2, 12)),
        ((2, 2), (2, 3, 4), (2, 3, 4)),
        ((), (0, 3, 4), (0, 12)),
        ((), (2, 0, 4), (2, 0)),
        ((0,), (), (1,)),
    ],
)
def test_flatten_joins_dimensions(arguments: tuple, shape: tuple, expected: tuple, backend: Target) -> None:
    values = numpy.arange(float(numpy.prod(shape))).reshape(shape)
    x = backend.variable(values, requires_grad=True)
    out = nn.Flatten(*arguments)(x)
    numpy.testing.assert_array_equal(backend.numpy(out), values.reshape(expected))
    (out * out).sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), 2 * values)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((2, 1), ValueError, r"Flatten: start_dim=2 comes after end_dim=1 in shape \(2, 3, 4\)"),
        ((3,), IndexError, "axis 3 is out of range for an array of 3 dimensions"),
        ((0, -4), IndexError, "axis -4 is out of range"),
    ],
)
def test_flatten_refuses_bad_dimensions(
    arguments: tuple, error: type[Exception], message: str, backend: Target
) -> None:
    with pytest.raises(error, match=message):
        nn.Flatten(*arguments)(backend.variable(numpy.ones((2, 3, 4))))


@pytest.mark.parametrize(
    ("dim", "sizes", "error", "message"),
    [
        (
            1,
            (2, 2),
            ValueError,
            r"Unflatten: dimension 1 of shape \(2, 6\) cannot become \(2, 2\): 6 is not their product",
        ),
        (1, (4, -1), ValueError, r"cannot become \(4, -1\)"),
        (1, (0, -1), ValueError, r"cannot become \(0, -1\)"),
        (2, (2, 3), IndexError, "axis 2 is out of range"),
        (1, (-1, -1), ValueError, "Unflatten: sizes are not negative, and one may be -1"),
        (1, (-2, -3), ValueError, "Unflatten: sizes are not negative"),
        (1, 6, TypeError, "Unflatten: unflattened_size is a tuple of sizes, not 6"),
        (1, (2, 3.0), TypeError, "but there is 3.0 at 1"),
        ("c", (2, 3), TypeError, "Unflatten: dim is an integer, not 'c'"),
    ],
)
def test_unflatten_refuses_bad_sizes(
    dim: int, sizes: tuple, error: type[Exception], message: str, backend: Target
) -> None:
    with pytest.raises(error, match=message):
        nn.Unflatten(dim, sizes)(backend.variable(numpy.ones((2, 6))))


def test_flatten_refuses_a_list() -> None:
    with pytest.raises(TypeError, match=r"Flatten takes Variables.*not list"):
        nn.Flatten()([[1.0]])

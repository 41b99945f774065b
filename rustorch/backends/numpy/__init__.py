"""NumPy's overrides of the kernels, by family."""

from __future__ import annotations

from collections.abc import Callable

from . import (
    activation,
    attention,
    convolution,
    elementwise,
    indexing,
    linalg,
    linear,
    loss,
    normalization,
    optim,
    pooling,
    recurrent,
    softmax,
    standard,
)

OVERRIDES: dict[str, Callable] = {
    name: function
    for family in (
        convolution,
        activation,
        attention,
        elementwise,
        indexing,
        linalg,
        linear,
        loss,
        normalization,
        optim,
        pooling,
        recurrent,
        softmax,
        standard,
    )
    for name, function in family.OVERRIDES.items()
}

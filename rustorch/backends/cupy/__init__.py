"""CuPy's overrides of the kernels, by family.

A launch costs more than most of what it computes: the aim is few of them, each reading and writing its arrays once.
"""

from __future__ import annotations

from collections.abc import Callable

from . import (
    activation,
    attention,
    convolution,
    elementwise,
    indexing,
    layers,
    linalg,
    loss,
    normalization,
    optim,
    pooling,
    recurrent,
)

__all__ = ["OVERRIDES", "linalg", "optim"]

OVERRIDES: dict[str, Callable] = {
    name: function
    for family in (
        activation,
        attention,
        convolution,
        elementwise,
        indexing,
        layers,
        linalg,
        loss,
        normalization,
        optim,
        pooling,
        recurrent,
    )
    for name, function in family.OVERRIDES.items()
}

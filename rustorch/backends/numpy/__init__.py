"""NumPy's overrides of the kernels, by family."""

from __future__ import annotations

from collections.abc import Callable

from . import (
    activation,
    attention,
    convolution,
    core,
    elementwise,
    linalg,
    loss,
    normalization,
    optim,
    pooling,
    recurrent,
)

OVERRIDES: dict[str, Callable] = {
    name: function
    for family in (
        convolution,
        activation,
        attention,
        core,
        elementwise,
        linalg,
        loss,
        normalization,
        optim,
        pooling,
        recurrent,
    )
    for name, function in family.OVERRIDES.items()
}

"""CuPy's overrides of the kernels, by family.

A launch costs more than most of what it computes, so each override makes few launches, and each launch reads and writes
its arrays once. The plain version in the file of the same name in ``backends/kernels`` documents an override.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import (
    activation,
    attention,
    clipping,
    convolution,
    elementwise,
    indexing,
    linalg,
    loss,
    normalization,
    optim,
    padding,
    pooling,
    recurrent,
    softmax,
    standard,
)

__all__ = ["OVERRIDES", "optim"]

_FAMILIES = (
    activation, attention, clipping, convolution, elementwise, indexing, linalg, loss, normalization, optim, padding,
    pooling, recurrent, softmax, standard,
)  # fmt: skip
OVERRIDES: dict[str, Callable[..., Any]] = {
    name: function for family in _FAMILIES for name, function in family.OVERRIDES.items()
}

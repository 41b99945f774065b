"""NumPy's overrides of the kernels, by family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import (
    activation,
    adafactor,
    attention,
    convolution,
    elementwise,
    indexing,
    linalg,
    linear,
    loss,
    muon,
    normalization,
    optim,
    padding,
    pooling,
    recurrent,
    softmax,
    standard,
)

_FAMILIES = (
    activation, adafactor, attention, convolution, elementwise, indexing, linalg, linear, loss, muon, normalization,
    optim, padding, pooling, recurrent, softmax, standard,
)  # fmt: skip
OVERRIDES: dict[str, Callable[..., Any]] = {
    name: function for family in _FAMILIES for name, function in family.OVERRIDES.items()
}

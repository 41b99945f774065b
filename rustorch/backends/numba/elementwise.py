"""Derivatives of elementwise functions, small powers and the product of dropout as fused loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..kernels import elementwise as plain
from .fusing import Fused, fused

OVERRIDES: dict[str, Callable[..., Any]] = {
    **fused(
        plain.apply_mask,
        plain.atan2_slope,
        plain.hypot_slope,
        plain.logaddexp_slope,
        plain.sqrt_one_minus_square,
        plain.sqrt_one_plus_square,
        plain.sqrt_square_minus_one,
        plain.tanh_slope,
    ),
    "small_power": Fused(plain.small_power, bakes=True),
}

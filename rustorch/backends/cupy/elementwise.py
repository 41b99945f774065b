"""Derivatives of elementwise functions, small powers, and the product of dropout: one launch each, from the plain
versions.
"""

from __future__ import annotations

from ..kernels import elementwise as plain
from .fusing import Fused
from .launch import overrides

OVERRIDES = overrides(
    Fused(plain.apply_mask),
    Fused(plain.tanh_slope),
    Fused(plain.sqrt_one_minus_square),
    Fused(plain.sqrt_one_plus_square),
    Fused(plain.sqrt_square_minus_one),
    Fused(plain.hypot_slope),
    Fused(plain.atan2_slope),
    Fused(plain.logaddexp_slope),
    Fused(plain.pow_slope),
    Fused(plain.small_power, bakes=True),
)

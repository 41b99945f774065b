"""Activations and their derivatives: one launch each, from the plain versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..kernels import activation as plain
from .fusing import Fused
from .launch import overrides

if TYPE_CHECKING:
    from ..base import Array, Namespace


def erf(xp: Namespace, x: Array) -> Array:
    """As the plain version, by CUDA's own function."""
    return xp.erf(x)


_FUSED: tuple[Callable[..., Any], ...] = (
    erf,
    plain.relu,
    plain.relu_grad,
    plain.sigmoid,
    plain.sigmoid_grad,
    plain.gaussian,
    plain.gelu,
    plain.gelu_grad,
    plain.gelu_tanh,
    plain.gelu_tanh_gate_grad,
    plain.gelu_tanh_grad,
    plain.mish,
    plain.mish_grad,
    plain.prelu_slope,
    plain.silu,
    plain.silu_grad,
    plain.tanh_softplus,
    plain.tanh_softplus_grad,
    plain.tanhshrink,
)

OVERRIDES = overrides(
    *[Fused(function) for function in _FUSED],
)

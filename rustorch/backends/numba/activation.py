"""Activations and their derivatives as fused loops, from the plain versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..kernels import activation as plain
from .fusing import fused

if TYPE_CHECKING:
    from ..base import Array, Namespace


def erf(xp: Namespace, x: Array) -> Array:
    """As the plain version, by the function of `mathematics`."""
    return xp.erf(x)


OVERRIDES: dict[str, Callable[..., Any]] = fused(
    plain.relu,
    plain.relu_grad,
    plain.prelu_slope,
    erf,
    plain.sigmoid,
    plain.sigmoid_grad,
    plain.silu,
    plain.silu_grad,
    plain.mish,
    plain.mish_grad,
    plain.tanh_softplus,
    plain.tanh_softplus_grad,
    plain.tanhshrink,
    plain.gaussian,
    plain.gelu,
    plain.gelu_grad,
    plain.gelu_tanh,
    plain.gelu_tanh_grad,
    plain.gelu_tanh_gate_grad,
)

"""Reverse-mode differentiation: what an operation is, what the graph is made of, and how gradients are computed."""

from __future__ import annotations

from .anomaly import detect_anomaly
from .checkpoint import checkpoint
from .custom_primitive import custom_primitive
from .detect_writes import detect_writes
from .function import Function, once_differentiable
from .grad import grad
from .gradcheck import gradcheck, gradgradcheck
from .lost import GradientLostWarning
from .modes import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Function", "GradientLostWarning", "checkpoint", "custom_primitive", "detect_anomaly", "detect_writes",
    "enable_grad", "grad", "gradcheck", "gradgradcheck", "is_grad_enabled", "no_grad", "once_differentiable",
    "set_grad_enabled",
]  # fmt: skip

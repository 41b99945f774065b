"""Reverse-mode differentiation: what an operation is, what the graph is made of, and how gradients are computed.

The files, by subject:

- a call: `primitive` (an operation and its rules), `fusable` (elementwise functions and rules as one loop), `check`
  (its operands and errors), `recording` (what a call does), `graph` (values and nodes), `modes` (whether calls are
  recorded), `writes` (arrays written in place);
- backward: `engine`, `pending` (gradients on their way), `constant_gradients`, `hooks`, `leaf_hooks`;
- functions for users: `grad`, `checkpoint`, `saved_tensors`, `tickets` (behind these two), `gradcheck`,
  `custom_primitive`, and `function` with `function_context` and `function_saved`;
- searches for faults: `anomaly`, `detect_writes`, `calling_line` (for their messages), `lost` (gradients that end).
"""

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
from .saved_tensors import saved_tensors_hooks

__all__ = [
    "Function", "GradientLostWarning", "checkpoint", "custom_primitive", "detect_anomaly", "detect_writes",
    "enable_grad", "grad", "gradcheck", "gradgradcheck", "is_grad_enabled", "no_grad", "once_differentiable",
    "saved_tensors_hooks", "set_grad_enabled",
]  # fmt: skip

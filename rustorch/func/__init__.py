"""Transforms of functions under torch.func's names: they return functions that compute derivatives, and can be nested.

Inside a transform the function gets fresh Variables in place of its Variables, arrays and floats. Each is recorded as
the identity of the caller's argument, so that an outer transform or ``backward`` can differentiate through it.
Gradients are recorded only if a value outside of the transform needs that; otherwise they are plain values.
"""

from __future__ import annotations

from ..nn.functional_call import functional_call
from .gradients import grad, grad_and_value, value_and_grad
from .jacobians import hessian, jacfwd, jacrev
from .products import hvp, jvp, vjp

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "value_and_grad",
    "vjp",
]

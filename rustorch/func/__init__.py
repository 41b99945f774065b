"""Function transforms, under torch.func's names: functions in, functions of derivatives out, nested to any depth.

Inside a transform the function sees fresh Variables, in place of arrays and floats, too. Each is an identity operation
recorded from what the caller passed, so an outer transform, or ``backward``, finds its way through. Gradients are
computed with a graph only if something outside the transform leads there; otherwise the results are plain values.
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

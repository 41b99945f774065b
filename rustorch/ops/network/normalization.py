"""Normalization: one node for a layer, and one rule for all of its gradients, which share most of their work.

The rules are kernels that are not primitives: for second derivatives their plain versions run on Variables.
"""

from __future__ import annotations

from typing import Any

from ...autograd.primitive import Primitive

__all__ = ["batch_norm", "layer_norm", "rms_norm"]

layer_norm = Primitive(
    "layer_norm",
    lambda xp, x, weight, bias, /, n, eps: xp.layer_norm(x, weight, bias, n, eps),
    aux=("mean", "rstd"),
    joint=lambda xp, g, x, mean, rstd, weight, n: xp.layer_norm_grad(g, x, mean, rstd, weight, n),
)
rms_norm = Primitive(
    "rms_norm",
    lambda xp, x, weight, /, n, eps: xp.rms_norm(x, weight, n, eps),
    aux=("rstd",),
    joint=lambda xp, g, x, rstd, weight, n: xp.rms_norm_grad(g, x, rstd, weight, n),
)


def _batch_norm(xp: Any, x: Any, weight: Any, bias: Any, /, eps: Any, moments: list) -> tuple[Any, Any, Any]:
    """``moments`` is an empty list, which gets the batch's mean and variance: running statistics are made of them."""
    out, mean, var, rstd = xp.batch_norm(x, weight, bias, eps)
    if not moments:  # a second derivative comes here again
        moments += mean, var
    return out, mean, rstd


batch_norm = Primitive(
    "batch_norm",
    _batch_norm,
    aux=("mean", "rstd"),
    joint=lambda xp, g, x, mean, rstd, weight: xp.batch_norm_grad(g, x, mean, rstd, weight),
)

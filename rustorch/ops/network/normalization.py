"""Primitives of normalization: a layer is one node, and one rule computes all of its gradients.

The gradients of input, weight and bias share most of their work. The rules are kernels and no primitives: for second
derivatives their plain versions run on Variables.
"""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = ["batch_norm", "group_norm", "layer_norm", "rms_norm"]

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
group_norm = Primitive(
    "group_norm",
    lambda xp, x, weight, bias, /, groups, eps: xp.group_norm(x, weight, bias, groups, eps),
    aux=("mean", "rstd"),
    joint=lambda xp, g, x, mean, rstd, weight, groups: xp.group_norm_grad(g, x, mean, rstd, weight, groups),
)
batch_norm = Primitive(
    "batch_norm",
    lambda xp, x, weight, bias, /, eps: xp.batch_norm(x, weight, bias, eps),
    aux=("mean", "var", "rstd"),
    joint=lambda xp, g, x, mean, rstd, weight: xp.batch_norm_grad(g, x, mean, rstd, weight),
)

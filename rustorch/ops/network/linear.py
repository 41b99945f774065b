"""Primitives of linear layers: the affine map and the gradient of its weight."""

from __future__ import annotations

from ...autograd.primitive import Primitive
from ..complex_numbers import conjugate

__all__ = ["linear", "linear_grad_weight"]

linear = Primitive(
    "linear",
    lambda xp, x, weight, bias, /: xp.linear(x, weight, bias),
    x=lambda xp, g, weight: xp.matmul(g, conjugate(xp, weight)),
    weight=lambda xp, g, x: xp.linear_grad_weight(g, conjugate(xp, x)),
    bias=lambda xp, g: g,
    pair=lambda xp, g, x: xp.linear_grad_weight_bias(g, conjugate(xp, x)),
)
linear_grad_weight = Primitive(
    "linear_grad_weight",
    lambda xp, g_out, x, /: xp.linear_grad_weight(g_out, x),
    g_out=lambda xp, g, x: xp.matmul(conjugate(xp, x), xp.matrix_transpose(g)),
    x=lambda xp, g, g_out: xp.matmul(conjugate(xp, g_out), g),
)

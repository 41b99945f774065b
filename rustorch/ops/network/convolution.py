"""Primitives of convolution. Each of the three is linear in two of input, weight and output.

The rules of each are the two others, so every order of derivative exists.
"""

from __future__ import annotations

from ...autograd.primitive import Primitive
from ..complex_numbers import conjugate

__all__ = ["conv", "conv_grad_input", "conv_grad_weight"]

conv = Primitive(
    "conv",
    lambda xp, x, weight, bias, /, stride, padding, dilation, groups: xp.conv(
        x, weight, bias, stride, padding, dilation, groups
    ),
    x=lambda xp, g, weight, x_shape, stride, padding, dilation, groups: xp.conv_grad_input(
        g, conjugate(xp, weight), tuple(x_shape[2:]), stride, padding, dilation, groups
    ),
    weight=lambda xp, g, x, weight_shape, stride, padding, dilation, groups: xp.conv_grad_weight(
        g, conjugate(xp, x), tuple(weight_shape[2:]), stride, padding, dilation, groups
    ),
    bias=lambda xp, g: xp.sum(g, axis=(0, *range(2, g.ndim))),
    pair=lambda xp, g, x, weight_shape, stride, padding, dilation, groups: xp.conv_grad_weight_bias(
        g, conjugate(xp, x), tuple(weight_shape[2:]), stride, padding, dilation, groups
    ),
)
conv_grad_input = Primitive(
    "conv_grad_input",
    lambda xp, g_out, weight, /, size, stride, padding, dilation, groups: xp.conv_grad_input(
        g_out, weight, size, stride, padding, dilation, groups
    ),
    g_out=lambda xp, g, weight, stride, padding, dilation, groups: xp.conv(
        g, conjugate(xp, weight), None, stride, padding, dilation, groups
    ),
    weight=lambda xp, g, g_out, weight_shape, stride, padding, dilation, groups: xp.conv_grad_weight(
        conjugate(xp, g_out), g, tuple(weight_shape[2:]), stride, padding, dilation, groups
    ),
)
conv_grad_weight = Primitive(
    "conv_grad_weight",
    lambda xp, g_out, x, /, kernel, stride, padding, dilation, groups: xp.conv_grad_weight(
        g_out, x, kernel, stride, padding, dilation, groups
    ),
    g_out=lambda xp, g, x, stride, padding, dilation, groups: xp.conv(
        conjugate(xp, x), g, None, stride, padding, dilation, groups
    ),
    x=lambda xp, g, g_out, x_shape, stride, padding, dilation, groups: xp.conv_grad_input(
        conjugate(xp, g_out), g, tuple(x_shape[2:]), stride, padding, dilation, groups
    ),
)

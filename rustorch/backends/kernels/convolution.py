"""Convolution and its two gradients, in any number of spatial dimensions.

Let ``p`` be a position in the padded input, ``o`` one in the output and ``k`` one in the kernel. Each of the three
kernels sums products of two of these arrays over all positions with ``p = stride * o + dilation * k``, and returns an
array in the shape of the third:

- ``x``, (n, in, *size), at p,
- ``weight``, (out, in / groups, *kernel), at k,
- ``g``, (n, out, *out_size), at o.

``padding`` has a pair for each spatial dimension: the number of zeros before and after the input. Source: Dumoulin &
Visin, "A guide to convolution arithmetic for deep learning", 2016.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def conv(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Sizes,
    padding: Pairs,
    dilation: Sizes,
    groups: int,
) -> Array:
    """The convolution of ``x`` with ``weight``, which mathematics calls cross-correlation, plus ``bias``: (out,), or
    None.
    """
    kernel = tuple(weight.shape[2:])
    columns, size = _columns(xp, x, kernel, stride, padding, dilation, groups)
    rows = xp.reshape(weight, (groups, weight.shape[0] // groups, columns.shape[2]))
    out = xp.reshape(xp.matmul(rows, columns), (x.shape[0], weight.shape[0], *size))
    return out if bias is None else out + xp.reshape(bias, (bias.shape[0], *[1] * len(kernel)))


def conv_grad_input(
    xp: Namespace, g: Array, weight: Array, size: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """The gradient of `conv` in its input, whose spatial sizes are ``size``: the transposed convolution of ``g``.

    This is again a convolution: of ``g`` with zeros between its elements, with the mirrored kernel.
    """
    kernel, n = tuple(weight.shape[2:]), len(size)
    around = []
    for axis in range(n):
        g = _dilated(xp, g, axis + 2, stride[axis])
        before = (kernel[axis] - 1) * dilation[axis] - padding[axis][0]
        around.append((before, size[axis] + padding[axis][0] - g.shape[axis + 2]))
    return conv(xp, g, mirrored(xp, weight, groups), None, (1,) * n, tuple(around), dilation, groups)


def mirrored(xp: Namespace, weight: Array, groups: int) -> Array:
    """The weight with inputs and outputs exchanged in each group, and every kernel reversed."""
    outs, ins, *kernel = weight.shape
    axes = tuple(range(3, 3 + len(kernel)))
    split = xp.flip(xp.reshape(weight, (groups, outs // groups, ins, *kernel)), axis=axes)
    return xp.reshape(xp.permute_dims(split, (0, 2, 1, *axes)), (groups * ins, outs // groups, *kernel))


def conv_grad_weight(
    xp: Namespace, g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """The gradient of `conv` in its weight, whose kernel has the sizes ``kernel``."""
    outs = g.shape[1]
    columns, size = _columns(xp, x, kernel, stride, padding, dilation, groups)
    # the batch and the positions become one axis, the one to sum over
    columns = xp.reshape(xp.permute_dims(columns, (1, 0, 3, 2)), (groups, x.shape[0] * prod(size), columns.shape[2]))
    rows = xp.reshape(g, (x.shape[0], groups, outs // groups, prod(size)))
    rows = xp.reshape(xp.permute_dims(rows, (1, 2, 0, 3)), (groups, outs // groups, columns.shape[1]))
    return xp.reshape(xp.matmul(rows, columns), (outs, x.shape[1] // groups, *kernel))


def conv_grad_weight_bias(
    xp: Namespace, g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> tuple[Array, Array]:
    """The gradients of `conv` in its weight and in its bias."""
    bias = xp.sum(g, axis=(0, *range(2, g.ndim)))
    return xp.conv_grad_weight(g, x, kernel, stride, padding, dilation, groups), bias


def _columns(
    xp: Namespace, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> tuple[Array, Sizes]:
    """The inputs of each output position, (n, groups, in / groups * kernel, positions), and the output's sizes."""
    n, channels = x.shape[:2]
    x = xp.pad_constant(x, ((0, 0), (0, 0), *padding), 0)
    size = tuple([(x.shape[i + 2] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(len(kernel))])
    windows = []
    for place in product(*map(range, kernel)):
        starts = [k * d for k, d in zip(place, dilation, strict=True)]
        key = [slice(start, start + (o - 1) * s + 1, s) for start, o, s in zip(starts, size, stride, strict=True)]
        windows.append(x[(slice(None), slice(None), *key)])
    shape = (n, groups, channels // groups * prod(kernel), prod(size))
    return xp.reshape(xp.stack(windows, axis=2), shape), size


def _dilated(xp: Namespace, x: Array, axis: int, step: int) -> Array:
    """``x`` with ``step - 1`` zeros between neighbours along an axis."""
    if step == 1:
        return x
    shape = tuple(x.shape)
    spread = xp.reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    spread = xp.concat([spread, _zeros(xp, spread, axis + 1, step - 1)], axis=axis + 1)
    joined = xp.reshape(spread, (*shape[:axis], shape[axis] * step, *shape[axis + 1 :]))
    return joined[(slice(None),) * axis + (slice(0, (shape[axis] - 1) * step + 1), ...)]


def _zeros(xp: Namespace, x: Array, axis: int, count: int) -> Array:
    """Zeros in the shape of ``x``, with ``count`` elements along an axis."""
    return xp.zeros_like(
        xp.broadcast_to(x[(slice(None),) * axis + (slice(0, 1), ...)], (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    )

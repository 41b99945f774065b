"""Convolution and its two transposes, in any number of spatial dimensions.

With ``p`` for a position in the padded input, ``o`` for one in the output and ``k`` for one in the kernel, all three
are sums over ``p = stride * o + dilation * k`` of a product of two of

- ``x``, (n, in, *size), at p,
- ``weight``, (out, in / groups, *kernel), at k,
- ``g``, (n, out, *out_size), at o,

for an output in the shape of the third. Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep
learning", 2016. ``padding`` has a pair for each spatial dimension: how many zeros stand before and after.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def conv(xp: Any, x: Any, weight: Any, bias: Any, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int) -> Any:
    """The convolution (in mathematics: the cross-correlation) of ``x`` with ``weight``, plus ``bias``,
    (out,), or None.
    """
    kernel = tuple(weight.shape[2:])
    columns, size = _columns(xp, x, kernel, stride, padding, dilation, groups)
    rows = xp.reshape(weight, (groups, weight.shape[0] // groups, columns.shape[2]))
    out = xp.reshape(xp.matmul(rows, columns), (x.shape[0], weight.shape[0], *size))
    return out if bias is None else out + xp.reshape(bias, (bias.shape[0], *[1] * len(kernel)))


def conv_grad_input(
    xp: Any, g: Any, weight: Any, size: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Any:
    """The transpose of ``conv`` in its input, whose spatial sizes were ``size``: the transposed convolution of ``g``.

    It is a convolution again: of ``g`` with zeros between its elements, with the kernel mirrored.
    """
    kernel, n = tuple(weight.shape[2:]), len(size)
    around = []
    for axis in range(n):
        g = _apart(xp, g, axis + 2, stride[axis])
        before = (kernel[axis] - 1) * dilation[axis] - padding[axis][0]
        around.append((before, size[axis] + padding[axis][0] - g.shape[axis + 2]))
    return conv(xp, g, mirrored(xp, weight, groups), None, (1,) * n, tuple(around), dilation, groups)


def mirrored(xp: Any, weight: Any, groups: int) -> Any:
    """The weight with inputs and outputs exchanged in each group, and every kernel reversed."""
    outs, ins, *kernel = weight.shape
    axes = tuple(range(3, 3 + len(kernel)))
    split = xp.flip(xp.reshape(weight, (groups, outs // groups, ins, *kernel)), axis=axes)
    return xp.reshape(xp.permute_dims(split, (0, 2, 1, *axes)), (groups * ins, outs // groups, *kernel))


def conv_grad_weight(
    xp: Any, g: Any, x: Any, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Any:
    """The transpose of ``conv`` in its weight, whose kernel had the sizes ``kernel``."""
    outs = g.shape[1]
    columns, size = _columns(xp, x, kernel, stride, padding, dilation, groups)
    # the batch and the positions become one axis, that is summed over
    columns = xp.reshape(xp.permute_dims(columns, (1, 0, 3, 2)), (groups, x.shape[0] * prod(size), columns.shape[2]))
    rows = xp.reshape(g, (x.shape[0], groups, outs // groups, prod(size)))
    rows = xp.reshape(xp.permute_dims(rows, (1, 2, 0, 3)), (groups, outs // groups, columns.shape[1]))
    return xp.reshape(xp.matmul(rows, columns), (outs, x.shape[1] // groups, *kernel))


def _columns(
    xp: Any, x: Any, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> tuple[Any, Sizes]:
    """What each position of the output sees, (n, groups, in / groups * kernel, positions), and the output's sizes."""
    n, channels = x.shape[:2]
    for axis, (before, after) in enumerate(padding):
        x = _padded(xp, x, axis + 2, before, after)
    size = tuple([(x.shape[i + 2] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(len(kernel))])
    seen = []
    for place in product(*map(range, kernel)):
        starts = [k * d for k, d in zip(place, dilation, strict=True)]
        key = [slice(start, start + (o - 1) * s + 1, s) for start, o, s in zip(starts, size, stride, strict=True)]
        seen.append(x[(slice(None), slice(None), *key)])
    shape = (n, groups, channels // groups * prod(kernel), prod(size))
    return xp.reshape(xp.stack(seen, axis=2), shape), size


def _padded(xp: Any, x: Any, axis: int, before: int, after: int) -> Any:
    """Zeros before and after along an axis; of a negative number, so many fewer elements."""
    zeros = [_zeros(xp, x, axis, max(count, 0)) for count in (before, after)]
    if before > 0 or after > 0:
        x = xp.concat([zeros[0], x, zeros[1]], axis=axis)
    if before < 0 or after < 0:
        x = x[(slice(None),) * axis + (slice(max(-before, 0), x.shape[axis] + min(after, 0)), ...)]
    return x


def _apart(xp: Any, x: Any, axis: int, step: int) -> Any:
    """``step - 1`` zeros between neighbours along an axis."""
    if step == 1:
        return x
    shape = tuple(x.shape)
    spread = xp.reshape(x, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    spread = xp.concat([spread, _zeros(xp, spread, axis + 1, step - 1)], axis=axis + 1)
    joined = xp.reshape(spread, (*shape[:axis], shape[axis] * step, *shape[axis + 1 :]))
    return joined[(slice(None),) * axis + (slice(0, (shape[axis] - 1) * step + 1), ...)]


def _zeros(xp: Any, x: Any, axis: int, count: int) -> Any:
    return xp.zeros_like(
        xp.broadcast_to(x[(slice(None),) * axis + (slice(0, 1), ...)], (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    )

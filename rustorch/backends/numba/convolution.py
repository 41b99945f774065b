"""Convolutions: products of the weight with elements of the input that tables of places find.

A table has, for each channel and each place of the kernel, where its input is, and another one, for each position of
the output, how far that is from the first position's. Together they lead to all inputs of all positions, so the columns
that plain convolutions copy them to are never made. Only zeros around the input are: it is copied with its padding,
some samples at a time.

There are two ways to multiply. The rows of the product are channels of the output, and the lanes of its vectors are
positions; or rows are positions, lanes are channels, and each tile is turned while it is written. An image with rows of
14 or 28 positions leaves lanes empty in the first way; 64 channels leave none in the second one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy

from . import convolution_plans, depthwise
from .convolution_plans import PAD, Padding, Part, Plan
from .kernel import LEAST, flat
from .processor import VECTORS, tile_shape, tile_width
from .products import Operand, Result, multiply, pack, steps
from .products_loops import MULTIPLY, PACK
from .windows import geometry

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes

#: In how many parts the gradient in the input is computed at most. Each is a product of its own, of few of the kernel's
#: places; with more, one product and additions of its results, as NumPy's version does, are faster.
MOST_PHASES = 4

#: Positions of all samples below which it does not pay to copy the weight to panels.
_FEW = 1 << 10
#: A weight gradient with sums of at least so many terms, and with at most so many numbers, is turned at the end.
_LONG, _LATE = 1 << 11, 1 << 18

_FLOATS = (numpy.dtype("float32"), numpy.dtype("float64"))


def _plan(
    x: Sizes, weight: Sizes, arrays: tuple[Any, ...], stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> tuple[Plan, Any, Any] | None:
    """The plan for these shapes, and the kernels, or None where NumPy should serve."""
    dtype = arrays[0].dtype
    if dtype not in _FLOATS or not all(a.dtype is dtype for a in arrays) or not 3 <= len(x) <= 5:
        return None
    size = prod(x) * prod(weight[2:])
    if 0 in x or 0 in weight or size < LEAST:
        return None
    launch, pad = MULTIPLY.of(dtype, size), PAD.of(dtype, size)
    if launch is None or pad is None:
        return None
    lanes = tile_width(dtype.itemsize) // VECTORS
    plan = convolution_plans.plan(x[1], x[2:], weight, stride, padding, dilation, groups, lanes)
    return (plan, launch, pad) if min(plan.size) > 0 else None


# -- the kernels -------------------------------------------------------------------------------------------------------
def conv(
    x: Array, weight: Array, bias: Array | None, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    arrays = (x, weight) if bias is None else (x, weight, bias)
    found = _plan(x.shape, weight.shape, arrays, stride, padding, dilation, groups)
    if found is None:
        return NotImplemented
    plan, launch, pad = found
    x, weight, bias = flat(x), flat(weight), None if bias is None else flat(bias)
    if plan.depthwise:
        return depthwise.conv(x, weight, bias, plan.geo)
    out = numpy.empty((x.shape[0], weight.shape[0], *plan.size), x.dtype)
    _multiply_parts(launch, pad, x, weight, plan.ins * plan.taps, out, plan.padded, [plan.forward], groups, bias)
    return out


def _multiply_parts(
    launch: Any, pad: Any, x: Array, weight: Array, step: int, out: Array, padded: Padding, parts: Sequence[Part],
    groups: int, bias: Array | None = None,
) -> None:  # fmt: skip
    """Write a convolution, or its gradient in the input. In the weight, channels of the result are ``step`` apart."""
    outs, plane, pixels = out.shape[1] // groups, prod(padded.size), prod(out.shape[2:])
    rows, parts, block = steps(outs, step), [part for part in parts if len(part.weights)], padded.samples(x)
    weights = [Operand(weight, rows, part.weights, weight.size // groups) for part in parts]
    packed = [_packed(w, part, len(x)) if groups == 1 else None for w, part in zip(weights, parts, strict=True)]
    for start in range(0, len(x), block):
        inputs, target = padded.apply(pad, x[start : start + block]), out[start : start + block]
        sample, sample_c = x.shape[1] * plane, out.shape[1] * pixels
        for part, w, panels in zip(parts, weights, packed, strict=True):
            if panels is None:
                b = Operand(inputs, part.inputs, part.columns, x.shape[1] // groups * plane, 0, sample, padded.spare)
                added = None if bias is None else (bias, outs, 1, 0)
                result = Result(target, pixels, part.places, outs * pixels, sample_c, bias=added)
                multiply(launch, w, b, result, groups, len(target))
            else:
                a = Operand(inputs, part.bases, part.inputs, set=sample)
                added = None if bias is None else (bias, 0, 0, 1)
                result = Result(target, part.targets, steps(outs, pixels), bias=added, set=sample_c)
                multiply(launch, a, panels, result, sets=len(target))


def _packed(weight: Operand, part: Part, samples: int) -> Operand | None:
    """The weight as panels, to multiply positions with, or None if positions are multiplied with the weight."""
    if not _positions_are_rows(len(weight.rows), part, samples, weight.array.itemsize):
        return None
    launch = PACK.of(weight.array.dtype, weight.array.size * _FEW)
    return launch and pack(launch, weight._replace(rows=weight.columns, columns=weight.rows))


def _positions_are_rows(channels: int, part: Part, samples: int, itemsize: int) -> bool:
    """Whether the rows of the product are positions, and not channels. The weight is copied for that, so there must be
    many positions. And tiles compute more numbers than the result has, to be full: it must not be more than otherwise.
    """
    height, lanes = tile_shape()[0], tile_width(itemsize) // VECTORS
    in_rows = _up(len(part.bases), height) * _up(channels, lanes)
    return samples * len(part.bases) >= _FEW and in_rows <= _up(channels, height) * len(part.columns)


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


def conv_grad_weight(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    return _grad_weight(g, x, kernel, stride, padding, dilation, groups, None)


def conv_grad_weight_bias(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Any:
    """As the plain version, in one loop."""
    sums = numpy.empty(g.shape[1], g.dtype)
    out = _grad_weight(g, x, kernel, stride, padding, dilation, groups, sums)
    return NotImplemented if out is NotImplemented else (out, sums)


def _grad_weight(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int, sums: Array | None
) -> Array:
    """The gradient in the weight. That in the bias is written to ``sums``."""
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    found = _plan(x.shape, shape, (x, g), stride, padding, dilation, groups)
    if found is None or found[0].size != g.shape[2:]:
        return NotImplemented
    plan, launch, pad = found
    g, x = flat(g), flat(x)
    if plan.depthwise:
        return depthwise.conv_grad_weight(g, x, kernel, plan.geo, sums)
    positions, length = plan.positions, plan.ins * plan.taps
    block, row = plan.padded.samples(x), g.shape[1] * positions
    sample, total, size = plan.channels * plan.plane, x.shape[0] * positions, plan.outs * length
    # Either the gradient or the inputs are copied to panels. With the gradient, the product is the turned result: each
    # of its tiles is written turned, or all of it is turned at the end.
    turned = (total + length) * plan.outs < total * length
    late = turned and total >= _LONG and groups * size <= _LATE
    out = numpy.empty((groups, length, plan.outs) if late else shape, x.dtype)
    rows, columns = (plan.outs, 1) if late else (1, length) if turned else (length, 1)
    summed = "" if sums is None else "columns" if turned else "rows"
    for start in range(0, x.shape[0], block):
        part, gradient = x[start : start + block], g[start : start + block]
        n, bases = plan.of_samples(len(part), sample, plan.forward.bases)
        _, places = plan.of_samples(len(part), row, steps(positions))
        inputs = (plan.padded.apply(pad, part), plan.forward.inputs, bases, plan.ins * plan.plane, n * sample)
        gradients = (gradient, steps(plan.outs, positions), places, plan.outs * positions, n * row)
        a, b = (inputs, gradients) if turned else (gradients, inputs)
        multiply(
            launch, Operand(*a), Operand(b[0], b[2], b[1], *b[3:]),
            Result(out, rows, steps(len(b[1]), columns), size, adds=start > 0, sums=summed), groups,
            depth=len(part) * positions, sums=sums,
        )  # fmt: skip
    return numpy.ascontiguousarray(out.swapaxes(1, 2)).reshape(shape) if late else out


def conv_grad_input(
    g: Array, weight: Array, size: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    shape = (g.shape[0], groups * weight.shape[1], *size)
    found = _plan(shape, weight.shape, (g, weight), stride, padding, dilation, groups)
    if found is None or found[0].size != g.shape[2:]:
        return NotImplemented
    plan, launch, pad = found
    g, weight = flat(g), flat(weight)
    if plan.depthwise and set(stride) == {1}:
        around = _around(weight, padding, dilation)
        return depthwise.conv(g, weight, None, geometry(g.shape[2:], weight.shape[2:], stride, around, dilation), True)
    if plan.depthwise:
        return depthwise.conv_grad_input(g, weight, size, plan.geo)
    if prod(stride) > MOST_PHASES:
        return NotImplemented
    padded, parts = plan.gradient
    out = (numpy.empty if all(len(part.weights) for part in parts) else numpy.zeros)(shape, g.dtype)
    _multiply_parts(launch, pad, g, weight, plan.taps, out, padded, parts, groups)
    return out


def _around(weight: Array, padding: Pairs, dilation: Sizes) -> Pairs:
    """The padding of the convolution that is the gradient in the input, for strides of 1."""
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    return tuple([(r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True)])


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (conv, conv_grad_input, conv_grad_weight, conv_grad_weight_bias)
}

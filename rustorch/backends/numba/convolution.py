"""Convolutions: products of the weight with elements of the input that tables of places find.

A table has, for each channel and each place of the kernel, where its input is, and another one, for each position of
the output, how far that is from the first position's. Together they lead to all inputs of all positions, so the columns
that plain convolutions copy them to are never made. Only zeros around the input are: it is copied with its padding,
some samples at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy

from . import convolution_plans, depthwise
from .convolution_plans import PAD, Plan
from .kernel import LEAST, flat
from .processor import VECTORS, tile_width
from .products import Operand, Result, multiply, steps
from .products_loops import MULTIPLY
from .windows import geometry

if TYPE_CHECKING:
    from ..base import Array
    from ..kernels.convolution import Pairs, Sizes

#: In how many parts the gradient in the input is computed at most. Each is a product of its own, of few of the kernel's
#: places; with more, one product and additions of its results, as NumPy's version does, are faster.
MOST_PHASES = 4

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
    length, positions, block = plan.ins * plan.taps, plan.positions, plan.padded.samples(x)
    a = Operand(weight, steps(plan.outs, length), steps(length), plan.outs * length)
    for start in range(0, x.shape[0], block):
        part, target = x[start : start + block], out[start : start + block]
        multiply(
            launch, a,
            Operand(plan.padded.apply(pad, part), plan.inputs, plan.columns, plan.ins * plan.plane,
                    sample=plan.channels * plan.plane, spare=plan.padded.spare),
            Result(target, positions, plan.targets, plan.outs * positions, weight.shape[0] * positions,
                   bias=None if bias is None else (bias, plan.outs, 1, 0)),
            groups, len(part),
        )  # fmt: skip
    return out


def conv_grad_weight(
    g: Array, x: Array, kernel: Sizes, stride: Sizes, padding: Pairs, dilation: Sizes, groups: int
) -> Array:
    """As the plain version."""
    shape = (g.shape[1], x.shape[1] // groups, *kernel)
    found = _plan(x.shape, shape, (x, g), stride, padding, dilation, groups)
    if found is None or found[0].size != g.shape[2:]:
        return NotImplemented
    plan, launch, pad = found
    g, x = flat(g), flat(x)
    if plan.depthwise:
        return depthwise.conv_grad_weight(g, x, kernel, plan.geo)
    out, positions, length = numpy.empty(shape, x.dtype), plan.positions, plan.ins * plan.taps
    block, row = plan.padded.samples(x), g.shape[1] * positions
    sample, total = plan.channels * plan.plane, x.shape[0] * positions
    # Either the gradient or the inputs are copied to panels. With the gradient, each tile of the result has to be
    # transposed, too.
    turned = total * plan.outs + 2 * length * plan.outs * max(total // convolution_plans.LONG, 1) < total * length
    for start in range(0, x.shape[0], block):
        part, gradient = x[start : start + block], g[start : start + block]
        n, bases = plan.of_samples(len(part), sample, plan.bases)
        _, places = plan.of_samples(len(part), row, steps(positions))
        inputs = (plan.padded.apply(pad, part), plan.inputs, bases, plan.ins * plan.plane, n * sample)
        gradients = (gradient, steps(plan.outs, positions), places, plan.outs * positions, n * row)
        a, b = (inputs, gradients) if turned else (gradients, inputs)
        rows, columns = (1, steps(plan.outs, length)) if turned else (length, steps(length))
        multiply(
            launch, Operand(*a), Operand(b[0], b[2], b[1], *b[3:]),
            Result(out, rows, columns, plan.outs * length, adds=start > 0), groups, depth=len(part) * positions,
        )  # fmt: skip
    return out


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
    (padded, phases), pixels = plan.gradient, prod(size)
    out = (numpy.empty if all(len(p.weights) for p in phases) else numpy.zeros)(shape, g.dtype)
    block, plane = padded.samples(g), prod(padded.size)
    rows = steps(plan.ins, plan.taps)
    for start in range(0, g.shape[0], block):
        part, target = g[start : start + block], out[start : start + block]
        gradient = padded.apply(pad, part)
        for phase in phases:
            if len(phase.weights):
                multiply(
                    launch, Operand(weight, rows, phase.weights, plan.outs * plan.ins * plan.taps),
                    Operand(gradient, phase.gradients, phase.bases, plan.outs * plane, sample=g.shape[1] * plane,
                            spare=padded.spare),
                    Result(target, pixels, phase.targets, plan.ins * pixels, shape[1] * pixels), groups, len(part),
                )  # fmt: skip
    return out


def _around(weight: Array, padding: Pairs, dilation: Sizes) -> Pairs:
    """The padding of the convolution that is the gradient in the input, for strides of 1."""
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    return tuple([(r - before, r - after) for r, (before, after) in zip(reach, padding, strict=True)])


OVERRIDES: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (conv, conv_grad_input, conv_grad_weight)
}

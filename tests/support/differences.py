"""Compares gradients with central differences, for every derivative of rustorch.

A weighted sum makes the outputs of a function a real number, ``L = sum(Re(conj(w) * out))``. The gradient of ``L`` in
an array, real or complex, is what ``backward(w)`` must compute. For second derivatives, the function is the one that
returns the gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy

import rustorch

from .target import Target

STEP = 1e-6
#: The error of a central difference in float64 is STEP**2 times a third derivative, plus rounding of 1e-16 / STEP.
RTOL, ATOL = 2e-6, 2e-7

Arrays = Sequence[numpy.ndarray]


def listed(outputs: Any) -> list[rustorch.Variable]:
    """The outputs that can have gradients, as a list."""
    each = outputs if isinstance(outputs, (tuple, list)) else [outputs]
    return [out for out in each if out.dtype.kind in "fc"]


def weights(shapes: Sequence[tuple[int, ...]], dtypes: Sequence[Any], seed: int = 7) -> list[numpy.ndarray]:
    """Weights for outputs: numbers of both signs, all different."""
    rng = numpy.random.default_rng(seed)
    out = []
    for shape, dtype in zip(shapes, dtypes, strict=True):
        w = rng.uniform(0.5, 1.5, shape) * numpy.where(rng.random(shape) < 0.5, -1, 1)
        if numpy.dtype(dtype).kind == "c":
            w = w + 1j * rng.uniform(0.5, 1.5, shape)
        out.append(numpy.asarray(w, dtype=dtype))
    return out


def numeric(function: Callable[[Arrays], Arrays], at: Arrays, w: Arrays) -> list[numpy.ndarray]:
    """The gradients of ``sum(Re(conj(w) * function(at)))`` in each array, by central differences."""

    def value(arrays: Arrays) -> float:
        outs = function(arrays)
        return sum(float(numpy.sum(numpy.real(numpy.conj(b) * a))) for a, b in zip(outs, w, strict=True))

    gradients = []
    for i, x in enumerate(at):
        g = numpy.zeros(x.shape, x.dtype)
        for place in numpy.ndindex(x.shape):
            for direction in (1, 1j) if x.dtype.kind == "c" else (1,):
                moved = []
                for sign in (1, -1):
                    y = x.copy()
                    y[place] += sign * direction * STEP
                    moved.append(value([*at[:i], y, *at[i + 1 :]]))
                g[place] += direction * (moved[0] - moved[1]) / (2 * STEP)
        gradients.append(g)
    return gradients


def check(
    call: Callable[..., Any], at: Arrays, target: Target, order: int = 1, rtol: float = RTOL, atol: float = ATOL
) -> None:
    """Assert that the gradients of ``call`` at these arrays agree with central differences.

    The first order checks ``rustorch.grad`` and ``.backward()``. The second order differentiates
    ``grad(..., create_graph=True)`` again, and compares with differences of first gradients.
    """
    first = _first_order(call, at, target)
    expected = numeric(lambda arrays: values(call, arrays, target), at, first.weights)
    for i, (by_grad, by_backward, want) in enumerate(zip(first.by_grad, first.by_backward, expected, strict=True)):
        numpy.testing.assert_allclose(by_grad, want, rtol, atol, err_msg=f"grad of input {i}")
        numpy.testing.assert_allclose(by_backward, want, rtol, atol, err_msg=f"backward of input {i}")
    if order > 1:
        _check_second_order(call, at, target, first.weights, rtol, atol)


class _First:
    """The first derivatives of a call, and the weights of its outputs."""

    weights: list[numpy.ndarray]
    by_grad: list[numpy.ndarray]
    by_backward: list[numpy.ndarray]


def _leaves(arrays: Arrays, target: Target) -> list[rustorch.Variable]:
    return [target.variable(x, x.dtype, requires_grad=True) for x in arrays]


def values(call: Callable[..., Any], arrays: Arrays, target: Target) -> list[numpy.ndarray]:
    """The outputs that can have gradients, computed without a graph."""
    with rustorch.no_grad():
        return [target.numpy(out) for out in listed(call(*[target.variable(x, x.dtype) for x in arrays]))]


def _first_order(call: Callable[..., Any], at: Arrays, target: Target) -> _First:
    xs = _leaves(at, target)
    outs = listed(call(*xs))
    first = _First()
    first.weights = weights([out.shape for out in outs], [out.dtype for out in outs])
    starts = [target.variable(w, w.dtype) for w in first.weights]
    gradients = rustorch.grad(outs, xs, starts, retain_graph=True)
    for i, (out, start) in enumerate(zip(outs, starts, strict=True)):
        out.backward(start, retain_graph=i + 1 < len(outs))
    for x, g in zip(xs, gradients, strict=True):
        assert (g.shape, g.dtype, g.device) == (x.shape, x.dtype, x.device)
        leaf_grad = rustorch.Variable(x.grad)
        assert (leaf_grad.shape, leaf_grad.dtype, leaf_grad.device) == (x.shape, x.dtype, x.device)
    first.by_grad = [target.numpy(g) for g in gradients]
    first.by_backward = [target.numpy(x.grad) for x in xs]
    return first


def _check_second_order(
    call: Callable[..., Any], at: Arrays, target: Target, w: Arrays, rtol: float, atol: float
) -> None:
    def gradients(arrays: Arrays) -> tuple[list[rustorch.Variable], tuple[Any, ...]]:
        xs = _leaves(arrays, target)
        starts = [target.variable(one, one.dtype) for one in w]
        return xs, rustorch.grad(listed(call(*xs)), xs, starts, create_graph=True)

    xs, firsts = gradients(at)
    v = weights([x.shape for x in at], [x.dtype for x in at], seed=11)
    expected = numeric(lambda arrays: [target.numpy(g) for g in gradients(arrays)[1]], at, v)
    # a constant first gradient has no graph: its derivatives are 0, and so must the differences be
    variable = [(g, target.variable(one, one.dtype)) for g, one in zip(firsts, v, strict=True) if g.requires_grad]
    seconds: tuple[Any, ...] = (None,) * len(xs)
    if variable:
        seconds = rustorch.grad([g for g, _ in variable], xs, [one for _, one in variable], allow_unused=True)
    for i, (g, want) in enumerate(zip(seconds, expected, strict=True)):
        got = numpy.zeros_like(want) if g is None else target.numpy(g)
        numpy.testing.assert_allclose(got, want, rtol, atol, err_msg=f"second derivative in input {i}")

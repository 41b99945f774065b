"""Updates of one parameter, as the optimizers run them after every backward pass.

Each takes the parameter, its gradient, the arrays of its state and numbers, and returns the new parameter and the new
state. An override may write into the arrays it was given, but for the gradient, and return those; a caller never uses
the old ones again.

Those in ELEMENTWISE treat each number of a parameter by itself, so that an override may run them block by block, or as
one fused loop. Such an update uses operators and functions of the standard alone, and looks at nothing but the numbers
to decide what to do. Corrections that depend on the step's number are computed by the optimizers, in double precision.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = [
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "asgd", "limited", "muon", "nadam", "radam", "rmsprop",
    "rprop", "sgd", "total_norm",
]  # fmt: skip

#: Updates that treat each number by itself, and how many of their first arguments are arrays of the parameter's shape
#: (or None).
ELEMENTWISE = {
    "adadelta": 4,
    "adagrad": 3,
    "adam": 5,
    "adamax": 4,
    "asgd": 3,
    "nadam": 4,
    "radam": 4,
    "rmsprop": 5,
    "rprop": 4,
    "sgd": 3,
}


def _direction(p: Any, g: Any, weight_decay: float, maximize: bool) -> Any:
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g


def _moments(
    p: Any,
    g: Any,
    mean: Any,
    square: Any,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> tuple[Any, Any, Any, Any]:
    """What Adam and its kin begin with: weight decay of either kind, and the running means of the gradient and its
    square.
    """
    if decoupled:
        p = (1 - lr * weight_decay) * p
        weight_decay = 0
    g = _direction(p, g, weight_decay, maximize)
    return p, g, mean + (1 - beta1) * (g - mean), beta2 * square + (1 - beta2) * (g * g)


def sgd(
    xp: Any,
    p: Any,
    g: Any,
    buffer: Any,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> tuple[Any, Any]:
    """One step of gradient descent with momentum, as PyTorch defines it.

    ``buffer`` is the running direction, or None before the first step. Source: Sutskever et al., "On the importance
    of initialization and momentum in deep learning", 2013, with PyTorch's convention for the learning rate.
    """
    g = _direction(p, g, weight_decay, maximize)
    if momentum:
        buffer = xp.asarray(g, copy=True) if buffer is None else momentum * buffer + (1 - dampening) * g
        g = g + momentum * buffer if nesterov else buffer
    return p - lr * g, buffer


def adam(
    xp: Any,
    p: Any,
    g: Any,
    mean: Any,
    square: Any,
    top: Any,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction1: float,
    correction2: float,
) -> tuple[Any, ...]:
    """Adam, and AdamW where ``decoupled``; ``top`` is the largest ``square`` so far for AMSGrad, else None.

    The corrections are ``1 - beta ** step``.
    """
    p, g, mean, square = _moments(p, g, mean, square, lr, beta1, beta2, weight_decay, decoupled, maximize)
    if top is not None:
        top = xp.maximum(top, square)
    root = xp.sqrt(square if top is None else top) / correction2**0.5
    return p - lr / correction1 * (mean / (root + eps)), mean, square, top


def nadam(
    xp: Any,
    p: Any,
    g: Any,
    mean: Any,
    square: Any,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction2: float,
    of_gradient: float,
    of_mean: float,
) -> tuple[Any, ...]:
    """Adam that looks ahead; ``of_gradient`` and ``of_mean`` weigh the two directions."""
    p, g, mean, square = _moments(p, g, mean, square, lr, beta1, beta2, weight_decay, decoupled, maximize)
    root = xp.sqrt(square / correction2) + eps
    return p - lr * ((of_gradient * g + of_mean * mean) / root), mean, square


def radam(
    xp: Any,
    p: Any,
    g: Any,
    mean: Any,
    square: Any,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction1: float,
    rectified: float,
) -> tuple[Any, ...]:
    """Adam that waits for its variance: ``rectified`` is the factor of the adaptive step, and 0 as long as there is
    none.
    """
    p, g, mean, square = _moments(p, g, mean, square, lr, beta1, beta2, weight_decay, decoupled, maximize)
    step = rectified * mean / (xp.sqrt(square) + eps) if rectified else mean
    return p - lr / correction1 * step, mean, square


def adamax(
    xp: Any,
    p: Any,
    g: Any,
    mean: Any,
    largest: Any,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
    correction1: float,
) -> tuple[Any, ...]:
    g = _direction(p, g, weight_decay, maximize)
    mean = mean + (1 - beta1) * (g - mean)
    largest = xp.maximum(beta2 * largest, xp.abs(g) + eps)
    return p - lr / correction1 * (mean / largest), mean, largest


def adagrad(
    xp: Any, p: Any, g: Any, total: Any, lr: float, eps: float, weight_decay: float, maximize: bool
) -> tuple[Any, Any]:
    g = _direction(p, g, weight_decay, maximize)
    total = total + g * g
    return p - lr * (g / (xp.sqrt(total) + eps)), total


def adadelta(
    xp: Any,
    p: Any,
    g: Any,
    square: Any,
    moved: Any,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> tuple[Any, ...]:
    g = _direction(p, g, weight_decay, maximize)
    square = rho * square + (1 - rho) * (g * g)
    step = xp.sqrt(moved + eps) / xp.sqrt(square + eps) * g
    moved = rho * moved + (1 - rho) * (step * step)
    return p - lr * step, square, moved


def rmsprop(
    xp: Any,
    p: Any,
    g: Any,
    square: Any,
    mean: Any,
    buffer: Any,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    maximize: bool,
) -> tuple[Any, ...]:
    """``mean`` is that of the gradients if they are centered, ``buffer`` the running direction if there is momentum;
    else None.
    """
    g = _direction(p, g, weight_decay, maximize)
    square = alpha * square + (1 - alpha) * (g * g)
    if mean is None:
        spread = square
    else:
        mean = mean + (1 - alpha) * (g - mean)
        spread = square - mean * mean
    g = g / (xp.sqrt(spread) + eps)
    if buffer is not None:
        g = buffer = momentum * buffer + g
    return p - lr * g, square, mean, buffer


def rprop(
    xp: Any, p: Any, g: Any, before: Any, size: Any, down: float, up: float, least: float, most: float, maximize: bool
) -> tuple[Any, ...]:
    """``before`` is the last gradient, 0 where it turned; ``size`` the length of each number's step."""
    if maximize:
        g = -g
    agree = g * before
    size = xp.where(agree > 0, size * up, xp.where(agree < 0, size * down, size))
    size = xp.clip(size, least, most)
    g = xp.where(agree < 0, xp.zeros_like(g), g)
    zero = xp.zeros_like(size)
    return (
        p - xp.where(g > 0, size, xp.where(g < 0, -size, zero)),
        g,
        size,
    )  # no step where the gradient is nan, as in PyTorch


def asgd(
    xp: Any, p: Any, g: Any, average: Any, decay: float, eta: float, mu: float, weight_decay: float, maximize: bool
) -> tuple[Any, Any]:
    """``decay`` is the factor that draws the parameter to 0, ``mu`` how much of it enters its average."""
    g = _direction(p, g, weight_decay, maximize)
    p = decay * p - eta * g
    return p, average + mu * (p - average)


# -- updates of whole matrices -----------------------------------------------------------------------------------------
def _length(xp: Any, x: Any) -> Any:
    """The Euclidean norm of all elements."""
    return xp.vector_norm(x, tuple(range(x.ndim)), 2, False)


def _above(xp: Any, x: Any, least: float) -> Any:
    """``x``, or ``least`` where it is not above that, as nan is: PyTorch has it so, by Python's ``max``."""
    return xp.where(x > least, x, xp.full_like(x, least))


def _toward(start: Any, end: Any, weight: float) -> Any:
    """From ``start``, a part of the way to ``end``: PyTorch's ``lerp``, for infinities too."""
    return start + weight * (end - start) if weight < 0.5 else end - (end - start) * (1 - weight)


def adafactor(
    xp: Any,
    p: Any,
    g: Any,
    rows: Any,
    columns: Any,
    variance: Any,
    lr: float,
    keep: float,
    eps1: float,
    eps2: float,
    d: float,
    rho: float,
    weight_decay: float,
    maximize: bool,
) -> tuple[Any, ...]:
    """Adafactor: of matrices, the variance is the product of its ``rows`` and ``columns``; of vectors it is
    ``variance``.

    ``keep`` is the weight of the new variance, ``rho`` the longest relative step.
    """
    size = math.prod(p.shape) ** 0.5
    step = rho * _above(xp, _length(xp, p) / size, eps2)
    if weight_decay:
        p = (1 - lr * weight_decay) * p
    square = g * g
    if variance is None:
        rows = _toward(rows, xp.mean(square, axis=-1, keepdims=True), keep)
        columns = _toward(columns, xp.mean(square, axis=-2, keepdims=True), keep)
        shared = xp.mean(rows, axis=-2, keepdims=True)
        estimate = rows * columns / xp.maximum(shared, eps1)
    else:
        estimate = variance = _toward(variance, square, keep)
    u = g / xp.sqrt(xp.maximum(estimate, eps1 * eps1))
    step = step / _above(xp, _length(xp, u) / (size * d), 1.0)
    return (p + step * u if maximize else p - step * u), rows, columns, variance


def muon(
    xp: Any,
    p: Any,
    g: Any,
    buffer: Any,
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    steps: int,
    eps: float,
) -> tuple[Any, Any]:
    """Muon: the momentum, with its singular values brought close to 1 by Newton-Schulz iterations; ``decay`` multiplies
    ``p``.
    """
    buffer = buffer + (1 - momentum) * (g - buffer)
    x = g + momentum * (buffer - g) if nesterov else buffer
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.mT
    x = x / xp.maximum(_length(xp, x), eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return decay * p - lr * (x.mT if tall else x), buffer


# -- all gradients, before a step --------------------------------------------------------------------------------------
def total_norm(xp: Any, order: float, *arrays: Any) -> Any:
    """The norm of all elements of one or more arrays of one dtype, none of them empty: ``sum(abs(x) ** order) ** (1 /
    order)``.

    ``order`` is above 0; infinity is for the largest absolute value.
    """
    norms = [xp.vector_norm(x, tuple(range(x.ndim)), order, False) for x in arrays]
    return xp.vector_norm(xp.stack(norms), (0,), order, False)


def limited(xp: Any, most: float, total: Any, *arrays: Any) -> tuple[Any, ...]:
    """Arrays of one dtype, times ``most / total`` where that is less than 1: new ones. ``total`` is of their real
    dtype.
    """
    factor = xp.clip(most / (total + 1e-6), max=1.0)
    return tuple([x * factor for x in arrays])

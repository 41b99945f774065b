"""Steps of the optimizers that nearly everybody takes: one launch each, in place."""

from __future__ import annotations

import cupy

from .launch import Array, overrides

#: The step's numbers are computed in double precision, before. ``first`` starts the momentum, ``sign`` is -1 to climb.
_sgd = cupy.ElementwiseKernel(
    "T g, T lr, T momentum, T keep, T decay, T sign, bool first, bool nesterov",
    "T p, T buffer",
    """
    T step = sign * g + decay * p;
    buffer = first ? step : momentum * buffer + keep * step;
    p -= lr * (nesterov ? step + momentum * buffer : buffer);
    """,
    "rustorch_sgd",
)
_sgd_plain = cupy.ElementwiseKernel("T g, T lr, T decay, T sign", "T p", "p -= lr * (sign * g + decay * p)", "rustorch_sgd_plain")

#: ``shrink`` is what decoupled weight decay leaves of p; without ``largest``, top is not looked at.
_adam = cupy.ElementwiseKernel(
    "T g, T shrink, T decay, T sign, T fresh1, T beta2, T fresh2, T root, T step, T eps, bool largest",
    "T p, T mean, T square, T top",
    """
    T d = sign * g + decay * p;
    mean += fresh1 * (d - mean);
    square = beta2 * square + fresh2 * (d * d);
    if (largest && top == top && !(square <= top)) top = square;  // nan stays
    p = shrink * p - step * (mean / (sqrt(largest ? top : square) / root + eps));
    """,
    "rustorch_adam",
)


def sgd(p: Array, g: Array, buffer: Array | None, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool,
        maximize: bool) -> tuple[Array, Array | None]:  # fmt: skip
    sign = -1.0 if maximize else 1.0
    if not momentum:
        _sgd_plain(g, lr, weight_decay, sign, p)
        return p, None
    first = buffer is None
    buffer = cupy.empty_like(p) if buffer is None else buffer
    _sgd(g, lr, momentum, 1 - dampening, weight_decay, sign, first, nesterov, p, buffer)
    return p, buffer


def adam(p: Array, g: Array, mean: Array, square: Array, top: Array | None, lr: float, beta1: float, beta2: float, eps: float,
         weight_decay: float, decoupled: bool, maximize: bool, correction1: float, correction2: float) -> tuple:  # fmt: skip
    shrink, decay = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    numbers = (shrink, decay, -1.0 if maximize else 1.0, 1 - beta1, beta2, 1 - beta2, correction2**0.5, lr / correction1, eps)
    _adam(g, *numbers, top is not None, p, mean, square, square if top is None else top)
    return p, mean, square, top


OVERRIDES = overrides(sgd, adam)

"""An optimizer's step in one launch, in place."""

from __future__ import annotations

import cupy

from .launch import Array, overrides

#: ``first`` starts the momentum, ``sign`` is -1 to climb.
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


OVERRIDES = overrides(sgd)

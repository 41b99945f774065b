"""Primitives of pooling: the largest value of each window, its place, sums of windows, and their transposes."""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = [
    "avg_pool",
    "avg_pool_grad",
    "max_pool",
    "max_pool_gather",
    "max_pool_grad",
    "max_pool_indices",
    "max_pool_which",
    "max_unpool",
]

max_pool = Primitive(
    "max_pool",
    lambda xp, x, /, windows: xp.max_pool(x, windows),
    aux=("which",),
    recompute=False,
    x=lambda xp, g, which, windows: xp.max_pool_grad(g, which, windows),
)
max_pool_gather = Primitive(
    "max_pool_gather",
    lambda xp, x, which, /, windows: xp.max_pool_gather(x, which, windows),
    x=lambda xp, g, which, windows: xp.max_pool_grad(g, which, windows),
)
max_pool_grad = Primitive(
    "max_pool_grad",
    lambda xp, g_out, which, /, windows: xp.max_pool_grad(g_out, which, windows),
    g_out=lambda xp, g, which, windows: xp.max_pool_gather(g, which, windows),
)
#: Neither has a derivative: both return integers.
max_pool_which = Primitive("max_pool_which", lambda xp, x, /, windows: xp.max_pool(x, windows)[1])
max_pool_indices = Primitive("max_pool_indices", lambda xp, which, /, windows: xp.max_pool_indices(which, windows))

#: Write values, (rows, n), into zeros, (rows, size), at ``places``. If several values have one place, the last one
#: stays, and each of them gets the gradient there, as in PyTorch: values of overlapping windows are equal.
max_unpool = Primitive(
    "max_unpool",
    lambda xp, values, places, /, size: xp.max_unpool(values, places, size),
    values=lambda xp, g, places: xp.take_along_axis(g, places, axis=1),
)
avg_pool = Primitive(
    "avg_pool",
    lambda xp, x, /, windows, divisor: xp.avg_pool(x, windows, divisor),
    x=lambda xp, g, windows, divisor: xp.avg_pool_grad(g, windows, divisor),
)
avg_pool_grad = Primitive(
    "avg_pool_grad",
    lambda xp, g_out, /, windows, divisor: xp.avg_pool_grad(g_out, windows, divisor),
    g_out=lambda xp, g, windows, divisor: xp.avg_pool(g, windows, divisor),
)

"""Primitives of softmax: the function, its logarithm, and the logarithm of a sum of exponentials."""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = ["log_softmax", "logsumexp", "softmax"]

softmax = Primitive(
    "softmax",
    lambda xp, x, /, axis: xp.softmax(x, axis),
    x=lambda xp, g, out, axis: xp.softmax_grad(g, out, axis),
)
log_softmax = Primitive(
    "log_softmax",
    lambda xp, x, /, axis: xp.log_softmax(x, axis),
    x=lambda xp, g, out, axis: xp.log_softmax_grad(g, out, axis),
)
logsumexp = Primitive(
    "logsumexp",
    lambda xp, x, /, axis: xp.logsumexp(x, axis),
    x=lambda xp, g, x, out, axis: xp.logsumexp_grad(g, x, out, axis),
)

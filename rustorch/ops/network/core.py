"""Primitives that training runs every step, each one node with a hand-derived rule; nn.functional dresses them.

Their forwards are kernels: the plain Array API version or a backend's own. What their rules call (a matrix product, a
softmax) is a primitive again, so every order of derivative exists.
"""

from __future__ import annotations

from typing import Any

from ...autograd.primitive import Primitive
from ..helpers import conjugate

__all__ = [
    "cross_entropy",
    "apply_mask",
    "linear",
    "linear_grad_weight",
    "log_softmax",
    "logsumexp",
    "mse",
    "relu",
    "relu_grad",
    "sigmoid",
    "softmax",
]

linear = Primitive(
    "linear",
    lambda xp, x, weight, bias, /: xp.linear(x, weight, bias),
    x=lambda xp, g, weight: xp.matmul(g, conjugate(xp, weight)),
    weight=lambda xp, g, x: xp.linear_grad_weight(g, conjugate(xp, x)),
    bias=lambda xp, g: g,
)
linear_grad_weight = Primitive(
    "linear_grad_weight",
    lambda xp, g_out, x, /: xp.linear_grad_weight(g_out, x),
    g_out=lambda xp, g, x: xp.matmul(conjugate(xp, x), xp.matrix_transpose(g)),
    x=lambda xp, g, g_out: xp.matmul(conjugate(xp, g_out), g),
)
apply_mask = Primitive(
    "apply_mask", lambda xp, x, mask, /: xp.apply_mask(x, mask), x=lambda xp, g, mask: xp.apply_mask(g, mask)
)
relu = Primitive("relu", lambda xp, x, /: xp.relu(x), x=lambda xp, g, out: xp.relu_grad(g, out))
relu_grad = Primitive(
    "relu_grad",
    lambda xp, g_out, y, /: xp.relu_grad(g_out, y),
    g_out=lambda xp, g, y: xp.relu_grad(g, y),
    y=lambda xp, g, y: xp.zeros_like(y),
)
sigmoid = Primitive("sigmoid", lambda xp, x, /: xp.sigmoid(x), x=lambda xp, g, x: xp.sigmoid_grad(g, x))


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


def _target_rule(xp: Any, g: Any, x: Any, top: Any, total: Any, divisor: Any) -> Any:
    g = xp.expand_dims(g, axis=1) if divisor is None else g / divisor
    return g * (xp.expand_dims(xp.log(total), axis=1) - (x - xp.expand_dims(top, axis=1)))


cross_entropy = Primitive(
    "cross_entropy",
    lambda xp, x, target, weight, /, ignore, reduction: xp.cross_entropy(x, target, weight, ignore, reduction),
    aux=("top", "p", "total", "divisor"),
    x=lambda xp, g, p, total, target, weight, divisor, ignore: xp.cross_entropy_grad(
        g, p, total, target, weight, divisor, ignore
    ),
    target=_target_rule,
)
mse = Primitive(
    "mse",
    lambda xp, x, target, /, divisor: xp.mse(x, target, divisor),
    x=lambda xp, g, x, target, divisor: (x - target) * (g * (2 / divisor)),
    target=lambda xp, g, x, target, divisor: (target - x) * (g * (2 / divisor)),
)

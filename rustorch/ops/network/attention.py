"""Attention: one node that keeps the softmax, and not the scores.

In mode 2 the rule, and the softmax that it asks for, are the kernels' plain versions, run on Variables: every order
exists.
"""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = ["attention"]

attention = Primitive(
    "attention",
    lambda xp, q, k, v, mask, keep, /, scale: xp.attention(q, k, v, mask, keep, scale),
    aux=("p",),
    joint=lambda xp, g, q, k, v, keep, out, p, scale: (*xp.attention_grad(g, q, k, v, keep, out, p, scale), None),
)

"""The primitive of attention: one node that saves the softmax, or what its backend needs to compute it anew.

With ``create_graph`` the rule and the softmax that it names come from the kernels' plain versions, which then run on
Variables. So every order of derivative exists.
"""

from __future__ import annotations

from ...autograd.primitive import Primitive

__all__ = ["attention"]

attention = Primitive(
    "attention",
    lambda xp, q, k, v, mask, keep, /, scale, causal, mask_learns: xp.attention(
        q, k, v, mask, keep, scale, causal, mask_learns
    ),
    aux=("p",),
    joint=lambda xp, g, q, k, v, mask, keep, out, p, scale, causal, mask_learns: (
        *xp.attention_grad(g, q, k, v, mask, keep, out, p, scale, causal, mask_learns),
        None,
    ),
)

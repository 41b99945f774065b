"""Gradients that look at a value and do not change with it: those of a rectifier, of a maximum, of pooling.

Recorded as it is computed, such a gradient is a constant: it would not be known that it depends on the value, and a
second derivative would be an error instead of zeros. A linear function's gradient looks at nothing, and stays a
constant, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends import BY_TYPE
from .graph import Node, Value, make
from .primitive import Plan, Primitive

__all__ = ["dependent"]

#: ``x`` itself, which depends on ``value``, too: with a derivative of 0.
FLAT = Primitive(
    "flat",
    lambda xp, x, value, /: x,
    register=False,
    x=lambda xp, g: g,
    value=lambda xp, g, value: xp.zeros_like(value),
)
FLAT.builtin = True  # its own gradient of zeros looks at the value again: every order of derivative exists


def dependent(r: Any, node: Node, needs: Sequence[int], values: Sequence[Any], xp: Any) -> Any:
    """The gradient ``r`` that a rule of ``node`` made of ``values``, which are what the numbers ``needs`` stand for.

    If nothing is known of what it depends on, it is made to depend on what the rule looked at.
    """
    primitive = node.plan.primitive
    if r._tracked or not primitive.builtin:
        return r
    out_at = primitive.arity + primitive.n_options
    parents: list[tuple[Any, Any]] = []
    for index, value in zip(needs, values, strict=True):
        if isinstance(value, Value) and value._tracked:
            parents.append((value._node or value, value._native))
        elif out_at < index < primitive.n_values and type(node.dtype) is not tuple:  # where the largest are, say
            dtype = BY_TYPE[type(r._native)].public_dtype(node.dtype)
            parents.append((node, xp.zeros(tuple(node.shape), dtype=dtype, device=r.device)._native))
    for parent, native in parents:
        plan: Plan = FLAT.plan(3 if r._tracked else 2)
        r = make(r._native, Node(plan, (r._node, parent), (native,), r._native))
    return r

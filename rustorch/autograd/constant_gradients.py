"""Gradients that depend on a value but are locally constant in it: those of a rectifier, of a maximum, of pooling.

Such a gradient is computed from a mask or from indices, so that its own record would not lead to the value. Its
derivative in the value is zero and not undefined: `dependent` adds this edge to the graph. The gradient of a linear
function depends on no value, and stays a constant, as in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backends import BY_TYPE
from .graph import Node, Value, make
from .primitive import Primitive
from .tickets import Redeemed

#: ``x`` itself, with a derivative of 0 in ``value``.
FLAT = Primitive(
    "flat",
    lambda xp, x, value, /: x,
    register=False,
    x=lambda xp, g: g,
    value=lambda xp, g, value: xp.zeros_like(value),
)
FLAT.builtin = True  # so that its own gradient, of zeros, depends on the value, and every order of derivative exists


def dependent(gradient: Any, node: Node, needs: Sequence[int], values: Sequence[Any], xp: Any) -> Any:
    """The gradient that a rule of ``node`` computed in mode 2, as a function of the values that the rule used.

    Parameters
    ----------
    gradient : Variable
        If it is tracked, it is returned as it is.
    node : Node
    needs : sequence of int
        Indices of the values that the rule names, among all values of the primitive.
    values : sequence
        These values, or a ticket for them.
    xp : namespace
    """
    primitive = node.plan.primitive
    if gradient._tracked or not primitive.builtin:
        return gradient
    if values and isinstance(values[0], Redeemed):
        values = [values[0].by_index[index] for index in needs]
    out_at = primitive.arity + primitive.n_options
    parents: list[tuple[Any, Any]] = []
    for index, value in zip(needs, values, strict=True):
        if isinstance(value, Value) and value._tracked:
            parents.append((value._node or value, value._native))
        elif out_at < index < primitive.n_values and type(node.dtype) is not tuple:
            # a by-product of the forward, such as the indices of the largest values, depends on the inputs
            dtype = BY_TYPE[type(gradient._native)].public_dtype(node.dtype)
            parents.append((node, xp.zeros(tuple(node.shape), dtype=dtype, device=gradient.device)._native))
    for parent, native in parents:
        plan = FLAT.plan(3 if gradient._tracked else 2)
        gradient = make(gradient._native, Node(plan, (gradient._node, parent), (native,), gradient._native))
    return gradient

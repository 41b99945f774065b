"""A primitive that marks points where a derivative exists and the next one does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..autograd.primitive import Primitive

if TYPE_CHECKING:
    from ..typing import Array, Namespace

__all__ = ["undefined_derivative"]


def _nan_unless_zero(xp: Namespace, g: Array) -> Array:
    return xp.where(g == 0, g, xp.full_like(g, float("nan")))


#: Zeros like an array, whose gradient is nan. A rule adds them where its result has no derivative: without them the
#: next derivative would be a 0 that nobody notices.
undefined_derivative = Primitive(
    "undefined_derivative", lambda xp, x, /: xp.zeros_like(x), register=False, x=_nan_unless_zero
)

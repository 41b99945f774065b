"""Points at which a derivative exists and the next one does not."""

from __future__ import annotations

from typing import Any

from ..autograd.primitive import Primitive

__all__ = ["edge"]


def _undefined(xp: Any, g: Any) -> Any:
    return xp.where(g == 0, g, xp.full_like(g, float("nan")))


#: Zeros like an array, for rules to add where what they return has no derivative: it is nan then, and not a 0 that
#: nobody notices.
edge = Primitive("edge", lambda xp, x, /: xp.zeros_like(x), register=False, x=_undefined)

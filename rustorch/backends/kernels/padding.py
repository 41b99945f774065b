"""Padding: an array with more or fewer elements at both ends of its axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: For each axis, how many elements are added before and after. A negative number leaves elements out.
Pairs = Sequence[tuple[int, int]]


def pad_constant(xp: Namespace, x: Array, pairs: Pairs, value: Any) -> Array:
    """Along an axis, element i of the result is element ``i - before`` of x. Where x has none, it is ``value``, a
    Python number. The result is always a new array.
    """
    for axis, (before, after) in enumerate(pairs):
        lead, rest = tuple(x.shape[:axis]), tuple(x.shape[axis + 1 :])
        if before > 0 or after > 0:
            options = {"dtype": x.dtype, "device": getattr(x, "device", None)}  # an array that JAX traces has none
            ends = [xp.full((*lead, max(count, 0), *rest), value, **options) for count in (before, after)]
            x = xp.concat([ends[0], x, ends[1]], axis=axis)
        if before < 0 or after < 0:
            x = x[(slice(None),) * axis + (slice(max(-before, 0), x.shape[axis] + min(after, 0)), ...)]
    return xp.asarray(x, copy=True) if all(max(pair) <= 0 for pair in pairs) else x


def kept(sizes: Sequence[int], pairs: Pairs) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where the elements that are kept lie in the array, and in the result."""
    spans = [
        (max(-before, 0), max(min(n, n + after), -before, 0)) for n, (before, after) in zip(sizes, pairs, strict=True)
    ]
    result = [slice(first + before, end + before) for (first, end), (before, _) in zip(spans, pairs, strict=True)]
    return tuple([slice(*span) for span in spans]), tuple(result)

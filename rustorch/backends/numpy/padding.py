"""NumPy's padding: the ends are filled, and the array is copied once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy

from ..kernels.padding import Pairs, kept

if TYPE_CHECKING:
    from ..base import Array


def pad_constant(x: Array, pairs: Pairs, value: Any) -> Array:
    """As the plain version."""
    source, target = kept(x.shape, pairs)
    if all(max(pair) <= 0 for pair in pairs):
        return x[source].copy()
    out = numpy.empty([n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True)], x.dtype)
    for axis, place in enumerate(target):
        lead = (slice(None),) * axis
        out[(*lead, slice(0, place.start))] = value
        out[(*lead, slice(place.stop, None))] = value
    out[target] = x[source]
    return out


OVERRIDES: dict[str, Callable[..., Any]] = {"pad_constant": pad_constant}

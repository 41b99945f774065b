"""The reductions of collectives."""

from __future__ import annotations

from typing import Any

from ..backends import Array, of

__all__ = ["ReduceOp", "reduction"]


class ReduceOp:
    """The reductions of `all_reduce`, `reduce` and `reduce_scatter`. Strings such as ``"sum"`` mean the same.

    ``AVG`` is the sum divided by the number of ranks, for floating-point and complex arrays. For booleans,
    ``SUM`` and ``MAX`` mean "or", ``PRODUCT`` and ``MIN`` mean "and".
    """

    SUM = "sum"
    AVG = "avg"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"


_NAMES = {
    "sum": "sum",
    "avg": "avg",
    "mean": "avg",
    "product": "product",
    "prod": "product",
    "min": "min",
    "max": "max",
}


def reduction(op: Any, array: Array, function: str) -> str:
    """The name of a reduction, after the check that it is defined for the array's dtype."""
    name = _NAMES.get(op.lower()) if isinstance(op, str) else None
    if name is None:
        raise ValueError(f"{function}: op is ReduceOp.SUM, AVG, PRODUCT, MIN or MAX, or such a name; not {op!r}")
    backend = of(array)
    assert backend is not None
    dtype = backend.dtype_of(array)
    if name == "avg" and dtype.kind not in "fcV":
        raise ValueError(f"{function}: the average of {dtype} arrays is no {dtype}; use ReduceOp.SUM")
    if name in ("min", "max") and dtype.kind == "c":
        raise ValueError(f"{function}: complex numbers have no order; ReduceOp.{name.upper()} is for real arrays")
    return name

"""How a call of a fused function runs, in words."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..autograd.modes import mode
from ..backends import Backend, of
from ..ops import broadcast_shapes
from .operation import Operation


def explanation(operation: Operation, values: Sequence[Any]) -> str:
    """``"one loop ..."``, or ``"the function itself: "`` and why."""
    natives = [getattr(v, "_native", v) for v in values]
    backend = of(next(a for a in natives if hasattr(a, "shape")))
    assert backend is not None
    problem = _problem(operation, backend, natives)
    tracked = [values[i]._tracked for i in operation.arrays]
    mask = sum([1 << k for k, is_tracked in enumerate(tracked) if is_tracked])
    gradients = ""
    if mask and mode.enabled and not problem:
        primitive = operation.primitive(mask)
        problem = operation.problems.get(mask, "")
        gradients = ", and one for its gradients" if primitive is not None else ""
    if problem:
        return f"the function itself: {problem}"
    what = "launch" if backend.name == "cuda" else "loop"
    return f"one {what} of {operation.trace.lines} operations{gradients}"


def _problem(operation: Operation, backend: Backend, natives: Sequence[Any]) -> str:
    """Why the arrays do not run through the loop; empty if they do."""
    loop = operation.loop(backend)
    size = prod(broadcast_shapes(*[tuple(a.shape) for a in natives if hasattr(a, "shape")]))
    if loop is None and backend.name != "cpu":
        return f"there are no loops on device {backend.name!r}"
    if not (operation.whole or operation.trace.fits(natives, broadcast_shapes)):
        return "its results have different shapes"
    if backend.name != "cpu":
        return "" if size else "there are no elements"
    from ..backends.numba.kernel import LEAST, STATE

    if size < LEAST:
        return f"{size} elements are too few for a loop"
    STATE.find_out()
    return "" if loop is not None and not STATE.problem else f"there are no loops without Numba ({STATE.problem})"

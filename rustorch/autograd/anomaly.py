"""detect_anomaly: where the first NaN or infinity came from.

While it is active, what `primitive` calls to make its results is exchanged for a version that looks at them (see
`exchange`), and every node gets a plan whose rules look at what they return. While it is not, nothing of this is in the
way.
"""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..backends import BY_TYPE, of
from . import exchange, graph, primitive
from .graph import Value
from .primitive import Plan

_lock = threading.Lock()
_active = 0  # how many are, in all threads


class _Mine(threading.local):
    depth = 0
    quiet = False  # inside a rule, whose own result is what counts: it has a name
    infinity = True


_mine = _Mine()


class detect_anomaly:
    """Raise at the first operation whose result, or whose gradient, holds a NaN or an infinity: ``with
    detect_anomaly():``.

    Operations called inside are checked at once, and their rules whenever backward runs them. It is of this thread, and
    slow: every result is read.

    Parameters
    ----------
    infinity : bool
        Whether infinities are anomalies, too; False for a program that means them, as masks of attention do.

    Raises
    ------
    RuntimeError
        Names the operation, the input for a gradient, and the line of the program that called it.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, 2.0], requires_grad=True)
    >>> with rustorch.detect_anomaly():  # doctest: +ELLIPSIS
    ...     y = x * float("inf")
    Traceback (most recent call last):
    RuntimeError: the result of multiply holds inf (2 of 2 elements); multiply was called at ...
    """

    def __init__(self, infinity: bool = True):
        self._infinity = bool(infinity)
        self._before: list[bool] = []

    def __enter__(self) -> detect_anomaly:
        global _active
        self._before.append(_mine.infinity)
        _mine.depth += 1
        _mine.infinity = self._infinity
        with _lock:
            _active += 1
            primitive.make = _make
        exchange.enter(_watch)
        return self

    def __exit__(self, *exc: object) -> None:
        global _active
        _mine.depth -= 1
        _mine.infinity = self._before.pop()
        with _lock:
            _active -= 1
            if not _active:
                primitive.make = graph.make
        exchange.leave(_watch)


# -- what stands in for graph's functions ------------------------------------------------------------------------------
def _watch(plan: Plan, out: Any, saved: tuple) -> Plan:
    if not _mine.depth:
        return plan
    where = exchange.line()
    _check_result(out, f"the result of {plan.primitive.name}", plan.primitive.name, where)
    return _watched(plan, where)


def _make(native: Any, node: Any = None) -> Any:
    if _mine.depth and node is None:  # with a node it is an output of an operation that `_Node` recorded
        caller = sys._getframe(1).f_locals  # a Primitive's method, or a function that was made for a name
        name = getattr(caller.get("self"), "name", None) or caller.get("name", "an operation")
        _check_result(native, f"the result of {name}", name, exchange.line())
    return graph.make(native, node)


def _quietly(rule: Callable, xp: Any, g: Any, values: tuple) -> Any:
    before, _mine.quiet = _mine.quiet, True
    try:
        return rule(xp, g, *values)
    finally:
        _mine.quiet = before


def _watched(plan: Plan, where: str) -> Plan:
    """The plan with rules that look at what they return."""
    watched, infinity = copy.copy(plan), _mine.infinity
    name, inputs = plan.primitive.name, plan.primitive.inputs

    def check(g: Any, k: int) -> None:
        if g is not None:
            of_input = inputs[k] if k < len(inputs) else str(k)
            _check(g, f"the gradient of {name} in input {of_input!r}", name, where, infinity)

    def one(k: int, rule: Callable) -> Callable:
        def checked(xp: Any, g: Any, *values: Any) -> Any:
            found = _quietly(rule, xp, g, values)
            check(found, k)
            return found

        return checked

    watched.calls = [(k, one(k, rule), *rest) for k, rule, *rest in plan.calls]  # type: ignore[misc]
    if plan.joint is not None:
        rule: Any = plan.primitive.joint

        def joint(xp: Any, g: Any, *values: Any) -> Any:
            found = _quietly(rule, xp, g, values)
            for k, each in enumerate(found):
                check(each, k)
            return found

        watched.primitive = copy.copy(plan.primitive)
        watched.primitive.joint = joint
    return watched


def _check_result(native: Any, what: str, name: str, where: str) -> None:
    if not _mine.quiet:
        _check(native, what, name, where)


def _check(value: Any, what: str, name: str, where: str, infinity: bool | None = None) -> None:
    native = value._native if isinstance(value, Value) else value
    backend = BY_TYPE.get(type(native)) or of(native)
    if backend is None or backend.dtype_of(native).kind not in "fc":
        return
    xp = backend.xp
    infinity = _mine.infinity if infinity is None else infinity
    for kind, found in (("nan", xp.isnan), ("inf", xp.isinf)):
        if kind == "inf" and not infinity:
            continue
        bad = found(native)
        if bool(xp.any(bad)):
            count = int(xp.sum(xp.astype(bad, xp.int64)))
            size = 1
            for n in native.shape:
                size *= n
            raise RuntimeError(f"{what} holds {kind} ({count} of {size} elements); {name} was called at {where}")

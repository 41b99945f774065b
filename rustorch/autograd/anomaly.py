"""detect_anomaly: where the first NaN or infinity came from.

While it is active, it watches every call (see `recording.Watch`): it checks the output, and gives the node a plan whose
rules check the gradients that they return.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..backends import BY_TYPE, of
from .calling_line import calling_line
from .graph import Value
from .primitive import Plan, Primitive
from .recording import watched_by


class _Settings(threading.local):
    """What is active in this thread."""

    depth = 0  # contexts that are open
    infinity = True
    in_rule = False  # the operations inside a rule are not checked: the gradient that the rule returns is


_settings = _Settings()


class detect_anomaly:
    """Raise at the first operation whose result or gradient holds a NaN or an infinity: ``with detect_anomaly():``.

    Operations called inside are checked at once, and their rules whenever backward runs them. It applies to the thread
    that enters it, and it is slow: every result is read.

    Parameters
    ----------
    infinity : bool
        Whether infinities are anomalies, too. Use False for a program that needs them, as masks of attention do.

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
        self._watching = watched_by(_watch)

    def __enter__(self) -> detect_anomaly:
        self._before.append(_settings.infinity)
        _settings.depth += 1
        _settings.infinity = self._infinity
        self._watching.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._watching.__exit__()
        _settings.depth -= 1
        _settings.infinity = self._before.pop()


def _watch(
    primitive: Primitive, out: Any, plan: Plan | None, saved: tuple[Any, ...]
) -> tuple[Plan | None, tuple[Any, ...]]:
    """Check the outputs of a call, and return a plan that checks its gradients."""
    if not _settings.depth:
        return plan, saved
    line = calling_line()
    if not _settings.in_rule:
        for native in out if primitive.multiple else (out,):
            _check(native, f"the result of {primitive.name}", primitive.name, line, _settings.infinity)
    return (None if plan is None else _checked(plan, line)), saved


def _checked(plan: Plan, line: str) -> Plan:
    """The plan with rules that check the gradients they return."""
    infinity = _settings.infinity
    name, inputs = plan.primitive.name, plan.primitive.inputs

    def check(gradient: Any, k: int) -> None:
        if gradient is not None:
            argument = inputs[k] if k < len(inputs) else str(k)
            _check(gradient, f"the gradient of {name} in input {argument!r}", name, line, infinity)

    def one_input(rule: Callable[..., Any], k: int) -> Callable[..., Any]:
        def checking(xp: Any, g: Any, *values: Any) -> Any:
            gradient = _run_unchecked(rule, xp, g, values)
            for i, part in enumerate(gradient if type(gradient) is tuple else (gradient,), k):  # those of a pair
                check(part, i)
            return gradient

        return checking

    def all_inputs(rule: Callable[..., Any]) -> Callable[..., Any]:
        def checking(xp: Any, g: Any, *values: Any) -> Sequence[Any]:
            gradients: Sequence[Any] = _run_unchecked(rule, xp, g, values)
            for k, gradient in enumerate(gradients):
                check(gradient, k)
            return gradients

        return checking

    checked = copy.copy(plan)
    checked.calls = [(k, one_input(rule, k), *rest) for k, rule, *rest in plan.calls]  # type: ignore[misc]
    checked.alone = [(k, one_input(rule, k), *rest) for k, rule, *rest in plan.alone]  # type: ignore[misc]
    if plan.primitive.joint is not None:
        checked.primitive = copy.copy(plan.primitive)
        checked.primitive.joint = all_inputs(plan.primitive.joint)
    return checked


def _run_unchecked(rule: Callable[..., Any], xp: Any, g: Any, values: tuple[Any, ...]) -> Any:
    before, _settings.in_rule = _settings.in_rule, True
    try:
        return rule(xp, g, *values)
    finally:
        _settings.in_rule = before


def _check(value: Any, what: str, name: str, line: str, infinity: bool) -> None:
    """Raise RuntimeError if an array of floating-point numbers holds a NaN or an infinity."""
    native = value._native if isinstance(value, Value) else value
    backend = BY_TYPE.get(type(native)) or of(native)
    if backend is None or backend.dtype_of(native).kind not in "fc":
        return
    xp = backend.xp
    for word, test in (("nan", xp.isnan), ("inf", xp.isinf))[: 1 + infinity]:
        bad = test(native)
        if bool(xp.any(bad)):
            count = int(xp.sum(xp.astype(bad, xp.int64)))
            raise RuntimeError(
                f"{what} holds {word} ({count} of {prod(native.shape)} elements); {name} was called at {line}"
            )

"""The compiled overrides of NumPy's kernels, by family. Each one returns NotImplemented where NumPy should serve."""

from __future__ import annotations

from collections.abc import Callable
from functools import WRAPPER_ASSIGNMENTS, update_wrapper
from importlib import import_module
from typing import Any

from numpy import ndarray

from .availability import wanted

_FAMILIES = (
    "activation",
    "elementwise",
    "optim",
    "standard",
    "normalization",
    "recurrent",
    "softmax",
    "loss",
    "convolution",
    "linear",
    "padding",
    "pooling",
    "attention",
    "indexing",
    "joining",
    "fft",
    "linalg",
    "statistical",
)


def _all() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for family in _FAMILIES:
        found |= import_module(f"{__package__}.{family}").OVERRIDES
    return found


_found: dict[str, Callable[..., Any]] | None = None


def either(name: str, usual: Callable[..., Any]) -> Callable[..., Any]:
    """The function ``xp.<name>``: the compiled one where it serves, else the usual one."""
    global _found
    if not wanted():
        return usual
    if _found is None:
        _found = _all()
    compiled = _found.get(name)
    if compiled is None:
        return usual

    return _checked(compiled, usual)


def _checked(compiled: Any, usual: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls the compiled one only for arrays that are large enough, and the usual one else. With a call
    for every small array, chains of small operations would be slower than without compiled functions.
    """
    least, arity = getattr(compiled, "least", 0), getattr(compiled, "arity", 0)

    def of_one(x: Any, /) -> Any:
        if x.size >= least and (out := compiled(x)) is not NotImplemented:
            return out
        return usual(x)

    def of_two(x1: Any, x2: Any, /) -> Any:
        if ((type(x1) is ndarray and x1.size >= least) or (type(x2) is ndarray and x2.size >= least)) and (
            out := compiled(x1, x2)
        ) is not NotImplemented:
            return out
        return usual(x1, x2)

    def of_array(x: Any, /, *others: Any, **options: Any) -> Any:
        if x.size >= least and (out := compiled(x, *others, **options)) is not NotImplemented:
            return out
        return usual(x, *others, **options)

    def of_any(*args: Any, **options: Any) -> Any:
        out = compiled(*args, **options)
        return usual(*args, **options) if out is NotImplemented else out

    functions: dict[Any, Callable[..., Any]] = {"options": of_array, 1: of_one, 2: of_two, 3: of_array}
    function = functions.get(arity, of_any)
    update_wrapper(function, usual, [a for a in WRAPPER_ASSIGNMENTS if hasattr(usual, a)])
    return function


_rules: dict[Any, Any] = {}


def fuse(function: Callable[..., Any]) -> Callable[..., Any]:
    """The loop of an elementwise function or a rule: `rustorch.backends.base.Namespace.fuse`. The rules of powers look
    at the values of their numbers, so each number has a loop of its own.
    """
    found: Callable[..., Any] | None = _rules.get(function)
    if found is None:
        from .fusing import Fused

        found = _rules[function] = Fused(function, bakes="pow" in function.__name__)
    return found


def report() -> str:
    """One line on what is compiled, for ``python -m rustorch``."""
    from .kernel import STATE

    STATE.find_out()
    if STATE.problem:
        return f"not used: {STATE.problem}"
    folder = f"kept in {STATE.folder}" if STATE.folder else f"not kept on disk: {STATE.folder_problem}"
    failed = f"; not compiled: {', '.join(f'{k} ({v})' for k, v in STATE.failures.items())}" if STATE.failures else ""
    return f"used, {folder}{failed}"

"""The compiled overrides of NumPy's kernels, by family. Each one returns NotImplemented where NumPy should serve."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from .availability import wanted

_FAMILIES = ("activation",)


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

    @wraps(usual)
    def function(*args: Any, **options: Any) -> Any:
        out = compiled(*args, **options)
        return usual(*args, **options) if out is NotImplemented else out

    return function


def report() -> str:
    """One line on what is compiled, for ``python -m rustorch``."""
    from .kernel import STATE

    STATE.find_out()
    if STATE.problem:
        return f"not used: {STATE.problem}"
    folder = f"kept in {STATE.folder}" if STATE.folder else f"not kept on disk: {STATE.folder_problem}"
    failed = f"; not compiled: {', '.join(f'{k} ({v})' for k, v in STATE.failures.items())}" if STATE.failures else ""
    return f"used, {folder}{failed}"

"""Elementwise functions and their rules: one compiled loop where the backend can make one, else as they are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .primitive import Primitive

if TYPE_CHECKING:
    from .primitive import Rule

F = TypeVar("F", bound=Callable[..., Any])

_TEXT = """
def fusable({parameters}):
    if xp.fuse is not None and {first}.size >= xp.fuse_least:
        fused = xp.fuse(function)({values})
        if fused is not NotImplemented:
            return fused
    return function({values_with_xp})
"""


def fusable(function: F, name: str | None = None) -> F:
    """A forward function or a rule, with its parameters: on large arrays of a backend that fuses loops, it is one loop.

    ``xp.fuse(function)`` returns a function of what the function takes besides ``xp``. It returns NotImplemented where
    the function itself should be called. ``name`` is the loop's, for a function that has none.
    """
    if name is not None and function.__name__ == "<lambda>":
        function.__name__ = name
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    positional = [*names[: code.co_posonlyargcount], "/", *names[code.co_posonlyargcount :]]
    text = _TEXT.format(
        parameters=", ".join(positional if code.co_posonlyargcount else names),
        first=names[1],
        values=", ".join(names[1:]),
        values_with_xp=", ".join(names),
    )
    namespace: dict[str, Any] = {"function": function}
    exec(text, namespace)  # written above, with the function's own names
    out: F = namespace["fusable"]
    out.__name__, out.__defaults__ = function.__name__, function.__defaults__
    return out


def elementwise(name: str, forward: Callable[..., Any], **rules: Rule) -> Primitive:
    """A primitive of elementwise functions: the forward function and the rules are fusable."""
    loops: Any = {x: fusable(rule, f"{name}_rule") for x, rule in rules.items()}
    return Primitive(name, fusable(forward, name), **loops)

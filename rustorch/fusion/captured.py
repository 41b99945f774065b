"""Numbers that a function reads from outside: they are part of its loop, so a new value means a new loop.

These are globals, variables of an enclosing function, and attributes of the object whose method it is. Numbers inside
of other objects are not seen: they have to be passed as arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

_SIMPLE = (bool, int, float, str, type(None))


def simple(value: Any) -> bool:
    """Whether a value is a constant that can be compared: a number, a text, None, or a tuple of such."""
    return type(value) in _SIMPLE or (type(value) is tuple and all(map(simple, value)))


class Captured:
    """What a function, and the functions of the program that it calls by name, read from globals and closures."""

    def __init__(self, function: Callable[..., Any]):
        self._cells: list[Any] = []
        self._globals: list[tuple[dict[str, Any], str]] = []
        self._function: Any = function
        self._is_known = False
        owner = getattr(function, "__self__", None if isinstance(function, FunctionType) else function)
        #: The object whose method or call the function is.
        self._owner = owner if hasattr(owner, "__dict__") and not isinstance(owner, (type, ModuleType)) else None

    def values(self) -> tuple[Any, ...]:
        """The constants as they are now."""
        if not self._is_known:
            self._look(self._function, set())
            self._is_known = True
        found = [cell.cell_contents for cell in self._cells] if self._cells else []
        found += [names.get(name) for names, name in self._globals]
        state = [] if self._owner is None else list(vars(self._owner).items())
        return tuple([(i, type(value), value) for i, value in [*enumerate(found), *state] if simple(value)])

    def _look(self, function: Any, seen: set[int]) -> None:
        for inside in ("func", "__wrapped__", "__func__"):  # of a partial, of a decorated function, of a method
            function = getattr(function, inside, function)
        if not isinstance(function, (FunctionType, type)):
            function = getattr(type(function), "__call__", None)  # noqa: B004 - of an object that is called
        if not isinstance(function, FunctionType) or id(function) in seen:
            return
        seen.add(id(function))
        if function.__module__ and function.__module__.partition(".")[0] == "rustorch":
            return
        names = function.__globals__
        for name in _names(function.__code__):
            if name in names:
                self._globals.append((names, name))
                self._look(names[name], seen)
        for cell in function.__closure__ or ():
            try:
                inner = cell.cell_contents
            except ValueError:  # it is assigned later
                continue
            self._cells.append(cell)
            self._look(inner, seen)


def _names(code: CodeType) -> list[str]:
    """The names of globals that a function and the functions inside it use."""
    inner = [name for constant in code.co_consts if isinstance(constant, CodeType) for name in _names(constant)]
    return [*code.co_names, *inner]

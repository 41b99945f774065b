"""Modules made of a list of Modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import index
from typing import Any

from .module import Module

__all__ = ["ModuleList", "Sequential"]


class _Listed(Module):
    """Children under the names "0", "1", ..., read and changed as a list."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def _at(self, i: Any) -> str:
        i = index(i)
        if not -len(self) <= i < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} modules; there is none at {i}")
        return str(i % len(self))

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return self._made(list(self)[i])
        return self._modules[self._at(i)]

    def __setitem__(self, i: int, module: Module) -> None:
        setattr(self, self._at(i), module)

    def __delitem__(self, i: int | slice) -> None:
        kept = list(self)
        del kept[i if isinstance(i, slice) else int(self._at(i))]
        self._replace(kept)

    def _made(self, modules: list[Module]) -> Any:
        raise NotImplementedError

    def _replace(self, modules: list[Module]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, i: int, module: Module) -> Any:
        """Add a module before place ``i``; returns the container."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__} holds Modules, not {type(module).__name__}")
        modules = list(self)
        modules.insert(i, module)
        self._replace(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end; returns the container."""
        for module in list(modules):
            self.append(module)
        return self


class Sequential(_Listed):
    """Modules that are called one after the other.

    Parameters
    ----------
    *modules : Module
        Or one dict of them, by name.

    Examples
    --------
    >>> import rustorch
    >>> model = rustorch.Sequential(rustorch.Linear(2, 4), rustorch.ReLU(), rustorch.Linear(4, 1))
    >>> model(rustorch.ones((3, 2))).shape
    (3, 1)
    """

    def __init__(self, *modules: Any):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(modules):
                self.add_module(str(i), module)

    def _at(self, i: Any) -> str:
        return list(self._modules)[int(super()._at(i))]  # names may have been given

    def _made(self, modules: list[Module]) -> Sequential:
        return Sequential(*modules)

    def __delitem__(self, i: int | slice) -> None:
        if any(not name.isdecimal() for name in self._modules):
            for name in list(self._modules)[i] if isinstance(i, slice) else [self._at(i)]:
                delattr(self, name)
        else:
            super().__delitem__(i if isinstance(i, slice) else index(i) % len(self) if -len(self) <= index(i) < len(self) else i)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input


class ModuleList(_Listed):
    """A list whose Modules are children.

    Parameters
    ----------
    modules : iterable of Module, optional
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or [])

    def _made(self, modules: list[Module]) -> ModuleList:
        return ModuleList(modules)

    def __repr__(self) -> str:
        """Runs of children that read alike are one line, as in PyTorch."""
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        if not runs:
            return f"{type(self).__name__}()"
        lines = []
        for first, last, text in runs:
            head = f"({first}): " if first == last else f"({first}-{last}): {last - first + 1} x "
            lines.append(head + text.replace("\n", "\n  "))
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

"""Modules made of Modules: lists and dicts of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any

from .module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


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
            return self._part(list(self._modules.items())[i])
        return self._modules[self._at(i)]

    def __setitem__(self, i: int, module: Module) -> None:
        setattr(self, self._at(i), module)

    def __delitem__(self, i: int | slice) -> None:
        kept = list(self)
        del kept[i if isinstance(i, slice) else int(self._at(i))]
        self._replace(kept)

    def _made(self, modules: list[Module]) -> Any:
        raise NotImplementedError

    def _part(self, named: list[tuple[str, Any]]) -> Any:
        return self._made([module for _, module in named])

    def _replace(self, modules: list[Module]) -> None:
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the container.

        Its name is the number of modules before, or where a slice kept that name, the first number above all names. (In
        PyTorch, the module of that name is lost.)
        """
        n = len(self)
        if str(n) in self._modules:
            n = 1 + max(int(name) for name in self._modules if name.isdecimal())
        self.add_module(str(n), module)
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
        for module in self._members(modules):
            self.append(module)
        return self

    def pop(self, i: int | slice) -> Any:
        """Take the module at place ``i`` away, and return it."""
        found = self[i]
        del self[i]
        return found

    def _members(self, modules: Iterable[Module]) -> list[Module]:
        """All of them, before the first one is added. Raises TypeError if one is no Module."""
        members = list(modules)
        for module in members:
            if not isinstance(module, Module):
                raise TypeError(f"{type(self).__name__} holds Modules, not {type(module).__name__}")
        return members

    def __add__(self, other: Iterable[Module]) -> Any:
        return self._made([*self, *self._members(other)])

    def __iadd__(self, other: Iterable[Module]) -> Any:
        return self.extend(other)


def _times(times: int) -> int:
    if index(times) < 1:
        raise ValueError(f"Sequential: it is repeated a positive number of times, not {times}")
    return index(times)


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

    def _part(self, named: list[tuple[str, Any]]) -> Sequential:
        return Sequential(dict(named))  # a slice keeps the names, as PyTorch's does: state_dicts fit

    def __delitem__(self, i: int | slice) -> None:
        names = list(self._modules)
        gone = names[i] if isinstance(i, slice) else [self._at(i)]
        if all(
            name.isdecimal() for name in names
        ):  # numbers are given anew, as in PyTorch; names that somebody chose stay
            self._replace([module for name, module in zip(names, self, strict=True) if name not in gone])
            return
        for name in gone:
            delattr(self, name)

    def __mul__(self, times: int) -> Sequential:
        return self._made(list(self) * _times(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:
        return self.extend(list(self) * (_times(times) - 1))

    def forward(self, input: Any) -> Any:
        """The last module's output; each takes the output of the one before."""
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


class ModuleDict(Module):
    """A dict whose Modules are children, in the order in which they came.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of pairs, optional

    Raises
    ------
    KeyError
        If a key has a dot in it, or is the name of an attribute.
    TypeError
        If a value is no Module.

    Examples
    --------
    >>> import rustorch
    >>> layers = rustorch.nn.ModuleDict({"hidden": rustorch.Linear(2, 4), "out": rustorch.Linear(4, 1)})
    >>> list(layers), list(layers.state_dict())
    (['hidden', 'out'], ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias'])
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None):
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        self._modules[key]  # a KeyError, not an AttributeError
        delattr(self, key)

    def clear(self) -> None:
        """Take all modules away."""
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Any:
        """Take a module away, and return it."""
        found = self[key]
        del self[key]
        return found

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and modules."""
        return self._modules.items()

    def update(self, modules: Any) -> None:
        """Add modules, a mapping or pairs; those of names that are there are replaced."""
        for key, module in list(modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules):
            self[key] = module

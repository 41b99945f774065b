"""Containers of modules: lists, dicts, and modules called one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, Any, Self

from .module import Module

if TYPE_CHECKING:
    from ..variable import Variable

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class _Listed(Module):
    """The base of containers that are lists. The names of the children are "0", "1", ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._modules.values()))

    def _name_at(self, i: Any) -> str:
        """The name of the module at position ``i``."""
        i = index(i)
        if not -len(self) <= i < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} modules; there is none at {i}")
        return str(i % len(self))

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return self._new_slice(list(self._modules.items())[i])
        return self._modules[self._name_at(i)]

    def __setitem__(self, i: int, module: Module) -> None:
        setattr(self, self._name_at(i), module)

    def __delitem__(self, i: int | slice) -> None:
        remaining = list(self)
        del remaining[i if isinstance(i, slice) else int(self._name_at(i))]
        self._replace(remaining)

    def _new(self, modules: list[Module]) -> Any:
        """A container of the same kind with these modules."""
        raise NotImplementedError

    def _new_slice(self, named: list[tuple[str, Any]]) -> Any:
        """A container of the same kind with a slice of the modules."""
        return self._new([module for _, module in named])

    def _replace(self, modules: list[Module]) -> None:
        """Remove all modules and add these."""
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def append(self, module: Module) -> Self:
        """Add a module at the end. Returns the container.

        The name of the module is the number of modules before it. If a slice has a module of this name already, the
        name is the first number above all names. (PyTorch replaces the module of this name.)
        """
        n = len(self)
        if str(n) in self._modules:
            n = 1 + max(int(name) for name in self._modules if name.isdecimal())
        self.add_module(str(n), module)
        return self

    def insert(self, i: int, module: Module) -> Self:
        """Add a module before position ``i``. Returns the container."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__} holds Modules, not {type(module).__name__}")
        modules = list(self)
        modules.insert(i, module)
        self._replace(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end. Returns the container."""
        for module in self._checked(modules):
            self.append(module)
        return self

    def pop(self, i: int | slice) -> Any:
        """Remove the module at position ``i`` and return it."""
        removed = self[i]
        del self[i]
        return removed

    def _checked(self, modules: Iterable[Module]) -> list[Module]:
        """The modules as a list. Raises TypeError if one is not a Module, before the first one is added."""
        checked = list(modules)
        for module in checked:
            if not isinstance(module, Module):
                raise TypeError(f"{type(self).__name__} holds Modules, not {type(module).__name__}")
        return checked

    def __add__(self, other: Iterable[Module]) -> Any:
        return self._new([*self, *self._checked(other)])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


def _checked_times(times: int) -> int:
    """The factor of ``Sequential * times``. Raises ValueError if it is not positive."""
    if index(times) < 1:
        raise ValueError(f"Sequential: it is repeated a positive number of times, not {times}")
    return index(times)


class Sequential(_Listed):
    """Modules that are called one after the other. Each takes the output of the module before.

    Parameters
    ----------
    *modules : Module
        The modules, or one dict of modules by name.

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

    def _name_at(self, i: Any) -> str:
        return list(self._modules)[int(super()._name_at(i))]  # the names may be those of a dict

    def _new(self, modules: list[Module]) -> Sequential:
        return Sequential(*modules)

    def _new_slice(self, named: list[tuple[str, Any]]) -> Sequential:
        return Sequential(dict(named))  # as in PyTorch, a slice keeps the names, and so the names of its state

    def __delitem__(self, i: int | slice) -> None:
        names = list(self._modules)
        removed = names[i] if isinstance(i, slice) else [self._name_at(i)]
        if all(name.isdecimal() for name in names):  # count the names again, as PyTorch does; names of a dict stay
            self._replace([module for name, module in zip(names, self, strict=True) if name not in removed])
            return
        for name in removed:
            delattr(self, name)

    def __mul__(self, times: int) -> Sequential:
        return self._new(list(self) * _checked_times(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Self:
        return self.extend(list(self) * (_checked_times(times) - 1))

    def forward(self, input: Any) -> Variable | Any:
        """input: what the first module takes -> the output of the last module. Shapes are those of the modules."""
        output: Any = input
        for module in self._modules.values():
            output = module(output)  # type: ignore[misc]
        return output


class ModuleList(_Listed):
    """A list of modules. They are children of this module.

    Parameters
    ----------
    modules : iterable of Module, optional
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or [])

    def _new(self, modules: list[Module]) -> ModuleList:
        return ModuleList(modules)

    def __repr__(self) -> str:
        """The repr, with one line for several equal children in a row, as in PyTorch."""
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
    """A dict of modules, in the order of insertion. They are children of this module.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of pairs, optional

    Raises
    ------
    KeyError
        If a key has a dot in it, or is the name of an attribute.
    TypeError
        If a value is not a Module.

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
        self._modules[key]  # raises KeyError, where delattr would raise AttributeError
        delattr(self, key)

    def clear(self) -> None:
        """Remove all modules."""
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Any:
        """Remove the module of a name and return it."""
        removed = self[key]
        del self[key]
        return removed

    def keys(self) -> Iterable[str]:
        """The names of the modules."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules, in the order of insertion."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names with their modules."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | ModuleDict) -> None:
        """Add modules from a mapping or from (name, module) pairs. A module whose name exists is replaced."""
        for key, module in list(modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules):
            self[key] = module

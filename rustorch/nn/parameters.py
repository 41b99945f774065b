"""Containers of parameters: lists and dicts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from operator import index
from typing import Any, Self

from ..variable import Variable
from .module import Module
from .parameter import Parameter

__all__ = ["ParameterDict", "ParameterList"]


class _Values(Module):
    """The base of both containers: values that are attributes, of which Variables become Parameters."""

    def _keys_and_values(self) -> Iterator[tuple[Any, Any]]:
        raise NotImplementedError

    def _assign(self, name: str, value: Any) -> None:
        """Assign a value to an attribute. A Variable becomes a Parameter."""
        exists = name in self._parameters or name in self.__dict__
        if not exists and hasattr(self, name):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")
        if isinstance(value, Variable) and not isinstance(value, Parameter):
            value = Parameter(value.detach())
        setattr(self, name, value)

    def extra_repr(self) -> str:
        lines = []
        for key, value in self._keys_and_values():
            if isinstance(value, Variable):
                device = f" ({value.device})" if value.device != "cpu" else ""
                size = "x".join(map(str, value.shape))
                lines.append(f"  ({key}): {type(value).__name__} containing: [{value.dtype} of size {size}{device}]")
            else:
                lines.append(f"  ({key}): Object of type: {type(value).__name__}")
        return "\n".join(lines)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{type(self).__name__} cannot be called: it only holds parameters")


class ParameterList(_Values):
    """A list of parameters. A Variable in it becomes a Parameter; other objects stay as they are.

    Parameters
    ----------
    values : iterable, optional
        The initial values.

    Raises
    ------
    TypeError
        If ``values`` is a Variable or is not iterable.

    Examples
    --------
    >>> import rustorch
    >>> weights = rustorch.nn.ParameterList([rustorch.ones(2), rustorch.ones(3)])
    >>> [name for name, _ in weights.named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self._size = 0
        self.extend([] if values is None else values)

    def _keys_and_values(self) -> Iterator[tuple[Any, Any]]:
        return enumerate(self)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, str(i)) for i in range(self._size)])

    def _name_at(self, i: Any) -> str:
        """The name of the attribute at position ``i``."""
        i = index(i)
        if not -self._size <= i < self._size:
            raise IndexError(f"{type(self).__name__} has {self._size} values; there is none at {i}")
        return str(i % self._size)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return type(self)(list(self)[i])
        return getattr(self, self._name_at(i))

    def __setitem__(self, i: int, value: Any) -> None:
        self._assign(self._name_at(i), value)

    def append(self, value: Any) -> Self:
        """Add a value at the end. Returns the list."""
        self._assign(str(self._size), value)
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add values at the end. Returns the list."""
        if isinstance(values, Variable) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList.extend takes an iterable of values, not {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)


class ParameterDict(_Values):
    """A dict of parameters. A Variable in it becomes a Parameter; other objects stay as they are.

    Parameters
    ----------
    parameters : mapping or iterable of pairs, optional
        The initial values. The keys of a plain dict are sorted, as in PyTorch. Others keep their order.

    Raises
    ------
    KeyError
        If a key is not a string, has a dot in it, or is the name of an attribute.

    Examples
    --------
    >>> import rustorch
    >>> weights = rustorch.nn.ParameterDict({"left": rustorch.ones(2), "right": rustorch.ones(3)})
    >>> [name for name, _ in weights.named_parameters()]
    ['left', 'right']
    """

    def __init__(self, parameters: Any = None):
        super().__init__()
        self._keys: dict[str, None] = {}
        self.update({} if parameters is None else parameters)

    def _keys_and_values(self) -> Iterator[tuple[Any, Any]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str) or not key or "." in key:
            raise KeyError(f"a key is a string with no dot in it, not {key!r}")
        if key not in self._keys and key in self.__dict__:
            raise KeyError(f"{type(self).__name__} has an attribute {key!r} already")
        self._assign(key, value)
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __or__(self, other: Any) -> ParameterDict:
        out = self.copy()
        out.update(other)
        return out

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def copy(self) -> ParameterDict:
        """A new ParameterDict with the same Parameters."""
        return ParameterDict(list(self.items()))

    @staticmethod
    def fromkeys(keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new ParameterDict with the same value for all keys."""
        return ParameterDict([(key, default) for key in keys])

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default if the key does not exist."""
        return getattr(self, key) if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key. If the key does not exist, add it with the default first."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self) -> None:
        """Remove all values."""
        for key in list(self):
            del self[key]

    def pop(self, key: str) -> Any:
        """Remove the value of a key and return it."""
        removed = self[key]
        del self[key]
        return removed

    def popitem(self) -> tuple[str, Any]:
        """Remove the last key and its value, and return both."""
        if not self._keys:
            raise KeyError("popitem: the ParameterDict is empty")
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def keys(self) -> Iterable[str]:
        """The keys, in the order of insertion."""
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        """The values, in the order of insertion."""
        return [self[key] for key in self]

    def items(self) -> Iterable[tuple[str, Any]]:
        """The keys with their values."""
        return [(key, self[key]) for key in self]

    def update(self, values: Any) -> None:
        """Add values from a mapping or from (key, value) pairs. A value whose key exists is replaced."""
        if isinstance(values, (OrderedDict, ParameterDict)):
            pairs = list(values.items())
        else:
            pairs = sorted(values.items()) if isinstance(values, Mapping) else list(values)
        for key, value in pairs:
            self[key] = value

"""Trees of dicts, lists, tuples, named tuples and dataclasses: flatten them to a list of leaves, and build them again.

A value that is no container is a leaf. None is a container without leaves.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["Structure", "tree_flatten", "tree_leaves", "tree_map", "tree_unflatten"]


@dataclasses.dataclass(frozen=True)
class Structure:
    """The structure of a tree, without its leaves. Trees that differ in their leaves alone have equal structures.

    Attributes
    ----------
    kind : type or None
        The type of the container; None for a leaf.
    keys : tuple
        The keys of a dict, the names of the fields of a dataclass or named tuple, or positions.
    children : tuple of Structure
        The structures of the container's values.
    extra : object
        What else a new container needs: an empty copy of a dict, the static fields of a dataclass.
    """

    kind: type | None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    extra: Any = None

    @property
    def size(self) -> int:
        """The number of leaves."""
        return 1 if self.kind is None else sum(child.size for child in self.children)

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        if self.kind is type(None):
            return "None"
        inner = [repr(child) for child in self.children]
        if self.kind is list:
            return f"[{', '.join(inner)}]"
        if self.kind is tuple:
            return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
        if issubclass(self.kind, dict):
            return "{" + ", ".join(f"{key!r}: {child}" for key, child in zip(self.keys, inner, strict=True)) + "}"
        return (
            f"{self.kind.__name__}({', '.join(f'{key}={child}' for key, child in zip(self.keys, inner, strict=True))})"
        )

    def paths(self, start: str = "") -> Iterator[str]:
        """The path of each leaf, such as ``['layers'][0].weight``."""
        if self.kind is None:
            yield start
            return
        fields = not issubclass(self.kind, (dict, list)) and self.kind is not tuple
        for key, child in zip(self.keys, self.children, strict=True):
            yield from child.paths(f"{start}.{key}" if fields else f"{start}[{key!r}]")


_LEAF = Structure(None)


def tree_flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a tree, and its structure.

    Parameters
    ----------
    tree : object
        Dicts (in the order of insertion), lists, tuples, named tuples and dataclasses are containers; any other value
        is a leaf. A field of a dataclass with ``metadata={"static": True}`` belongs to the structure.

    Returns
    -------
    (list, Structure)

    Examples
    --------
    >>> from rustorch.pytree import tree_flatten, tree_unflatten
    >>> leaves, structure = tree_flatten({"a": [1, 2], "b": (3, None)})
    >>> leaves, structure
    ([1, 2, 3], {'a': [*, *], 'b': (*, None)})
    >>> tree_unflatten([x * 10 for x in leaves], structure)
    {'a': [10, 20], 'b': (30, None)}
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    """Append the leaves of a tree to a list, and return its structure."""
    kind = type(tree)
    extra: Any = None
    if tree is None:
        return Structure(kind)
    if isinstance(tree, dict):
        keys, values = tuple(tree), list(tree.values())
        extra = copy.copy(tree)  # a defaultdict keeps its factory
        extra.clear()
    elif isinstance(tree, tuple) and hasattr(kind, "_fields"):
        keys, values = tuple(kind._fields), list(tree)
    elif kind in (list, tuple):
        keys, values = tuple(range(len(tree))), list(tree)
    elif dataclasses.is_dataclass(tree):
        fields = dataclasses.fields(tree)
        keys = tuple(field.name for field in fields if not field.metadata.get("static"))
        values = [getattr(tree, key) for key in keys]
        extra = tuple((field.name, getattr(tree, field.name)) for field in fields if field.metadata.get("static"))
    else:
        leaves.append(tree)
        return _LEAF
    return Structure(kind, keys, tuple([_flatten(value, leaves) for value in values]), extra)


def tree_unflatten(leaves: Sequence[Any], structure: Structure) -> Any:
    """The tree with this structure and these leaves.

    Raises
    ------
    ValueError
        If the structure has another number of leaves.
    """
    if len(leaves) != structure.size:
        raise ValueError(f"tree_unflatten: {len(leaves)} leaves for a structure of {structure.size}, {structure}")
    return _build(iter(leaves), structure)


def _build(leaves: Iterator[Any], structure: Structure) -> Any:
    """Build a tree from the next leaves."""
    kind: Any = structure.kind
    if kind is None:
        return next(leaves)
    if kind is type(None):
        return None
    values = [_build(leaves, child) for child in structure.children]
    if kind in (list, tuple):
        return kind(values)
    if issubclass(kind, dict):
        out = copy.copy(structure.extra)
        out.update(zip(structure.keys, values, strict=True))
        return out
    if issubclass(kind, tuple):
        return kind(*values)
    instance = object.__new__(kind)  # without __init__, which may convert or refuse leaves that are no arrays
    for key, value in (*zip(structure.keys, values, strict=True), *structure.extra):
        object.__setattr__(instance, key, value)
    return instance


def tree_leaves(tree: Any) -> list[Any]:
    """The leaves of a tree."""
    return tree_flatten(tree)[0]


def tree_map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to each leaf of a tree, and the leaves at the same places of further trees.

    Parameters
    ----------
    function : callable
        Takes a leaf of each tree, and returns a leaf of the result.
    tree : object
    *rest : object
        Trees of the same structure.

    Returns
    -------
    object
        A tree of the same structure.

    Raises
    ------
    ValueError
        If a further tree has another structure.

    Examples
    --------
    >>> from rustorch.pytree import tree_map
    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    leaves, structure = tree_flatten(tree)
    columns = [leaves]
    for other in rest:
        values, its_structure = tree_flatten(other)
        if its_structure != structure:
            raise ValueError(f"tree_map: the trees have different structures, {structure} and {its_structure}")
        columns.append(values)
    return tree_unflatten([function(*values) for values in zip(*columns, strict=True)], structure)

"""Merge what each rank saves into one object.

Dicts are merged: the object has the keys of all ranks. Lists and tuples of equal lengths are merged, too. An array that
several ranks have is stored once; of an array in pieces, each piece. Any other value is that of the first rank that has
it.
"""

from __future__ import annotations

import json
from math import prod
from typing import Any, NamedTuple

from .header import code_of
from .tree import MARKED, Flattened, free_name, unflatten, where

__all__ = ["Merged", "Part", "Tensor", "description", "n_bytes", "restored", "shortened"]

#: A node that is that of the first rank.
_SAME = {"same": True}


class Part(NamedTuple):
    """What a rank has of an array: elements start to stop, in C order, under this name."""

    rank: int
    name: str
    start: int
    stop: int


class Tensor(NamedTuple):
    """An array of the object that all ranks save.

    Attributes
    ----------
    dtype : str
    shape : tuple of int
    is_sharded : bool
        Whether ranks have pieces of it.
    parts : list of Part
        What the ranks have of it; after `Merged.assign`, the parts that are written, in the order of their elements.
    """

    dtype: str
    shape: tuple[int, ...]
    is_sharded: bool
    parts: list[Part]


# -- what a rank tells the others --------------------------------------------------------------------------------------
def description(parts: Flattened) -> Any:
    """The structure of a rank's part as JSON, in which a tensor has its name, dtype, shape, and the start and stop of a
    piece.
    """
    for name, leaf in parts.leaves.items():
        dtype, shape = parts.described[name]
        leaf["tensor"] = [name, dtype, list(shape)]
        if name in parts.pieces:
            whole, start = parts.pieces[name]
            leaf["tensor"] = [name, dtype, list(whole), start, start + prod(shape)]
    return parts.node


def shortened(node: Any, base: Any) -> Any:
    """A structure, without what is the same in that of the first rank."""
    if not isinstance(node, dict) or not isinstance(base, dict):
        return node
    if node == base:
        return _SAME
    body, other = node.get("dict"), base.get("dict")
    if body is None or other is None:
        return node
    return {"dict": {key: shortened(value, other[key]) if key in other else value for key, value in body.items()}}


def restored(node: Any, base: Any) -> Any:
    """The inverse of `shortened`."""
    if not isinstance(node, dict):
        return node
    if node == _SAME:
        return base
    body, other = node.get("dict"), base.get("dict") if isinstance(base, dict) else None
    if body is None or other is None:
        return node
    return {"dict": {key: restored(value, other[key]) if key in other else value for key, value in body.items()}}


# -- merging -----------------------------------------------------------------------------------------------------------
class Merged:
    """The object of all ranks.

    Parameters
    ----------
    nodes : list
        The `description` of each rank.

    Attributes
    ----------
    node : object
        The structure as JSON, as `unflatten` takes it.
    tensors : dict
        Name -> Tensor.

    Raises
    ------
    ValueError
        If arrays of the ranks do not fit together.
    """

    def __init__(self, nodes: list[Any]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.node = self._merged(list(enumerate(nodes)), ())

    def _merged(self, nodes: list[tuple[int, Any]], path: tuple[Any, ...]) -> Any:
        """One node of those that the ranks have at a path."""
        nodes = [(rank, node) for rank, node in nodes if node is not None] or nodes[:1]
        kinds = {_kind(node) for _, node in nodes}
        first = nodes[0][1]
        if len(kinds) == 1:
            kind = kinds.pop()
            if kind == "tensor":
                return self._tensor([(rank, node["tensor"]) for rank, node in nodes], path)
            if kind == "dict":
                keys = dict.fromkeys(key for _, node in nodes for key in node["dict"])
                return {
                    "dict": {
                        key: self._merged(
                            [(rank, node["dict"][key]) for rank, node in nodes if key in node["dict"]], (*path, key)
                        )
                        for key in keys
                    }
                }
            if kind == "items":
                return {"items": self._items(nodes, path)}
            if kind in ("list", "tuple"):
                bodies = [(rank, node["tuple"] if kind == "tuple" else node) for rank, node in nodes]
                if len({len(body) for _, body in bodies}) == 1:
                    merged = self._list(bodies, path)
                    return {"tuple": merged} if kind == "tuple" else merged
        if any(_has_tensor(node) for _, node in nodes):
            shown = ", ".join(f"{_shown(node)} on rank {rank}" for rank, node in nodes)
            raise ValueError(
                f"save: {where(path)} has arrays, and is not of one form on all ranks: it is {shown}. Give each rank "
                f"a key of its own, as in {{rank: value}}"
            )
        return first

    def _items(self, nodes: list[tuple[int, Any]], path: tuple[Any, ...]) -> list[Any]:
        """The merged items of dicts whose keys are no strings."""
        keys: dict[str, Any] = {}
        values: dict[str, list[tuple[int, Any]]] = {}
        for rank, node in nodes:
            for key, value in node["items"]:
                text = json.dumps(key)
                keys[text] = key
                values.setdefault(text, []).append((rank, value))
        return [
            [key, self._merged(values[text], (*path, unflatten(key, lambda name, dtype: name)))]
            for text, key in keys.items()
        ]

    def _list(self, bodies: list[tuple[int, list[Any]]], path: tuple[Any, ...]) -> list[Any]:
        """The merged elements of lists of one length."""
        first = bodies[0][1]
        if all(body == first for _, body in bodies) and not any(type(node) in (dict, list) for node in first):
            return first  # fast path, for example for a list of a million losses
        return [self._merged([(rank, body[i]) for rank, body in bodies], (*path, i)) for i in range(len(first))]

    def _tensor(self, leaves: list[tuple[int, list[Any]]], path: tuple[Any, ...]) -> dict[str, Any]:
        """Store one tensor that is the same on these ranks, or of which they have pieces."""
        _, dtype, shape = leaves[0][1][:3]
        for rank, leaf in leaves:
            if leaf[1:3] != [dtype, shape]:
                raise ValueError(
                    f"save: {where(path)} is an array of {dtype} and shape {tuple(shape)} on rank {leaves[0][0]}, and "
                    f"of {leaf[1]} and shape {tuple(leaf[2])} on rank {rank}. Give each rank a key of its own, as in "
                    f"{{rank: array}}"
                )
        name = free_name(path, self.tensors)
        size = prod(shape)
        parts = [Part(rank, leaf[0], *(leaf[3:] or (0, size))) for rank, leaf in leaves]
        self.tensors[name] = Tensor(dtype, tuple(shape), any(len(leaf) > 3 for _, leaf in leaves), parts)
        return {"tensor": [name, dtype] if dtype in MARKED else name}

    def assign(self, size: int, writer: int | None = None) -> None:
        """Choose which rank writes which part of each tensor.

        Parameters
        ----------
        size : int
            The number of ranks.
        writer : int, optional
            The rank that writes everything: it gets what only others have. Default: each rank writes about the same
            number of bytes.

        Raises
        ------
        ValueError
            If no rank has a part of a tensor, or parts overlap.
        """
        loads = [0] * size
        for name in sorted(self.tensors, key=lambda name: -n_bytes(self.tensors[name])):
            tensor = self.tensors[name]
            chosen = []
            for same in _ranges(name, tensor):
                best = min(same, key=lambda part: (part.rank != writer, loads[part.rank], part.rank))
                loads[best.rank] += n_bytes(tensor, best.stop - best.start)
                chosen.append(best)
            self.tensors[name] = tensor._replace(parts=chosen)


def _ranges(name: str, tensor: Tensor) -> list[list[Part]]:
    """The parts of a tensor by their ranges, which follow one another without a gap."""
    size = prod(tensor.shape)
    if whole := [part for part in tensor.parts if part.start == 0 and part.stop == size]:
        return [whole]
    ranges: dict[tuple[int, int], list[Part]] = {}
    for part in tensor.parts:
        if part.start < part.stop:
            ranges.setdefault((part.start, part.stop), []).append(part)
    end = 0
    ordered = sorted(ranges)
    for start, stop in [*ordered, (size, size)]:
        if start > end:
            raise ValueError(
                f"save: no rank has elements {end} to {start} of the array {name!r} of shape {tensor.shape}; all ranks "
                f"that have a part of it call save"
            )
        if start < end:
            raise ValueError(
                f"save: ranks have different parts of the array {name!r} that overlap: one starts at element {start}, "
                f"before {end}"
            )
        end = stop
    return [ranges[key] for key in ordered]


def n_bytes(tensor: Tensor, count: int | None = None) -> int:
    """The bytes of a tensor in a file, or of so many of its elements."""
    code = code_of(tensor.dtype, (prod(tensor.shape) if count is None else count,))
    assert code is not None
    return code[1] * prod(code[2])


def _kind(node: Any) -> str:
    """What a node is: a tensor, a container, or a value."""
    if isinstance(node, list):
        return "list"
    kind = next(iter(node)) if isinstance(node, dict) else "value"
    return kind if kind in ("tensor", "dict", "items", "tuple") else "value"


def _has_tensor(node: Any) -> bool:
    """Whether there is a tensor in a node."""
    if isinstance(node, list):
        return any(map(_has_tensor, node))
    if not isinstance(node, dict):
        return False
    body = next(iter(node.values()), None)
    return "tensor" in node or any(map(_has_tensor, body.values() if isinstance(body, dict) else body or ()))


def _shown(node: Any) -> str:
    """A node for an error message."""
    kind = _kind(node)
    if kind == "tensor":
        return f"an array of {node['tensor'][1]} and shape {tuple(node['tensor'][2])}"
    if kind in ("list", "tuple"):
        return f"a {kind} of {len(node if kind == 'list' else node['tuple'])}"
    return "a dict" if kind in ("dict", "items") else "no array"

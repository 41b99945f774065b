"""Convert nested objects to JSON that names their tensors, and back.

null, booleans, numbers, strings and lists are stored as such. Every other value is a JSON object with one entry. Its
name says what the value is: ``tensor``, ``dict``, ``items`` (a dict with keys that are no strings), ``tuple``, ``int``
(of more than 64 bits), ``float`` (infinity and NaN), ``complex``, ``bytes``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Container, Mapping
from typing import Any, TypeAlias

from ..autograd.check import native_of
from ..autograd.graph import Value
from ..backends import Array, of
from ..backends.promotion import is_numpy_scalar
from .header import METADATA, code_of

__all__ = ["MARKED", "Flattened", "free_name", "is_plain", "unflatten", "where"]

#: Dtypes that the structure names beside a tensor: complex128, which is stored as float64; float16, of older files.
MARKED = ("complex128", "float16")
#: The largest depth of containers. It is far below the recursion limit, so that every saved file can be loaded again.
_DEEPEST = 200
_COMMON = frozenset((float, int, str, bool, type(None)))
#: A function that returns the tensor of a name, in the given dtype or, for None, in the dtype of the file.
Take: TypeAlias = Callable[[str, str | None], Any]


def _is_key(key: Any) -> bool:
    """Whether a file can hold this key of a dict."""
    if isinstance(key, tuple):
        return all(map(_is_key, key))
    return key is None or isinstance(key, (str, int, float, complex, bytes)) or is_numpy_scalar(key)


class Flattened:
    """The structure of an object as JSON, and its arrays by name.

    Parameters
    ----------
    value : object
    of_rank : bool
        Whether this is one rank's part of an object that all ranks save together. Then it may have pieces of arrays,
        and the structure lacks objects with ``local_state_dict()`` until `add_postponed` is called.

    Attributes
    ----------
    arrays : dict
        Name -> native array.
    described : dict
        Name -> (name of the dtype, shape).
    pieces : dict
        Name -> (shape, start) of the whole array, for an array that is a piece of it.
    leaves : dict
        Name -> the JSON that refers to the array.
    postponed : list
        Objects whose ``local_state_dict()`` replaces ``state_dict()``, with their paths and their JSON, which is empty.
    node : object
        The structure as JSON.
    is_plain : bool
        Whether the object is a dict of arrays whose keys are the names here. Then the file needs no structure.

    Raises
    ------
    TypeError
        If the object contains a value that a file cannot hold.
    ValueError
        If the object is nested too deeply, or contains itself.
    """

    def __init__(self, value: Any, of_rank: bool = False) -> None:
        self.arrays: dict[str, Array] = {}
        self.described: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.pieces: dict[str, tuple[tuple[int, ...], int]] = {}
        self.leaves: dict[str, dict[str, Any]] = {}
        self.postponed: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
        self._of_rank = of_rank
        # there are no shards unless this module was imported
        self._shard_type = getattr(sys.modules.get("rustorch.distributed.shard"), "Shard", None)
        self.node = self._node(value, ())
        self.is_plain = is_plain(self.node)

    def add_postponed(self) -> None:
        """Add the state of each postponed object. All ranks call it, since ``local_state_dict()`` may be a collective.

        Raises
        ------
        TypeError, ValueError
            As for the other values. All collectives have been called then.
        """
        postponed, self.postponed = self.postponed, []
        states = [value.local_state_dict() for value, _, _ in postponed]
        for state, (_, path, node) in zip(states, postponed, strict=True):
            node.update(self._node(dict(state), path))

    def _node(self, value: Any, path: tuple[Any, ...]) -> Any:
        """The JSON of a value, which has this path in the object."""
        if type(value) in _COMMON:  # fast path, for example for a list of a million losses
            return _number_or_text(value)
        if isinstance(value, Value):
            return self._array(value._native, path)
        if is_numpy_scalar(value):
            value = (
                value.item() if getattr(value, "dtype", None) is not None and value.dtype.kind in "biufcU" else value
            )
        elif of(value) is not None:
            try:
                native = native_of(value)
            except TypeError as error:  # an array of text or objects, or with a mask
                raise TypeError(f"save: {where(path)} is no array that can be saved: {error}") from error
            return self._array(native, path)
        if value is None or isinstance(value, (bool, str, bytes, int, float, complex)):
            return _number_or_text(value)
        if len(path) == _DEEPEST:
            raise ValueError(
                f"save: the object is nested more than {_DEEPEST} deep, or contains itself: {where(path)[:100]}..."
            )
        if self._shard_type is not None and isinstance(value, self._shard_type):
            return self._piece(value, path)
        if not isinstance(value, type) and callable(getattr(value, "state_dict", None)):
            if self._of_rank and callable(getattr(value, "local_state_dict", None)):
                node: dict[str, Any] = {}
                self.postponed.append((value, path, node))
                return node
            value = value.state_dict()
        if isinstance(value, Mapping):
            for key in value:
                if not _is_key(key):
                    raise TypeError(
                        f"save: {where(path)} has a key of type {type(key).__name__}; keys are strings, numbers and "
                        f"tuples"
                    )
            nodes = []
            for key, item in value.items():
                nodes.append(self._node(item, (*path, key)))
            if all(isinstance(key, str) for key in value):
                return {"dict": dict(zip(map(str.__str__, value), nodes, strict=True))}
            return {"items": [[self._node(key, ()), node] for key, node in zip(value, nodes, strict=True)]}
        if isinstance(value, (list, tuple)):
            nodes = []
            for i, item in enumerate(value):
                nodes.append(self._node(item, (*path, i)))
            return nodes if isinstance(value, list) else {"tuple": nodes}
        raise TypeError(
            f"save: {where(path)} is of type {type(value).__name__}, which a file cannot hold; it takes arrays, "
            f"numbers, strings, bytes, None, dicts, lists and tuples of them, and objects with a state_dict()"
        )

    def _array(self, native: Array, path: tuple[Any, ...]) -> dict[str, Any]:
        """Store an array under a name that no other array has, and return the JSON that refers to it."""
        backend: Any = of(native)
        try:
            dtype = backend.dtype_of(native).name
        except KeyError:  # a tensor of PyTorch in a dtype that the standard lacks
            dtype = str(native.dtype)
        shape = tuple(native.shape)
        if code_of(dtype, shape) is None:
            raise TypeError(
                f"save: {where(path)} is an array of {dtype}, which cannot be saved; convert it first, as in "
                f"x.astype(rustorch.float32)"
            )
        name = free_name(path, self.arrays)
        self.arrays[name] = native
        self.described[name] = dtype, shape
        self.leaves[name] = leaf = {"tensor": [name, dtype] if dtype in MARKED else name}
        return leaf

    def _piece(self, shard: Any, path: tuple[Any, ...]) -> dict[str, Any]:
        """Store a piece of an array; as the whole array if it is all of it and no other ranks save with this one."""
        native = native_of(shard.array)
        shape, size = tuple(shard.shape), math.prod(native.shape)
        backend: Any = of(native)
        if not self._of_rank:
            if size != math.prod(shape):
                raise TypeError(
                    f"save: {where(path)} is a part of an array, elements {shard.start} to {shard.start + size} of "
                    f"shape {shape}; other ranks have the rest. Call save on all ranks, with rank=0 for one file or "
                    f"sharded=True for a folder with a file of each rank"
                )
            return self._array(backend.xp.reshape(native, shape), path)
        leaf = self._array(backend.xp.reshape(native, (size,)), path)
        self.pieces[next(reversed(self.arrays))] = shape, int(shard.start)
        return leaf


def free_name(path: tuple[Any, ...], taken: Container[str]) -> str:
    """The name of the array with this path, unlike all names that are taken."""
    name = base = ".".join(map(str, path)).encode(errors="backslashreplace").decode() if path else "tensor"
    number = 0
    while name in taken or name == METADATA:
        name, number = f"{base}.{number}", number + 1
    return name


def is_plain(node: Any) -> bool:
    """Whether a structure is a dict of arrays whose keys are the names of its tensors."""
    body = node.get("dict") if isinstance(node, dict) else None
    return body is not None and all(item == {"tensor": name} for name, item in body.items())


def where(path: tuple[Any, ...]) -> str:
    """The path of a value for an error message, such as ``the object['model'][0]``."""
    return "the object" + "".join(f"[{key!r}]" for key in path)


def _number_or_text(value: Any) -> Any:
    """The JSON of None, a boolean, a number, a string or bytes."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, int):
        value = int(value)
        return value if -(1 << 63) <= value < 1 << 63 else {"int": hex(value)}
    if isinstance(value, float):
        value = float(value)
        return value if math.isfinite(value) else {"float": repr(value)}
    return {"complex": [_number_or_text(value.real), _number_or_text(value.imag)]}


# -- loading -----------------------------------------------------------------------------------------------------------
def unflatten(node: Any, take: Take) -> Any:
    """The object with a structure.

    Parameters
    ----------
    node : object
        The structure as JSON. It may come from any program, so that each part is checked.
    take : callable
        Returns the tensor of a name, in the given dtype or, for None, in the dtype of the file.

    Raises
    ------
    ValueError
        If the structure is not one that `Flattened` writes.
    """
    try:
        return _object(node, take)
    except RecursionError:
        raise ValueError("its structure is nested too deeply") from None


def _object(node: Any, take: Take) -> Any:
    """The value of a node."""
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, list):
        return _objects(node, take)
    match list(node.items()):
        case [("tensor", str() as name)]:
            return take(name, None)
        case [("tensor", [str() as name, str() as dtype])] if dtype in MARKED:
            return take(name, dtype)
        case [("dict", dict() as body)]:
            return dict(zip(body, _objects(list(body.values()), take), strict=True))
        case [("items", list() as pairs)] if all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            keys, values = (_objects([pair[i] for pair in pairs], take) for i in (0, 1))
            if all(map(_is_key, keys)) and len(items := dict(zip(keys, values, strict=True))) == len(keys):
                return items
        case [("tuple", list() as body)]:
            return tuple(_objects(body, take))
        case [("int", str() as digits)]:
            return int(digits, 16)
        case [("float", "inf" | "-inf" | "nan" as name)]:
            return float(name)
        case [("complex", [real, imag])]:
            parts = _objects([real, imag], take)
            if all(isinstance(part, float) for part in parts):
                return complex(*parts)
        case [("bytes", str() as digits)]:
            return bytes.fromhex(digits)
    raise ValueError(f"its structure has a part that rustorch does not write: {node!r:.100}")


def _objects(nodes: list[Any], take: Take) -> list[Any]:
    """The values of all nodes."""
    values = []
    for node in nodes:
        values.append(_object(node, take))
    return values

"""Read the folder that all ranks have saved. Every file is checked against the index."""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING, Any

from ..autograd.graph import make
from ..backends import Array, get
from ..backends.buffers import from_contents
from ..backends.dtypes import as_dtype
from ..distributed.shard import Shard
from . import header
from .index import Index, content_of
from .source import Source
from .together import INDEX
from .tree import unflatten

if TYPE_CHECKING:
    from ..typing import DType

__all__ = ["StoredShard", "load_folder", "metadata_of_folder"]

#: How often the index is read again because a save has replaced it, and removed files that it named.
_MOST_TRIES = 20


class _Replaced(Exception):
    """A file that the index names is missing."""


# -- the files ---------------------------------------------------------------------------------------------------------
class _Part:
    """One of the files, checked against the index.

    Parameters
    ----------
    path : str
    size : int
        The number of its bytes according to the index.
    expected : dict
        Name -> (dtype in the file, shape in the file) of the arrays that the index has in it.

    Raises
    ------
    ValueError
        If the file differs from the index.
    """

    def __init__(self, path: str, size: int, expected: dict[str, tuple[str, tuple[int, ...]]]) -> None:
        self.path = path
        try:
            with Source(path) as source:
                if source.size != size:
                    raise ValueError(
                        f"it has {source.size} bytes, not the {size} of {INDEX}: it was cut short or changed"
                    )
                head, self._start = header.read(source.file, source.size)
                self.entries = header.entries_of(head, source.size - self._start)
                source.map()
                self._source = source
        except FileNotFoundError as error:
            raise _Replaced(os.path.basename(path)) from error
        except ValueError as error:
            raise ValueError(f"the file {os.path.basename(path)!r}: {error}") from error
        for name in expected.keys() | self.entries.keys():
            self._check(name, expected.get(name))

    def _check(self, name: str, expected: tuple[str, tuple[int, ...]] | None) -> None:
        """Raise ValueError if an array is not the one of the index."""
        entry = self.entries.get(name)
        found = None if entry is None else (entry.dtype, entry.shape)
        if found != expected:
            raise ValueError(
                f"the file {os.path.basename(self.path)!r} has {_shown(found)} of the name {name!r}, where {INDEX} has "
                f"{_shown(expected)}"
            )

    def read(self, name: str, start: int, stop: int, count: int) -> memoryview:
        """The bytes of elements start to stop of an array of ``count`` elements."""
        entry = self.entries[name]
        width = (entry.stop - entry.start) // max(count, 1)
        start, stop = (self._start + entry.start + width * i for i in (start, stop))
        if self._source.is_mapped:
            return self._source.bytes(start, stop)
        try:
            with Source(self.path) as source:
                return source.bytes(start, stop)
        except FileNotFoundError as error:
            raise _Replaced(os.path.basename(self.path)) from error


def _shown(found: tuple[str, tuple[int, ...]] | None) -> str:
    """A tensor of a file for an error message."""
    return "no tensor" if found is None else f"a tensor of {found[0]} and shape {found[1]}"


def _stored(dtype: str) -> str:
    """The dtype in a file for a dtype of an array."""
    return "float64" if dtype == "complex128" else dtype


def _loaded(dtype: str) -> str:
    """The dtype of a loaded array. rustorch does not calculate in float16."""
    return "float32" if dtype == "float16" else dtype


class _Folder:
    """The arrays of a folder. A file is opened when something in it is needed first."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.index = Index(folder)
        self._expected: list[dict[str, tuple[str, tuple[int, ...]]]] = [{} for _ in self.index.files]
        for name, tensor in self.index.tensors.items():
            for piece in tensor.pieces:
                shape = tensor.shape if len(tensor.pieces) == 1 else (piece.stop - piece.start,)
                coded = header.code_of(tensor.dtype, shape)
                assert coded is not None
                self._expected[piece.file][name] = _stored(tensor.dtype), coded[2]
        self._parts: dict[int, _Part] = {}

    def part(self, number: int) -> _Part:
        """A file by its number."""
        if number not in self._parts:
            name, size = self.index.files[number]
            self._parts[number] = _Part(os.path.join(self.folder, name), size, self._expected[number])
        return self._parts[number]

    def array(self, name: str, start: int, stop: int) -> Array:
        """Elements start to stop of an array, on the host: a part of a mapped file if they are in one of them."""
        tensor = self.index.tensors[name]
        stored = _stored(tensor.dtype)
        dtype = _loaded(tensor.dtype)
        found = []
        for piece in tensor.pieces:
            first, last = max(start, piece.start), min(stop, piece.stop)
            if first < last:
                memory = self.part(piece.file).read(
                    name, first - piece.start, last - piece.start, piece.stop - piece.start
                )
                try:
                    found.append(from_contents(memory, stored, dtype, (last - first,)))
                except ValueError as error:
                    raise ValueError(f"the tensor {name!r} of shape {tensor.shape} is no array: {error}") from error
        if len(found) == 1:
            return found[0]
        return get("cpu").xp.concat(found) if found else from_contents(memoryview(b""), stored, dtype, (0,))


class StoredShard(Shard):
    """A whole array in a folder. What is asked for is read from the files, and nothing else.

    Parameters
    ----------
    opened : _Folder
    name : str
    device : str
        The device of the elements that are read.
    """

    __slots__ = ("_device", "_name", "_opened")

    def __init__(self, opened: _Folder, name: str, device: str) -> None:
        self._opened, self._name, self._device = opened, name, device
        self.shape = opened.index.tensors[name].shape
        self.start = 0

    @property
    def array(self) -> Array:
        """All elements, read again each time."""
        return self.elements(0, self.stop)

    @property
    def stop(self) -> int:
        """The number of all elements."""
        return prod(self.shape)

    @property
    def dtype(self) -> DType:
        """The dtype of the elements."""
        return as_dtype(_loaded(self._opened.index.tensors[self._name].dtype))

    @property
    def device(self) -> str:
        """The device of the elements that are read."""
        return self._device

    def elements(self, start: int, stop: int) -> Array:
        """Elements ``start`` to ``stop`` of the flattened array.

        Raises
        ------
        ValueError
            If a file differs from the index, or a later save has removed it.
        """
        try:
            return get(self._device).from_numpy(self._opened.array(self._name, start, stop), self._device)
        except _Replaced as error:
            problem = f"its file {str(error)!r} was removed, perhaps by a later save; read pieces before the next one"
        except ValueError as error:
            problem = str(error)
        raise ValueError(f"load: {self._name!r} of the folder {self._opened.folder!r} cannot be read: {problem}")


# -- the object --------------------------------------------------------------------------------------------------------
def load_folder(folder: str, device: str, in_pieces: bool) -> Any:
    """The object of a folder.

    Parameters
    ----------
    folder : str
    device : str
    in_pieces : bool
        Whether an array that was saved in pieces is a `StoredShard` instead of a whole array.
    """
    for _ in range(_MOST_TRIES):
        opened = _Folder(folder)
        try:
            return _read_object(opened, device, in_pieces)
        except _Replaced as error:
            missing = str(error)
        if content_of(folder) == opened.index.content:
            raise ValueError(f"its {INDEX} names the file {missing!r}, which is missing")
    raise ValueError(f"saves have replaced its {INDEX} again and again while it was read")


def _read_object(opened: _Folder, device: str, in_pieces: bool) -> Any:
    """Build the object."""
    left = dict(opened.index.tensors)
    backend = get(device)

    def take(name: str, dtype: str | None) -> Any:
        """Read the tensor of this name."""
        if name not in left:
            raise ValueError(f"its structure names the tensor {name!r} twice, or the index has none of this name")
        tensor = left.pop(name)
        if dtype is not None and dtype != tensor.dtype:
            raise ValueError(f"its structure calls the tensor {name!r} of {tensor.dtype} one of {dtype}")
        size = prod(tensor.shape)
        if in_pieces and tensor.is_sharded:
            return StoredShard(opened, name, device)
        array = opened.array(name, 0, size)
        try:
            array = array.reshape(tensor.shape)
        except ValueError as error:
            raise ValueError(f"the tensor {name!r} of shape {tensor.shape} is no array: {error}") from error
        return make(backend.from_numpy(array, device))

    if not in_pieces:
        for number in range(len(opened.index.files)):
            opened.part(number)
    result = unflatten(opened.index.tree, take)
    if left:
        raise ValueError(f"its structure has no place for the tensors {', '.join(map(repr, list(left)[:5]))}")
    return result


def metadata_of_folder(folder: str) -> tuple[dict[str, str], list[str]]:
    """The metadata of a folder, and the names of those that are JSON."""
    index = Index(folder)
    return index.metadata, index.json_names

"""Read the folder that all ranks have saved: the index, and the files that it names.

Every value of the index is checked before it is used, and every file against the index.
"""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.graph import make
from ..backends import Array, get
from ..backends.buffers import from_contents
from . import header
from .source import Source
from .together import INDEX, PART, VERSION
from .tree import unflatten

if TYPE_CHECKING:
    from .ranks import Ranks

__all__ = ["is_folder", "load_folder", "metadata_of_folder"]

#: The most bytes of an index.
_LONGEST = 1_000_000_000
#: How often the index is read again because a save has replaced it, and removed files that it named.
_MOST_TRIES = 20


class _Piece(NamedTuple):
    """Elements start to stop of an array, in C order, and the number of the file that they are in."""

    file: int
    start: int
    stop: int


class _Tensor(NamedTuple):
    """An array in an index, checked."""

    dtype: str
    shape: tuple[int, ...]
    is_sharded: bool
    pieces: tuple[_Piece, ...]


class _Replaced(Exception):
    """A file that the index names is missing."""


def is_folder(path: Any) -> bool:
    """Whether a path is that of a folder."""
    return isinstance(path, (str, bytes, os.PathLike)) and os.path.isdir(path)


# -- the index ---------------------------------------------------------------------------------------------------------
class _Index:
    """The index of a folder, checked.

    Attributes
    ----------
    content : bytes
    files : list of (str, int)
        The names and sizes of the files.
    tensors : dict
        Name -> _Tensor.
    tree : object
        The structure as JSON, which is not checked yet.
    metadata : dict of str to str
    json_names : list of str
        The names of metadata that are JSON.

    Raises
    ------
    ValueError
        If there is no index, or something in it is wrong.
    """

    def __init__(self, folder: str) -> None:
        self.content = _content(folder)
        try:
            index = header.parse(self.content.decode())
        except ValueError as error:
            raise ValueError(f"its {INDEX} is no JSON that rustorch writes: {error}") from error
        version = index.get("rustorch") if isinstance(index, dict) else None
        if type(version) is not int:
            raise ValueError(f"its {INDEX} is not what rustorch writes")
        if version > VERSION:
            raise ValueError(f"a newer rustorch wrote it, in version {version}; this one reads up to {VERSION}")
        self.files = _files(index.get("files"))
        self.tensors = _tensors(index.get("tensors"), len(self.files))
        self.tree = index.get("tree")
        self.metadata = header.metadata_of({header.METADATA: index.get("metadata")})
        self.json_names = index.get("json")
        if not isinstance(self.json_names, list) or not all(
            isinstance(name, str) and name in self.metadata for name in self.json_names
        ):
            raise ValueError(f"its {INDEX} calls metadata JSON that it does not have")


def _content(folder: str) -> bytes:
    """The bytes of the index."""
    path = os.path.join(folder, INDEX)
    try:
        with Source(path) as source:
            if source.size > _LONGEST:
                raise ValueError(f"its {INDEX} has {source.size} bytes, which is more than rustorch writes")
            return bytes(source.file.read())
    except FileNotFoundError:
        raise ValueError(
            f"it is a folder without {INDEX}: no checkpoint, or the first save into it was not completed"
        ) from None


def _files(files: Any) -> list[tuple[str, int]]:
    """The names and sizes of the files, checked."""
    if not isinstance(files, list):
        raise ValueError(f"its {INDEX} has no list of files")
    for entry in files:
        if not isinstance(entry, list) or len(entry) != 2 or type(entry[1]) is not int or entry[1] < 0:
            raise ValueError(f"its {INDEX} has {entry!r:.100} for the name and the size of a file")
        if not isinstance(entry[0], str) or not PART.fullmatch(entry[0]):  # so no other folder can be meant
            raise ValueError(f"its {INDEX} names the file {entry[0]!r:.100}; such a name is not what rustorch writes")
    if len({name for name, _ in files}) < len(files):
        raise ValueError(f"its {INDEX} names a file twice")
    return [(name, size) for name, size in files]


def _tensors(tensors: Any, n_files: int) -> dict[str, _Tensor]:
    """The arrays, checked."""
    if not isinstance(tensors, dict):
        raise ValueError(f"its {INDEX} has no object of tensors")
    return {name: _tensor(name, described, n_files) for name, described in tensors.items()}


def _tensor(name: str, described: Any, n_files: int) -> _Tensor:
    """An array, checked: its pieces cover it, without gap and without overlap."""
    if not isinstance(described, dict):
        raise ValueError(f"the tensor {name!r} is described by no JSON object, but by {described!r:.50}")
    dtype, shape, is_sharded, pieces = (described.get(key) for key in ("dtype", "shape", "sharded", "pieces"))
    if not header.is_shape(shape):
        raise ValueError(f"the tensor {name!r} has the shape {shape!r:.100}, which is none")
    if not isinstance(dtype, str) or header.code_of(dtype, tuple(shape)) is None:
        raise ValueError(f"the tensor {name!r} has the dtype {dtype!r:.50}, which rustorch does not write")
    if not isinstance(is_sharded, bool) or not isinstance(pieces, list):
        raise ValueError(f"the tensor {name!r} has the pieces {pieces!r:.100}, which are none")
    checked: list[_Piece] = []
    end, size = 0, prod(shape)
    for piece in pieces:
        if not isinstance(piece, list) or len(piece) != 2 or not all(type(n) is int for n in piece):
            raise ValueError(
                f"the tensor {name!r} has a piece {piece!r:.50}; it is the number of a file and an element"
            )
        file, stop = piece
        if not 0 <= file < n_files:
            raise ValueError(f"the tensor {name!r} has a piece in file number {file}, of {n_files} files")
        if not (end < stop <= size or (stop == size == 0 and len(pieces) == 1)):
            raise ValueError(
                f"the tensor {name!r} of {size} elements has a piece from element {end} to {stop}, which is none"
            )
        checked.append(_Piece(file, end, end := stop))
    if end != size:
        raise ValueError(f"the tensor {name!r} of shape {tuple(shape)} has no piece with its elements {end} to {size}")
    if len({piece.file for piece in checked}) < len(checked):
        raise ValueError(f"the tensor {name!r} has two pieces in one file")
    return _Tensor(dtype, tuple(shape), is_sharded, tuple(checked))


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


class _Folder:
    """The arrays of a folder. A file is opened when something in it is needed first."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.index = _Index(folder)
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
        # rustorch does not calculate in float16
        dtype = "float32" if tensor.dtype == "float16" else tensor.dtype
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


# -- the object --------------------------------------------------------------------------------------------------------
def load_folder(folder: str, device: str, ranks: Ranks | None) -> Any:
    """The object of a folder.

    Parameters
    ----------
    folder : str
    device : str
    ranks : Ranks, optional
        With them, this rank's pieces of the arrays that were saved in pieces; without them, whole arrays.
    """
    for _ in range(_MOST_TRIES):
        opened = _Folder(folder)
        try:
            return _read_object(opened, device, ranks)
        except _Replaced as error:
            missing = str(error)
        if _content(folder) == opened.index.content:
            raise ValueError(f"its {INDEX} names the file {missing!r}, which is missing")
    raise ValueError(f"saves have replaced its {INDEX} again and again while it was read")


def _read_object(opened: _Folder, device: str, ranks: Ranks | None) -> Any:
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
        if ranks is not None and tensor.is_sharded:
            from ..distributed.shard import Shard, bounds

            start, stop = bounds(size, ranks.rank, ranks.size)
            return Shard(backend.from_numpy(opened.array(name, start, stop), device), tensor.shape, start)
        array = opened.array(name, 0, size)
        try:
            array = array.reshape(tensor.shape)
        except ValueError as error:
            raise ValueError(f"the tensor {name!r} of shape {tensor.shape} is no array: {error}") from error
        return make(backend.from_numpy(array, device))

    if ranks is None:
        for number in range(len(opened.index.files)):
            opened.part(number)
    result = unflatten(opened.index.tree, take)
    if left:
        raise ValueError(f"its structure has no place for the tensors {', '.join(map(repr, list(left)[:5]))}")
    return result


def metadata_of_folder(folder: str) -> tuple[dict[str, str], list[str]]:
    """The metadata of a folder, and the names of those that are JSON."""
    index = _Index(folder)
    return index.metadata, index.json_names

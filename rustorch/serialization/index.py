"""Read the index of a folder that all ranks have saved. Every value is checked before it is used."""

from __future__ import annotations

import os
from math import prod
from typing import Any, NamedTuple

from . import header
from .source import Source
from .together import INDEX, PART, VERSION

__all__ = ["Index", "Piece", "Tensor", "content_of"]

#: The most bytes of an index.
_LONGEST = 1_000_000_000


class Piece(NamedTuple):
    """Elements start to stop of an array, in C order, and the number of the file that they are in."""

    file: int
    start: int
    stop: int


class Tensor(NamedTuple):
    """An array in an index, checked."""

    dtype: str
    shape: tuple[int, ...]
    is_sharded: bool
    pieces: tuple[Piece, ...]


class Index:
    """The index of a folder, checked.

    Attributes
    ----------
    content : bytes
    files : list of (str, int)
        The names and sizes of the files.
    tensors : dict
        Name -> Tensor.
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
        self.content = content_of(folder)
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


def content_of(folder: str) -> bytes:
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


def _tensors(tensors: Any, n_files: int) -> dict[str, Tensor]:
    """The arrays, checked."""
    if not isinstance(tensors, dict):
        raise ValueError(f"its {INDEX} has no object of tensors")
    return {name: _tensor(name, described, n_files) for name, described in tensors.items()}


def _tensor(name: str, described: Any, n_files: int) -> Tensor:
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
    checked: list[Piece] = []
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
        checked.append(Piece(file, end, end := stop))
    if end != size:
        raise ValueError(f"the tensor {name!r} of shape {tuple(shape)} has no piece with its elements {end} to {size}")
    if len({piece.file for piece in checked}) < len(checked):
        raise ValueError(f"the tensor {name!r} has two pieces in one file")
    return Tensor(dtype, tuple(shape), is_sharded, tuple(checked))

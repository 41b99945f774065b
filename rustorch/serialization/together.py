"""Save an object that is spread over the ranks of a process group: into one file, or into a folder with a file of each
rank.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from math import prod
from typing import Any

from ..backends import Array, device_of, transfer
from ..backends.buffers import contents, from_contents
from ..distributed.collectives import all_reduce
from ..distributed.group import get_backend, local_rank
from ..distributed.messages import recv, send
from . import header
from .atomic import replace
from .merging import Merged, Part, Tensor, description, n_bytes, restored, shortened
from .metadata import json_names_of, texts_of, whole_header
from .ranks import Ranks
from .stream import path_of
from .tree import Flattened, is_plain

__all__ = ["INDEX", "PART", "VERSION", "save_together"]

#: The file of a folder that names the others.
INDEX = "index.json"
#: The names of the others: a random number for each save, and the rank.
PART = re.compile(r"part-[0-9a-f]{16}-[0-9]{5,9}\.safetensors")
_PART_IN_INDEX = re.compile(PART.pattern.encode())
#: The version of the index.
VERSION = 1

#: The most bytes that one message carries to the rank that writes one file.
_MESSAGE = 1 << 26


def save_together(obj: Any, path: Any, metadata: Any, sharded: bool, rank: int | None, group: Any) -> None:
    """`save` for all ranks of a group. The arguments are those of `save`."""
    if sharded == (rank is not None):
        raise ValueError(
            "save: ranks save together with sharded=True, into a folder, or with rank=0, into one file that rank 0 "
            "writes; give one of the two"
        )
    name = path_of("save", path)
    ranks = Ranks(group)
    if sharded:
        return _save_in_parts(ranks, obj, name, metadata)
    writer = ranks.number(rank)
    return _save_in_one_file(ranks, obj, name, metadata, writer)


def _prepared(ranks: Ranks, obj: Any, metadata: Any) -> tuple[Flattened, Merged, dict[str, Any]]:
    """This rank's part, the object of all ranks, and what the first rank says: its metadata, a name of the save."""
    own: list[Flattened] = []

    def prepare() -> dict[str, Any]:
        own.append(Flattened(obj, of_rank=True))
        return {
            "metadata": texts_of(metadata),
            "json": json_names_of(metadata),
            "save": os.urandom(8).hex(),
            "postponed": len(own[0].postponed),
        }

    prepared = ranks.run(prepare)
    told: dict[str, Any] = prepared[0]
    counts = [one["postponed"] for one in prepared]
    if len(set(counts)) > 1:
        raise ValueError(
            f"save: an object whose state is spread over the ranks is saved by all of them; the ranks have {counts} "
            f"such objects"
        )
    if counts[0]:
        ranks.run(own[0].add_postponed)
    node = description(own[0])
    base = ranks.share(node)
    nodes = [restored(other, base) for other in ranks.gather(shortened(node, base))]
    return own[0], Merged(nodes), told


# -- a file of each rank -----------------------------------------------------------------------------------------------
def _save_in_parts(ranks: Ranks, obj: Any, folder: str, metadata: Any) -> None:
    """Write a folder: a safetensors file of each rank, then the index that names them.

    The index is replaced in one step when all files are on the disk. Files that it does not name are left by killed
    saves, or belong to the object saved before; they are removed afterwards.
    """
    own, merged, told = _prepared(ranks, obj, metadata)
    merged.assign(ranks.size)
    names = [f"part-{told['save']}-{rank:05d}.safetensors" for rank in range(ranks.size)]
    made: list[bool] = []
    try:
        ranks.run(lambda: made.append(_make_folder(folder)) if ranks.rank == 0 else None)
        sizes = ranks.run(lambda: _write_part(os.path.join(folder, names[ranks.rank]), own, merged, ranks.rank))
        files = [[name, size] for name, size in zip(names, sizes, strict=True) if size]
        ranks.run(lambda: _write_index(folder, merged, files, told) if ranks.rank == 0 else None)
    except Exception:
        # after an interruption, such as Ctrl-C, another rank may still write an index that names this file; it stays,
        # and the next save removes it
        if ranks.have_failed:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, names[ranks.rank]))
            ranks.gather(None)
            if made == [True]:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        raise
    if ranks.rank == 0:
        with contextlib.suppress(OSError):
            _remove_others(folder)


def _make_folder(folder: str) -> bool:
    """Make the folder unless it exists. Returns whether it was made."""
    try:
        os.mkdir(folder)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise FileExistsError(
                f"save: {folder!r} is a file, and sharded=True writes a folder; remove the file or take another name"
            ) from None
        _remove_others(folder)  # here too, so that saves that are killed one after another do not fill the disk
        return False
    return True


def _write_part(path: str, own: Flattened, merged: Merged, rank: int) -> int:
    """Write what this rank has to write of all tensors. Returns the size of the file; 0 without a file."""
    described, arrays = {}, {}
    for name, tensor in merged.tensors.items():
        for part in tensor.parts:
            if part.rank == rank:
                count = part.stop - part.start
                described[name] = tensor.dtype, tensor.shape if count == prod(tensor.shape) else (count,)
                arrays[name] = own.arrays[part.name]
    if not described:
        return 0
    head, order = header.write(described, {})
    try:
        replace(path, (head if name is None else contents(arrays[name]) for name in (None, *order)))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            error.errno, "rank 0 made the folder, and this rank does not see it: all ranks need one file system", path
        ) from error
    return os.path.getsize(path)


def _write_index(folder: str, merged: Merged, files: list[list[Any]], told: dict[str, Any]) -> None:
    """Write the index, which makes the save complete."""
    numbers = {int(name[-17:-12]): i for i, (name, _) in enumerate(files)}
    tensors = {
        name: {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "sharded": tensor.is_sharded,
            "pieces": [[numbers[part.rank], part.stop] for part in tensor.parts],
        }
        for name, tensor in merged.tensors.items()
    }
    index = {
        "rustorch": VERSION,
        "metadata": told["metadata"],
        "json": told["json"],
        "files": files,
        "tensors": tensors,
        "tree": merged.node,
    }
    replace(os.path.join(folder, INDEX), [json.dumps(index, separators=(",", ":")).encode()])


def _remove_others(folder: str) -> None:
    """Remove files that the index does not name: those of killed saves, and of the object saved before."""
    named: set[bytes] = set()
    with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, INDEX), "rb") as index:
        named.update(_PART_IN_INDEX.findall(index.read()))
    with os.scandir(folder) as entries:
        for entry in entries:
            if PART.fullmatch(entry.name) and entry.name.encode() not in named:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


# -- one file ----------------------------------------------------------------------------------------------------------
def _save_in_one_file(ranks: Ranks, obj: Any, path: str, metadata: Any, writer: int) -> None:
    """Write one file on one rank, which gets what only other ranks have: one piece of an array after another."""
    own, merged, told = _prepared(ranks, obj, metadata)
    merged.assign(ranks.size, writer)
    described = {name: (tensor.dtype, tensor.shape) for name, tensor in merged.tensors.items()}
    head, order = whole_header(described, merged.node, is_plain(merged.node), told["metadata"], told["json"])
    parts = [(merged.tensors[name], part) for name in order for part in merged.tensors[name].parts]
    post = _Post(ranks, own)

    def write() -> None:
        if ranks.rank != writer:
            post.send(parts, writer)
            return
        pieces = post.pieces(parts)
        try:
            replace(path, _chained(head, pieces))
        except Exception:
            for _ in pieces:  # the other ranks send all the same
                pass
            raise

    ranks.run(write)


def _chained(head: bytes, pieces: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    """The header, then the pieces. Closing it does not close the pieces."""
    yield head
    for piece in pieces:
        yield piece
        del piece


class _Post:
    """Carries bytes of arrays to the rank that writes. All ranks make it together."""

    def __init__(self, ranks: Ranks, own: Flattened) -> None:
        self._ranks = ranks
        self._own = own
        self._device = "cpu"
        if ranks.size > 1 and get_backend(ranks.group) == "nccl":  # without MPI, NCCL carries everything
            devices = [device for device in map(device_of, own.arrays.values()) if device.startswith("cuda")]
            self._device = devices[0] if devices else f"cuda:{local_rank()}"
            # a collective of all ranks connects their GPUs; later only two of them exchange something
            all_reduce(self._message(memoryview(bytearray(1))), group=ranks.group)

    def _message(self, memory: memoryview) -> Array:
        """Bytes as an array, in memory from which the group can exchange it."""
        array = from_contents(memory, "uint8", "uint8", (len(memory),))
        return array if self._device == "cpu" else transfer(array, self._device)

    def send(self, parts: list[tuple[Tensor, Part]], writer: int) -> None:
        """Send the parts that this rank has, then a byte that says whether all of them could be read.

        Raises
        ------
        Exception
            If one could not be read, for example from a GPU. The writer gets zeros for it, and then the byte.
        """
        failure: Exception | None = None
        to, own = self._ranks.in_world(writer), [pair for pair in parts if pair[1].rank == self._ranks.rank]
        for tensor, part in own:
            try:
                memory = contents(self._own.arrays[part.name])
            except Exception as error:
                failure = error
            start = 0
            for count in _messages(tensor, part):
                piece = memory[start : start + count] if failure is None else memoryview(bytearray(count))
                send(self._message(piece), to, group=self._ranks.group)
                start += count
        if own:
            send(self._message(memoryview(bytearray([failure is None]))), to, group=self._ranks.group)
        if failure is not None:
            raise failure

    def pieces(self, parts: list[tuple[Tensor, Part]]) -> Iterator[memoryview]:
        """The bytes of all parts: this rank's own, and what the others send."""
        for tensor, part in parts:
            if part.rank == self._ranks.rank:
                yield contents(self._own.arrays[part.name])
                continue
            for count in _messages(tensor, part):
                yield self._received(part.rank, count)
        others = sorted({part.rank for _, part in parts} - {self._ranks.rank})
        failed = [self._ranks.in_world(rank) for rank in others if not self._received(rank, 1)[0]]
        if failed:
            raise RuntimeError(f"save: nothing was saved, because rank {failed[0]} could not read its arrays")

    def _received(self, rank: int, count: int) -> memoryview:
        """The next message of a rank."""
        message = self._message(memoryview(bytearray(count)))
        recv(message, self._ranks.in_world(rank), group=self._ranks.group)
        return contents(message)


def _messages(tensor: Tensor, part: Part) -> Iterator[int]:
    """The bytes in each message that carries a part."""
    left = n_bytes(tensor, part.stop - part.start)
    while left:
        yield min(left, _MESSAGE)
        left -= min(left, _MESSAGE)

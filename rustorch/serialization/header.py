"""The header of a safetensors file: eight bytes with its length, then JSON with each tensor's name, dtype, shape and
place.

The format: https://github.com/huggingface/safetensors#format. Nothing in a header is believed before it is checked:
where the format's own library lets a name stand twice or says no more than "invalid offset", the errors here name the
tensor and what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import prod
from typing import Any, BinaryIO, NamedTuple, TypeGuard

__all__ = ["METADATA", "Entry", "code_of", "end_of", "entries_of", "metadata_of", "parse", "read", "write"]

METADATA = "__metadata__"
#: The format's name of a dtype -> ours, and the bytes of an element.
_READABLE = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "U16": ("uint16", 2),
    "I16": ("int16", 2),
    "U32": ("uint32", 4),
    "I32": ("int32", 4),
    "U64": ("uint64", 8),
    "I64": ("int64", 8),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "F32": ("float32", 4),
    "F64": ("float64", 8),
    "C64": ("complex64", 8),
}
_CODES = {name: (code, size) for code, (name, size) in _READABLE.items() if name != "bfloat16"}
#: Longer ones the format's own library refuses, too.
_LONGEST = 100_000_000
#: NumPy has no arrays of more axes.
_MOST_AXES = 64
#: Data begins at a multiple of it, so that every array in a mapped file is aligned.
_ALIGNMENT = 64

#: First bytes of files that people take for safetensors -> what they are.
_OTHERS = {
    b"PK\x03\x04": "a zip archive, as torch.save and numpy.savez write; in PyTorch, safetensors.torch.save_file(state_dict, path) writes "
    "what can be read here, numpy.load reads an .npz",
    b"\x80": "a pickle, which may run any code when it is read; in PyTorch, safetensors.torch.save_file(state_dict, path) writes what "
    "can be read here",
    b"\x93NUMPY": "an .npy file; numpy.load reads it",
    b"\x89HDF": "an HDF5 file",
}


class Entry(NamedTuple):
    """A tensor as a header describes it: the dtype's name, the shape, and its bytes' place behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def code_of(dtype: str, shape: tuple[int, ...]) -> tuple[str, int, tuple[int, ...]] | None:
    """The format's name of a dtype, the bytes of an element and the shape as it is written; None for a dtype that has
    none.
    """
    if dtype == "complex128":  # the format has no such dtype: pairs of float64
        return "F64", 8, (*shape, 2)
    found = _CODES.get(dtype)
    return None if found is None else (*found, shape)


# -- writing -----------------------------------------------------------------------------------------------------------
def write(tensors: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]) -> tuple[bytes, list[str]]:
    """A header with its length before it, and the names of the tensors in the order in which their bytes follow.

    Parameters
    ----------
    tensors : dict
        Name -> (name of the dtype, shape).
    metadata : dict of str to str
    """
    coded: dict[str, Any] = {name: code_of(*tensor) for name, tensor in tensors.items()}
    # the largest elements first: each is aligned then, without gaps, which the format forbids
    order = sorted(coded, key=lambda name: -coded[name][1])
    places, end = {}, 0
    for name in order:
        _, size, shape = coded[name]
        places[name] = [end, end := end + size * prod(shape)]
    head: dict[str, Any] = {METADATA: metadata} if metadata else {}
    for name, (code, _, shape) in coded.items():
        head[name] = {"dtype": code, "shape": list(shape), "data_offsets": places[name]}
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > _LONGEST:
        raise ValueError(
            f"a header of {len(text)} bytes: the names and the structure of so many objects are more than the format "
            f"allows"
        )
    return len(text).to_bytes(8, "little") + text, order


# -- reading -----------------------------------------------------------------------------------------------------------
def read(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The JSON of a header, not yet checked further, and where the data begins.

    Raises
    ------
    ValueError
        If the file's beginning is no header.
    """
    first = file.read(8)
    length = int.from_bytes(first, "little")
    if len(first) < 8:
        raise ValueError(
            f"it is no safetensors file, or was cut short: it has {size} bytes, and the shortest one has 10"
        )
    if length > size - 8:
        other = next((what for magic, what in _OTHERS.items() if first.startswith(magic) and length >> 24), "")
        raise ValueError(
            f"it is {other}"
            if other
            else f"it is no safetensors file, or was cut short: its first 8 bytes promise a header of {length} bytes, and {size - 8} follow"
        )
    if length > _LONGEST:
        raise ValueError(f"its header of {length} bytes is longer than the format allows, {_LONGEST}")
    text = file.read(length)
    if len(text) < length:
        raise ValueError("it was cut short while it was read")
    try:
        head = parse(text.decode())
    except ValueError as error:
        raise ValueError(f"its header is no JSON that the format allows: {error}") from error
    if not isinstance(head, dict):
        raise ValueError(f"its header is no JSON object, but a {type(head).__name__}")
    _encodable(head)
    return head, 8 + length


def _encodable(names: Iterable[str]) -> None:
    """JSON can spell half a surrogate pair, which is no text."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a name or text in its header is no Unicode: {error}") from error


def parse(text: str) -> Any:
    """JSON without names that stand twice, NaN, and nesting without end; raises ValueError for others."""
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the name {twice!r} stands in it twice")
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def metadata_of(head: dict[str, Any]) -> dict[str, str]:
    """The strings by name that a header has beside the tensors.

    Raises
    ------
    ValueError
        If they are something else.
    """
    found = head.get(METADATA)
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"its {METADATA} is no JSON object of strings")
    _encodable(found)
    _encodable(found.values())
    return found


def entries_of(head: dict[str, Any], size: int) -> dict[str, Entry]:
    """What a header says about its tensors, in its order, after all of it has been checked.

    Parameters
    ----------
    head : dict
        The header's JSON.
    size : int
        How many bytes follow the header.

    Raises
    ------
    ValueError
        If a tensor is not described as the format asks, or the tensors do not fill these bytes one after the other.
    """
    entries = {name: _entry(name, found, size) for name, found in head.items() if name != METADATA}
    end, last = 0, ""
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start < end:
            raise ValueError(
                f"the tensors {last!r} and {name!r} overlap: {name!r} starts at byte {entry.start}, before {end}"
            )
        if entry.start > end:
            raise ValueError(f"there is a gap of {entry.start - end} bytes before the tensor {name!r}")
        end, last = entry.stop, name
    if end != size:
        raise ValueError(f"its tensors have {end} bytes in all, but {size} follow the header")
    return entries


def end_of(head: dict[str, Any]) -> int:
    """Where the last of the tensors ends, as a header has it, before it is checked."""
    places = [found.get("data_offsets") for name, found in head.items() if name != METADATA and isinstance(found, dict)]
    return max((place[1] for place in places if _counts(place) and len(place) == 2), default=0)


def _entry(name: str, found: Any, size: int) -> Entry:
    if not isinstance(found, dict):
        raise ValueError(f"the tensor {name!r} is described by no JSON object, but by {found!r:.50}")
    code, shape, place = found.get("dtype"), found.get("shape"), found.get("data_offsets")
    if not isinstance(code, str) or code not in _READABLE:
        raise ValueError(
            f"the tensor {name!r} has the dtype {code!r:.50}; those that can be read are {', '.join(_READABLE)}. "
            f"Convert it where it comes "
            f"from, in PyTorch with tensor.float()"
        )
    if not _counts(shape) or len(shape) > _MOST_AXES:
        raise ValueError(f"the tensor {name!r} has the shape {shape!r:.100}, which is none")
    if not _counts(place) or len(place) != 2 or place[0] > place[1]:
        raise ValueError(f"the tensor {name!r} has the data_offsets {place!r:.100}, which are no begin and end")
    if place[1] > size:
        raise ValueError(
            f"the tensor {name!r} ends at byte {place[1]}, but {size} bytes follow the header: the file was cut short, "
            f"or its header lies"
        )
    dtype, width = _READABLE[code]
    if prod(shape) * width != place[1] - place[0]:
        raise ValueError(
            f"the tensor {name!r} has {place[1] - place[0]} bytes, where the shape {tuple(shape)} of {code} needs "
            f"{prod(shape) * width}"
        )
    return Entry(dtype, tuple(shape), *place)


def _counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in value)

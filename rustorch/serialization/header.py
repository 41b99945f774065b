"""Read and write the header of a safetensors file.

The header is its length in eight bytes, then JSON with the name, dtype, shape and byte range of each tensor. The format
is described at https://github.com/huggingface/safetensors#format. Every value of a header is checked before it is used.
The format's own library accepts repeated names, and some of its errors say only "invalid offset"; the errors here name
the tensor and the mistake.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import prod
from typing import Any, BinaryIO, NamedTuple, TypeGuard

__all__ = ["METADATA", "Entry", "code_of", "end_of", "entries_of", "is_shape", "metadata_of", "parse", "read", "write"]

METADATA = "__metadata__"
#: The format's name of a dtype -> the standard's name, and the bytes of an element.
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
#: The largest length of a header in bytes; the format's own library has the same limit.
_LONGEST = 100_000_000
#: The largest number of dimensions of a NumPy array.
_MOST_DIMENSIONS = 64
#: The data starts at a multiple of this number of bytes, so that every array in a mapped file is aligned.
_ALIGNMENT = 64

#: The first bytes of other formats -> what an error says about such a file.
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive, as torch.save and numpy.savez write; in PyTorch, "
    "safetensors.torch.save_file(state_dict, path) writes what can be read here, numpy.load reads an .npz",
    b"\x80": "a pickle, which may run any code when it is read; in PyTorch, "
    "safetensors.torch.save_file(state_dict, path) writes what can be read here",
    b"\x93NUMPY": "an .npy file; numpy.load reads it",
    b"\x89HDF": "an HDF5 file",
}


class Entry(NamedTuple):
    """A tensor in a header.

    Attributes
    ----------
    dtype : str
        The standard's name of the dtype; also bfloat16 and float16.
    shape : tuple of int
    start, stop : int
        The range of its bytes, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def code_of(dtype: str, shape: tuple[int, ...]) -> tuple[str, int, tuple[int, ...]] | None:
    """The format's name of a dtype, the bytes of an element, and the shape in the file; None if the format lacks the
    dtype.
    """
    if dtype == "complex128":  # written as pairs of float64
        return "F64", 8, (*shape, 2)
    code = _CODES.get(dtype)
    return None if code is None else (*code, shape)


# -- writing -----------------------------------------------------------------------------------------------------------
def write(tensors: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]) -> tuple[bytes, list[str]]:
    """A header with its length in front, and the names of the tensors in the order of their bytes.

    Parameters
    ----------
    tensors : dict
        Name -> (name of the dtype, shape).
    metadata : dict of str to str
    """
    coded: dict[str, Any] = {name: code_of(*tensor) for name, tensor in tensors.items()}
    # with the largest elements first, each tensor is aligned without gaps, which the format forbids
    order = sorted(coded, key=lambda name: -coded[name][1])
    ranges, end = {}, 0
    for name in order:
        _, size, shape = coded[name]
        ranges[name] = [end, end := end + size * prod(shape)]
    head: dict[str, Any] = {METADATA: metadata} if metadata else {}
    for name, (code, _, shape) in coded.items():
        head[name] = {"dtype": code, "shape": list(shape), "data_offsets": ranges[name]}
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
    """The JSON of a header, whose values are not checked yet, and the position of the data.

    Parameters
    ----------
    file : binary file
        At its start.
    size : int
        The number of its bytes.

    Raises
    ------
    ValueError
        If the file does not start with a header.
    """
    first_bytes = file.read(8)
    length = int.from_bytes(first_bytes, "little")
    if len(first_bytes) < 8:
        raise ValueError(
            f"it is no safetensors file, or was cut short: it has {size} bytes, and the shortest one has 10"
        )
    if length > size - 8:
        formats = (what for magic, what in _OTHER_FORMATS.items() if first_bytes.startswith(magic) and length >> 24)
        if (other_format := next(formats, None)) is not None:
            raise ValueError(f"it is {other_format}")
        raise ValueError(
            f"it is no safetensors file, or was cut short: its first 8 bytes promise a header of {length} bytes, and "
            f"{size - 8} follow"
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
    _check_unicode(head)
    return head, 8 + length


def _check_unicode(texts: Iterable[str]) -> None:
    """Raise ValueError for half a surrogate pair, which JSON can express and which is no Unicode text."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"a name or text in its header is no Unicode: {error}") from error


def parse(text: str) -> Any:
    """The value of a JSON text. Raises ValueError also for repeated names, NaN, infinity and too deep nesting."""
    try:
        return json.loads(text, object_pairs_hook=_dict_of_pairs, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _dict_of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The dict of a JSON object. Raises ValueError for a repeated name."""
    result: dict[str, Any] = dict(pairs)
    if len(result) < len(pairs):
        names = set()
        for name, _ in pairs:
            if name in names:
                raise ValueError(f"the name {name!r} stands in it twice")
            names.add(name)
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def metadata_of(head: dict[str, Any]) -> dict[str, str]:
    """The metadata of a header: a dict of strings.

    Raises
    ------
    ValueError
        If the metadata is something else.
    """
    metadata = head.get(METADATA)
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"its {METADATA} is no JSON object of strings")
    _check_unicode(metadata)
    _check_unicode(metadata.values())
    return metadata


def entries_of(head: dict[str, Any], size: int) -> dict[str, Entry]:
    """The entries of all tensors, checked, in the order of the header.

    Parameters
    ----------
    head : dict
        The header's JSON.
    size : int
        The number of bytes after the header.

    Raises
    ------
    ValueError
        If the description of a tensor is wrong, or the tensors overlap or do not fill these bytes.
    """
    entries = {name: _entry(name, description, size) for name, description in head.items() if name != METADATA}
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
    """The end of the last tensor according to a header, which is not checked yet; counted from the header's end."""
    ranges = [
        description.get("data_offsets")
        for name, description in head.items()
        if name != METADATA and isinstance(description, dict)
    ]
    return max((offsets[1] for offsets in ranges if _is_list_of_counts(offsets) and len(offsets) == 2), default=0)


def _entry(name: str, description: Any, size: int) -> Entry:
    """The entry of a tensor, checked. Raises ValueError if its description is wrong."""
    if not isinstance(description, dict):
        raise ValueError(f"the tensor {name!r} is described by no JSON object, but by {description!r:.50}")
    code, shape, offsets = (description.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(code, str) or code not in _READABLE:
        raise ValueError(
            f"the tensor {name!r} has the dtype {code!r:.50}; those that can be read are {', '.join(_READABLE)}. "
            f"Convert it where it comes from, in PyTorch with tensor.float()"
        )
    if not is_shape(shape):
        raise ValueError(f"the tensor {name!r} has the shape {shape!r:.100}, which is none")
    if not _is_list_of_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ValueError(f"the tensor {name!r} has the data_offsets {offsets!r:.100}, which are not a begin and an end")
    if offsets[1] > size:
        raise ValueError(
            f"the tensor {name!r} ends at byte {offsets[1]}, but {size} bytes follow the header: the file was cut "
            f"short, or its header is wrong"
        )
    dtype, width = _READABLE[code]
    if prod(shape) * width != offsets[1] - offsets[0]:
        raise ValueError(
            f"the tensor {name!r} has {offsets[1] - offsets[0]} bytes, where the shape {tuple(shape)} of {code} needs "
            f"{prod(shape) * width}"
        )
    return Entry(dtype, tuple(shape), *offsets)


def is_shape(value: Any) -> TypeGuard[list[int]]:
    """Whether a value is a list of sizes, of which NumPy makes an array."""
    return _is_list_of_counts(value) and len(value) <= _MOST_DIMENSIONS


def _is_list_of_counts(value: Any) -> TypeGuard[list[int]]:
    """Whether a value is a list of integers in [0, 2**63)."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in value)

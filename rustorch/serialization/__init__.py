"""Save and load: models, optimizers and anything nested, in one safetensors file.

The format holds arrays by name and text beside them, and no code: to load a file runs nothing. What is nested has its
structure in that text, as JSON.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from ..autograd.graph import make
from ..backends import get, resolve

if TYPE_CHECKING:
    from .source import Source

__all__ = ["load", "load_metadata", "save"]

#: The entry of a file's metadata that holds what rustorch has to say about it.
_OURS = "rustorch"
_VERSION = 1


def _path(name: str, path: Any) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(
            f"{name}: a path is a string or a pathlib.Path, not {type(path).__name__}; a file is what open(path, 'rb' "
            f"or 'wb') returns"
        ) from None


def save(obj: Any, path: str | os.PathLike | BinaryIO, metadata: Mapping[str, Any] | None = None) -> None:
    """Write an object into a safetensors file, whole or not at all.

    The bytes go into a new file beside ``path``, which takes its place when they are on the disk. A program that is
    killed on the way leaves the old file as it was, and the next save into the folder removes what it left behind.

    Parameters
    ----------
    obj : object
        Variables and arrays of every device, numbers, strings, bytes, None, and dicts, lists and tuples of them to any
        depth up to 200. An object with a ``state_dict()``, such as a Module or an optimizer, is saved as that. A flat
        dict of arrays, such as the state_dict of a Module, becomes a file with these names that every reader of the
        format takes; names in nested objects are paths, as in ``model.0.weight``.
    path : str, path or binary file
        Its folder must exist. A symbolic link is followed, and permissions of a file that is replaced are kept. Into an
        open file, such as ``io.BytesIO()`` or a pipe, the bytes go one after the other from where it stands: there,
        nothing takes back what a failure has written.
    metadata : mapping of str to object, optional
        What shall stand in the file beside the object, for `load_metadata`: strings as they are, other values as JSON.

    Raises
    ------
    TypeError
        If something in the object is of another kind, or of a dtype that the format lacks, or metadata is no JSON, or
        the file is open for text: nothing is written.
    ValueError
        If the object contains itself, or is nested too deeply, or metadata takes the name "rustorch" or is no Unicode:
        nothing is written.
    OSError
        If the file cannot be written, for want of space or permission; the old one is as it was.

    Notes
    -----
    Gradients, devices, shared memory and whether a Variable requires grad are not saved; subclasses of dicts, lists,
    tuples and numbers come back as the plain ones, and NumPy's scalars as Python's numbers. complex128 is written as
    pairs of float64, which the format has.

    Source: the format, https://github.com/huggingface/safetensors

    Examples
    --------
    >>> import os, tempfile
    >>> import rustorch
    >>> model = rustorch.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "checkpoint.safetensors")
    ...     rustorch.save({"model": model, "step": 3}, path, metadata={"data": "digits"})
    ...     checkpoint = rustorch.load(path)
    ...     rustorch.load_metadata(path)
    {'data': 'digits'}
    >>> model.load_state_dict(checkpoint["model"])
    _Keys(missing_keys=[], unexpected_keys=[])
    >>> checkpoint["step"]
    3
    """
    import json

    from ..backends.buffers import contents
    from . import header
    from .atomic import replace
    from .stream import is_file, target
    from .tree import Flattened

    write = target("save", path) if is_file(path, "write") else None
    name = "" if write else _path("save", path)
    parts = Flattened(obj)
    texts = _texts(metadata)
    ours: dict[str, Any] = {} if parts.plain else {"tree": parts.node}
    if coded := [name for name, value in (metadata or {}).items() if not isinstance(value, str)]:
        ours["json"] = coded
    if ours:
        texts[_OURS] = json.dumps({"version": _VERSION, **ours}, separators=(",", ":"))
    head, order = header.write(parts.described, texts)
    pieces = (head if entry is None else contents(parts.arrays[entry]) for entry in (None, *order))
    if write is None:
        replace(name, pieces)
    else:
        write(pieces)


def _texts(metadata: Any) -> dict[str, str]:
    """What a user wants to stand beside the object, as strings."""
    import json

    texts: dict[str, str] = {}
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"save: metadata is a dict of strings or of what JSON can hold, not {type(metadata).__name__}")
    for name, value in (metadata or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"save: names of metadata are strings, not {name!r}")
        if name == _OURS:
            raise ValueError(f"save: the name {_OURS!r} in metadata is rustorch's own; take another one")
        try:
            texts[name] = value if isinstance(value, str) else json.dumps(value)
            (name + texts[name]).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"save: metadata[{name!r}] is no Unicode text: {error}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"save: metadata[{name!r}] is neither a string nor what JSON can hold: {error}") from error
    return texts


def load(path: str | os.PathLike | BinaryIO, device: str | None = None) -> Any:
    """Read a safetensors file, of rustorch, PyTorch or anyone else.

    On "cpu" the file is mapped into memory: only what is touched is read, and what is written into the arrays stays in
    this process. To other devices the tensors go one at a time. (Small files are read at once, and on Windows all.)

    Parameters
    ----------
    path : str, path or binary file
        An open file, such as ``io.BytesIO(bytes)``, is read from where it stands and left behind the object, so that
        another one may follow; where reading fails, it stands where it stood. One that cannot seek, such as a pipe, is
        read to its end.
    device : str, optional
        Where the Variables shall be. Default: the default device.

    Returns
    -------
    object
        As it was saved: arrays as Variables that require no grad, objects with a ``state_dict()`` as what that
        returned. Of a file that rustorch did not write, a dict of Variables by name, in the order of the file's header;
        bfloat16 and float16 become float32, which holds all of their values.

    Raises
    ------
    ValueError
        If it is no safetensors file, or a broken one, or one with dtypes that no array here can have, such as float8:
        says which and why.
    TypeError
        If it is neither a path nor a file that is open for reading bytes.
    OSError
        If there is no such file, or it cannot be read.

    Notes
    -----
    `save` may replace a file that is loaded. Other programs must not write into it as long as Variables of it are in
    use.

    Examples
    --------
    >>> import os, tempfile
    >>> import rustorch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "numbers.safetensors")
    ...     rustorch.save([rustorch.ones(2), (1, "two", None)], path)
    ...     rustorch.load(path)
    [Variable([1., 1.]), (1, 'two', None)]
    """
    from . import header

    device = resolve(device)
    opened, name = _opener("load", path)
    try:
        with opened() as source:
            head, start = header.read(source.file, source.size)
            texts = header.metadata_of(head)
            room = source.size - start
            entries = header.entries_of(head, min(room, header.end_of(head)) if source.goes_on else room)
            source.map()
            found = _rebuilt(source, start, entries, _ours(texts), device)
            source.leave_at(start + header.end_of(head))
            return found
    except ValueError as error:
        raise ValueError(f"load: {name} cannot be read: {error}") from error


def _opener(function: str, path: Any) -> tuple[Callable[[], Source], str]:
    """What opens a path or a file, and what errors call it."""
    from .source import Source
    from .stream import Stream, is_file

    if is_file(path, "read"):
        stream = Stream(function, path)
        return lambda: stream, f"the {type(path).__name__}"
    name = _path(function, path)
    return lambda: Source(name), repr(name)


def _ours(texts: Mapping[str, str]) -> dict[str, Any]:
    """What rustorch has written about a file, if it has."""
    from . import header

    if _OURS not in texts:
        return {}
    found = header.parse(texts[_OURS])
    if (
        not isinstance(found, dict)
        or type(found.get("version")) is not int
        or not isinstance(found.get("json", []), list)
    ):
        raise ValueError(f"the entry {_OURS!r} of its metadata is not what rustorch writes")
    if found["version"] > _VERSION:
        raise ValueError(
            f"a newer rustorch wrote it, in version {found['version']} of the structure; this one reads up to "
            f"{_VERSION}"
        )
    return found


def _rebuilt(source: Source, start: int, entries: dict, ours: dict[str, Any], device: str) -> Any:
    from ..backends.buffers import from_contents
    from .tree import unflatten

    backend = get(device)

    # float16 is read, and becomes float32 on the way: nothing here adds up in it
    def take(name: str, dtype: str | None) -> Any:
        if name not in entries:
            raise ValueError(f"its structure names the tensor {name!r} twice, or the file has none of this name")
        entry = entries.pop(name)
        shape = entry.shape
        if dtype is None or entry.dtype == dtype == "float16":
            dtype = "float32" if entry.dtype in ("bfloat16", "float16") else entry.dtype
        elif dtype == "complex128" and entry.dtype == "float64" and shape[-1:] == (2,):
            shape = shape[:-1]
        elif dtype != entry.dtype:
            raise ValueError(
                f"its structure calls the tensor {name!r} of {entry.dtype} and shape {shape} one of {dtype}"
            )
        memory = source.bytes(start + entry.start, start + entry.stop)
        try:
            array = from_contents(memory, entry.dtype, dtype, shape)
        except ValueError as error:
            raise ValueError(f"the tensor {name!r} of shape {shape} is no array: {error}") from error
        return make(backend.from_numpy(array, device))

    if "tree" not in ours:
        return {name: take(name, None) for name in list(entries)}
    found = unflatten(ours["tree"], take)
    if entries:
        raise ValueError(f"its structure has no place for the tensors {', '.join(map(repr, list(entries)[:5]))}")
    return found


def load_metadata(path: str | os.PathLike | BinaryIO) -> dict[str, Any]:
    """What stands in a safetensors file beside its object: the metadata of `save`, or the strings that another program
    wrote.

    Only the file's header is read, and an open file stands where it stood afterwards.

    Parameters
    ----------
    path : str, path or binary file

    Returns
    -------
    dict of str to object

    Raises
    ------
    ValueError, TypeError, OSError
        As `load`.
    """
    import json

    from . import header

    opened, called = _opener("load_metadata", path)
    try:
        with opened() as source:
            texts = header.metadata_of(header.read(source.file, source.size)[0])
            coded = _ours(texts).get("json", ())
            return {name: json.loads(text) if name in coded else text for name, text in texts.items() if name != _OURS}
    except RecursionError as error:
        raise ValueError(f"load_metadata: {called} cannot be read: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"load_metadata: {called} cannot be read: {error}") from error

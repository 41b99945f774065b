"""Save and load models, optimizers and nested objects in one safetensors file.

The format has named arrays, and text as metadata. It has no code, so that loading a file runs nothing. The structure of
a nested object is stored in the metadata, as JSON.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from ..autograd.graph import make
from ..backends import get, resolve

if TYPE_CHECKING:
    from ..variable import Variable
    from .header import Entry
    from .source import Source

# The functions below import json and this package's modules when they are called, so that `import rustorch` stays fast.

__all__ = ["load", "load_metadata", "save"]

#: The name of rustorch's own entry in a file's metadata.
_OWN_ENTRY = "rustorch"
#: The version of that entry.
_VERSION = 1


def _path(name: str, path: Any) -> str:
    """The path as a string. Raises TypeError if it is no path."""
    try:
        return os.fsdecode(path)
    except TypeError:
        raise TypeError(
            f"{name}: a path is a string or a pathlib.Path, not {type(path).__name__}; a file is what open(path, 'rb' "
            f"or 'wb') returns"
        ) from None


def save(obj: Any, path: str | os.PathLike[str] | BinaryIO, metadata: Mapping[str, Any] | None = None) -> None:
    """Write an object into a safetensors file, completely or not at all.

    The bytes go into a temporary file in the same folder, which replaces ``path`` when all bytes are on the disk. If
    the program is killed before, the old file does not change, and the next save into the folder removes the temporary
    file.

    Parameters
    ----------
    obj : object
        Variables and arrays of every device, numbers, strings, bytes, None, and dicts, lists and tuples of them, up to
        200 levels deep. For an object with ``state_dict()``, such as a Module or an optimizer, its state_dict is saved.
        A flat dict of arrays, such as the state_dict of a Module, becomes a file with the same names, which every
        reader of the format understands. The names of arrays in nested objects are paths, such as ``model.0.weight``.
    path : str, path or binary file
        The folder must exist. A symbolic link is followed. A replaced file keeps its permissions. For an open file,
        such as ``io.BytesIO()`` or a pipe, the bytes are written at its current position, and a failure leaves the part
        that was written.
    metadata : mapping of str to object, optional
        Further values in the file, for `load_metadata`. Strings are stored as they are, other values as JSON.

    Raises
    ------
    TypeError
        If the object contains a value of another type or of a dtype that the format lacks, or metadata cannot be
        stored as JSON, or the file is open for text. Nothing is written.
    ValueError
        If the object contains itself or is nested too deeply, or metadata has the name "rustorch" or is not valid
        Unicode. Nothing is written.
    OSError
        If the file cannot be written, for example without space or permission. The old file does not change.

    Notes
    -----
    Gradients, devices, shared memory and ``requires_grad`` are not saved. Subclasses of dicts, lists, tuples and
    numbers are loaded as the base class, and NumPy's scalars as Python's numbers. complex128 is written as pairs of
    float64, because the format lacks it.

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
    _IncompatibleKeys(missing_keys=[], unexpected_keys=[])
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
    file_name = "" if write else _path("save", path)
    parts = Flattened(obj)
    texts = _metadata_texts(metadata)
    own_entry: dict[str, Any] = {} if parts.is_plain else {"tree": parts.node}
    if json_names := [name for name, value in (metadata or {}).items() if not isinstance(value, str)]:
        own_entry["json"] = json_names
    if own_entry:
        texts[_OWN_ENTRY] = json.dumps({"version": _VERSION, **own_entry}, separators=(",", ":"))
    head, order = header.write(parts.described, texts)
    pieces = (head if name is None else contents(parts.arrays[name]) for name in (None, *order))
    if write is None:
        replace(file_name, pieces)
    else:
        write(pieces)


def _metadata_texts(metadata: Any) -> dict[str, str]:
    """The user's metadata as strings: a string as it is, another value as JSON."""
    import json

    texts: dict[str, str] = {}
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"save: metadata is a dict of strings or of what JSON can hold, not {type(metadata).__name__}")
    for name, value in (metadata or {}).items():
        if not isinstance(name, str):
            raise TypeError(f"save: names of metadata are strings, not {name!r}")
        if name == _OWN_ENTRY:
            raise ValueError(f"save: the name {_OWN_ENTRY!r} in metadata is rustorch's own; take another one")
        try:
            texts[name] = value if isinstance(value, str) else json.dumps(value)
            (name + texts[name]).encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"save: metadata[{name!r}] is no Unicode text: {error}") from error
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"save: metadata[{name!r}] is neither a string nor what JSON can hold: {error}") from error
    return texts


def load(path: str | os.PathLike[str] | BinaryIO, device: str | None = None) -> Any:
    """Read a safetensors file of rustorch, PyTorch or any other program.

    On "cpu" the file is mapped into memory: only the parts that are used are read, and changes of the arrays do not
    change the file. Tensors go to other devices one at a time. Small files are read at once; on Windows, all files are.

    Parameters
    ----------
    path : str, path or binary file
        An open file, such as ``io.BytesIO(bytes)``, is read from its current position, and stands after the object
        then, so that another object may follow. After an error it stands where it was. A file that cannot seek, such
        as a pipe, is read to its end.
    device : str, optional
        The device of the Variables. Default: the default device.

    Returns
    -------
    object
        The saved object. Arrays are Variables that do not require grad; an object with ``state_dict()`` is its
        state_dict. For a file that rustorch did not write, a dict from names to Variables, in the order of the file's
        header. bfloat16 and float16 become float32, which represents all of their values.

    Raises
    ------
    ValueError
        If the file is no safetensors file, or broken, or has dtypes that rustorch lacks, such as float8. The message
        says what is wrong, and in which tensor.
    TypeError
        If ``path`` is neither a path nor a file that is open for reading bytes.
    OSError
        If the file does not exist or cannot be read.

    Notes
    -----
    `save` may replace a file that is loaded. Other programs must not write into the file while its Variables are in
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
    open_source, shown_name = _opener("load", path)
    try:
        with open_source() as source:
            head, start = header.read(source.file, source.size)
            texts = header.metadata_of(head)
            available = source.size - start
            size = min(available, header.end_of(head)) if source.may_go_on else available
            entries = header.entries_of(head, size)
            source.map()
            loaded = _read_object(source, start, entries, _own_entry(texts), device)
            source.set_end_position(start + header.end_of(head))
            return loaded
    except ValueError as error:
        raise ValueError(f"load: {shown_name} cannot be read: {error}") from error


def _opener(function: str, path: Any) -> tuple[Callable[[], Source], str]:
    """A function that opens a path or takes an open file, and the name of the file in error messages."""
    from .source import Source
    from .stream import Stream, is_file

    if is_file(path, "read"):
        stream = Stream(function, path)
        return lambda: stream, f"the {type(path).__name__}"
    name = _path(function, path)
    return lambda: Source(name), repr(name)


def _own_entry(texts: Mapping[str, str]) -> dict[str, Any]:
    """rustorch's own entry in a file's metadata; an empty dict if there is none."""
    from . import header

    if _OWN_ENTRY not in texts:
        return {}
    entry = header.parse(texts[_OWN_ENTRY])
    if (
        not isinstance(entry, dict)
        or type(entry.get("version")) is not int
        or not isinstance(entry.get("json", []), list)
    ):
        raise ValueError(f"the entry {_OWN_ENTRY!r} of its metadata is not what rustorch writes")
    if entry["version"] > _VERSION:
        raise ValueError(
            f"a newer rustorch wrote it, in version {entry['version']} of the structure; this one reads up to "
            f"{_VERSION}"
        )
    return entry


def _read_object(source: Source, start: int, entries: dict[str, Entry], own_entry: dict[str, Any], device: str) -> Any:
    """Build the object of a file.

    Parameters
    ----------
    source : Source
    start : int
        The position of the data in the file.
    entries : dict
        Name -> the entry of a tensor in the header.
    own_entry : dict
        rustorch's own entry in the metadata.
    device : str
    """
    from ..backends.buffers import from_contents
    from .tree import unflatten

    backend = get(device)

    def take(name: str, dtype: str | None) -> Variable:
        """Read the tensor of this name, and remove its entry."""
        if name not in entries:
            raise ValueError(f"its structure names the tensor {name!r} twice, or the file has none of this name")
        entry = entries.pop(name)
        shape = entry.shape
        # rustorch does not calculate in float16 and bfloat16: they are converted to float32
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

    if "tree" not in own_entry:
        return {name: take(name, None) for name in list(entries)}
    tree = unflatten(own_entry["tree"], take)
    if entries:
        raise ValueError(f"its structure has no place for the tensors {', '.join(map(repr, list(entries)[:5]))}")
    return tree


def load_metadata(path: str | os.PathLike[str] | BinaryIO) -> dict[str, Any]:
    """Read the metadata of a safetensors file: those given to `save`, or the strings that another program wrote.

    Only the file's header is read. An open file keeps its position.

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

    open_source, shown_name = _opener("load_metadata", path)
    try:
        with open_source() as source:
            texts = header.metadata_of(header.read(source.file, source.size)[0])
            json_names = _own_entry(texts).get("json", ())
            return {
                name: json.loads(text) if name in json_names else text
                for name, text in texts.items()
                if name != _OWN_ENTRY
            }
    except RecursionError as error:
        raise ValueError(f"load_metadata: {shown_name} cannot be read: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"load_metadata: {shown_name} cannot be read: {error}") from error

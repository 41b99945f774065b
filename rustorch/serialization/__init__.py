"""Save and load models, optimizers and nested objects in one safetensors file, or in a folder with one of each rank.

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
    from ..distributed import ProcessGroup
    from ..variable import Variable
    from .header import Entry
    from .source import Source

# The functions below import json and this package's modules when they are called, so that `import rustorch` stays fast.

__all__ = ["load", "load_metadata", "save"]


def save(
    obj: Any,
    path: str | os.PathLike[str] | BinaryIO,
    metadata: Mapping[str, Any] | None = None,
    *,
    sharded: bool = False,
    rank: int | None = None,
    group: ProcessGroup | None = None,
) -> None:
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
    sharded : bool
        Whether all ranks of the process group save one object together into a folder, with a file of each rank. All
        ranks call ``save``, each with its own part. The folder is made if it does not exist; its parent must exist.
    rank : int, optional
        The rank (of the world) that writes one file for all ranks. All ranks call ``save``, each with its own part, and
        return when the file is complete. Without ``rank`` and ``sharded``, this process saves alone, and no other rank
        takes part.
    group : ProcessGroup, optional
        The ranks that save together. Default: all.

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
    RuntimeError
        If ranks save together and one of them fails. Then all ranks raise an error, and the old files do not change.
        Also if ranks save together without `rustorch.distributed.init_process_group`.

    Notes
    -----
    The object that ranks save together has the keys of all their dicts. One rank writes an array that several ranks
    have. A `rustorch.distributed.Shard` is a piece of an array, and the ranks must have all pieces of it. Any other
    value is that of the first rank that has it. To save a value of each rank, give each a key of its own:
    ``{"random": {dist.get_rank(): rustorch.get_rng_state()}}``.

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

    On several ranks, rank 0 writes a file for all. The line runs on every rank:

    >>> rustorch.distributed.init_process_group()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "checkpoint.safetensors")
    ...     rustorch.save({"model": model, "random": {0: rustorch.get_rng_state()}}, path, rank=0)
    ...     sorted(rustorch.load(path))
    ['model', 'random']
    >>> rustorch.distributed.destroy_process_group()
    """
    from ..backends.buffers import contents
    from .atomic import replace
    from .metadata import json_names_of, texts_of, whole_header
    from .stream import is_file, path_of, target
    from .tree import Flattened

    if sharded or rank is not None or group is not None:
        from .together import save_together

        return save_together(obj, path, metadata, sharded, rank, group)
    write = target("save", path) if is_file(path, "write") else None
    file_name = "" if write else path_of("save", path)
    parts = Flattened(obj)
    texts = texts_of(metadata)
    head, order = whole_header(parts.described, parts.node, parts.is_plain, texts, json_names_of(metadata))
    pieces = (head if name is None else contents(parts.arrays[name]) for name in (None, *order))
    if write is None:
        replace(file_name, pieces)
    else:
        write(pieces)
    return None


def load(path: str | os.PathLike[str] | BinaryIO, device: str | None = None, *, sharded: bool = False) -> Any:
    """Read a safetensors file of rustorch, PyTorch or any other program, or a folder that ranks have saved together.

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
    sharded : bool
        For a folder: whether arrays that were saved in pieces stay in the files. They are loaded as
        `rustorch.distributed.Shard` objects, from which ``load_state_dict`` of a module of `nn.parallel.fully_shard`,
        or of its optimizer, reads this rank's piece. The number of ranks may differ from that of the save. With False,
        the arrays are whole.

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
    from .metadata import own_entry

    device = resolve(device)
    if _is_folder(path):
        from .folder import load_folder

        return _read_folder("load", path, lambda name: load_folder(name, device, sharded))
    open_source, shown_name = _opener("load", path)
    try:
        with open_source() as source:
            head, start = header.read(source.file, source.size)
            texts = header.metadata_of(head)
            available = source.size - start
            size = min(available, header.end_of(head)) if source.may_go_on else available
            entries = header.entries_of(head, size)
            source.map()
            loaded = _read_object(source, start, entries, own_entry(texts), device)
            source.set_end_position(start + header.end_of(head))
            return loaded
    except ValueError as error:
        raise ValueError(f"load: {shown_name} cannot be read: {error}") from error


def _opener(function: str, path: Any) -> tuple[Callable[[], Source], str]:
    """A function that opens a path or takes an open file, and the name of the file in error messages."""
    from .source import Source
    from .stream import Stream, is_file, path_of

    if is_file(path, "read"):
        stream = Stream(function, path)
        return lambda: stream, f"the {type(path).__name__}"
    name = path_of(function, path)
    return lambda: Source(name), repr(name)


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
    from . import header
    from .metadata import own_entry, values_of

    if _is_folder(path):
        from .folder import metadata_of_folder

        values: dict[str, Any] = _read_folder("load_metadata", path, lambda name: values_of(*metadata_of_folder(name)))
        return values
    open_source, shown_name = _opener("load_metadata", path)
    try:
        with open_source() as source:
            texts = header.metadata_of(header.read(source.file, source.size)[0])
            return values_of(texts, own_entry(texts).get("json", ()))
    except RecursionError as error:
        raise ValueError(f"load_metadata: {shown_name} cannot be read: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"load_metadata: {shown_name} cannot be read: {error}") from error


def _is_folder(path: Any) -> bool:
    """Whether a path is that of a folder."""
    return isinstance(path, (str, bytes, os.PathLike)) and os.path.isdir(path)


def _read_folder(function: str, path: Any, read: Callable[[str], Any]) -> Any:
    """The result of ``read`` for a folder. Its errors name the folder."""
    from .stream import path_of

    name = path_of(function, path)
    try:
        return read(name)
    except RecursionError as error:
        raise ValueError(f"{function}: the folder {name!r} cannot be read: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{function}: the folder {name!r} cannot be read: {error}") from error

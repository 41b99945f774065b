"""Make one batch of a list of samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import ops
from ..autograd.check import adopt
from ..autograd.graph import Value, make
from ..backends import default_device, get, of
from ..backends.convert import host_array
from ..backends.dtypes import complex128, float64
from ..backends.promotion import PYTHON_SCALARS, is_numpy_scalar
from ..ops.from_data import asarray
from ..pytree import tree_map
from .dataset import ColumnBatch

if TYPE_CHECKING:
    from ..variable import Variable

_NUMBERS = {bool, int, float, complex}


def default_collate(batch: Any) -> Any:
    """Make one batch of a list of samples: arrays and numbers become Variables with a new first dimension.

    - Arrays and Variables of one shape are stacked. Gradients flow to the Variables.
    - Numbers become a Variable of bool, int64, float64 or complex128.
    - Strings and bytes are returned as they are.
    - Samples that are mappings, named tuples or sequences become a container of the same type, with a batch for each
      key, field or position. Tuples become lists.

    The results and their dtypes are PyTorch's. Arrays stay on their devices; numbers go to the default device.

    Parameters
    ----------
    batch : sequence
        At least one sample. All samples are of one kind.

    Raises
    ------
    ValueError
        If there are no samples, or their shapes, lengths or keys differ.
    TypeError
        If a sample is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from rustorch.data import default_collate
    >>> default_collate([(np.zeros(2), 3), (np.ones(2), 4)])
    [Variable([[0., 0.],
              [1., 1.]], dtype=float64), Variable([3, 4])]
    >>> default_collate([{"name": "a", "size": 0.5}, {"name": "b", "size": 1.5}])
    {'name': ['a', 'b'], 'size': Variable([0.5, 1.5], dtype=float64)}
    """
    if isinstance(batch, ColumnBatch):
        return list(batch.columns)
    if not len(batch):
        raise ValueError("default_collate: a batch of no samples")
    first = batch[0]
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Value) or of(first) is not None:
        return _collate_numbers(batch) if is_numpy_scalar(first) else _stack(batch)
    if isinstance(first, tuple(PYTHON_SCALARS)):
        return _collate_numbers(batch)
    if isinstance(first, Mapping):
        return _mapping_like(first, {key: default_collate(_values(batch, key)) for key in first})
    if isinstance(first, Sequence):
        try:
            columns = list(zip(*batch, strict=True))
        except ValueError as error:
            lengths = _enumeration({len(sample) for sample in batch})
            raise ValueError(
                f"default_collate: samples of different lengths, {lengths}, at one place of the batch; give the "
                f"DataLoader a collate_fn that pads them"
            ) from error
        return _sequence_like(first, [default_collate(column) for column in columns])
    raise TypeError(
        f"default_collate: samples are made of arrays, Variables, numbers, strings, mappings and sequences, not of "
        f"{type(first).__name__}; give the DataLoader a collate_fn that knows what to do with it"
    )


def default_convert(data: Any) -> Any:
    """Convert the arrays of a sample to Variables. A `DataLoader` without batches does this to each sample.

    Numbers, strings and values of other types do not change. Tuples become lists, as in PyTorch.

    Examples
    --------
    >>> import numpy as np
    >>> from rustorch.data import default_convert
    >>> default_convert({"x": np.ones(2), "name": "a"})
    {'x': Variable([1., 1.], dtype=float64), 'name': 'a'}
    """
    if isinstance(data, (Value, str, bytes)):
        return data
    if of(data) is not None:
        return asarray(data)
    if isinstance(data, Mapping):
        return _mapping_like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return _sequence_like(data, [default_convert(value) for value in data])
    return data


def move(batch: Any, device: str) -> Any:
    """The batch with all its arrays and Variables as Variables on a device."""
    return tree_map(partial(_move_leaf, device), batch)


def _move_leaf(device: str, x: Any) -> Any:
    is_array = isinstance(x, Value) or (of(x) is not None and not is_numpy_scalar(x))
    return asarray(x, device=device) if is_array else x


# -- arrays and numbers ------------------------------------------------------------------------------------------------
def _enumeration(values: Iterable[Any]) -> str:
    """The sorted values for an error message, such as "1, 2 and 3"."""
    texts = sorted(map(str, values))
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def _stack(batch: Sequence[Any]) -> Variable:
    """Stack arrays of one shape along a new first dimension."""
    try:
        shapes = {x.shape for x in batch}
    except AttributeError:
        i, odd = next((i, x) for i, x in enumerate(batch) if not hasattr(x, "shape"))
        raise TypeError(
            f"default_collate: sample {i} has {type(odd).__name__} where sample 0 has an array; give the DataLoader a "
            f"collate_fn"
        ) from None
    if len(shapes) > 1:
        raise ValueError(
            f"default_collate: samples of different shapes, {_enumeration(set(map(tuple, shapes)))}, cannot be "
            f"stacked; bring them to one shape in the dataset, or give the DataLoader a collate_fn that pads them or "
            f"keeps them apart"
        )
    (shape,) = shapes
    first = batch[0]
    if shape and len(set(map(type, batch))) == 1 and not isinstance(first, Value):
        backend: Any = of(first)
        if not backend.multi_device or len(set(map(backend.device_of, batch))) == 1:
            backend.adopt(first)  # raises for an array that would lose its meaning, such as a masked array
            with backend.guard(first):
                # concat and reshape take half the time of stack
                joined = backend.xp.concat(list(batch), axis=0)
                return make(backend.adopt(backend.xp.reshape(joined, (len(batch), *shape))))
    return ops.stack([adopt(x, "default_collate") for x in batch])


def _collate_numbers(batch: Sequence[Any]) -> Variable:
    """Make a Variable of one dimension of Python's or NumPy's numbers."""
    types = set(map(type, batch))
    if not types <= _NUMBERS:  # asarray keeps the dtypes of NumPy's scalars, and refuses what is no number
        return asarray(list(batch))
    device = default_device()
    dtype = complex128 if complex in types else float64 if float in types else None
    return make(get(device).from_numpy(host_array(list(batch), dtype), device))


# -- containers --------------------------------------------------------------------------------------------------------
def _values(batch: Sequence[Any], key: Any) -> list[Any]:
    """The value of this key in each sample."""
    values = []
    for i, sample in enumerate(batch):
        try:
            values.append(sample[key])
        except (KeyError, TypeError) as error:
            its_keys = list(sample) if isinstance(sample, Mapping) else type(sample).__name__
            raise ValueError(
                f"default_collate: sample 0 has the key {key!r}, sample {i} has not: {its_keys}"
            ) from error
    return values


def _built_or(build: Callable[[], Any], fallback: Any) -> Any:
    """A new container, or the plain one if its class cannot be copied, filled or called with the values."""
    try:
        return build()
    except TypeError:
        return fallback


def _mapping_like(first: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """A mapping of the type of the first sample with these values; a dict if the type cannot be built."""

    def filled_copy() -> Any:
        clone: Any = copy.copy(first)  # a subclass may have attributes beside its items
        clone.update(values)
        return clone

    if type(first) is dict:
        return values
    constructor: Any = type(first)
    return _built_or(filled_copy if isinstance(first, MutableMapping) else lambda: constructor(values), values)


def _sequence_like(first: Sequence[Any], values: list[Any]) -> Any:
    """A sequence of the type of the first sample with these values; a list if the type cannot be built."""

    def filled_copy() -> Any:
        clone: Any = copy.copy(first)
        for i, value in enumerate(values):
            clone[i] = value
        return clone

    constructor: Any = type(first)
    if isinstance(first, tuple):
        return constructor(*values) if hasattr(first, "_fields") else values
    if constructor is list:
        return values
    return _built_or(filled_copy if isinstance(first, MutableSequence) else lambda: constructor(values), values)

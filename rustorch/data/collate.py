"""Samples put together to a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from functools import partial
from typing import Any

from .. import ops
from ..autograd.check import adopt
from ..autograd.graph import Value, make
from ..backends import default_device, get, of
from ..backends.convert import host_array
from ..backends.dtypes import complex128, float64
from ..backends.promotion import is_numpy_scalar
from ..ops.from_data import asarray
from ..pytree import tree_map
from .dataset import Gathered

_NUMBERS = {bool, int, float, complex}


def default_collate(batch: Any) -> Any:
    """A list of samples as one batch: arrays and numbers become Variables with a new first axis, containers are looked
    into.

    - Arrays of one shape, and Variables, are stacked; gradients go on to the Variables.
    - Numbers become a Variable of bool, int64, float64 or complex128.
    - Strings and bytes stay as they came.
    - A mapping, a named tuple and a sequence become one of their own kind, of the batches of their parts; a tuple becomes a list.

    That is what PyTorch makes of them, dtypes included. Arrays stay on their devices; numbers go to the default device.

    Parameters
    ----------
    batch : sequence
        At least one sample; all are of one kind.

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
    if isinstance(batch, Gathered):
        return list(batch.columns)
    if not len(batch):
        raise ValueError("default_collate: a batch of no samples")
    first = batch[0]
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Value) or of(first) is not None:
        return _numbers(batch) if is_numpy_scalar(first) else _stacked(batch)
    if isinstance(first, (int, float, complex)):
        return _numbers(batch)
    if isinstance(first, Mapping):
        return _like_mapping(first, {key: default_collate(_values(batch, key)) for key in first})
    if isinstance(first, Sequence):
        try:
            columns = list(zip(*batch, strict=True))
        except ValueError as error:
            lengths = _listed({len(sample) for sample in batch})
            raise ValueError(
                f"default_collate: samples of different lengths, {lengths}, at one place of the batch; give the "
                f"DataLoader a "
                f"collate_fn that pads them"
            ) from error
        return _like_sequence(first, [default_collate(column) for column in columns])
    raise TypeError(
        f"default_collate: samples are made of arrays, Variables, numbers, strings, mappings and sequences, not of "
        f"{type(first).__name__}; give the DataLoader a collate_fn that knows what to do with it"
    )


def default_convert(data: Any) -> Any:
    """A sample with its arrays as Variables; what a `DataLoader` does to samples that it does not put together to
    batches.

    Numbers, strings and whatever else is in it stay as they are; tuples become lists, as in PyTorch.

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
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return _like_sequence(data, [default_convert(value) for value in data])
    return data


def moved(batch: Any, device: str) -> Any:
    """The batch with its arrays and Variables as Variables on a device."""
    return tree_map(partial(_moved, device), batch)


def _moved(device: str, x: Any) -> Any:
    is_array = isinstance(x, Value) or (of(x) is not None and not is_numpy_scalar(x))
    return asarray(x, device=device) if is_array else x


# -- arrays and numbers ------------------------------------------------------------------------------------------------
def _listed(values: Any) -> str:
    texts = sorted(map(str, values))
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def _stacked(batch: Sequence) -> Any:
    """Arrays along a new first axis. Joining them along the first that they have and cutting it takes half of
    the time.
    """
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
            f"default_collate: samples of different shapes, {_listed(set(map(tuple, shapes)))}, cannot be stacked; "
            f"bring them to one "
            f"shape in the dataset, or give the DataLoader a collate_fn that pads them or keeps them apart"
        )
    (shape,) = shapes
    first = batch[0]
    if shape and len(set(map(type, batch))) == 1 and not isinstance(first, Value):
        backend: Any = of(first)
        if not backend.multi_device or len(set(map(backend.device_of, batch))) == 1:
            backend.adopt(first)  # raises where a meaning would be lost, as a mask's
            with backend.guard(first):
                joined = backend.xp.concat(list(batch), axis=0)
                return make(backend.adopt(backend.xp.reshape(joined, (len(batch), *shape))))
    return ops.stack([adopt(x, "default_collate") for x in batch])


def _numbers(batch: Sequence) -> Any:
    kinds = set(map(type, batch))
    if not kinds <= _NUMBERS:  # NumPy's numbers, which keep their dtypes; or something that is none
        return asarray(list(batch))
    device = default_device()
    dtype = complex128 if complex in kinds else float64 if float in kinds else None
    return make(get(device).from_numpy(host_array(list(batch), dtype), device))


# -- containers --------------------------------------------------------------------------------------------------------
def _values(batch: Sequence, key: Any) -> list:
    out = []
    for i, sample in enumerate(batch):
        try:
            out.append(sample[key])
        except (KeyError, TypeError) as error:
            theirs = list(sample) if isinstance(sample, Mapping) else type(sample).__name__
            raise ValueError(f"default_collate: sample 0 has the key {key!r}, sample {i} has not: {theirs}") from error
    return out


def _rebuilt(make_one: Callable[[], Any], plain: Any) -> Any:
    try:
        return make_one()
    except TypeError:  # a class that cannot be copied, written into, or made of what it holds
        return plain


def _like_mapping(first: Any, values: dict) -> Any:
    def filled() -> Any:
        clone = copy.copy(first)  # a subclass may hold more than its items
        clone.update(values)
        return clone

    if type(first) is dict:
        return values
    return _rebuilt(filled if isinstance(first, MutableMapping) else lambda: type(first)(values), values)


def _like_sequence(first: Any, values: list) -> Any:
    def filled() -> Any:
        clone = copy.copy(first)
        for i, value in enumerate(values):
            clone[i] = value
        return clone

    if isinstance(first, tuple):
        return type(first)(*values) if hasattr(first, "_fields") else values
    if type(first) is list:
        return values
    return _rebuilt(filled if isinstance(first, MutableSequence) else lambda: type(first)(values), values)

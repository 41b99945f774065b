"""Embeddings: rows of a table by their indices; their sums, means or maxima; and one-hot vectors."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.graph import Value
from ...autograd.modes import no_grad
from ...backends import dtypes
from ...ops import linalg, network
from ...ops.indexing import extent, index_add, readable
from .checks import adopt
from .dtype_checks import one_dtype

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["embedding", "embedding_bag", "one_hot"]


def padding_of(name: str, padding_idx: int | None, rows: int) -> int | None:
    """The index of the padding row, not negative. Raises ValueError if the table has no such row."""
    if padding_idx is None:
        return None
    if not hasattr(padding_idx, "__index__"):
        raise TypeError(f"{name}: padding_idx is the number of a row, not {padding_idx!r}")
    if not -rows <= padding_idx < rows:
        raise ValueError(
            f"{name}: padding_idx is a row of a table of {rows}, from {-rows} to {rows - 1}, not {padding_idx}"
        )
    return padding_idx % rows


def check_norm(name: str, max_norm: float | None, norm_type: float) -> None:
    """Raise ValueError for a negative ``max_norm`` or an order that is not positive."""
    for what, value in (("max_norm", max_norm), ("norm_type", norm_type)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
            raise TypeError(f"{name}: {what} is a number, not {value!r}")
    if max_norm is not None and not max_norm >= 0:
        raise ValueError(f"{name}: max_norm must be at least 0, not {max_norm!r}")
    if max_norm is not None and not norm_type > 0:
        raise ValueError(f"{name}: norm_type is the order of a norm, and positive, not {norm_type!r}")


def _indices(name: str, value: ArrayLike, like: Variable) -> Variable:
    x = adopt(value, name, (like,))
    if x.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices are integers, not {x.dtype}")
    return x


def _checked(
    name: str, input: ArrayLike, weight: ArrayLike, max_norm: float | None, norm_type: float, sparse: bool
) -> tuple[Variable, Variable]:
    """Indices and table, after the checks of `embedding` and `embedding_bag`."""
    check_norm(name, max_norm, norm_type)
    if max_norm is not None and not isinstance(weight, Value):
        raise TypeError(
            f"{name}: with max_norm the weight is changed in place: a Variable, not {type(weight).__name__}"
        )
    weight = adopt(weight, name)
    input = _indices(name, input, weight)
    if sparse:
        raise ValueError(f"{name}: sparse=True is not offered; gradients are dense")
    if weight.ndim != 2:
        raise ValueError(f"{name}: the weight has shape {weight.shape}; it is (rows, features)")
    lowest, highest = extent(input)
    if lowest is not None and highest is not None and (lowest < 0 or highest >= weight.shape[0]):
        wrong = lowest if lowest < 0 else highest
        raise IndexError(f"{name}: index {wrong} is out of range for a table of {weight.shape[0]} rows")
    return input, weight


def _renormalized(weight: Variable, rows: Variable, max_norm: float, norm_type: float) -> None:
    """Scale the rows with these indices down to ``max_norm``, in place and outside the graph."""
    if max_norm == math.inf or not weight.size:
        return
    with no_grad():
        table = weight.detach()
        top = ops.max(ops.abs(table), axis=1, keepdims=True)  # divide by it, so that no norm overflows
        most = ops.finfo(table.dtype).max / 16  # XLA divides by its reciprocal, which must not be subnormal
        top = ops.where(ops.isfinite(top), ops.clip(top, min=1.0, max=most), ops.ones_like(top))
        norms = linalg.vector_norm(table / top, axis=1, keepdims=True, ord=norm_type)
        ones = ops.ones((rows.size, 1), dtype=table.dtype, device=table.device)
        chosen = index_add(ones, rows, (table.shape[0], 1), 0) > 0
        long = ops.logical_and(chosen, norms > max_norm / top)
        # as in PyTorch, a row with infinite elements becomes 0, and nan where it was infinite
        infinite = ops.isinf(table)
        finite = ops.where(infinite, ops.full_like(table, math.nan), table / top)
        weight[...] = ops.where(long, finite * (max_norm / (norms + 1e-7 / top)), table)


def embedding(
    input: ArrayLike,
    weight: ArrayLike,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Variable:
    """``weight[input]``: the row of the table for each index.

    Parameters
    ----------
    input : Variable or array of integers, (...)
    weight : Variable or array, (rows, features)
    padding_idx : int, optional
        The index of a row that gets a gradient of 0.
    max_norm : float, optional
        The largest norm of the returned rows. Longer rows are first scaled down, in place, in the table.
    norm_type : float
        The order of this norm.
    scale_grad_by_freq : bool
        Whether the gradient of a row is the mean over its occurrences instead of the sum.
    sparse : bool
        False; gradients are dense.

    Returns
    -------
    Variable, (..., features)

    Raises
    ------
    IndexError
        If an index is out of range. No row is scaled then. (On "cuda" and under tracing the indices are not read,
        because the program would have to wait. On "cuda" such an index wraps around.)
    TypeError
        If the indices are not integers.

    Examples
    --------
    >>> import rustorch
    >>> table = rustorch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> rustorch.nn.functional.embedding(rustorch.tensor([2, 0]), table).tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    input, weight = _checked("embedding", input, weight, max_norm, norm_type, sparse)
    padding = padding_of("embedding", padding_idx, weight.shape[0])
    rows = ops.reshape(input, (input.size,))
    if max_norm is not None:
        _renormalized(weight, rows, max_norm, norm_type)
    out = network.embedding.call(weight, rows, padding, scale_grad_by_freq)
    return out if input.ndim == 1 else ops.reshape(out, (*input.shape, weight.shape[1]))


def embedding_bag(
    input: ArrayLike,
    weight: ArrayLike,
    offsets: ArrayLike | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Variable:
    """The sum, mean or maximum of the rows of each bag of indices. An empty bag gives zeros.

    Parameters
    ----------
    input : Variable or array of integers, (bags, size) or (n,)
    weight : Variable or array, (rows, features)
    offsets : Variable or array of integers, (bags,)
        For an input of one dimension: the first place of each bag, in rising order from 0.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for `embedding`.
    mode : {"sum", "mean", "max"}
    per_sample_weights : Variable or array, the input's shape, optional
        Factors of the rows; only for "sum".
    include_last_offset : bool
        Whether one more offset follows: the end of the last bag.
    padding_idx : int, optional
        The index of a row that is left out of all bags.

    Returns
    -------
    Variable, (bags, features)

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If the mode is unknown, or shapes or offsets do not fit.
    TypeError
        If the indices are not integers, or ``per_sample_weights`` have another dtype than the weight.

    Examples
    --------
    >>> import rustorch
    >>> table = rustorch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> bags = rustorch.tensor([0, 1, 2])
    >>> rustorch.nn.functional.embedding_bag(bags, table, rustorch.tensor([0, 2]), mode="sum").tolist()
    [[2.0, 4.0], [4.0, 5.0]]
    """
    name = "embedding_bag"
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{name}: mode is 'sum', 'mean' or 'max', not {mode!r}")
    input, weight = _checked(name, input, weight, max_norm, norm_type, sparse)
    if scale_grad_by_freq and mode == "max":
        raise ValueError(f"{name}: scale_grad_by_freq has no meaning for mode='max'")
    if per_sample_weights is not None:
        if mode != "sum":
            raise ValueError(f"{name}: per_sample_weights are for mode='sum', not {mode!r}")
        per_sample_weights = adopt(per_sample_weights, name, (weight,))
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"{name}: per_sample_weights have the input's shape {input.shape}, not {per_sample_weights.shape}"
            )
        one_dtype(name, table=weight, per_sample_weights=per_sample_weights)
    padding = padding_of(name, padding_idx, weight.shape[0])
    starts, ends = _bags(name, input, offsets, include_last_offset)
    rows = ops.reshape(ops.astype(input, dtypes.int64, copy=False), (input.size,))
    if max_norm is not None:
        _renormalized(weight, rows, max_norm, norm_type)
    values = network.embedding.call(weight, rows, padding, scale_grad_by_freq)
    counts = None if padding is None else rows != padding
    if mode == "max":
        return _maxima(values, counts, starts, ends)
    if counts is not None:
        values = ops.where(ops.expand_dims(counts, axis=1), values, ops.zeros_like(values))
    if per_sample_weights is not None:
        values = values * ops.expand_dims(ops.reshape(per_sample_weights, (input.size,)), axis=1)
    places = ops.arange(rows.size, dtype=starts.dtype, device=rows.device)
    bag = ops.searchsorted(starts, places, side="right") - 1
    out = index_add(values, bag, (starts.size, weight.shape[1]), 0)
    if mode == "sum":
        return out
    each = ops.ones((rows.size, 1), dtype=weight.dtype, device=weight.device)
    if counts is not None:
        each = ops.astype(ops.expand_dims(counts, axis=1), weight.dtype)
    number = index_add(each, bag, (starts.size, 1), 0)
    return out / ops.where(number == 0, ops.ones_like(number), number)


def _bags(name: str, input: Variable, offsets: ArrayLike, include_last: bool) -> tuple[Variable, Variable]:
    """The first place of each bag in the flattened input, and the place after its last one."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(f"{name}: in an input of two dimensions each row is a bag; it takes no offsets")
        starts = ops.arange(input.shape[0], dtype=dtypes.int64, device=input.device) * input.shape[1]
        return starts, starts + input.shape[1]
    if input.ndim != 1:
        raise ValueError(f"{name}: the input has shape {input.shape}; it is (bags, size), or (n,) with offsets")
    if offsets is None:
        raise ValueError(f"{name}: an input of one dimension needs offsets: where each bag begins")
    offsets = ops.astype(_indices(name, offsets, input), dtypes.int64, copy=False)
    if offsets.ndim != 1 or (include_last and not offsets.size):
        raise ValueError(f"{name}: offsets have shape ({'bags + 1' if include_last else 'bags'},), not {offsets.shape}")
    last = ops.full((1,), input.size, dtype=dtypes.int64, device=input.device)
    starts, ends = (offsets[:-1], offsets[1:]) if include_last else (offsets, ops.concat([offsets[1:], last]))
    shortest, _ = extent(ends - starts)
    first, highest = extent(offsets)
    if highest is not None and (
        first != 0 or extent(offsets[:1])[0] != 0 or highest > input.size or (shortest or 0) < 0
    ):
        raise ValueError(
            f"{name}: offsets rise from 0 to at most the {input.size} indices; these are {offsets.tolist()}"
        )
    if include_last and starts.size and highest is not None and highest != input.size:
        raise ValueError(
            f"{name}: with include_last_offset the last offset is the number of indices, {input.size}, not {highest}"
        )
    return starts, ends


def _maxima(values: Variable, counts: Variable | None, starts: Variable, ends: Variable) -> Variable:
    """The maxima of the bags. All bags get the length of the longest one, with rows of -inf at their ends."""
    size = values.shape[0]
    _, longest = extent(ends - starts)
    width = size if longest is None else longest  # if lengths cannot be read: no bag is longer than all indices
    if not size or not width or not starts.size:
        return ops.zeros((starts.size, values.shape[1]), dtype=values.dtype, device=values.device) + 0 * ops.sum(
            values, axis=0
        )
    places = ops.expand_dims(starts, axis=1) + ops.arange(width, dtype=starts.dtype, device=starts.device)
    used = places < ops.expand_dims(ends, axis=1)
    flat = ops.reshape(ops.where(used, places, ops.zeros_like(places)), (places.size,))
    if counts is not None:
        used = ops.logical_and(used, ops.reshape(ops.take(counts, flat, axis=0), places.shape))
    rows = ops.reshape(ops.take(values, flat, axis=0), (*places.shape, values.shape[1]))
    used = ops.expand_dims(used, axis=2)
    top = ops.max(ops.where(used, rows, ops.full_like(rows, -float("inf"))), axis=1)
    return ops.where(ops.any(used, axis=1), top, ops.zeros_like(top))


def one_hot(input: ArrayLike, num_classes: int = -1) -> Variable:
    """For each index a vector of zeros with a 1 at this place.

    Parameters
    ----------
    input : Variable or array of integers, (...)
    num_classes : int
        The length of the vectors; -1 for the largest index plus 1. On "cuda" this waits for the device.

    Returns
    -------
    Variable, (..., num_classes), int64

    Raises
    ------
    IndexError
        If an index is out of range and can be read without waiting.
    ValueError
        If ``num_classes`` is -1, but there are no indices, or they cannot be read.
    TypeError
        If the input is not of integers.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.one_hot(rustorch.tensor([0, 2])).tolist()
    [[1, 0, 0], [0, 0, 1]]
    """
    x = adopt(input, "one_hot")
    if x.dtype.kind not in "iu":
        raise TypeError(f"one_hot: indices are integers, not {x.dtype}")
    lowest, highest = extent(x)
    classes = num_classes
    if num_classes == -1:
        if x.size and not readable(x):
            highest = int(ops.max(x))
        if highest is None:
            raise ValueError(
                "one_hot: the number of classes does not follow from these indices; give it, as in num_classes=10"
            )
        classes = highest + 1
    elif num_classes < 1 and (x.size or num_classes < 0):
        raise ValueError(f"one_hot: num_classes is at least 1, or -1, not {num_classes}")
    if lowest is not None and highest is not None and (lowest < 0 or highest >= classes):
        raise IndexError(f"one_hot: index {lowest if lowest < 0 else highest} is out of range for {classes} classes")
    places = ops.arange(classes, dtype=x.dtype, device=x.device)
    return ops.astype(ops.expand_dims(x, axis=-1) == places, dtypes.int64)

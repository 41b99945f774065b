"""Pad and pack sequences of different lengths, and undo both; the names are those of torch.nn.utils.rnn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import index
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import adopt
from ...backends import dtypes
from ...variable import Variable
from ..functional.packing import PackedSequence, inverse, sizes_of

if TYPE_CHECKING:
    from ...typing import Array, ArrayLike

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


def invert_permutation(permutation: ArrayLike | None) -> Variable | None:
    """The inverse of a permutation: the position of each number in it. None for None.

    Parameters
    ----------
    permutation : Variable or array, (n,), or None

    Returns
    -------
    Variable, (n,), or None

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.utils.rnn.invert_permutation(rustorch.tensor([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    return None if permutation is None else inverse(adopt(permutation, "invert_permutation"))


def _host_array(numbers: Sequence[int]) -> Variable:
    """The integers as a Variable on the host."""
    return ops.asarray(list(numbers), dtype=dtypes.int64, device="cpu")


def _lengths(name: str, lengths: Any, batch: int, steps: int) -> list[int]:
    """The lengths as integers. Raises unless there is one for each sequence, from 1 to the number of steps."""
    values = lengths.tolist() if hasattr(lengths, "tolist") else list(lengths)
    try:
        checked = [index(n) for n in values]
    except TypeError:
        raise TypeError(f"{name}: lengths are integers, not {values!r}") from None
    if len(checked) != batch:
        raise ValueError(f"{name}: there are {batch} sequences and {len(checked)} lengths")
    if checked and not 1 <= min(checked) <= max(checked) <= steps:
        raise ValueError(f"{name}: lengths are from 1 to the number of steps, {steps}, not {checked}")
    return checked


def _steps_first(name: str, input: ArrayLike, batch_first: bool) -> Variable:
    """The input as (steps, batch, ...)."""
    x = adopt(input, name)
    if x.ndim < 2:
        raise ValueError(f"{name}: the input has two dimensions at least, (steps, batch, ...), not the shape {x.shape}")
    return ops.moveaxis(x, 0, 1) if batch_first else x


def pack_padded_sequence(
    input: Variable | Array, lengths: ArrayLike | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack sequences that were padded to one length: leave the padding out.

    Parameters
    ----------
    input : Variable or array, (steps, batch, ...)
        With ``batch_first``: (batch, steps, ...).
    lengths : sequence or array of int, (batch,)
        The length of each sequence, at least 1.
    batch_first : bool
    enforce_sorted : bool
        Whether the sequences must be sorted from the longest to the shortest. Otherwise they are sorted here.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ValueError
        If the lengths do not match the input, or are not sorted.
    TypeError
        If the lengths are not integers.

    Examples
    --------
    >>> import rustorch
    >>> padded = rustorch.tensor([[1.0, 4.0], [2.0, 0.0], [3.0, 0.0]])
    >>> rustorch.nn.utils.rnn.pack_padded_sequence(padded, [3, 1]).data.tolist()
    [1.0, 4.0, 2.0, 3.0]
    """
    name = "pack_padded_sequence"
    x = _steps_first(name, input, batch_first)
    steps, batch, *rest = x.shape
    sizes = _lengths(name, lengths, batch, steps)
    if not batch:
        raise ValueError(f"{name}: there is no sequence in an input of shape {tuple(input.shape)}")
    order: Variable | None = None
    if not enforce_sorted:
        numbers = sorted(range(batch), key=lambda b: -sizes[b])
        sizes = [sizes[b] for b in numbers]
        order = ops.asarray(numbers, dtype=dtypes.int64, device=x.device)
        x = ops.take(x, order, axis=1)
    elif sizes != sorted(sizes, reverse=True):
        raise ValueError(
            f"{name}: lengths must be sorted from the longest to the shortest, unlike {sizes}; or write "
            f"enforce_sorted=False"
        )
    batch_sizes = [sum(n > t for n in sizes) for t in range(sizes[0])]
    rows = [t * batch + b for t, size in enumerate(batch_sizes) for b in range(size)]
    flat = ops.reshape(x, (steps * batch, *rest))
    data = ops.take(flat, ops.asarray(rows, dtype=dtypes.int64, device=x.device), axis=0)
    return PackedSequence(data, _host_array(batch_sizes), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Variable, Variable]:
    """Pad packed sequences to one length, in their first order: the inverse of `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
    padding_value : float
    total_length : int, optional
        The length of the result. Default: the length of the longest sequence.

    Returns
    -------
    padded : Variable, (steps, batch, ...)
        With ``batch_first``: (batch, steps, ...).
    lengths : Variable, (batch,), int64
        The length of each sequence, on the host.

    Raises
    ------
    ValueError
        If ``total_length`` is less than the length of the longest sequence.
    TypeError
        If ``sequence`` is not a PackedSequence.

    Examples
    --------
    >>> import rustorch
    >>> packed = rustorch.nn.utils.rnn.pack_sequence([rustorch.tensor([1.0, 2.0, 3.0]), rustorch.tensor([4.0])])
    >>> padded, lengths = rustorch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    >>> padded.tolist(), lengths.tolist()
    ([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]], [3, 1])
    """
    name = "pad_packed_sequence"
    if not isinstance(sequence, PackedSequence):
        raise TypeError(f"{name}: a PackedSequence is unpacked, not {type(sequence).__name__}")
    sizes, data = sizes_of(name, sequence), sequence.data
    steps, batch, rest = len(sizes), sizes[0], data.shape[1:]
    if total_length is not None and total_length < steps:
        raise ValueError(f"{name}: total_length is at least the longest sequence's length, {steps}, not {total_length}")
    total = steps if total_length is None else total_length
    lengths = [sum(size > b for size in sizes) for b in range(batch)]
    starts = [0, *accumulate(sizes)]
    padding = starts[steps]  # the index of the row of padding, behind all others
    rows = [starts[t] + b if t < lengths[b] else padding for t in range(total) for b in range(batch)]
    if total * batch > padding:
        data = ops.concat([data, ops.full((1, *rest), padding_value, dtype=data.dtype, device=data.device)])
    taken = ops.take(data, ops.asarray(rows, dtype=dtypes.int64, device=data.device), axis=0)
    padded = ops.reshape(taken, (total, batch, *rest))
    if sequence.unsorted_indices is not None:
        padded = ops.take(padded, sequence.unsorted_indices, axis=1)
        lengths = [lengths[position] for position in sequence.unsorted_indices.tolist()]
    return (ops.moveaxis(padded, 0, 1) if batch_first else padded), _host_array(lengths)


def pad_sequence(
    sequences: Sequence[ArrayLike], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Variable:
    """Pad sequences of different lengths to the longest, as one array.

    Parameters
    ----------
    sequences : sequence of Variables or arrays, (length, ...)
        All sizes but the first must be equal.
    batch_first : bool
        Whether the result is (batch, steps, ...) instead of (steps, batch, ...).
    padding_value : float
    padding_side : {"right", "left"}
        The side of a sequence where the padding goes.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If there is no sequence, or sizes after the first differ.

    Examples
    --------
    >>> import rustorch
    >>> sequences = [rustorch.tensor([1.0, 2.0, 3.0]), rustorch.tensor([4.0])]
    >>> rustorch.nn.utils.rnn.pad_sequence(sequences, batch_first=True).tolist()
    [[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]]
    """
    name = "pad_sequence"
    if padding_side not in ("right", "left"):
        raise ValueError(f"{name}: padding_side is 'right' or 'left', not {padding_side!r}")
    arrays = list(sequences)
    variables = [adopt(x, name, arrays) for x in arrays]
    if not variables:
        raise ValueError(f"{name}: there is no sequence")
    if any(not x.ndim or x.shape[1:] != variables[0].shape[1:] for x in variables):
        shapes = ", ".join(str(tuple(x.shape)) for x in variables)
        raise ValueError(f"{name}: sequences are (length, ...), equal in all sizes but the first; these are {shapes}")
    longest = max(x.shape[0] for x in variables)
    padded = []
    for x in variables:
        missing = ops.full((longest - x.shape[0], *x.shape[1:]), padding_value, dtype=x.dtype, device=x.device)
        padded.append(ops.concat([x, missing] if padding_side == "right" else [missing, x]) if missing.shape[0] else x)
    return ops.stack(padded, axis=0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: ArrayLike, lengths: ArrayLike | Sequence[int], batch_first: bool = False
) -> list[Variable]:
    """Remove the padding of sequences: the inverse of `pad_sequence`.

    Parameters
    ----------
    padded_sequences : Variable or array, (steps, batch, ...)
        With ``batch_first``: (batch, steps, ...).
    lengths : sequence or array of int, (batch,)
    batch_first : bool

    Raises
    ------
    ValueError
        If the lengths do not match.

    Examples
    --------
    >>> import rustorch
    >>> padded = rustorch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    >>> [x.tolist() for x in rustorch.nn.utils.rnn.unpad_sequence(padded, [3, 1], batch_first=True)]
    [[1.0, 2.0, 3.0], [4.0]]
    """
    x = _steps_first("unpad_sequence", padded_sequences, batch_first)
    sizes = _lengths("unpad_sequence", lengths, x.shape[1], x.shape[0])
    return [x[:n, b, ...] for b, n in enumerate(sizes)]


def pack_sequence(sequences: Sequence[Variable | Array], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of different lengths.

    Parameters
    ----------
    sequences : sequence of Variables or arrays, (length, ...)
    enforce_sorted : bool
        Whether the sequences must be sorted from the longest to the shortest. Otherwise they are sorted here.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ValueError
        As `pad_sequence` and `pack_padded_sequence`.

    Examples
    --------
    >>> import rustorch
    >>> sequences = [rustorch.tensor([4.0]), rustorch.tensor([1.0, 2.0, 3.0])]
    >>> rustorch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False).sorted_indices.tolist()
    [1, 0]
    """
    arrays = list(sequences)
    padded = pad_sequence(arrays)
    return pack_padded_sequence(padded, [x.shape[0] for x in arrays], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Variable]:
    """The sequences of a `PackedSequence` in their first order: the inverse of `pack_sequence`.

    Parameters
    ----------
    packed_sequences : PackedSequence

    Returns
    -------
    list of Variable

    Examples
    --------
    >>> import rustorch
    >>> packed = rustorch.nn.utils.rnn.pack_sequence([rustorch.tensor([1.0, 2.0, 3.0]), rustorch.tensor([4.0])])
    >>> [x.tolist() for x in rustorch.nn.utils.rnn.unpack_sequence(packed)]
    [[1.0, 2.0, 3.0], [4.0]]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences))

"""Sequences of different lengths: padded, packed, and back; under torch.nn.utils.rnn's names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import index
from typing import Any

from ... import ops
from ...autograd.check import adopt
from ...backends import dtypes
from ...variable import Variable
from ..functional.packing import PackedSequence, inverse, sizes_of

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


def invert_permutation(permutation: Any) -> Variable | None:
    """Where each number stands in a permutation; None for None.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.utils.rnn.invert_permutation(rustorch.tensor([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    return None if permutation is None else inverse(adopt(permutation, "invert_permutation"))


def _host(numbers: Sequence[int]) -> Variable:
    return ops.asarray(list(numbers), dtype=dtypes.int64, device="cpu")


def _lengths(name: str, lengths: Any, batch: int, steps: int) -> list[int]:
    """The lengths as integers, each of them from 1 to the number of steps."""
    given = lengths.tolist() if hasattr(lengths, "tolist") else list(lengths)
    try:
        found = [index(n) for n in given]
    except TypeError:
        raise TypeError(f"{name}: lengths are integers, not {given!r}") from None
    if len(found) != batch:
        raise ValueError(f"{name}: there are {batch} sequences and {len(found)} lengths")
    if found and not 1 <= min(found) <= max(found) <= steps:
        raise ValueError(f"{name}: lengths are from 1 to the number of steps, {steps}, not {found}")
    return found


def _padded(name: str, input: Any, batch_first: bool) -> Variable:
    """(steps, batch, ...) from either order."""
    x = adopt(input, name)
    if x.ndim < 2:
        raise ValueError(f"{name}: the input has two dimensions at least, (steps, batch, ...), not the shape {x.shape}")
    return ops.moveaxis(x, 0, 1) if batch_first else x


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Sequences that were padded to one length, without the padding.

    Parameters
    ----------
    input : Variable or array, (steps, batch, ...)
        With ``batch_first``, (batch, steps, ...).
    lengths : sequence or array of int, (batch,)
        Each of them at least 1.
    batch_first : bool
    enforce_sorted : bool
        Whether the longest sequence must be the first, the next one the second, and so on; otherwise they are sorted.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ValueError
        If lengths do not fit the input, or are not sorted.
    TypeError
        If they are no integers.

    Examples
    --------
    >>> import rustorch
    >>> padded = rustorch.tensor([[1.0, 4.0], [2.0, 0.0], [3.0, 0.0]])
    >>> rustorch.nn.utils.rnn.pack_padded_sequence(padded, [3, 1]).data.tolist()
    [1.0, 4.0, 2.0, 3.0]
    """
    name = "pack_padded_sequence"
    x = _padded(name, input, batch_first)
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
            f"{name}: lengths fall, the longest is the first, not as in {sizes}; or write enforce_sorted=False"
        )
    batch_sizes = [sum(n > t for n in sizes) for t in range(sizes[0])]
    rows = [t * batch + b for t, size in enumerate(batch_sizes) for b in range(size)]
    flat = ops.reshape(x, (steps * batch, *rest))
    data = ops.take(flat, ops.asarray(rows, dtype=dtypes.int64, device=x.device), axis=0)
    return PackedSequence(data, _host(batch_sizes), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Variable, Variable]:
    """Packed sequences, padded to one length, in the order that they had; the inverse of `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
    padding_value : float
    total_length : int, optional
        To which length; default: the longest sequence's.

    Returns
    -------
    padded : Variable, (steps, batch, ...)
        With ``batch_first``, (batch, steps, ...).
    lengths : Variable, (batch,), int64
        On the host.

    Raises
    ------
    ValueError
        If ``total_length`` is less than the longest sequence's.
    TypeError
        If it is no PackedSequence.

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
    padding = starts[steps]  # a row behind all others
    rows = [starts[t] + b if t < lengths[b] else padding for t in range(total) for b in range(batch)]
    if total * batch > padding:
        data = ops.concat([data, ops.full((1, *rest), padding_value, dtype=data.dtype, device=data.device)])
    taken = ops.take(data, ops.asarray(rows, dtype=dtypes.int64, device=data.device), axis=0)
    padded = ops.reshape(taken, (total, batch, *rest))
    if sequence.unsorted_indices is not None:
        padded = ops.take(padded, sequence.unsorted_indices, axis=1)
        lengths = [lengths[place] for place in sequence.unsorted_indices.tolist()]
    return (ops.moveaxis(padded, 0, 1) if batch_first else padded), _host(lengths)


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Variable:
    """Sequences of different lengths as one array, padded to the longest.

    Parameters
    ----------
    sequences : sequence of Variables or arrays, (length, ...)
        Of equal sizes but the first.
    batch_first : bool
        Whether the result is (batch, steps, ...) instead of (steps, batch, ...).
    padding_value : float
    padding_side : {"right", "left"}

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If there is no sequence, or their other sizes differ.

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
    given = list(sequences)
    found = [adopt(x, name, given) for x in given]
    if not found:
        raise ValueError(f"{name}: there is no sequence")
    if any(not x.ndim or x.shape[1:] != found[0].shape[1:] for x in found):
        shapes = ", ".join(str(tuple(x.shape)) for x in found)
        raise ValueError(f"{name}: sequences are (length, ...), equal in all sizes but the first; these are {shapes}")
    longest = max(x.shape[0] for x in found)
    padded = []
    for x in found:
        missing = ops.full((longest - x.shape[0], *x.shape[1:]), padding_value, dtype=x.dtype, device=x.device)
        padded.append(ops.concat([x, missing] if padding_side == "right" else [missing, x]) if missing.shape[0] else x)
    return ops.stack(padded, axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Variable]:
    """Each of the sequences that were padded to one length, without its padding; the inverse of `pad_sequence`.

    Parameters
    ----------
    padded_sequences : Variable or array, (steps, batch, ...)
        With ``batch_first``, (batch, steps, ...).
    lengths : sequence or array of int, (batch,)
    batch_first : bool

    Raises
    ------
    ValueError
        If lengths do not fit.

    Examples
    --------
    >>> import rustorch
    >>> padded = rustorch.tensor([[1.0, 2.0, 3.0], [4.0, 0.0, 0.0]])
    >>> [x.tolist() for x in rustorch.nn.utils.rnn.unpad_sequence(padded, [3, 1], batch_first=True)]
    [[1.0, 2.0, 3.0], [4.0]]
    """
    x = _padded("unpad_sequence", padded_sequences, batch_first)
    sizes = _lengths("unpad_sequence", lengths, x.shape[1], x.shape[0])
    return [x[:n, b, ...] for b, n in enumerate(sizes)]


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Sequences of different lengths, packed.

    Parameters
    ----------
    sequences : sequence of Variables or arrays, (length, ...)
    enforce_sorted : bool
        Whether they must be sorted, the longest first; otherwise that is done here.

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
    given = list(sequences)
    padded = pad_sequence(given)
    return pack_padded_sequence(padded, [x.shape[0] for x in given], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Variable]:
    """The sequences of a `PackedSequence`, in the order that they had; the inverse of `pack_sequence`.

    Examples
    --------
    >>> import rustorch
    >>> packed = rustorch.nn.utils.rnn.pack_sequence([rustorch.tensor([1.0, 2.0, 3.0]), rustorch.tensor([4.0])])
    >>> [x.tolist() for x in rustorch.nn.utils.rnn.unpack_sequence(packed)]
    [[1.0, 2.0, 3.0], [4.0]]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences))

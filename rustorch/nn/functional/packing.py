"""Packed sequences: a batch of sequences of different lengths in one array without padding, for recurrent layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ... import ops
from ...variable import Variable

__all__: list[str] = []

#: One layer in one direction: (input, states before, weights, reverse) -> (output, states after).
Direction = Callable[[Variable, list[Any], Any, bool], tuple[Variable, list[Variable]]]


class _Packed(NamedTuple):
    data: Variable
    batch_sizes: Variable
    sorted_indices: Variable | None
    unsorted_indices: Variable | None


class PackedSequence(_Packed):
    """Sequences of different lengths without padding, step by step. The longest sequence comes first.

    The data holds the first steps of all sequences, then the second steps of all that have a second step, and so on.

    Parameters
    ----------
    data : Variable, (sum of the lengths, ...)
    batch_sizes : Variable, (steps,), integers
        For each step the number of sequences that have it; on the host.
    sorted_indices, unsorted_indices : Variable, (batch,), optional
        The indices of the sequences in order of falling length, and the inverse permutation.

    Examples
    --------
    `rustorch.nn.utils.rnn.pack_padded_sequence` and `rustorch.nn.utils.rnn.pack_sequence` make packed sequences.

    >>> import rustorch
    >>> packed = rustorch.nn.utils.rnn.pack_sequence([rustorch.tensor([1.0, 2.0, 3.0]), rustorch.tensor([4.0])])
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1.0, 4.0, 2.0, 3.0], [2, 1, 1])
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Variable | None = None,
        sorted_indices: Variable | None = None,
        unsorted_indices: Variable | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            raise ValueError("PackedSequence: batch_sizes is missing; pack_sequence and pack_padded_sequence make both")
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = inverse(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences with converted data, as by `Variable.to`; the indices move to the device of the data."""
        data = self.data.to(*args, **kwargs)
        indices = [None if x is None else x.to(data.device) for x in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def with_data(self, data: Variable) -> PackedSequence:
        """The same sequences with other values."""
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)


def inverse(permutation: Variable) -> Variable:
    """The inverse of a permutation."""
    return ops.argsort(permutation)


def sizes_of(name: str, sequence: PackedSequence) -> list[int]:
    """The batch sizes as numbers.

    Raises
    ------
    ValueError
        If they are not positive, rise from one step to the next, or do not sum to the rows of the data.
    """
    sizes = [int(n) for n in sequence.batch_sizes.tolist()]
    if not sizes or min(sizes) < 1 or sizes != sorted(sizes, reverse=True) or sum(sizes) != sequence.data.shape[0]:
        raise ValueError(
            f"{name}: batch_sizes are positive, do not rise, and sum to the {sequence.data.shape[0]} rows of the data, "
            f"not {sizes}"
        )
    return sizes


def segments(sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Runs of steps with equally many sequences: (first row of the data, number of steps, number of sequences)."""
    runs: list[tuple[int, int, int]] = []
    row = 0
    for size in sizes:
        if runs and runs[-1][2] == size:
            start, steps, _ = runs[-1]
            runs[-1] = (start, steps + 1, size)
        else:
            runs.append((row, 1, size))
        row += size
    return runs


def over_segments(direction: Direction, sizes: Sequence[int]) -> Direction:
    """A direction over packed data. Sequences leave the batch at their ends; backwards, they enter it there."""
    parts = segments(sizes)

    def run(data: Variable, states: list[Any], weights: Any, reverse: bool) -> tuple[Variable, list[Variable]]:
        outs: list[Variable] = []
        finished: list[list[Variable]] = []  # the last states of sequences that have ended, the longest first
        current = [state[: parts[-1][2], :] for state in states] if reverse else states
        for start, steps, size in reversed(parts) if reverse else parts:
            before = current[0].shape[0]
            if size < before:
                finished.insert(0, [state[size:, :] for state in current])
                current = [state[:size, :] for state in current]
            elif size > before:
                current = [ops.concat([now, state[before:size, :]]) for now, state in zip(current, states, strict=True)]
            x = ops.reshape(data[start : start + steps * size, :], (steps, size, data.shape[1]))
            out, current = direction(x, current, weights, reverse)
            outs.append(ops.reshape(out, (steps * size, out.shape[2])))
        if finished:
            current = [ops.concat(list(ends)) for ends in zip(current, *finished, strict=True)]
        if len(outs) == 1:
            return outs[0], current
        return ops.concat(outs[::-1] if reverse else outs), current

    return run

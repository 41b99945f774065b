"""Sequences of different lengths as one array without padding, step after step: what recurrent layers take as
a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ... import ops
from ...variable import Variable

__all__: list[str] = []

#: One layer in one direction: (input, states, weights, reverse) -> (output, states after).
Direction = Callable[[Variable, list, Any, bool], tuple[Variable, list]]


class _Packed(NamedTuple):
    data: Variable
    batch_sizes: Variable
    sorted_indices: Variable | None
    unsorted_indices: Variable | None


class PackedSequence(_Packed):
    """Sequences of different lengths, the longest first: the first steps of all, then the second steps of all that have
    one, ...

    Parameters
    ----------
    data : Variable, (sum of the lengths, ...)
    batch_sizes : Variable, (steps,), integers
        How many sequences have each step; on the host.
    sorted_indices, unsorted_indices : Variable, (batch,), optional
        Which sequence is the longest, the second, ...; and where each sequence stands among them.

    Examples
    --------
    Made by `rustorch.nn.utils.rnn.pack_padded_sequence` and `rustorch.nn.utils.rnn.pack_sequence`.

    >>> import rustorch
    >>> packed = rustorch.nn.utils.rnn.pack_sequence([rustorch.tensor([1.0, 2.0, 3.0]), rustorch.tensor([4.0])])
    >>> packed.data.tolist(), packed.batch_sizes.tolist()
    ([1.0, 4.0, 2.0, 3.0], [2, 1, 1])
    """

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if batch_sizes is None:
            raise ValueError("PackedSequence: batch_sizes is missing; pack_sequence and pack_padded_sequence make both")
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = inverse(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """As `Variable.to`, of the data; the indices go to its device."""
        data = self.data.to(*args, **kwargs)
        indices = [None if x is None else x.to(data.device) for x in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def with_data(self, data: Variable) -> PackedSequence:
        """The same sequences with other values."""
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)


def inverse(permutation: Variable) -> Variable:
    """Where each number stands in a permutation."""
    return ops.argsort(permutation)


def sizes_of(name: str, sequence: PackedSequence) -> list[int]:
    """The batch sizes as numbers.

    Raises
    ------
    ValueError
        If they are not positive and falling, or not those of the data.
    """
    sizes = [int(n) for n in sequence.batch_sizes.tolist()]
    if not sizes or min(sizes) < 1 or sizes != sorted(sizes, reverse=True) or sum(sizes) != sequence.data.shape[0]:
        raise ValueError(
            f"{name}: batch_sizes are positive, do not rise, and sum to the {sequence.data.shape[0]} rows of the data, "
            f"not {sizes}"
        )
    return sizes


def segments(sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Steps in a row that have as many sequences: (first row of the data, number of steps, number of sequences)."""
    found: list[tuple[int, int, int]] = []
    row = 0
    for size in sizes:
        if found and found[-1][2] == size:
            start, steps, _ = found[-1]
            found[-1] = (start, steps + 1, size)
        else:
            found.append((row, 1, size))
        row += size
    return found


def over_segments(direction: Direction, sizes: Sequence[int]) -> Direction:
    """A direction over packed data: sequences leave at their ends; backwards, they come in there."""
    parts = segments(sizes)

    def run(data: Variable, states: list, weights: Any, reverse: bool) -> tuple[Variable, list]:
        outs: list[Variable] = []
        left: list[list[Variable]] = []  # states of the sequences that are over, the longest first
        current = [state[: parts[-1][2], :] for state in states] if reverse else states
        for start, steps, size in reversed(parts) if reverse else parts:
            have = current[0].shape[0]
            if size < have:
                left.insert(0, [state[size:, :] for state in current])
                current = [state[:size, :] for state in current]
            elif size > have:
                current = [ops.concat([now, state[have:size, :]]) for now, state in zip(current, states, strict=True)]
            x = ops.reshape(data[start : start + steps * size, :], (steps, size, data.shape[1]))
            out, current = direction(x, current, weights, reverse)
            outs.append(ops.reshape(out, (steps * size, out.shape[2])))
        if left:
            current = [ops.concat(list(ends)) for ends in zip(current, *left, strict=True)]
        if len(outs) == 1:
            return outs[0], current
        return ops.concat(outs[::-1] if reverse else outs), current

    return run

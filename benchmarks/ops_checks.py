"""Compares the results of a function in both libraries, so that `ops` times only what is right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy

#: The result of a function, and the gradients of its inputs.
Results = Sequence[numpy.ndarray]

#: Relative to the largest number of an array. float32 has 6e-8, and sums are in another order.
TOLERANCE = 1e-4


def compare(ours: Results, theirs: Results) -> None:
    """Raise AssertionError if shapes, dtypes or numbers differ."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{a.dtype} {a.shape} instead of {b.dtype} {b.shape}"
        numpy.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * numpy.max(numpy.abs(b), initial=0.0))


def compare_dropout(ours: Results, theirs: Results) -> None:
    """The same for dropout with probability 1/2: each library draws its own mask."""
    kept = [out != 0 for out, _ in (ours, theirs)]
    for mask, (out, gradient) in zip(kept, (ours, theirs), strict=True):
        assert abs(numpy.mean(mask) - 0.5) < 0.05, f"kept {numpy.mean(mask):.2f} of the numbers instead of half"
        assert out.dtype == gradient.dtype == numpy.float32
        numpy.testing.assert_array_equal(gradient != 0, mask)
    both = kept[0] & kept[1]
    compare([array[both] for array in ours], [array[both] for array in theirs])

"""The loss of connectionist temporal classification (CTC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import ops
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import extent, readable
from .checks import adopt, check_reduction, real

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["ctc_loss"]


def ctc_loss(
    log_probs: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike | Sequence[int],
    target_lengths: ArrayLike | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Variable:
    """Minus the log-probability of sequences of labels, summed over all alignments with a longer input.

    Parameters
    ----------
    log_probs : Variable or array, (t, n, classes) or (t, classes)
        Log-probabilities of the classes at every time, such as outputs of `log_softmax`.
    targets : Variable or array, (n, l), (sum of target_lengths,) or (l,)
        Labels: integers other than ``blank``. Samples are padded to one length, or follow each other in one dimension.
    input_lengths, target_lengths : Variable, array, tuple or int
        The length of each sample, (n,); for one sample without n also a number or an array of shape ().
    blank : int
        The class that means "no label".
    reduction : {"mean", "sum", "none"}
        "mean" divides each loss by the length of its target, or by 1 if that is 0, and takes the mean.
    zero_infinity : bool
        Whether the loss of a sample without an alignment is 0. Otherwise a target longer than its input raises an
        error. Another sample has no alignment if blanks between equal labels do not fit in: its loss is infinite. In
        both cases its gradient is 0.

    Returns
    -------
    Variable
        Its shape is (), or with "none" (n,).

    Raises
    ------
    IndexError
        If a label is out of range and can be read without waiting.
    TypeError
        If targets or lengths are not integers.
    ValueError
        If shapes or lengths do not fit.

    Notes
    -----
    The gradient treats all ``log_probs`` as independent. PyTorch's gradient in ``log_probs`` differs from it by the
    probabilities; the gradients in the input of `log_softmax` are equal.

    Source: Graves et al., "Connectionist temporal classification", 2006.

    Examples
    --------
    >>> import rustorch
    >>> logs = rustorch.log(rustorch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]]))
    >>> loss = rustorch.nn.functional.ctc_loss(logs, rustorch.tensor([[1]]), (2,), (1,))
    >>> round(rustorch.exp(-loss).item(), 4)  # "1 1", "1 blank" and "blank 1", of four
    0.75
    """
    check_reduction("ctc_loss", reduction)
    log_probs = real(log_probs, "ctc_loss")
    if log_probs.ndim not in (2, 3):
        raise ValueError(f"ctc_loss: log_probs is (t, n, classes) or (t, classes), not of shape {log_probs.shape}")
    alone = log_probs.ndim == 2
    if alone:
        log_probs = ops.expand_dims(log_probs, axis=1)
    times, n, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank is one of {classes} classes, not {blank}")
    if not times:
        raise ValueError("ctc_loss: the input needs at least one time")
    of_input = _lengths("input_lengths", input_lengths, n, times, "times", log_probs)
    targets = adopt(targets, "ctc_loss", (log_probs,))
    if targets.dtype.kind not in "iu":
        raise TypeError(
            f"ctc_loss: targets are integers, not of {targets.dtype}; convert them, as in y.astype(rustorch.int64)"
        )
    if targets.ndim not in ((1,) if alone else (1, 2)) or (targets.ndim == 2 and targets.shape[0] != n):
        raise ValueError(
            f"ctc_loss: for {n} samples targets are ({n}, l), or one after the other in one dimension, not of shape "
            f"{targets.shape}"
        )
    labels = ops.astype(targets, dtypes.int64)
    if alone:
        labels = ops.expand_dims(labels, axis=0)
    most = labels.shape[-1]
    of_target = _lengths("target_lengths", target_lengths, n, most, "labels", log_probs)
    if labels.ndim == 1:
        labels = _padded(labels, of_target)
        most = labels.shape[1]
    counts = ops.arange(most, dtype=dtypes.int64, device=labels.device) < ops.expand_dims(of_target, axis=1)
    labels = ops.where(counts, labels, ops.full_like(labels, blank))
    lowest, highest = extent(labels)
    if lowest is not None and highest is not None and (lowest < 0 or highest >= classes):
        raise IndexError(f"ctc_loss: label {lowest if lowest < 0 else highest} is out of range for {classes} classes")
    longest = extent(of_target - of_input)[1] if readable(of_target) and not zero_infinity else None
    if longest is not None and longest > 0:
        raise ValueError(
            f"ctc_loss: a target is longer than its input by {longest}, and has no alignment; with zero_infinity=True "
            f"its loss is 0"
        )
    loss = network.ctc_loss(log_probs, labels, of_input, of_target, blank)
    if zero_infinity:
        loss = ops.where(ops.isinf(loss), ops.zeros_like(loss), loss)
    if reduction == "mean":
        return ops.mean(loss / ops.astype(ops.clip(of_target, min=1), loss.dtype))
    return ops.sum(loss) if reduction == "sum" else ops.reshape(loss, ()) if alone else loss


def _lengths(name: str, given: ArrayLike | Sequence[int], n: int, most: int, unit: str, like: Variable) -> Variable:
    """Lengths in [0, most] as int64, (n,); ``unit`` says what they count."""
    if isinstance(given, (int, tuple, list)):
        given = ops.asarray(given, device=like.device)
        if not given.size:
            given = ops.astype(given, dtypes.int64)
    lengths = adopt(given, "ctc_loss", (like,))
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: {name} are integers, not of {lengths.dtype}")
    if lengths.shape != (n,) and not (n == 1 and lengths.shape == ()):
        raise ValueError(f"ctc_loss: {name} have shape ({n},), not {lengths.shape}")
    lengths = ops.reshape(ops.astype(lengths, dtypes.int64), (n,))
    lowest, highest = extent(lengths)
    if lowest is not None and highest is not None and (lowest < 0 or highest > most):
        raise ValueError(
            f"ctc_loss: {name} are in [0, {most}], for there are {most} {unit}; one is "
            f"{lowest if lowest < 0 else highest}"
        )
    return lengths


def _padded(labels: Variable, lengths: Variable) -> Variable:
    """Sequences that follow each other in one dimension, as rows that are as long as the longest sequence."""
    total = int(ops.sum(lengths))
    if labels.shape[0] != total:
        raise ValueError(f"ctc_loss: there are {labels.shape[0]} labels, but target_lengths sum to {total}")
    if not total:
        return ops.zeros((lengths.shape[0], 0), dtype=labels.dtype, device=labels.device)
    starts = ops.cumulative_sum(lengths) - lengths
    places = ops.expand_dims(starts, axis=1) + ops.arange(
        int(ops.max(lengths)), dtype=dtypes.int64, device=labels.device
    )
    taken = ops.take(labels, ops.reshape(ops.clip(places, max=total - 1), (-1,)), axis=0)
    return ops.reshape(taken, places.shape)

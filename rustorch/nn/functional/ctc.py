"""Connectionist temporal classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import adopt
from ...backends import dtypes
from ...ops import network
from ...ops.indexing import extent, readable
from .checks import check_reduction, real

if TYPE_CHECKING:
    from ...typing import ArrayLike
    from ...variable import Variable


__all__ = ["ctc_loss"]


def ctc_loss(
    log_probs: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike,
    target_lengths: ArrayLike,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Variable:
    """Minus the log-probability of sequences of labels, whatever their alignment with a longer input.

    Parameters
    ----------
    log_probs : Variable or array, (t, n, classes) or (t, classes)
        Log-probabilities of the classes at every time, as of `log_softmax`.
    targets : Variable or array, (n, l), (sum of target_lengths,) or (l,)
        Labels, integers other than ``blank``; padded to one length, or one sample after the other.
    input_lengths, target_lengths : Variable, array, tuple or int
        Integers: how much of each sample counts, (n,); a number or of shape () for one sample without n.
    blank : int
        The class that stands for no label.
    reduction : {"mean", "sum", "none"}
        "mean" divides each loss by the target's length (by 1, if that is 0), and takes the mean.
    zero_infinity : bool
        Whether a sample that cannot be aligned counts 0. Otherwise a target longer than its input raises, and the loss
        of another one that has no alignment (each repetition needs a blank between) is infinite. Its gradient is 0 in
        any case.

    Returns
    -------
    Variable
        Of shape (), or with "none" (n,).

    Raises
    ------
    IndexError
        If a label is known to be out of range.
    TypeError
        If targets or lengths are not integers.
    ValueError
        If shapes or lengths do not fit.

    Notes
    -----
    The gradient is that in ``log_probs``, each on its own. PyTorch's is the same once it has gone through
    `log_softmax`; before, it differs by the probabilities.

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
        raise ValueError("ctc_loss: the input has no times at all")
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
            f"ctc_loss: a target is longer than its input by {longest}, and has no alignment; zero_infinity=True lets "
            f"it count 0"
        )
    loss = network.ctc_loss(log_probs, labels, of_input, of_target, blank)
    if zero_infinity:
        loss = ops.where(ops.isinf(loss), ops.zeros_like(loss), loss)
    if reduction == "mean":
        return ops.mean(loss / ops.astype(ops.clip(of_target, min=1), loss.dtype))
    return ops.sum(loss) if reduction == "sum" else ops.reshape(loss, ()) if alone else loss


def _lengths(name: str, given: Any, n: int, most: int, of: str, like: Variable) -> Variable:
    """Integers in [0, most], (n,), as int64."""
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
            f"ctc_loss: {name} are in [0, {most}], for there are {most} {of}; one is "
            f"{lowest if lowest < 0 else highest}"
        )
    return lengths


def _padded(labels: Variable, lengths: Variable) -> Variable:
    """Sequences that lie one after the other, as rows of the longest one's length."""
    total = int(ops.sum(lengths))
    if labels.shape[0] != total:
        raise ValueError(f"ctc_loss: {labels.shape[0]} labels in a row, but target_lengths sum to {total}")
    if not total:
        return ops.zeros((lengths.shape[0], 0), dtype=labels.dtype, device=labels.device)
    starts = ops.cumulative_sum(lengths) - lengths
    places = ops.expand_dims(starts, axis=1) + ops.arange(
        int(ops.max(lengths)), dtype=dtypes.int64, device=labels.device
    )
    taken = ops.take(labels, ops.reshape(ops.clip(places, max=total - 1), (-1,)), axis=0)
    return ops.reshape(taken, places.shape)

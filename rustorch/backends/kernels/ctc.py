"""Connectionist temporal classification: the probability of labels, summed over all alignments with the input.

Source: Graves et al., "Connectionist temporal classification", 2006; sections 4.1 and 4.2. All probabilities are stored
as logarithms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace

#: Stands for the logarithm of 0. It is finite, so that the difference of two is 0 instead of nan.
NEVER = -1e30


def _states(
    xp: Namespace, log_probs: Array, labels: Array, target_lengths: Array, blank: int
) -> tuple[Array, Array, Array, Array]:
    """The states that an alignment passes through: a blank before, between and after the labels.

    Returns
    -------
    The label of each state, (n, s); its log-probability at every time, (t, n, s); whether it can be reached from two
    states before, (n, s), as a label can that does not repeat the label before; and the states' numbers, (s,).
    """
    n, most = labels.shape
    used = xp.arange_like(labels, most) < xp.expand_dims(target_lengths, axis=1)
    labels = xp.expand_dims(xp.where(used, labels, xp.full_like(labels, blank)), axis=2)
    gap = xp.full_like(labels, blank)
    paired = xp.reshape(xp.concat([gap, labels], axis=2), (n, 2 * most))
    last = xp.full_like(xp.expand_dims(target_lengths, axis=1), blank)
    states = xp.concat([paired, xp.astype(last, paired.dtype)], axis=1)
    emit = xp.take_along_axis(
        log_probs, xp.broadcast_to(xp.expand_dims(states, axis=0), (log_probs.shape[0], *states.shape)), axis=2
    )
    emit = xp.where(emit < NEVER, xp.full_like(emit, NEVER), emit)
    before = _moved(xp, states, 2, blank)
    return states, emit, xp.logical_and(states != blank, states != before), xp.arange_like(states, 2 * most + 1)


def _moved(xp: Namespace, x: Array, by: int, fill: float = NEVER) -> Array:
    """Values of the states, moved ``by`` states back, or forward if it is negative."""
    size = x.shape[1]
    keep = max(size - abs(by), 0)
    new = xp.full_like(x[:, : size - keep], fill)
    return xp.concat([new, x[:, :keep]] if by > 0 else [x[:, size - keep :], new], axis=1)


def ctc_loss(
    xp: Namespace, log_probs: Array, labels: Array, input_lengths: Array, target_lengths: Array, blank: int
) -> tuple[Array, Array]:
    """Minus the logarithm of the probability of the labels, for every sample.

    Parameters
    ----------
    log_probs : (t, n, classes)
    labels : (n, l) integers
        Labels beyond a sample's length are ignored.
    input_lengths, target_lengths : (n,) integers
        At most t, and at most l.
    blank : int
        The class that stands for no label.

    Returns
    -------
    The losses, (n,), infinite where there is no alignment; and the forward variables, (t, n, 2 * l + 1).
    """
    states, emit, jumps, numbers = _states(xp, log_probs, labels, target_lengths, blank)
    never = xp.full_like(emit[0, ...], NEVER)
    a = xp.where(numbers < 2, emit[0, ...], never)
    steps = [a]
    for t in range(1, log_probs.shape[0]):
        jumped = xp.where(jumps, _moved(xp, a, 2), never)
        a = xp.logaddexp(xp.logaddexp(a, _moved(xp, a, 1)), jumped) + emit[t, ...]
        steps.append(a)
    alpha = xp.stack(steps, axis=0)
    last = xp.where(input_lengths > 0, input_lengths - 1, xp.zeros_like(input_lengths))
    place = xp.broadcast_to(xp.reshape(last, (1, -1, 1)), (1, *states.shape))
    end = xp.squeeze(xp.take_along_axis(alpha, place, axis=0), axis=0)
    ends = xp.where(_final(xp, numbers, target_lengths), end, never)
    loss = -xp.squeeze(xp.logsumexp(ends, 1), axis=1)
    infinite = xp.full_like(loss, xp.inf)
    loss = xp.where(loss > -0.1 * NEVER, infinite, loss)
    # without input and without labels, there is one alignment
    return xp.where(input_lengths > 0, loss, xp.where(target_lengths > 0, infinite, xp.zeros_like(loss))), alpha


def _final(xp: Namespace, numbers: Array, target_lengths: Array) -> Array:
    """Whether an alignment may end in a state: it is the last label or the blank after it."""
    end = 2 * xp.expand_dims(target_lengths, axis=1)
    return xp.logical_or(numbers == end, numbers == end - 1)


def ctc_loss_grad(
    xp: Namespace,
    g: Array,
    log_probs: Array,
    labels: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
    loss: Array,
    alpha: Array,
) -> Array:
    """The gradient of `ctc_loss` in ``log_probs``: minus the probability of each label at each time, given all labels.

    It is 0 for a sample whose loss is infinite, and for times beyond its length.
    """
    states, emit, jumps, numbers = _states(xp, log_probs, labels, target_lengths, blank)
    final = _final(xp, numbers, target_lengths)
    never = xp.full_like(emit[0, ...], NEVER)
    b = never
    steps = []
    for t in reversed(range(log_probs.shape[0])):
        jumped = _moved(xp, xp.where(jumps, b, never), -2)
        onward = xp.logaddexp(xp.logaddexp(b, _moved(xp, b, -1)), jumped) + emit[t, ...]
        ending = xp.where(final, emit[t, ...], never)
        remaining = xp.expand_dims(input_lengths, axis=1) - 1 - t
        b = xp.where(remaining == 0, ending, xp.where(remaining < 0, never, onward))
        steps.append(b)
    beta = xp.stack(steps[::-1], axis=0)
    possible = xp.isfinite(loss)
    shift = xp.expand_dims(xp.where(possible, loss, xp.zeros_like(loss)), axis=1)
    probability = xp.exp(alpha + beta - emit + shift) * xp.expand_dims(xp.where(possible, g, xp.zeros_like(g)), axis=1)
    return -xp.scatter_add(probability, xp.expand_dims(states, axis=0), tuple(log_probs.shape), 2)

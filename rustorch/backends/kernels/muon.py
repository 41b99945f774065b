"""One step of Muon for one matrix, in plain code; see ``optim.py`` for what a step takes and returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..base import Array, Namespace


def muon(
    xp: Namespace,
    p: Array,
    g: Array,
    buffer: Array,
    *,
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    iterations: int,
    eps: float,
) -> tuple[Array, Array]:
    """Take one step of Muon: the momentum of a matrix, with all its singular values brought close to 1.

    ``buffer`` is the momentum, ``decay`` is ``1 - lr * weight_decay`` with the learning rate before it is adjusted to
    the shape, and ``a, b, c`` are the ``coefficients`` of the Newton-Schulz iteration::

        buffer = momentum * buffer + (1 - momentum) * g
        x = buffer                                            # nesterov: (1 - momentum) * g + momentum * buffer
        x = x / max(norm(x), eps)
        A = x @ x.T; x = a * x + (b * A + c * A @ A) @ x      # ``iterations`` times
        p = decay * p - lr * x

    A matrix with more rows than columns is transposed for the iterations, which makes ``A`` smaller.

    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """
    buffer = buffer + (1 - momentum) * (g - buffer)
    x = g + momentum * (buffer - g) if nesterov else buffer
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.mT
    x = x / xp.maximum(xp.vector_norm(x, (0, 1), 2, False), eps)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return decay * p - lr * (x.mT if tall else x), buffer

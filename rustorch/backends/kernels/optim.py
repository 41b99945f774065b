"""Updates of one parameter, as the optimizers run them after every backward pass.

Each returns the new parameter and the new state. An override may write into the arrays it was given and return
those; a caller never uses the old ones again.
"""

from __future__ import annotations

from typing import Any

__all__ = ["sgd"]


def sgd(xp: Any, p: Any, g: Any, buffer: Any, lr: float, momentum: float, dampening: float, weight_decay: float,
        nesterov: bool, maximize: bool) -> tuple[Any, Any]:  # fmt: skip
    """One step of gradient descent with momentum, as PyTorch defines it.

    ``buffer`` is the running direction, or None before the first step. Source: Sutskever et al., "On the importance
    of initialization and momentum in deep learning", 2013, with PyTorch's convention for the learning rate.
    """
    if maximize:
        g = -g
    if weight_decay:
        g = g + weight_decay * p
    if momentum:
        buffer = xp.asarray(g, copy=True) if buffer is None else momentum * buffer + (1 - dampening) * g
        g = g + momentum * buffer if nesterov else buffer
    return p - lr * g, buffer

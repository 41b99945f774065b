"""RMSprop."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks, states
from .optimizer import Optimizer

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """Each number's gradient is divided by the root of the running mean of its squares.

    ``v = alpha * v + (1 - alpha) * g**2;  p = p - lr * g / (sqrt(v) + eps)``.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    alpha : float
        How much of the running means is kept.
    eps : float
        Added to the denominator.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.
    momentum : float
        Collects the quotients: ``b = momentum * b + g / (sqrt(v) + eps);  p = p - lr * b``.
    centered : bool
        Divides by an estimate of the standard deviation instead: the square of the gradients' mean is taken from ``v``.
    maximize : bool
        Climbs instead.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan.

    Notes
    -----
    Source: Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012; centered: Graves, "Generating Sequences
    With Recurrent Neural Networks", 2013. As in PyTorch, eps is added after the root is taken.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.RMSprop([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 5.9604645e-08, -1.0000000e+00], requires_grad=True)
    """

    kernel = "rmsprop"
    keeps = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "alpha", "eps", "weight_decay", "momentum")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        names = (
            ["square_avg"] + ["grad_avg"] * bool(options["centered"]) + ["momentum_buffer"] * bool(options["momentum"])
        )
        return {"step": 0, **{name: xp.zeros_like(p) for name in names}}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] += 1
        return (
            p,
            g,
            state["square_avg"],
            states.kept(xp, state, "grad_avg", p) if options["centered"] else None,
            states.kept(xp, state, "momentum_buffer", p) if options["momentum"] else None,
            options["lr"],
            options["alpha"],
            options["eps"],
            options["weight_decay"],
            options["momentum"],
            options["maximize"],
        )

"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent, with momentum: ``b = momentum * b + (1 - dampening) * g;  p = p - lr * b``.

    Parameters
    ----------
    params : iterable of Variables, or of dicts
    lr : float
        Learning rate.
    momentum : float
    dampening : float
        How much of each gradient does not enter the momentum.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.
    nesterov : bool
        Looks ahead: ``p = p - lr * (g + momentum * b)``.
    maximize : bool
        Climbs instead.
    **hints
        ``foreach``, ``fused`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, an option is negative, infinite or nan, or nesterov comes
        without momentum or with dampening.

    Notes
    -----
    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, in PyTorch's
    form, in which the learning rate stays outside of the momentum.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0], requires_grad=True)
    >>> optimizer = rustorch.SGD([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([0.8], requires_grad=True)
    """

    kernel = "sgd"
    keeps = ("momentum_buffer",)
    complex_as_pairs = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative("SGD", options, "lr", "momentum", "dampening", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum above 0 and no dampening, not momentum={options['momentum']} and "
                f"dampening={options['dampening']}"
            )

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": None}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        return (
            p,
            g,
            state["momentum_buffer"],
            options["lr"],
            options["momentum"],
            options["dampening"],
            options["weight_decay"],
            options["nesterov"],
            options["maximize"],
        )

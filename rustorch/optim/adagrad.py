"""Adagrad."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Each number's step shrinks with the sum of its squared gradients.

    ``s = s + g**2;  p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)``.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    lr_decay : float
        How fast the learning rate falls.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.
    initial_accumulator_value : float
        What the sums begin with.
    eps : float
        Added to the denominator.
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
    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    2011.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Adagrad([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.9, -1.9], requires_grad=True)
    """

    kernel = "adagrad"
    keeps = ("sum",)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        first = options["initial_accumulator_value"]
        # of complex parameters, both parts begin with it
        return {
            "step": 0,
            "sum": xp.full_like(p, complex(first, first) if xp.isdtype(p.dtype, "complex floating") else first),
        }

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] = step = state["step"] + 1
        return (
            p,
            g,
            state["sum"],
            options["lr"] / (1 + (step - 1) * options["lr_decay"]),
            options["eps"],
            options["weight_decay"],
            options["maximize"],
        )

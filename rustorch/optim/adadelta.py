"""Adadelta."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """The step has the parameter's own units: it is scaled by the running size of the last steps over that of the
    gradients.

    ``v = rho * v + (1 - rho) * g**2;  d = sqrt(u + eps) / sqrt(v + eps) * g;  u = rho * u + (1 - rho) * d**2;  p = p -
    lr * d``.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    rho : float
        How much of the running means is kept, from 0 to 1.
    eps : float
        Added to the denominator.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.
    maximize : bool
        Climbs instead.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan, or rho is not from 0
        to 1.

    Notes
    -----
    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Adadelta([x], lr=1.0)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.99683774, -1.9968377 ], requires_grad=True)
    """

    kernel = "adadelta"
    keeps = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, hints
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "eps", "weight_decay")
        checks.fraction(self._name, options, "rho")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "square_avg": xp.zeros_like(p), "acc_delta": xp.zeros_like(p)}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] += 1
        return (
            p,
            g,
            state["square_avg"],
            state["acc_delta"],
            options["lr"],
            options["rho"],
            options["eps"],
            options["weight_decay"],
            options["maximize"],
        )

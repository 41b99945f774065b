"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Gradient descent whose steps shrink, and which keeps the mean of the parameters it went through in
    ``state[p]["ax"]``.

    ``p = (1 - lambd * eta) * p - eta * g`` with ``eta = lr / (1 + lambd * lr * t)**alpha``; from step ``t0`` on, the
    mean is over the steps since then.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    lambd : float
        Draws parameters to 0.
    alpha : float
        Exponent by which the step shrinks.
    t0 : float
        From which step on parameters are averaged.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.
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
    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, in PyTorch's form.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.ASGD([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.79999, -1.59998], requires_grad=True)
    """

    kernel = "asgd"
    keeps = ("ax",)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "lambd", "t0", "weight_decay")
        checks.finite(self._name, options, "alpha")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "eta": options["lr"], "mu": 1.0, "ax": xp.zeros_like(p)}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] = step = state["step"] + 1
        lr, lambd, eta, mu = options["lr"], options["lambd"], state["eta"], state["mu"]
        state["eta"] = lr / (1 + lambd * lr * step) ** options["alpha"]
        state["mu"] = 1 / max(1, step - options["t0"])
        return p, g, state["ax"], 1 - lambd * eta, eta, mu, options["weight_decay"], options["maximize"]

"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Averaged gradient descent: the steps shrink, and ``state[p]["ax"]`` is the mean of the parameter over its steps.

    Step ``t`` is, in this order, with ``eta = lr`` and ``mu = 1`` before the first one::

        g = g + weight_decay * p
        p = (1 - lambd * eta) * p - eta * g
        ax = ax + mu * (p - ax)
        eta = lr / (1 + lambd * lr * t)**alpha
        mu = 1 / max(1, t - t0)

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    lambd : float
        Decay of the parameters, and of the step size.
    alpha : float
        Exponent of the step size.
    t0 : float
        The step after which averaging begins.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    maximize : bool
        Maximize instead of minimize.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice, or an option is negative, infinite or nan.

    Notes
    -----
    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; step sizes: Bottou,
    "Stochastic Gradient Descent Tricks", 2012; in PyTorch's form.

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
    state_names = ("ax",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
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

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "eta": options["lr"], "mu": 1.0, "ax": xp.zeros_like(p)}

    def call_kernel(
        self,
        kernel: Callable[..., Any],
        xp: Namespace,
        p: Array,
        g: Array,
        state: dict[str, Any],
        options: dict[str, Any],
    ) -> Any:
        state["step"] += 1
        step, lr, lambd, eta, mu = state["step"], options["lr"], options["lambd"], state["eta"], state["mu"]
        state["eta"] = lr / (1 + lambd * lr * step) ** options["alpha"]
        state["mu"] = 1 / max(1, step - options["t0"])
        return kernel(
            p,
            g,
            state["ax"],
            decay=1 - lambd * eta,
            eta=eta,
            mu=mu,
            weight_decay=options["weight_decay"],
            maximize=options["maximize"],
        )

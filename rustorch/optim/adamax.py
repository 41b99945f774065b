"""Adamax: Adam with a running maximum of the gradients' sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adam with a running maximum of the gradients' sizes instead of the running mean of their squares.

    Step ``t`` is, in this order::

        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, abs(g) + eps)
        p = p - lr / (1 - beta1**t) * m / u

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    betas : (float, float)
        ``beta1`` and ``beta2``, the decay rates of the running means.
    eps : float
        Added to the absolute value of the gradient.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    maximize : bool
        Maximize instead of minimize.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice, an option is negative, infinite or nan, or a beta is
        not below 1.

    Notes
    -----
    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, algorithm 2.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Adamax([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.9, -1.9], requires_grad=True)
    """

    kernel = "adamax"
    state_names = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, hints
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.adaptive(self._name, options)

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": xp.zeros_like(p), "exp_inf": xp.zeros_like(p)}

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
        beta1, beta2 = options["betas"]
        return kernel(
            p,
            g,
            state["exp_avg"],
            state["exp_inf"],
            lr=options["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            maximize=options["maximize"],
            correction1=1 - beta1 ** state["step"],
        )

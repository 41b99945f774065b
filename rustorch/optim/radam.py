"""RAdam."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Rectified Adam: plain momentum until enough gradients were seen to know their variance, then Adam's step.

    That one is multiplied by a factor that grows to 1: with ``rho = 2 / (1 - beta2) - 1`` and ``r = rho - 2 * t *
    beta2**t / (1 - beta2**t)``, it is ``sqrt((r - 4) * (r - 2) * rho / ((rho - 4) * (rho - 2) * r))`` where ``r > 5``.

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    betas : (float, float)
        How much of the running means of the gradient and of its square is kept at each step.
    eps : float
        Added to the denominator.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient.
    decoupled_weight_decay : bool
        Takes ``lr * weight_decay * p`` from the parameter instead, as in AdamW.
    maximize : bool
        Climbs instead.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan, or a beta is not
        below 1.

    Notes
    -----
    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019. As in PyTorch, eps is added
    before the correction ``sqrt(1 - beta2**t)``.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.RAdam([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.8, -1.6], requires_grad=True)
    """

    kernel = "radam"
    keeps = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.adaptive(self._name, options)

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] = step = state["step"] + 1
        beta1, beta2 = options["betas"]
        correction2 = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction2
        rectified = 0.0
        if length > 5:
            rectified = (
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length) * correction2
            ) ** 0.5
        return (
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            options["lr"],
            beta1,
            beta2,
            options["eps"],
            options["weight_decay"],
            options["decoupled_weight_decay"],
            options["maximize"],
            1 - beta1**step,
            rectified,
        )

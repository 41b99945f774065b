"""NAdam."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: a step looks ahead along the mean of the gradients.

    With ``mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)`` and its product ``M_t`` over all steps so far, it is
    ``p = p - lr * ((1 - mu_t) / (1 - M_t) * g + mu_(t+1) / (1 - M_(t+1)) * m) / (sqrt(v / (1 - beta2**t)) + eps)``.


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
    momentum_decay : float
        How fast ``mu_t`` comes to ``beta1``.
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
    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.NAdam([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.8943548, -1.8943548], requires_grad=True)
    """

    kernel = "nadam"
    keeps = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.adaptive(self._name, options)
        checks.not_negative(self._name, options, "momentum_decay")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "mu_product": 1.0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] = step = state["step"] + 1
        beta1, beta2 = options["betas"]
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (t * options["momentum_decay"])) for t in (step, step + 1))
        state["mu_product"] = product = state["mu_product"] * mu
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
            1 - beta2**step,
            (1 - mu) / (1 - product),
            mu_next / (1 - product * mu_next),
        )

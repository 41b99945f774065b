"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: a step looks ahead along the running mean of the gradients.

    With ``m`` and ``v`` as in `Adam`, step ``t`` is::

        mu[t] = beta1 * (1 - 0.96**(t * momentum_decay) / 2)
        M[t] = mu[1] * mu[2] * ... * mu[t]
        d = (1 - mu[t]) / (1 - M[t]) * g + mu[t + 1] / (1 - M[t + 1]) * m
        p = p - lr * d / (sqrt(v / (1 - beta2**t)) + eps)

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    betas : (float, float)
        ``beta1`` and ``beta2``, the decay rates of the running means.
    eps : float
        Added to the denominator.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    momentum_decay : float
        How fast ``mu`` approaches ``beta1``.
    decoupled_weight_decay : bool
        Subtract ``lr * weight_decay * p`` from the parameter instead, as AdamW does.
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
    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
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

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "mu_product": 1.0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}

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
        (beta1, beta2), step = options["betas"], state["step"]
        mu, next_mu = (beta1 * (1 - 0.5 * 0.96 ** (t * options["momentum_decay"])) for t in (step, step + 1))
        state["mu_product"] = product = state["mu_product"] * mu
        return kernel(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            lr=options["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            decoupled=options["decoupled_weight_decay"],
            maximize=options["maximize"],
            correction2=1 - beta2**step,
            gradient_weight=(1 - mu) / (1 - product),
            mean_weight=next_mu / (1 - product * next_mu),
        )

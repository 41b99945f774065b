"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from ..rustorch_names import AdamNames
from . import checks, states
from .optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer, AdamNames):
    """Adam: each number has a step size of its own, from the running mean ``m`` of its gradient and ``v`` of the
    gradient's square.

    ``m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g**2;
    p = p - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)`` in step ``t``.


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
    amsgrad : bool
        Divides by the largest ``v`` so far.
    maximize : bool
        Climbs instead.
    decoupled_weight_decay : bool
        Takes ``lr * weight_decay * p`` from the parameter instead, as in AdamW.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan, or a beta is not
        below 1.

    Notes
    -----
    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014; amsgrad: Reddi et al., "On the
    Convergence of Adam and Beyond", 2018.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Adam([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.90000004, -1.9       ], requires_grad=True)
    """

    kernel = "adam"
    keeps = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.adaptive(self._name, options)

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        state = {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}
        return {**state, "max_exp_avg_sq": xp.zeros_like(p)} if options["amsgrad"] else state

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] = step = state["step"] + 1
        beta1, beta2 = options["betas"]
        return (
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            states.kept(xp, state, "max_exp_avg_sq", p) if options["amsgrad"] else None,
            options["lr"],
            beta1,
            beta2,
            options["eps"],
            options["weight_decay"],
            options["decoupled_weight_decay"],
            options["maximize"],
            1 - beta1**step,
            1 - beta2**step,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: ``p = (1 - lr * weight_decay) * p`` before each step of `Adam`, so that the
    decay does not enter the running means.


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
        What each step takes from a parameter, in units of ``lr * p``.
    amsgrad : bool
        Divides by the largest running mean of squares so far.
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
    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.AdamW([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.89900005, -1.898     ], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True, **hints
        )

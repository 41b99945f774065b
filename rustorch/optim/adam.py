"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..rustorch_names import AdamNames
from . import checks, states
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer, AdamNames):
    """Adam: the step of each element is scaled by running means of its gradient and of its squared gradient.

    Step ``t`` is, in this order::

        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

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
    amsgrad : bool
        Divide by the root of the largest ``v`` so far.
    maximize : bool
        Maximize instead of minimize.
    decoupled_weight_decay : bool
        Subtract ``lr * weight_decay * p`` from the parameter instead, as AdamW does.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice, an option is negative, infinite or nan, or a beta is
        not below 1.

    Notes
    -----
    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014, algorithm 1; amsgrad: Reddi et al., "On
    the Convergence of Adam and Beyond", 2018, algorithm 2.

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
    state_names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        **hints: Any,
    ) -> None:
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

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        state = {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}
        return {**state, "max_exp_avg_sq": xp.zeros_like(p)} if options["amsgrad"] else state

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
        top = states.entry_or_zeros(xp, state, "max_exp_avg_sq", p) if options["amsgrad"] else None
        beta1, beta2 = options["betas"]
        return kernel(
            p,
            g,
            state["exp_avg"],
            state["exp_avg_sq"],
            top,
            lr=options["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            decoupled=options["decoupled_weight_decay"],
            maximize=options["maximize"],
            correction1=1 - beta1 ** state["step"],
            correction2=1 - beta2 ** state["step"],
        )


class AdamW(Adam):
    """Adam with decoupled weight decay, which does not enter the running means.

    A step is ``p = (1 - lr * weight_decay) * p``, and then a step of `Adam` without weight decay.

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
        Each step subtracts ``lr * weight_decay * p`` from a parameter.
    amsgrad : bool
        Divide by the root of the largest ``v`` so far.
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
    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.

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
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True, **hints
        )

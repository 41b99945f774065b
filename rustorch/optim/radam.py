"""RAdam: rectified Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """Rectified Adam: it steps along the running mean alone until it knows the variance of the gradients.

    With ``m`` and ``v`` as in `Adam`, step ``t`` is::

        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        r = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
        p = p - lr * m / (1 - beta1**t) * r * sqrt(1 - beta2**t) / (sqrt(v) + eps)     # where rho > 5
        p = p - lr * m / (1 - beta1**t)                                                # otherwise

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
    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2019, algorithm 2. As in PyTorch,
    eps is added before the correction ``sqrt(1 - beta2**t)``.

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
    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.adaptive(self._name, options)

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": xp.zeros_like(p), "exp_avg_sq": xp.zeros_like(p)}

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
        correction2 = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction2
        rectification = 0.0
        if length > 5:
            rectification = (
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length) * correction2
            ) ** 0.5
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
            correction1=1 - beta1**step,
            rectification=rectification,
        )

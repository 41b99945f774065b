"""Adadelta."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta: the step has the parameter's own units, so that it hardly needs a learning rate.

    It is the gradient, times the running size of the last steps, divided by the running size of the gradients::

        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g**2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        p = p - lr * d

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    rho : float
        Decay rate of the running means, from 0 to 1.
    eps : float
        Added to both running means.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    maximize : bool
        Maximize instead of minimize.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice, an option is negative, infinite or nan, or rho is not
        from 0 to 1.

    Notes
    -----
    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.

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
    state_names = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, hints
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "eps", "weight_decay")
        checks.fraction(self._name, options, "rho")

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "square_avg": xp.zeros_like(p), "acc_delta": xp.zeros_like(p)}

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
        return kernel(
            p,
            g,
            state["square_avg"],
            state["acc_delta"],
            lr=options["lr"],
            rho=options["rho"],
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            maximize=options["maximize"],
        )

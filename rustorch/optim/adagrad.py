"""Adagrad."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad: the step of each element shrinks with the sum of its squared gradients.

    Step ``t`` is, in this order::

        g = g + weight_decay * p
        s = s + g**2
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    lr_decay : float
        How fast the learning rate falls.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    initial_accumulator_value : float
        The value of ``s`` before the first step.
    eps : float
        Added to the denominator.
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
    Source: Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    2011, figure 1.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Adagrad([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.9, -1.9], requires_grad=True)
    """

    kernel = "adagrad"
    state_names = ("sum",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value")

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        first = options["initial_accumulator_value"]
        # a complex parameter begins with it in both parts
        return {
            "step": 0,
            "sum": xp.full_like(p, complex(first, first) if xp.isdtype(p.dtype, "complex floating") else first),
        }

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
            state["sum"],
            lr=options["lr"] / (1 + (state["step"] - 1) * options["lr_decay"]),
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            maximize=options["maximize"],
        )

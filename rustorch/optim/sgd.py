"""SGD: gradient descent with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    A step is, in this order::

        g = g + weight_decay * p
        b = momentum * b + (1 - dampening) * g      # first step: b = g
        p = p - lr * b                              # nesterov: p - lr * (g + momentum * b)

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    momentum : float
        How much of the buffer ``b`` a step keeps.
    dampening : float
        The part of each gradient that does not enter the buffer.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    nesterov : bool
        Use Nesterov's momentum.
    maximize : bool
        Maximize instead of minimize.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice, an option is negative, infinite or nan, or nesterov is
        used without momentum or with dampening.

    Notes
    -----
    Source: Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, equations 1 to
    4; in PyTorch's form, where the buffer ``b`` does not contain the learning rate.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0], requires_grad=True)
    >>> optimizer = rustorch.SGD([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([0.8], requires_grad=True)
    """

    kernel = "sgd"
    state_names = ("momentum_buffer",)
    complex_as_pairs = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative("SGD", options, "lr", "momentum", "dampening", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov needs momentum above 0 and no dampening, not momentum={options['momentum']} and "
                f"dampening={options['dampening']}"
            )

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": None}

    def group_numbers(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": options["lr"],
            "momentum": options["momentum"],
            "dampening": options["dampening"],
            "weight_decay": options["weight_decay"],
            "nesterov": options["nesterov"],
            "maximize": options["maximize"],
        }

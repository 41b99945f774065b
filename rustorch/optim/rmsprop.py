"""RMSprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks, states
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop: each gradient is divided by the root of the running mean of its squares.

    A step is, in this order::

        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        m = alpha * m + (1 - alpha) * g             # centered alone
        d = g / (sqrt(v) + eps)                     # centered: g / (sqrt(v - m**2) + eps)
        b = momentum * b + d                        # with momentum alone
        p = p - lr * b                              # without momentum: p - lr * d

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    alpha : float
        Decay rate of the running means.
    eps : float
        Added to the denominator.
    weight_decay : float
        Factor of an L2 penalty: ``weight_decay * p`` is added to the gradient.
    momentum : float
        How much of the buffer ``b`` a step keeps.
    centered : bool
        Divide by an estimate of the standard deviation instead.
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
    Source: Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012; centered: Graves, "Generating Sequences
    With Recurrent Neural Networks", 2013, equations 38 to 41. As in PyTorch, eps is added after the root is taken.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.RMSprop([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 5.9604645e-08, -1.0000000e+00], requires_grad=True)
    """

    kernel = "rmsprop"
    state_names = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "alpha", "eps", "weight_decay", "momentum")

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        names = (
            ["square_avg"] + ["grad_avg"] * bool(options["centered"]) + ["momentum_buffer"] * bool(options["momentum"])
        )
        return {"step": 0, **{name: xp.zeros_like(p) for name in names}}

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
        mean = states.entry_or_zeros(xp, state, "grad_avg", p) if options["centered"] else None
        buffer = states.entry_or_zeros(xp, state, "momentum_buffer", p) if options["momentum"] else None
        return kernel(
            p,
            g,
            state["square_avg"],
            mean,
            buffer,
            lr=options["lr"],
            alpha=options["alpha"],
            eps=options["eps"],
            weight_decay=options["weight_decay"],
            momentum=options["momentum"],
            maximize=options["maximize"],
        )

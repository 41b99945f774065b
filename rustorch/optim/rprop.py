"""Rprop: resilient backpropagation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Rprop: the step of each element grows while the sign of its gradient stays, and shrinks when the sign changes.

    The size of the gradient has no influence. A step is, in this order, with the gradient ``g0`` of the step before::

        s = clip(s * up, *step_sizes)               # where g * g0 > 0
        s = clip(s * down, *step_sizes)             # where g * g0 < 0, and then g = 0
        p = p - sign(g) * s
        g0 = g

    Use it with gradients of the whole data set. With batches, signs change by chance.

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        The length ``s`` of the first step.
    etas : (float, float)
        ``down`` and ``up``: the factors of a step that shrinks, below 1, and of a step that grows, above 1.
    step_sizes : (float, float)
        The shortest and the longest step.
    maximize : bool
        Maximize instead of minimize.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice, an option is negative, infinite or nan, or the etas are
        not below and above 1.

    Notes
    -----
    Source: Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm",
    1993. As in PyTorch, a step whose gradient has changed its sign is left out, not taken back: the variant iRprop- of
    Igel and Huesken, "Improving the Rprop Learning Algorithm", 2000.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Rprop([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.9, -1.9], requires_grad=True)
    """

    kernel = "rprop"
    state_names = ("prev", "step_size")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}, hints)

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr")
        checks.pair(self._name, options, "etas", lambda down, up: 0 < down < 1 < up, "factors below and above 1")
        checks.pair(self._name, options, "step_sizes", lambda a, b: 0 <= a <= b, "sizes, the smaller one first")

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        lr = options["lr"]
        # a complex parameter begins with it in both parts
        size = xp.full_like(p, complex(lr, lr) if xp.isdtype(p.dtype, "complex floating") else lr)
        return {"step": 0, "prev": xp.zeros_like(p), "step_size": size}

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
        (down, up), (smallest, largest) = options["etas"], options["step_sizes"]
        return kernel(
            p,
            g,
            state["prev"],
            state["step_size"],
            shrink=down,
            grow=up,
            smallest=smallest,
            largest=largest,
            maximize=options["maximize"],
        )

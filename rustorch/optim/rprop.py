"""Rprop."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from . import checks
from .optimizer import Optimizer

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Only the gradient's sign counts: each number's step grows while the sign stays, and shrinks when it turns.

    For whole data sets: between batches, signs turn by chance.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        The first step.
    etas : (float, float)
        Factors of a step that shrinks and of one that grows; below and above 1.
    step_sizes : (float, float)
        The shortest and the longest step.
    maximize : bool
        Climbs instead.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan, or etas do not lie
        on both sides of 1.

    Notes
    -----
    Source: Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm",
    1993, in PyTorch's form: where the sign turns, the gradient counts as 0 in this step and the next.

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
    keeps = ("prev", "step_size")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}, hints)

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr")
        checks.pair(self._name, options, "etas", lambda down, up: 0 < down < 1 < up, "factors below and above 1")
        checks.pair(self._name, options, "step_sizes", lambda a, b: 0 <= a <= b, "sizes, the smaller one first")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        lr = options["lr"]
        # of complex parameters, both parts begin with it
        size = xp.full_like(p, complex(lr, lr) if xp.isdtype(p.dtype, "complex floating") else lr)
        return {"step": 0, "prev": xp.zeros_like(p), "step_size": size}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] += 1
        return p, g, state["prev"], state["step_size"], *options["etas"], *options["step_sizes"], options["maximize"]

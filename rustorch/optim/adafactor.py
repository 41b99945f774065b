"""Adafactor."""

from __future__ import annotations

from typing import Any

from ..backends import Namespace
from ..variable import Variable
from . import checks
from .optimizer import Optimizer

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adam's step sizes at a fraction of its memory: of a matrix, only the means over rows and over columns of the
    squares are kept.

    The step is relative to the size of the parameter, clipped at ``d`` in its root mean square, and at most ``1 /
    sqrt(t)``.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        The longest relative step.
    beta2_decay : float
        Exponent of the weight ``t**beta2_decay`` of new squares; not above 0.
    eps : (float or None, float)
        The least variance (None: the dtype's own eps) and the least size of a parameter.
    d : float
        Where steps are clipped; at least 1.
    weight_decay : float
        What each step takes from a parameter, in units of ``lr * p``.
    maximize : bool
        Climbs instead.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan,
        beta2_decay is above 0, d is below 1, or a parameter is complex.

    Notes
    -----
    Source: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018, in PyTorch's form.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = rustorch.Adafactor([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.8418861, -1.8418862], requires_grad=True)
    """

    kernel = "adafactor"
    keeps = ("row_var", "col_var", "variance")

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
            hints,
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "weight_decay", "d")
        checks.finite(self._name, options, "beta2_decay")
        if options["beta2_decay"] > 0:
            raise ValueError(f"{self._name}: beta2_decay is not above 0, not {options['beta2_decay']!r}")
        if options["d"] < 1:
            raise ValueError(f"{self._name}: d is at least 1, not {options['d']!r}")
        eps = options["eps"]
        if isinstance(eps, (tuple, list)) and len(eps) == 2 and eps[0] is None:
            checks.not_negative(self._name, second := {"eps": eps[1]}, "eps")
            options["eps"] = (None, second["eps"])
        else:
            checks.pair(
                self._name,
                options,
                "eps",
                lambda a, b: a >= 0 and b >= 0,
                "numbers that are not negative, the first may be None",
            )

    def check_parameter(self, p: Variable, number: int) -> None:
        if p.dtype.kind == "c":
            raise ValueError(f"{self._name} has no steps for complex parameters; parameter {number} is {p.dtype}")

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        if p.ndim < 2:
            return {"step": 0, "variance": xp.zeros_like(p)}
        return {"step": 0, "row_var": xp.zeros_like(p[..., :1]), "col_var": xp.zeros_like(p[..., :1, :])}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        state["step"] = step = state["step"] + 1
        lr, (eps1, eps2) = options["lr"], options["eps"]
        return (
            p,
            g,
            state.get("row_var"),
            state.get("col_var"),
            state.get("variance"),
            lr,
            step ** options["beta2_decay"],
            float(xp.finfo(p.dtype).eps) if eps1 is None else eps1,
            eps2,
            options["d"],
            min(lr, step**-0.5),
            options["weight_decay"],
            options["maximize"],
        )

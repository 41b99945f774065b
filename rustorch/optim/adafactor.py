"""Adafactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..variable import Variable
from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Adafactor: Adam's step sizes with a fraction of its memory.

    For a matrix it keeps the running means over rows and over columns of the squared gradients, not every square. The
    step is relative to the size of the parameter. With ``rms`` for the root mean square of all elements, step ``t``
    is::

        beta = 1 - t**beta2_decay
        step = min(lr, 1 / sqrt(t)) * max(eps[1], rms(p))
        p = (1 - lr * weight_decay) * p
        r = beta * r + (1 - beta) * mean(g**2, axis=-1)
        c = beta * c + (1 - beta) * mean(g**2, axis=-2)
        v = r * c / max(mean(r), eps[0])            # of a vector: beta * v + (1 - beta) * g**2
        u = g / sqrt(max(v, eps[0]**2))
        p = p - step * u / max(1, rms(u) / d)

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        The largest step, relative to the size of the parameter.
    beta2_decay : float
        Exponent of the weight ``t**beta2_decay`` of the new squares; not above 0.
    eps : (float or None, float)
        The smallest root of the variance (None: the machine epsilon of the dtype), and the smallest size of a
        parameter.
    d : float
        The largest root mean square of ``u``; at least 1.
    weight_decay : float
        Each step subtracts ``lr * weight_decay * p`` from a parameter.
    maximize : bool
        Maximize instead of minimize.
    **hints
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations: no effect.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice or is complex, an option is negative, infinite or nan,
        beta2_decay is above 0, or d is below 1.

    Notes
    -----
    Source: Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018, algorithms 4 and
    5; in PyTorch's form.

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
    elementwise = False
    state_names = ("row_var", "col_var", "variance")

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
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

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        if p.ndim < 2:
            return {"step": 0, "variance": xp.zeros_like(p)}
        return {"step": 0, "row_var": xp.zeros_like(p[..., :1]), "col_var": xp.zeros_like(p[..., :1, :])}

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
        step, lr, (eps1, eps2) = state["step"], options["lr"], options["eps"]
        return kernel(
            p,
            g,
            state.get("row_var"),
            state.get("col_var"),
            state.get("variance"),
            lr=lr,
            new_weight=step ** options["beta2_decay"],
            eps1=float(xp.finfo(p.dtype).eps) if eps1 is None else eps1,
            eps2=eps2,
            d=options["d"],
            rho=min(lr, step**-0.5),
            weight_decay=options["weight_decay"],
            maximize=options["maximize"],
        )

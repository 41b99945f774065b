"""Muon."""

from __future__ import annotations

import math
from typing import Any

from ..backends import Namespace
from ..variable import Variable
from . import checks
from .optimizer import Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    """Momentum made orthogonal, for the weight matrices of hidden layers: every direction of a matrix moves by the same
    length.

    The singular values of the momentum are brought close to 1 by ``ns_steps`` iterations ``x = a x + (b A + c A A) x``,
    ``A = x x^T``. Biases, embeddings and the last layer are better left to `AdamW`.


    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    weight_decay : float
        What each step takes from a parameter, in units of ``lr * p``.
    momentum : float
        How much of the running mean of the gradients is kept.
    nesterov : bool
        Looks ahead along the mean.
    ns_coefficients : (float, float, float)
        ``a``, ``b`` and ``c``.
    eps : float
        The least norm of a momentum.
    ns_steps : int
        How many iterations; below 100.
    adjust_lr_fn : str, optional
        How the shape (m, n) enters the learning rate: "original", the default, has ``sqrt(max(1, m / n))``;
        "match_rms_adamw" has ``0.2 * sqrt(max(m, n))``, so that settings found for AdamW serve.
    **hints
        ``foreach``, ``fused``, ``capturable`` of PyTorch: taken, and without effect.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice, or an option is negative, infinite or nan, or a parameter is no
        real matrix.

    Notes
    -----
    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; match_rms_adamw: Liu et al.,
    "Muon is Scalable for LLM Training", 2025. PyTorch iterates in bfloat16, which rounds to three digits; here it is
    the parameter's own dtype.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([[1.0, -2.0]], requires_grad=True)
    >>> optimizer = rustorch.Muon([x], lr=0.1)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> [round(value, 4) for value in x[0].tolist()]
    [0.9589, -1.9177]
    """

    kernel = "muon"
    keeps = ("momentum_buffer",)

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "weight_decay", "momentum", "eps")
        checks.at_least_one(self._name, options, "ns_steps")
        if options["ns_steps"] >= 100:
            raise ValueError(f"{self._name}: ns_steps is below 100, not {options['ns_steps']}")
        if options["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"{self._name}: adjust_lr_fn is None, 'original' or 'match_rms_adamw', not {options['adjust_lr_fn']!r}"
            )
        given = options["ns_coefficients"]
        if not isinstance(given, (tuple, list)) or len(given) != 3 or not all(map(checks.number, given)):
            raise ValueError(f"{self._name}: ns_coefficients are three finite numbers, not {given!r}")
        options["ns_coefficients"] = tuple(map(float, given))

    def check_parameter(self, p: Variable, number: int) -> None:
        if p.ndim != 2 or p.dtype.kind == "c":
            raise ValueError(
                f"{self._name} is for real matrices; parameter {number} has shape {p.shape} and dtype {p.dtype}: leave "
                f"it to AdamW, as "
                f"in AdamW([p for p in model.parameters() if p.ndim != 2])"
            )

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": xp.zeros_like(p)}

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        lr, (m, n) = options["lr"], p.shape
        scale = 0.2 * math.sqrt(max(m, n)) if options["adjust_lr_fn"] == "match_rms_adamw" else math.sqrt(max(1, m / n))
        return (
            p,
            g,
            state["momentum_buffer"],
            lr * scale,
            1 - lr * options["weight_decay"],
            options["momentum"],
            options["nesterov"],
            options["ns_coefficients"],
            options["ns_steps"],
            options["eps"],
        )

"""Muon."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..variable import Variable
from . import checks
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["Muon"]


class Muon(Optimizer):
    """Muon: momentum made orthogonal, for the weight matrices of hidden layers.

    All singular values of the momentum are brought close to 1, so that every direction of a matrix moves by the same
    length. A step is, in this order::

        b = momentum * b + (1 - momentum) * g
        x = b                                       # nesterov: (1 - momentum) * g + momentum * b
        x = x / max(norm(x), eps)
        A = x @ x.T; x = a * x + (b * A + c * A @ A) @ x        # ns_steps times, with a, b, c = ns_coefficients
        p = (1 - lr * weight_decay) * p - scale * lr * x

    Train biases, embeddings and the last layer with `AdamW`.

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        See `Optimizer`.
    lr : float
        Learning rate.
    weight_decay : float
        Each step subtracts ``lr * weight_decay * p`` from a parameter.
    momentum : float
        Decay rate of the running mean ``b`` of the gradients.
    nesterov : bool
        Use Nesterov's momentum.
    ns_coefficients : (float, float, float)
        The coefficients of the Newton-Schulz iteration.
    eps : float
        The smallest norm that the momentum is divided by.
    ns_steps : int
        How many iterations there are; below 100.
    adjust_lr_fn : str, optional
        The ``scale`` for a matrix of shape (m, n): "original", the default, is ``sqrt(max(1, m / n))``;
        "match_rms_adamw" is ``0.2 * sqrt(max(m, n))``, with which learning rates found for AdamW can be used.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice or is not a real matrix, or an option is negative,
        infinite or nan.

    Notes
    -----
    Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; match_rms_adamw: Liu et al.,
    "Muon is Scalable for LLM Training", 2025, equation 4. PyTorch iterates in bfloat16, which rounds to three digits.
    rustorch iterates in the parameter's own dtype.

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
    elementwise = False
    state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
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
        coefficients = options["ns_coefficients"]
        if (
            not isinstance(coefficients, (tuple, list))
            or len(coefficients) != 3
            or not all(map(checks.number, coefficients))
        ):
            raise ValueError(f"{self._name}: ns_coefficients are three finite numbers, not {coefficients!r}")
        options["ns_coefficients"] = tuple(map(float, coefficients))

    def check_parameter(self, p: Variable, number: int) -> None:
        if p.ndim != 2 or p.dtype.kind == "c":
            raise ValueError(
                f"{self._name} is for real matrices; parameter {number} has shape {p.shape} and dtype {p.dtype}: leave "
                f"it to AdamW, as in AdamW([p for p in model.parameters() if p.ndim != 2])"
            )

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": xp.zeros_like(p)}

    def call_kernel(
        self,
        kernel: Callable[..., Any],
        xp: Namespace,
        p: Array,
        g: Array,
        state: dict[str, Any],
        options: dict[str, Any],
    ) -> Any:
        lr, (m, n) = options["lr"], p.shape
        scale = 0.2 * math.sqrt(max(m, n)) if options["adjust_lr_fn"] == "match_rms_adamw" else math.sqrt(max(1, m / n))
        return kernel(
            p,
            g,
            state["momentum_buffer"],
            lr=lr * scale,
            decay=1 - lr * options["weight_decay"],
            momentum=options["momentum"],
            nesterov=options["nesterov"],
            coefficients=options["ns_coefficients"],
            iterations=options["ns_steps"],
            eps=options["eps"],
        )

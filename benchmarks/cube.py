"""``x ** 3`` of numbers of both signs, forward and backward. GELU's formula has this power."""

from __future__ import annotations

from collections.abc import Callable

import numpy

import rustorch

NUMBERS = 1_000_000


def functions() -> dict[str, Callable[[], object]]:
    """``sum(x ** 3)`` with its gradient, in each library that is installed."""
    a = numpy.random.default_rng(0).standard_normal(NUMBERS).astype("float32")
    x = rustorch.Variable(a, requires_grad=True)

    def rustorch_cube() -> None:
        rustorch.sum(x**3).backward()
        x.zero_grad()

    out: dict[str, Callable[[], object]] = {"rustorch": rustorch_cube}
    try:
        import torch
    except ImportError:
        return out
    tx = torch.tensor(a, requires_grad=True)

    def torch_cube() -> None:
        torch.sum(tx**3).backward()
        tx.grad = None

    out["torch"] = torch_cube
    return out

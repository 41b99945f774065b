"""Forward and backward of an embedding: 50,000 rows of width 64, 8,192 indices."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy

import rustorch

ROWS, WIDTH, INDICES = 50_000, 64, 8_192


def _both(library: Any, table: Any, indices: Any, g: Any) -> Callable[[], object]:
    layer = library.nn.Embedding(ROWS, WIDTH)
    layer.load_state_dict({"weight": table})

    def both() -> None:
        layer.weight.grad = None
        layer(indices).backward(g)

    return both


def functions() -> dict[str, Callable[[], object]]:
    """The layer of each library that is installed, on the same numbers."""
    generator = numpy.random.default_rng(0)
    table = generator.standard_normal((ROWS, WIDTH)).astype("float32")
    indices = generator.integers(0, ROWS, INDICES)
    g = generator.standard_normal((INDICES, WIDTH)).astype("float32")
    out = {"rustorch": _both(rustorch, table, rustorch.Variable(indices), rustorch.Variable(g))}
    with contextlib.suppress(ImportError):
        import torch

        out["torch"] = _both(torch, torch.tensor(table), torch.tensor(indices), torch.tensor(g))
    return out

"""One training step with Adam: a perceptron whose 800,000 parameters take longer to update than to use, and its optimizer's part alone."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy

import rustorch

from . import steps

SIZES, BATCH = [512, 512, 512, 512, 10], 16


def model(nn: Any) -> Any:
    """The network, of PyTorch's layers or of ours."""
    pairs = [(nn.Linear(n_in, n_out), nn.ReLU()) for n_in, n_out in itertools.pairwise(SIZES)]
    return nn.Sequential(*[layer for pair in pairs for layer in pair][:-1])


def functions() -> dict[str, Callable[[], object]]:
    """The whole step of everybody who is installed."""
    generator = numpy.random.default_rng(0)
    images = generator.standard_normal((BATCH, SIZES[0])).astype("float32")
    return steps.functions(model, (images,), generator.integers(0, SIZES[-1], BATCH), "Adam")


def updates() -> dict[str, Callable[[], object]]:
    """``optimizer.step()`` alone."""
    network = model(rustorch.nn)
    for p in network.parameters():
        p.grad = numpy.full(p.shape, 1e-3, "float32")
    out: dict[str, Callable[[], object]] = {"rustorch": rustorch.optim.Adam(network.parameters(), lr=1e-4).step}
    with contextlib.suppress(ImportError):
        import torch

        network = model(torch.nn)
        for p in network.parameters():
            p.grad = torch.full(p.shape, 1e-3)
        out["torch"] = torch.optim.Adam(network.parameters(), lr=1e-4).step
    return out

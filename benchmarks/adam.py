"""One training step with Adam, and the optimizer's part alone.

The perceptron has 800,000 parameters and a small batch, so the update takes longer than forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import mlp
from .steps import Step, torch_on

SIZES, BATCH = [512, 512, 512, 512, 10], 16


def model(nn: Any) -> Any:
    """The network, from the layers of rustorch or PyTorch."""
    return mlp.network(nn, SIZES)


def step() -> Step:
    """The whole step."""
    return mlp.step(SIZES, BATCH, "Adam")


def updates(device: str = "cpu") -> dict[str, Callable[[], object]]:
    """``optimizer.step()`` alone, in each library that is installed."""
    import rustorch

    network = model(rustorch.nn).to(device)
    for p in network.parameters():
        p.grad = rustorch.full(p.shape, 1e-3, device=device).data
    out: dict[str, Callable[[], object]] = {"rustorch": rustorch.optim.Adam(network.parameters(), lr=1e-4).step}
    if torch := torch_on(device):
        network = model(torch.nn).to(device)
        for p in network.parameters():
            p.grad = torch.full(p.shape, 1e-3, device=device)
        out["torch"] = torch.optim.Adam(network.parameters(), lr=1e-4).step
    return out

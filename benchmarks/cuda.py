"""The perceptron's step on a GPU, with CuPy's arrays and with torch's."""

from __future__ import annotations

from collections.abc import Callable

import rustorch

from . import mlp


def name() -> str:
    """The GPU's own name."""
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


def functions(sizes: list[int], batch: int) -> dict[str, Callable[[], object]]:
    """Steps that end when the GPU has finished them."""
    step = mlp.ours(sizes, batch, "cuda")

    def ours() -> None:
        step()
        rustorch.cuda.synchronize()

    out: dict[str, Callable[[], object]] = {"rustorch": ours}
    try:
        import torch
    except ImportError:
        return out
    if not torch.cuda.is_available():
        return out
    their_step = mlp.torchs(sizes, batch, "cuda")

    def theirs() -> None:
        their_step()
        torch.cuda.synchronize()

    out["torch"] = theirs
    return out

"""The state of the GPUs, under PyTorch's names."""

from __future__ import annotations

from . import backends

__all__ = ["device_count", "is_available", "synchronize"]


def device_count() -> int:
    """How many GPUs CuPy can use. The number is 0 without CuPy or without a GPU."""
    try:
        return len(backends.get("cuda").devices())
    except (RuntimeError, ValueError):
        return 0


def is_available() -> bool:
    """Whether ``device="cuda"`` can be used. If it cannot, ``python -m rustorch`` says why."""
    return device_count() > 0


def synchronize(device: str = "cuda") -> None:
    """Wait until a GPU has finished all its work. Call it before you read a clock.

    Parameters
    ----------
    device : str
        The GPU to wait for.

    Raises
    ------
    RuntimeError
        If the GPU cannot be used.
    """
    backends.synchronize(device)

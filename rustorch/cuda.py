"""Questions about the GPUs, under PyTorch's names."""

from __future__ import annotations

from . import backends

__all__ = ["device_count", "is_available", "synchronize"]


def device_count() -> int:
    """How many GPUs CuPy can use; 0 without CuPy or without a GPU."""
    try:
        return len(backends.get("cuda").devices())
    except (RuntimeError, ValueError):
        return 0


def is_available() -> bool:
    """Whether ``device="cuda"`` can be used here. (``python -m rustorch`` says why not.)"""
    return device_count() > 0


def synchronize(device: str = "cuda") -> None:
    """Wait until everything asked of a GPU is done: needed before a clock is read.

    Raises
    ------
    RuntimeError
        If there is none.
    """
    backends.synchronize(device)

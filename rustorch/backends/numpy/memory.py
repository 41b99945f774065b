"""The memory of freed arrays, which a training process had better keep."""

from __future__ import annotations

import os
from functools import cache

import numpy


@cache
def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed arrays for new ones, from now on and in the whole process.

    Each training step makes and frees the same arrays. glibc returns every block above a threshold to the system, which
    fills it with zeros before glibc gets it again: that is up to a third of a step. The threshold is 128 KiB at first,
    and rises to the size of the largest freed block, up to 32 MiB. So one such array is made and freed here; nothing is
    written into it.

    This changes how a process uses memory, so importing rustorch does not do it. The first optimizer does, unless the
    environment variable ``RUSTORCH_KEEP_MEMORY`` is 0. A program that trains without an optimizer calls it itself. With
    other allocators it has no effect.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.backends.keep_freed_memory()
    """
    if os.environ.get("RUSTORCH_KEEP_MEMORY", "1").strip() != "0":
        numpy.empty((1 << 25) - (1 << 13), "uint8")

"""Whether a piece of work leaves reference cycles, which only the garbage collector frees."""

from __future__ import annotations

import gc
from collections.abc import Callable

from rustorch.backends.numba import kernel


def leaves_none(work: Callable[[], object]) -> bool:
    """Do the work three times and look at the third. Numba leaves cycles while it compiles, so what is compiled in the
    background by the first calls, or still by an earlier test, ends before.
    """
    for _ in range(2):
        work()
    kernel.wait()
    while gc.collect():
        pass
    gc.disable()
    try:
        work()
        return gc.collect() == 0
    finally:
        gc.enable()

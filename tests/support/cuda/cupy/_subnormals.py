"""CuPy compiles its kernels with ``-ftz=true``: numbers of float32 that are smaller than 1.2e-38 count as 0, given ones
and results.

The host's processor can do the same: while `flushing`, it does.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

from ._compiler import HEADER, library

_SOURCE = f'#include "{HEADER}"\nextern "C" void flush(int on) {{ flush_subnormals(on); }}\n'


@functools.cache
def _switch() -> Any:
    return library(_SOURCE).flush


@contextlib.contextmanager
def flushing(wanted: bool) -> Iterator[None]:
    """Whether subnormal numbers are 0 within."""
    if not wanted:
        yield
        return
    switch = _switch()
    switch(1)
    try:
        yield
    finally:
        switch(0)

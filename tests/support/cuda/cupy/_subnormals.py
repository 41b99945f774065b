"""Subnormal numbers as 0. CuPy compiles its kernels with ``-ftz=true``: float32 numbers below 1.2e-38 count as 0.

This holds for operands and for results. Within `flushing`, the host's processor does the same.
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
    """Treat subnormal numbers as 0 within the context if ``wanted``."""
    if not wanted:
        yield
        return
    switch = _switch()
    switch(1)
    try:
        yield
    finally:
        switch(0)

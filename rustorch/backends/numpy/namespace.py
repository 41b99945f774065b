"""NumPy as the namespace of plain versions, for overrides that leave some arguments to them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy

from ..base import Namespace

#: NumPy itself, for plain versions that call no kernel.
NUMPY: Any = numpy


@cache
def full_namespace() -> Namespace:
    """The functions of the standard and all kernels, on NumPy."""
    from ..registry import CPU  # the registry imports the overrides, so it is not complete when this file is read

    return CPU.xp

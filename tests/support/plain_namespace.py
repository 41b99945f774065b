"""NumPy with the plain version of every kernel, and no override."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy

from rustorch.backends.kernels import KERNELS


class PlainNamespace:
    """``xp`` for plain versions that call other kernels."""

    def __getattr__(self, name: str) -> Any:
        return partial(KERNELS[name], self) if name in KERNELS else getattr(numpy, name)


PLAIN: Any = PlainNamespace()

"""NumPy's overrides of the kernels, by family."""

from __future__ import annotations

from collections.abc import Callable

from . import core

OVERRIDES: dict[str, Callable] = {name: function for family in (core,) for name, function in family.OVERRIDES.items()}

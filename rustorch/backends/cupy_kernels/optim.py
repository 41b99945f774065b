"""Steps of the optimizers in one launch each, in place: the plain versions, traced; so are all that treat each number by itself."""

from __future__ import annotations

from ..kernels import optim as plain
from .fusing import in_place
from .launch import overrides

OVERRIDES = overrides(*[in_place(getattr(plain, name), arrays) for name, arrays in plain.ELEMENTWISE.items()])

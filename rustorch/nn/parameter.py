"""Parameter: a leaf that a Module finds by itself."""

from __future__ import annotations

from typing import Any

from ..variable import Variable

__all__ = ["Parameter"]


class Parameter(Variable):
    """A Variable that is trained: assigned to an attribute of a Module, it becomes one of its parameters.

    Parameters
    ----------
    data : array, Variable, number or nested lists
        Memory is shared with an array or Variable.
    requires_grad : bool
    device, dtype : optional
        As for `Variable`.
    """

    def __init__(self, data: Any, requires_grad: bool = True, device: str | None = None, dtype: Any = None):
        super().__init__(data, requires_grad, device, dtype)

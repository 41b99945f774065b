"""Parameter: a leaf that a Module finds by itself."""

from __future__ import annotations

from typing import Any

from ..backends import dtypes
from ..variable import Variable

__all__ = ["Buffer", "Parameter"]


class Parameter(Variable):
    """A Variable that is trained: assigned to an attribute of a Module, it becomes one of its parameters.

    Parameters
    ----------
    data : array, Variable, number or nested lists
        Memory is shared with an array or Variable.
    requires_grad : bool
    device, dtype : optional
        As for `Variable`.

    Raises
    ------
    TypeError
        If it is of bfloat16, in which small steps vanish; else as `Variable`.
    """

    def __init__(self, data: Any, requires_grad: bool = True, device: str | None = None, dtype: Any = None):
        super().__init__(data, bool(requires_grad), device, dtype)
        dtypes.trainable(self.dtype)


class Buffer(Variable):
    """A Variable that is not trained: assigned to an attribute of a Module, it becomes one of its buffers.

    Parameters
    ----------
    data : array, Variable, number or nested lists
        Memory is shared with an array or Variable.
    persistent : bool
        Whether it is part of the Module's state.
    device, dtype : optional
        As for `Variable`.

    Examples
    --------
    >>> import rustorch
    >>> class Scaled(rustorch.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = rustorch.nn.Buffer(rustorch.tensor(2.0))
    >>> list(Scaled().state_dict())
    ['scale']
    """

    def __init__(self, data: Any, *, persistent: bool = True, device: str | None = None, dtype: Any = None):
        super().__init__(data, False, device, dtype)
        self.persistent = persistent

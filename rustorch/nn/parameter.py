"""Parameter and Buffer: Variables that a Module registers when they are assigned to an attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backends import dtypes
from ..variable import Variable

if TYPE_CHECKING:
    from ..typing import DTypeLike

__all__ = ["Buffer", "Parameter"]


class Parameter(Variable):
    """A Variable to train. A Module registers it as a parameter when it is assigned to an attribute.

    Parameters
    ----------
    data : array, Variable, number or nested lists
        It shares the memory of an array or Variable.
    requires_grad : bool
    device, dtype : optional
        As for `Variable`.

    Raises
    ------
    TypeError
        If the dtype is bfloat16, which is too coarse for the small steps of training. Otherwise as `Variable`.
    """

    def __init__(self, data: Any, requires_grad: bool = True, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(data, bool(requires_grad), device, dtype)
        dtypes.trainable(self.dtype)


class Buffer(Variable):
    """A Variable that is not trained. A Module registers it as a buffer when it is assigned to an attribute.

    Parameters
    ----------
    data : array, Variable, number or nested lists
        It shares the memory of an array or Variable.
    persistent : bool
        Whether the buffer is part of the Module's state.
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

    def __init__(self, data: Any, *, persistent: bool = True, device: str | None = None, dtype: DTypeLike = None):
        super().__init__(data, False, device, dtype)
        self.persistent = persistent

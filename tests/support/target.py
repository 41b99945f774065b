"""The value of the ``backend`` fixture: a backend under test, with helpers to make and read its arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

import rustorch
from rustorch import backends
from rustorch.backends import dtypes

#: The devices that tests run on. The table of derivatives has a column for each.
BACKENDS = ("cpu", "strict", "jax", "torch", "cuda")


@dataclass(frozen=True)
class Target:
    """A backend under test.

    Attributes
    ----------
    device : str
        Its default device.
    """

    device: str

    @property
    def library(self) -> backends.Backend:
        """The backend."""
        return backends.get(self.device)

    def array(self, data: Any, dtype: Any = rustorch.float64) -> Any:
        """A new native array on the device."""
        host = numpy.array(data, dtype=dtypes.as_dtype(dtype))
        return self.library.from_numpy(host, self.device)

    def variable(self, data: Any, dtype: Any = rustorch.float64, requires_grad: bool = False) -> rustorch.Variable:
        """A new Variable on the device."""
        return rustorch.Variable(self.array(data, dtype), requires_grad=requires_grad)

    def numpy(self, x: Any) -> numpy.ndarray:
        """The values of a Variable or a native array as a NumPy array. It may require grad."""
        return host(x)


def host(x: Any) -> numpy.ndarray:
    """The values of a Variable, or of a native array of any backend, as a NumPy array."""
    native = x.data if isinstance(x, rustorch.Variable) else x
    library = backends.of(native)
    assert library is not None, f"{type(native).__name__} is not an array"
    return numpy.asarray(library.to_numpy(native))

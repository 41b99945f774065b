"""rustorch: a differentiable implementation of the Array API standard, with PyTorch-style layers, losses and
optimizers.

It owns no arrays: every `Variable` wraps an array of NumPy (``device="cpu"``), CuPy (``device="cuda"``) or another
library that speaks the standard. This module is the public face; nothing is computed here.
"""

from __future__ import annotations

import sys as _sys
import typing as _typing

from . import backends, cuda, distributed, fft, func, linalg, nn, ops, optim, pytree, random, serialization
from .autograd import (
    checkpoint,
    custom_primitive,
    detect_anomaly,
    enable_grad,
    grad,
    gradcheck,
    gradgradcheck,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from .autograd.engine import set_variable_namespace as _set_variable_namespace
from .autograd.primitive import variable_namespace as _variable_namespace
from .backends import default_device as get_default_device
from .backends import set_default_device
from .backends.dtypes import (
    bool,
    complex64,
    complex128,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .backends.threads import get_num_threads, set_num_threads
from .fusion import fuse
from .nn import *  # noqa: F403
from .ops import *  # noqa: F403
from .ops.inspection import __array_namespace_info__ as __array_namespace_info__  # the star leaves its underscores out
from .optim import *  # noqa: F403
from .random import get_rng_state, manual_seed, rand, randint, randn, randperm, set_rng_state
from .serialization import load, load_metadata, save
from .variable import Variable
from .variable import Variable as Tensor

__version__ = "0.1.0"
__array_api_version__ = ops.API_VERSIONS[-1]

_set_variable_namespace(_variable_namespace(_sys.modules[__name__]))

if _typing.TYPE_CHECKING:
    from . import data
else:

    def __getattr__(name: str) -> _typing.Any:
        """Imports `rustorch.data` when it is first asked for: whoever has no use for it does not wait for it."""
        if name != "data":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return import_module(f"{__name__}.data")


__all__ = [
    "checkpoint",
    "custom_primitive",
    "data",
    "detect_anomaly",
    "distributed",
    "fft",
    "func",
    "fuse",
    "gradcheck",
    "gradgradcheck",
    "linalg",
    "pytree",
    "Variable",
    "backends",
    "bool",
    "complex128",
    "complex64",
    "cuda",
    "enable_grad",
    "float32",
    "float64",
    "get_default_device",
    "get_num_threads",
    "get_rng_state",
    "grad",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_grad_enabled",
    "load",
    "load_metadata",
    "manual_seed",
    "nn",
    "no_grad",
    "optim",
    "rand",
    "randint",
    "randn",
    "random",
    "randperm",
    "save",
    "serialization",
    "set_default_device",
    "set_grad_enabled",
    "set_num_threads",
    "set_rng_state",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "Tensor",
]

# In this form pyright finds the names. mypy takes those that `import *` brings, and does not see the computed lists.
__all__ += ops.__all__  # type: ignore[attr-defined]
__all__ += nn.__all__  # type: ignore[attr-defined]
__all__ += optim.__all__

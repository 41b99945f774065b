"""JAX: arrays are immutable, and under ``jax.jit`` they are tracers."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy
from jax import numpy as jnp
from jax.scipy import special

from . import dtypes
from .base import Array, Namespace
from .kernels import KERNELS
from .kernels.linalg import cofactors_by_inverse, cofactors_by_svd
from .standard_backend import StandardBackend

#: The kernels that JAX compiles as one program each, and the positions of their arguments that are not arrays.
_COMPILED: dict[str, int | tuple[int, ...]] = {
    "max_pool": 1, "max_pool_gather": 2, "max_pool_grad": 2, "max_pool_indices": 1, "max_unpool": 2,
    "avg_pool": (1, 2), "avg_pool_grad": (1, 2), "conv": (3, 4, 5, 6), "conv_grad_input": (2, 3, 4, 5, 6),
    "conv_grad_weight": (2, 3, 4, 5, 6),
}  # fmt: skip


class JaxBackend(StandardBackend):
    """JAX's arrays.

    A program that names the device switches JAX's 64-bit mode on: without it JAX lacks the standard's float64 and
    int64. A program that only hands over an array of JAX's switches nothing.
    """

    name = "jax"
    mutable = False

    def __init__(self) -> None:
        super().__init__(jnp, jax.Array)
        compiled = {
            name: jax.jit(partial(KERNELS[name], self.xp), static_argnums=static) for name, static in _COMPILED.items()
        }
        self.overrides = {**OVERRIDES, **compiled, "cofactors": partial(cofactors, self.xp)}

    def adopt(self, value: Any) -> Array:
        if value.dtype.name != "bfloat16":
            dtypes.admit(value.dtype)
        return value

    def check_device(self, device: str, rest: str) -> str:
        jax.config.update("jax_enable_x64", True)
        return super().check_device(device, rest)

    def public_dtype(self, dtype: Any) -> numpy.dtype:
        public: numpy.dtype = dtype  # JAX's dtypes are NumPy's
        return public

    def native_dtype(self, dtype: Any) -> Any:
        return None if dtype is None else dtypes.as_dtype(dtype)

    def from_numpy(self, array: numpy.ndarray, device: str) -> Array:
        return jnp.array(array)

    def as_array(self, value: Any) -> Array:
        return jnp.asarray(value)

    def owns(self, array: Array) -> bool:
        return True  # nobody can write into it

    def extent(self, indices: Array) -> tuple[int | None, int | None]:
        return (None, None) if isinstance(indices, jax.core.Tracer) else super().extent(indices)

    def indexes(self, kinds: set[str], writing: bool) -> bool:
        return "0-d mask" not in kinds  # JAX moves an index out of range into range, so the caller checks the range

    def synchronize(self, device: str | None = None) -> None:
        for array in jax.live_arrays():
            array.block_until_ready()


# -- functions of the standard -----------------------------------------------------------------------------------------
def astype(x: Array, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    return (x.real if x.dtype.kind == "c" and numpy.dtype(dtype).kind not in "cb" else x).astype(dtype)


def searchsorted(x1: Array, x2: Array, /, *, side: str = "left") -> Array:
    return jnp.searchsorted(x1, x2, side=side).astype(int)  # JAX's own result is int32


def _linalg(name: str) -> Any:
    """A function of JAX's linalg. Where its values can be read, matrices without a result raise an error: JAX itself
    returns nan or infinity for them.
    """
    function = getattr(jnp.linalg, name)
    if name not in ("cholesky", "inv", "solve"):
        return function

    def checked(x: Array, *others: Array) -> Array:
        out = function(x, *others)
        if not isinstance(out, jax.core.Tracer) and x.size:
            # A zero among the pivots is what LAPACK reports, too. A nan in the input is not an error.
            failed = jnp.isnan(out) if name == "cholesky" else _pivots(x) == 0
            if bool(jnp.any(failed)) and bool(jnp.all(jnp.isfinite(x))):
                raise numpy.linalg.LinAlgError("not positive definite" if name == "cholesky" else "singular")
        return out

    return checked


def _pivots(x: Array) -> Array:
    return jnp.linalg.diagonal(jax.lax.linalg.lu(x)[0])


# -- kernels -----------------------------------------------------------------------------------------------------------
def arange_like(like: Array, n: int) -> Array:
    return jnp.arange(n, dtype=like.dtype)  # a tracer has no device


def erf(x: Array) -> Array:
    return special.erf(x)


def put(x: Array, value: Any, key: Any) -> Array:
    return x.at[key].set(value)


def index_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    axis %= len(shape)
    return jnp.zeros(shape, values.dtype).at[(slice(None),) * axis + (indices,)].add(values)


def scatter_add(values: Array, indices: Array, shape: tuple[int, ...], axis: int) -> Array:
    axis %= len(shape)
    full = (*shape[:axis], values.shape[axis], *shape[axis + 1 :])
    key: list[Any] = list(jnp.ogrid[tuple(slice(n) for n in full)]) if full else []
    key[axis] = jnp.broadcast_to(indices, full)
    return jnp.zeros(shape, values.dtype).at[tuple(key)].add(values)


def put_add(values: Array, shape: tuple[int, ...], key: Any) -> Array:
    return jnp.zeros(shape, values.dtype).at[key].add(values)


def cofactors(xp: Namespace, x: Array) -> Array:
    """As the plain version, with a branch that JAX can trace."""
    if 0 in x.shape:
        return jnp.zeros_like(x)
    out, singular = cofactors_by_inverse(xp, x)
    return jax.lax.cond(jnp.any(singular), lambda out: cofactors_by_svd(xp, x, out, singular), lambda out: out, out)


OVERRIDES: dict[str, Any] = {
    "astype": astype,
    "searchsorted": searchsorted,
    "linalg": Namespace("jax.linalg", _linalg),
    "arange_like": arange_like,
    "erf": erf,
    "put": put,
    "index_add": index_add,
    "scatter_add": scatter_add,
    "put_add": put_add,
}

"""Random numbers, drawn on their device, and the seeds that make a run repeatable."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from numbers import Integral
from operator import index
from typing import TYPE_CHECKING, Any

from .autograd.check import adopt
from .autograd.graph import make
from .backends import (
    default_device,
    dtypes,
    get,
    host_stream,
    loaded,
    resolve,
    rng_restore,
    rng_snapshot,
    transfer,
    when_loaded,
)
from .ops.arguments import sizes_of
from .variable import Variable

if TYPE_CHECKING:
    from .typing import ArrayLike, DTypeLike, Shape, Sizes

__all__ = ["fork_rng", "get_rng_state", "manual_seed", "rand", "randint", "randn", "randperm", "seed", "set_rng_state"]

_lock = threading.Lock()
#: The generator for initial weights. It is on the host, and independent of the numbers that a program draws on "cpu".
_weights = host_stream()


def weights(kind: str, shape: tuple[int, ...], dtype: Any, *, scale: float, shift: float, device: str) -> Variable:
    """Initial weights ``shift + scale * u``, with u uniform in [0, 1) or normal: computed on the host, then moved.

    Parameters
    ----------
    kind : {"uniform", "normal"}
    shape : tuple of int
    dtype : dtype
    scale, shift : float
    device : str
    """
    if not dtypes.is_floating(dtype):
        raise TypeError(
            f"random weights of dtype {dtype}: only floating-point and complex Variables can be filled with them"
        )
    u = getattr(_weights, kind)(shape, dtype, "cpu")
    u *= u.dtype.type(scale)
    u += u.dtype.type(shift)
    return make(transfer(u, device))


def dropout_mask(shape: tuple[int, ...], dtype: Any, device: str, p: float, scale: float) -> Variable:
    """The factors of dropout, drawn on the device: 0 with probability ``p``, else ``scale``."""
    return make(get(device).mask(shape, dtype, device, p, scale))


def manual_seed(seed: int) -> None:
    """Restart the random numbers of every device from a seed.

    With the same seed, initial weights are the same on every device, bit for bit, because they are drawn on the host. A
    run is repeatable on one device.

    Parameters
    ----------
    seed : int
        Not negative.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"manual_seed: a seed is an integer that is not negative, not {seed!r}")
    seed = int(seed)
    with _lock:
        for backend in loaded():
            backend.seed(seed)
        _weights.seed((seed, 1))
        when_loaded(lambda backend: backend.seed(seed))


def seed() -> int:
    """Restart the random numbers of every device from an unpredictable seed, and return the seed."""
    import secrets

    number = secrets.randbits(63)
    manual_seed(number)
    return number


# -- states ------------------------------------------------------------------------------------------------------------
def get_rng_state(device: str | None = None) -> Variable:
    """The state of a device's random numbers, as bytes for `set_rng_state` or a file.

    The state of "cpu" includes that of the initial weights, which are drawn on the host for every device.

    Parameters
    ----------
    device : str, optional
        Default: the default device.

    Returns
    -------
    Variable
        On "cpu", of shape (n,) and dtype uint8. For NumPy's generator, which serves every device but "cuda", n is 37
        (twice that for "cpu"). For a GPU it is 28, and the call does not synchronise.

    Examples
    --------
    >>> import rustorch
    >>> state = rustorch.get_rng_state()
    >>> first = rustorch.rand(3)
    >>> rustorch.set_rng_state(state)
    >>> rustorch.all(rustorch.rand(3) == first).item()
    True
    """
    device = default_device() if device is None else resolve(device)
    with _lock:
        state = get(device).rng_state(device)
        if device == "cpu":
            xp = get("cpu").xp
            state = xp.concat([state, _weights.rng_state("cpu")])
    return make(state)


def set_rng_state(state: ArrayLike, device: str | None = None) -> None:
    """Continue the random numbers of a device from a state.

    Parameters
    ----------
    state : Variable or array
        The result of `get_rng_state` for a device of this kind. It may be on any device.
    device : str, optional
        Default: the default device.

    Raises
    ------
    TypeError
        If it is no array of uint8.
    ValueError
        If it is no state of this device's generator. Then the generators do not change.
    """
    device = default_device() if device is None else resolve(device)
    given = adopt(state, "set_rng_state")
    if given.dtype != dtypes.uint8:
        raise TypeError(
            f"set_rng_state: a state is an array of uint8, as get_rng_state returns it, not of {given.dtype}"
        )
    parts = [transfer(given._native, "cpu").reshape(-1)]
    generators = [get(device)]
    if device == "cpu":
        half = given.size // 2
        parts, generators = [parts[0][:half], parts[0][half:]], [*generators, _weights]
    with _lock:
        before = [generator.rng_snapshot() for generator in generators]
        try:
            for generator, part in zip(generators, parts, strict=True):
                generator.set_rng_state(part, device)
        except ValueError as error:
            for generator, snapshot in zip(generators, before, strict=True):
                generator.rng_restore(snapshot)
            raise ValueError(
                f"set_rng_state: no state of {device!r}, which get_rng_state({device!r}) would return: {error}"
            ) from error


@contextlib.contextmanager
def fork_rng() -> Iterator[None]:
    """Restore the random numbers of all devices at the end of a block: ``with fork_rng():``.

    Examples
    --------
    >>> import rustorch
    >>> with rustorch.random.fork_rng():
    ...     rustorch.manual_seed(0)
    ...     noise = rustorch.randn(3)
    """
    with _lock:
        before = rng_snapshot()
    try:
        yield
    finally:
        with _lock:
            rng_restore(before)


# -- numbers -----------------------------------------------------------------------------------------------------------
def _arguments(name: str, shape: Any, dtype: DTypeLike, device: str | None) -> tuple[Shape, Any, str]:
    """The sizes, the dtype and the device of new random numbers."""
    sizes = sizes_of(name, shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)
    dtype = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
    if not dtypes.is_floating(dtype):
        raise TypeError(f"{name}: random numbers of dtype {dtype} are integers; use randint")
    return sizes, dtype, default_device() if device is None else resolve(device)


def _leaf(native: Any, requires_grad: bool) -> Variable:
    out = make(native)
    return out.requires_grad_() if requires_grad else out


def rand(
    *shape: int | Sequence[int], dtype: DTypeLike = None, device: str | None = None, requires_grad: bool = False
) -> Variable:
    """Uniform numbers in [0, 1).

    Parameters
    ----------
    *shape : int
        Sizes, or one tuple of them.
    dtype : dtype, optional
        Default float32.
    device : str, optional
    requires_grad : bool
    """
    sizes, dtype, device = _arguments("rand", shape, dtype, device)
    return _leaf(get(device).uniform(sizes, dtype, device), requires_grad)


def randn(
    *shape: int | Sequence[int], dtype: DTypeLike = None, device: str | None = None, requires_grad: bool = False
) -> Variable:
    """Normal numbers with mean 0 and variance 1; the parameters are those of `rand`."""
    sizes, dtype, device = _arguments("randn", shape, dtype, device)
    return _leaf(get(device).normal(sizes, dtype, device), requires_grad)


def randint(
    low: int, high: int | None = None, size: Sizes = (), *, dtype: DTypeLike = None, device: str | None = None
) -> Variable:
    """Random integers in [low, high), or in [0, low) without ``high``.

    Parameters
    ----------
    low, high : int
    size : tuple of int
    dtype : dtype, optional
        Default int64.
    device : str, optional

    Raises
    ------
    ValueError
        If the range is empty, or exceeds that of the dtype.
    TypeError
        If a bound is no integer.
    """
    low, high = (0, index(low)) if high is None else (index(low), index(high))
    if high <= low:
        raise ValueError(f"randint: no integers in [{low}, {high})")
    device = default_device() if device is None else resolve(device)
    dtype = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    if dtype.kind in "iu":
        _, top, bottom, _ = dtypes.limits_of(dtype)
        if low < bottom or high - 1 > top:
            raise ValueError(f"randint: [{low}, {high}) goes beyond the integers of {dtype}, {bottom} to {top}")
    return make(get(device).integers(low, high, sizes_of("randint", size), dtype, device))


def randperm(n: int, *, device: str | None = None) -> Variable:
    """The integers below n in random order, as int64."""
    device = default_device() if device is None else resolve(device)
    if index(n) < 0:
        raise ValueError(f"randperm: n is a number of integers, not {n}")
    return make(get(device).permutation(index(n), device))

"""Backends: which array library stands behind a device string or behind a native array.

``get("cuda:1")`` and ``of(array)`` are the two questions; both answers are cached. A library is imported when its
device is named or one of its arrays arrives, never before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as _numpy

from .base import Array, Backend, DeviceUnavailable, Namespace
from .numpy.backend import NumpyBackend

__all__ = [
    "BY_TYPE",
    "Array",
    "Backend",
    "DeviceUnavailable",
    "Namespace",
    "default_device",
    "device_of",
    "from_dlpack_array",
    "get",
    "host_stream",
    "keyed_stream",
    "loaded",
    "of",
    "resolve",
    "rng_restore",
    "rng_snapshot",
    "set_default_device",
    "shared",
    "status",
    "synchronize",
    "transfer",
    "when_loaded",
]

#: device family -> (module here, class, the library, what to install)
_FAMILIES = {
    "cuda": (
        "cupy.backend",
        "CupyBackend",
        "cupy",
        "CuPy is not installed: pip install cupy-cuda13x, or cupy-cuda12x for a driver of CUDA 12",
    ),
    "strict": ("generic", "StrictBackend", "array_api_strict", "not installed: pip install array-api-strict"),
    "jax": ("generic", "JaxBackend", "jax", "JAX is not installed: pip install jax"),
    "torch": ("generic", "TorchBackend", "torch", "PyTorch is not installed: pip install torch"),
}

_CPU = NumpyBackend()
_loaded: dict[str, Backend] = {"cpu": _CPU}
_lock = threading.Lock()

#: Type of a native array (or of a scalar that the library's 0-d results decay to) -> its backend.
BY_TYPE: dict[type, Backend] = {_numpy.ndarray: _CPU}
_ROOTS = {"numpy": "cpu", "cupy": "cuda", "array_api_strict": "strict", "jax": "jax", "jaxlib": "jax", "torch": "torch"}


def _load(family: str) -> Backend:
    with _lock:
        if family not in _loaded:
            file, name, library, missing = _FAMILIES[family]
            try:
                import_module(library)
            except ImportError as error:
                raise DeviceUnavailable(f"device {family!r} cannot be used: {missing} ({error})") from error
            _loaded[family] = backend = getattr(import_module(f"{__name__}.{file}"), name)()
            if _on_load is not None:
                _on_load(backend)
        return _loaded[family]


_host_streams: list[Backend] = []


def host_stream() -> Backend:
    """A new source of random numbers on the host, independent of the CPU backend's own."""
    _host_streams.append(NumpyBackend())
    return _host_streams[-1]


def keyed_stream(seed: int, *key: int) -> Backend:
    """A source of random numbers on the host that these integers determine; drawing from it moves no other one."""
    stream = NumpyBackend()
    stream._generator = _numpy.random.Generator(_numpy.random.PCG64(_numpy.random.SeedSequence(seed, spawn_key=key)))
    return stream


_on_load: Callable[[Backend], None] | None = None


def when_loaded(action: Callable[[Backend], None]) -> None:
    """Do something to every backend that is loaded from now on; replaces what was to be done before."""
    global _on_load
    _on_load = action


def rng_snapshot() -> tuple:
    """Where all sources of random numbers stand, for `rng_restore`."""
    return _on_load, {backend: backend.rng_snapshot() for backend in (*loaded(), *_host_streams)}


def rng_restore(snapshot: tuple) -> None:
    """Let every source of random numbers go on from where it stood at `rng_snapshot`."""
    global _on_load
    _on_load, states = snapshot
    for backend, state in states.items():
        backend.rng_restore(state)
    for backend in loaded():
        if backend not in states and _on_load is not None:
            _on_load(backend)


def loaded() -> list[Backend]:
    """The backends in use so far."""
    return list(_loaded.values())


def get(device: str) -> Backend:
    """The backend of a device string.

    Raises
    ------
    ValueError
        If the string names no device that rustorch knows.
    RuntimeError
        If the device is known but cannot be used here; the message says why and what to install.
    """
    return _BY_DEVICE[resolve(device)]


#: Canonical device string -> backend; holds only devices that were found usable.
_BY_DEVICE: dict[str, Backend] = {"cpu": _CPU}
_CANONICAL: dict[str, str] = {"cpu": "cpu"}


def resolve(device: Any) -> str:
    """The canonical spelling of a device ("cuda:0" is "cuda"), or of the default device for None; it is usable.

    Raises as `get` does.
    """
    if device is None:
        return _default.device
    known = _CANONICAL.get(device) if type(device) is str else None
    if known is not None:
        return known
    if not isinstance(device, str):
        raise TypeError(
            f"a device is a string such as 'cpu' or 'cuda:1', not {device!r} of type {type(device).__name__}"
        )
    family, _, rest = device.partition(":")
    if family == "cpu" or family not in _FAMILIES:
        raise ValueError(
            f"unknown device {device!r}; rustorch knows 'cpu', 'cuda', 'cuda:N', 'strict', 'jax' and 'torch'"
        )
    backend = _load(family)
    canonical = backend.check_device(device, rest)
    of(backend.from_numpy(_numpy.empty(0, "int8"), canonical))  # from here on, the type of its arrays is in BY_TYPE
    _BY_DEVICE[canonical] = backend
    _CANONICAL[device] = _CANONICAL[canonical] = canonical
    return canonical


def of(array: Any) -> Backend | None:
    """The backend whose array (or scalar) this is, or None for anything else."""
    kind = type(array)
    backend = BY_TYPE.get(kind)
    if backend is None:
        for base in kind.__mro__:
            family = _ROOTS.get(base.__module__.partition(".")[0])
            if family is not None:
                candidate = _load(family) if family != "cpu" else _CPU
                if candidate.is_array(array):
                    BY_TYPE[kind] = backend = candidate
                    break
    return backend


def device_of(array: Any) -> str:
    """The device of a native array; from here on `get` knows it too."""
    backend = of(array)
    if backend is None:
        raise TypeError(f"{type(array).__name__} is no array of a library that rustorch knows")
    device = backend.device_of(array)
    _BY_DEVICE.setdefault(device, backend)
    _CANONICAL.setdefault(device, device)
    return device


def transfer(array: Array, device: str) -> Array:
    """A native array on another device; itself where it already is there. Crosses libraries through the host."""
    source, target = of(array), get(device)
    if source is None:
        raise TypeError(f"{type(array).__name__} is no array of a library that rustorch knows")
    if source is target:
        return source.to_device(array, device)
    host = target.from_numpy(source.to_numpy(array), device)
    return host.copy() if target is _CPU else host  # the host's view of a torch tensor is its memory


def from_dlpack_array(value: Any) -> Array:
    """A native array around the memory of any object that speaks DLPack, of the library for that kind of memory."""
    if of(value) is not None:
        return of(value).adopt(value)  # type: ignore[union-attr]
    if not hasattr(value, "__dlpack__") or not hasattr(value, "__dlpack_device__"):
        raise AttributeError(f"from_dlpack: {type(value).__name__} has no __dlpack__ and __dlpack_device__")
    kind = int(value.__dlpack_device__()[0])
    if kind not in (1, 2):
        raise ValueError(f"from_dlpack: memory of DLPack device type {kind} is neither the CPU's (1) nor CUDA's (2)")
    library = _CPU.module if kind == 1 else _load("cuda").module
    native = library.from_dlpack(value)
    return of(native).adopt(native)  # type: ignore[union-attr]


def shared(array: Array, device: str) -> Array | None:
    """The memory of a native array as an array of another library; None where that one cannot reach or take it, or may
    not.

    Only memory that may be written to: what JAX holds, or a read-only array of NumPy's, must never change.
    """
    source, target = of(array), get(device)
    if source is None or not (source.writable(array) and target.mutable):
        return None
    if any(step < 0 for step in source.strides(array)):  # PyTorch ends the process
        return None
    try:
        if array.__dlpack_device__() != target.from_numpy(_numpy.empty(0), device).__dlpack_device__():
            return None
        found = target.module.from_dlpack(array)
    except (
        BufferError,
        RuntimeError,
        TypeError,
        ValueError,
    ):  # a dtype that DLPack or the library lacks, read-only memory
        return None
    return found if target.device_of(found) == device else None


# -- the default device ------------------------------------------------------------------------------------------------
class _Default(threading.local):
    device = "cpu"


_default = _Default()


def default_device() -> str:
    """The device on which new arrays are made in this thread where none is named."""
    return _default.device


class set_default_device:
    """Make ``device`` the place of new arrays and layers in this thread; as a context manager, for a while.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...

    Raises
    ------
    ValueError, RuntimeError
        If the device is unknown or cannot be used; the default is then unchanged.

    Examples
    --------
    >>> import rustorch
    >>> with rustorch.set_default_device("cpu"):
    ...     print(rustorch.zeros(2).device)
    cpu
    """

    def __init__(self, device: str):
        device = resolve(device)
        self._before = _default.device
        _default.device = device

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _default.device = self._before


# -- what is there -----------------------------------------------------------------------------------------------------
def synchronize(device: str | None = None) -> None:
    """Wait until the work queued on a device (all devices in use, for None) is done."""
    if device is None:
        for backend in loaded():
            backend.synchronize()
    else:
        get(device).synchronize(resolve(device))


def status() -> list[tuple[str, str]]:
    """Every device family with what can be used of it, or why nothing can; used by ``python -m rustorch``."""
    rows = [("cpu", f"usable: NumPy {_numpy.__version__}")]
    checks: dict[str, Callable[[], Backend]] = {family: (lambda f=family: get(f)) for family in _FAMILIES}  # type: ignore[misc]
    for family, check in checks.items():
        try:
            backend = check()
        except Exception as error:  # a broken installation must not break the report
            rows.append((family, f"not usable: {error}"))
        else:
            version = import_module(_FAMILIES[family][2]).__version__
            rows.append((family, f"usable: {_FAMILIES[family][2]} {version}, {', '.join(backend.devices())}"))
    return rows

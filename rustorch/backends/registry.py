"""Which array library stands behind a device string, and which behind a native array.

``get("cuda:1")`` and ``of(array)`` answer these two questions, and both remember their answers. A library is imported
when a program names its device or hands over one of its arrays, never earlier.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy

from .base import Backend, DeviceUnavailable
from .numpy.backend import NumpyBackend


@dataclass(frozen=True)
class _Entry:
    """How to load a backend: see `register`."""

    where: str | Callable[[], Backend]
    library: str
    missing: str


CPU = NumpyBackend()
#: Device family, the part of a device string before the colon -> how to load its backend. "cpu" is always loaded.
_ENTRIES: dict[str, _Entry] = {}
#: Top-level module in which a type of arrays is defined -> device family.
_ROOTS = {"numpy": "cpu"}
_LOADED: dict[str, Backend] = {"cpu": CPU}
_lock = threading.Lock()

#: Type of a native array, or of a scalar that the library returns for a 0-d array -> its backend.
BY_TYPE: dict[type, Backend] = {numpy.ndarray: CPU}
#: The types of arrays, two of which can be on different devices. Asking this set is faster than asking their backend.
MULTI_DEVICE: set[type] = set()
#: Canonical device string -> backend, for the devices that were found usable.
_BY_DEVICE: dict[str, Backend] = {"cpu": CPU}
#: Device string -> canonical device string.
_CANONICAL: dict[str, str] = {"cpu": "cpu"}


def register(family: str, where: str | Callable[[], Backend], library: str, missing: str, *roots: str) -> None:
    """Add a backend. It is loaded when its device is named, or when one of its arrays arrives.

    Parameters
    ----------
    family : str
        What its device strings begin with, and the name of its default device.
    where : str or type
        Its class, or where to import it from: ``"module:Class"``. A module that starts with a dot is in
        rustorch.backends.
    library : str
        The module to import first, to find out whether the library is installed.
    missing : str
        For the error where it is not installed: what to install.
    *roots : str
        The top-level modules in which the types of its arrays are defined. Default: ``library``.
    """
    _ENTRIES[family] = _Entry(where, library, missing)
    for root in roots or (library,):
        _ROOTS[root] = family


_CUPY = "CuPy is not installed: pip install cupy-cuda13x, or cupy-cuda12x for a driver of CUDA 12"
register("cuda", ".cupy.backend:CupyBackend", "cupy", _CUPY)
register("strict", ".strict:StrictBackend", "array_api_strict", "not installed: pip install array-api-strict")
register("jax", ".jax:JaxBackend", "jax", "JAX is not installed: pip install jax", "jax", "jaxlib")
register("torch", ".torch:TorchBackend", "torch", "PyTorch is not installed: pip install torch")


# -- loading -----------------------------------------------------------------------------------------------------------
def load(family: str) -> Backend:
    """The backend of a device family, loaded now if it was not.

    Raises
    ------
    RuntimeError
        If its library is not installed; the message says what to install.
    """
    if family == "cpu":
        return CPU
    with _lock:
        if family not in _LOADED:
            entry = _ENTRIES[family]
            try:
                import_module(entry.library)
            except ImportError as error:
                raise DeviceUnavailable(f"device {family!r} cannot be used: {entry.missing} ({error})") from error
            make = entry.where
            if isinstance(make, str):
                module, _, name = make.partition(":")
                make = getattr(import_module(module, __package__), name)
            _LOADED[family] = backend = make()
            if on_load is not None:
                on_load(backend)
        return _LOADED[family]


def loaded() -> list[Backend]:
    """The backends in use so far."""
    return list(_LOADED.values())


#: What is done to every backend that is loaded from now on.
on_load: Callable[[Backend], None] | None = None


def when_loaded(action: Callable[[Backend], None] | None) -> None:
    """Call ``action`` with every backend that is loaded from now on. It replaces the action given before."""
    global on_load
    on_load = action


# -- from a device string, and from an array ---------------------------------------------------------------------------
def get(device: str | None) -> Backend:
    """The backend of a device string, or of the default device for None.

    Raises
    ------
    ValueError
        If rustorch knows no such device.
    RuntimeError
        If it knows the device, but the device cannot be used here; the message says why and what to install.
    """
    return _BY_DEVICE[resolve(device)]


def resolve(device: Any) -> str:
    """The canonical form of a device string ("cuda:0" is "cuda"), or the default device for None. It can be used.

    Raises the same errors as `get`.
    """
    if device is None:
        return _default.device
    canonical = _CANONICAL.get(device) if type(device) is str else None
    if canonical is not None:
        return canonical
    if not isinstance(device, str):
        raise TypeError(
            f"a device is a string such as 'cpu' or 'cuda:1', not {device!r} of type {type(device).__name__}"
        )
    family, _, rest = device.partition(":")
    if family not in _ENTRIES:
        *first, last = [repr(name) for name in ("cpu", *_ENTRIES)]
        raise ValueError(
            f"unknown device {device!r}; rustorch knows {', '.join(first)} and {last}, and devices of these such as "
            f"'cuda:1'"
        )
    backend = load(family)
    canonical = backend.check_device(device, rest)
    of(backend.from_numpy(numpy.empty(0, "int8"), canonical))  # puts the type of its arrays into BY_TYPE
    _BY_DEVICE[canonical] = backend
    _CANONICAL[device] = _CANONICAL[canonical] = canonical
    return canonical


def of(array: Any) -> Backend | None:
    """The backend of a native array (or of a scalar that its library returned), or None for anything else."""
    array_type = type(array)
    backend = BY_TYPE.get(array_type)
    if backend is None:
        for base in array_type.__mro__:
            family = _ROOTS.get(base.__module__.partition(".")[0])
            if family is not None:
                candidate = load(family)
                if candidate.is_array(array):
                    if candidate.multi_device:
                        MULTI_DEVICE.add(array_type)
                    BY_TYPE[array_type] = backend = candidate
                    break
    return backend


def device_of(array: Any) -> str:
    """The device of a native array. `get` knows this device from then on."""
    backend = of(array)
    if backend is None:
        raise TypeError(f"{type(array).__name__} is no array of a library that rustorch knows")
    device = backend.device_of(array)
    _BY_DEVICE.setdefault(device, backend)
    _CANONICAL.setdefault(device, device)
    return device


# -- the default device ------------------------------------------------------------------------------------------------
class _Default(threading.local):
    device = "cpu"


_default = _Default()


def default_device() -> str:
    """The device of new arrays in this thread where no device is named."""
    return _default.device


class set_default_device:
    """Put new arrays and layers of this thread on ``device``; in a ``with`` statement, until its end.

    Parameters
    ----------
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...

    Raises
    ------
    ValueError, RuntimeError
        If the device is unknown or cannot be used. The default device is unchanged then.

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


# -- all backends ------------------------------------------------------------------------------------------------------
def synchronize(device: str | None = None) -> None:
    """Wait until the work that was given to a device, or for None to all devices in use, is done."""
    if device is None:
        for backend in loaded():
            backend.synchronize()
    else:
        get(device).synchronize(resolve(device))


def status() -> list[tuple[str, str]]:
    """Each device family, and which of its devices can be used or why none can; for ``python -m rustorch``."""
    rows = [("cpu", f"usable: NumPy {numpy.__version__}")]
    for family, entry in _ENTRIES.items():
        try:
            backend = get(family)
        except Exception as error:  # a broken installation must not break the report
            rows.append((family, f"not usable: {error}"))
        else:
            version = import_module(entry.library).__version__
            rows.append((family, f"usable: {entry.library} {version}, {', '.join(backend.devices())}"))
    return rows

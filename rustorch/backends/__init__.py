"""Backends: the array libraries that stand behind device strings and native arrays."""

from __future__ import annotations

from .base import Array, Backend, DeviceUnavailable, Namespace
from .interchange import from_dlpack_array, shared, transfer
from .numpy.memory import keep_freed_memory
from .registry import (
    BY_TYPE,
    MULTI_DEVICE,
    default_device,
    device_of,
    get,
    loaded,
    of,
    register,
    resolve,
    set_default_device,
    status,
    synchronize,
    when_loaded,
)
from .standard_backend import StandardBackend
from .streams import host_stream, keyed_seed, keyed_stream, rng_restore, rng_snapshot, seed_global_generators

__all__ = [
    "BY_TYPE",
    "MULTI_DEVICE",
    "Array",
    "Backend",
    "DeviceUnavailable",
    "Namespace",
    "StandardBackend",
    "default_device",
    "device_of",
    "from_dlpack_array",
    "get",
    "host_stream",
    "keep_freed_memory",
    "keyed_seed",
    "keyed_stream",
    "loaded",
    "of",
    "register",
    "resolve",
    "rng_restore",
    "rng_snapshot",
    "seed_global_generators",
    "set_default_device",
    "shared",
    "status",
    "synchronize",
    "transfer",
    "when_loaded",
]

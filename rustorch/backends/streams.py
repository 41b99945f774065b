"""Independent sources of random numbers on the host, and snapshots of all sources."""

from __future__ import annotations

import sys
from typing import Any

import numpy

from . import registry
from .base import Backend
from .numpy.backend import NumpyBackend
from .random import new_generator

_host_streams: list[Backend] = []


def host_stream() -> Backend:
    """A new source of random numbers on the host, independent of the CPU backend's own."""
    _host_streams.append(NumpyBackend())
    return _host_streams[-1]


def keyed_stream(seed: int, *key: int) -> Backend:
    """A source of random numbers on the host that these integers determine. Drawing from it changes no other source."""
    stream = NumpyBackend()
    stream._generator = new_generator(numpy.random.SeedSequence(seed, spawn_key=key))
    return stream


def keyed_seed(seed: int, *key: int) -> int:
    """A seed below 2**63 that these integers determine."""
    return int(numpy.random.SeedSequence(seed, spawn_key=key).generate_state(1, numpy.uint64)[0] >> 1)


def seed_global_generators(seed: int) -> None:
    """Seed the generators that belong to a whole process: Python's, NumPy's, and PyTorch's if it is imported."""
    import random  # programs without worker processes do not need it

    random.seed(seed)
    numpy.random.seed(seed % 2**32)  # noqa: NPY002 (programs use the old functions, too)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)


def rng_snapshot() -> tuple[Any, ...]:
    """The states of all sources of random numbers, for `rng_restore`."""
    sources = (*registry.loaded(), *_host_streams)
    return registry.on_load, {source: source.rng_snapshot() for source in sources}


def rng_restore(snapshot: tuple[Any, ...]) -> None:
    """Let every source of random numbers continue from its state at `rng_snapshot`."""
    on_load, states = snapshot
    registry.when_loaded(on_load)
    for source, state in states.items():
        source.rng_restore(state)
    for backend in registry.loaded():
        if backend not in states and on_load is not None:
            on_load(backend)

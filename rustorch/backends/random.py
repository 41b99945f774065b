"""Random numbers on the host, from NumPy's generator, and its state as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from . import dtypes

#: The numbers in the state of a PCG64, with their sizes in bytes: its 128-bit state and increment, and the second half
#: of a 64-bit draw, kept for the next 32-bit draw, with a flag that says whether there is one.
_FIELDS = {"state": 16, "inc": 16, "uinteger": 4, "has_uint32": 1}


def new_generator(seed: Any = None) -> numpy.random.Generator:
    """A generator from a seed that `numpy.random.PCG64` takes; None takes an unpredictable one from the system."""
    return numpy.random.Generator(numpy.random.PCG64(seed))


def packed(generator: numpy.random.Generator) -> numpy.ndarray:
    """The state of a generator as bytes: an array of shape (37,) and dtype uint8."""
    state: Mapping[str, Any] = generator.bit_generator.state
    numbers = {**state, **state["state"]}
    contents = b"".join([numbers[name].to_bytes(size, "little") for name, size in _FIELDS.items()])
    return numpy.frombuffer(contents, numpy.uint8).copy()


def unpacked(state: numpy.ndarray) -> dict[str, Any]:
    """The state that `packed` made bytes of, in the form of ``generator.bit_generator.state``.

    Raises
    ------
    ValueError
        If these bytes are not the state of a PCG64.
    """
    rest, numbers = state.tobytes(), {}
    if len(rest) != sum(_FIELDS.values()):
        raise ValueError(f"a state of this generator has {sum(_FIELDS.values())} bytes, not {len(rest)}")
    for name, size in _FIELDS.items():
        numbers[name], rest = int.from_bytes(rest[:size], "little"), rest[size:]
    if not numbers["inc"] % 2 or numbers["has_uint32"] > 1:
        raise ValueError("these bytes are no state of this generator")
    inner = {"state": numbers.pop("state"), "inc": numbers.pop("inc")}
    return {"bit_generator": "PCG64", "state": inner, **numbers}


def uniform(generator: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype) -> numpy.ndarray:
    """Uniform numbers in [0, 1). Dtypes that NumPy's generator does not draw are drawn in float64 and converted."""
    drawn = dtype if dtype in dtypes.REAL else dtypes.float64
    return numpy.asarray(generator.random(shape, dtype=drawn.type)).astype(dtype, copy=False)


def normal(generator: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype) -> numpy.ndarray:
    """Standard normal numbers. Complex ones have variance 1, half of it in each part, as in PyTorch."""
    if dtype.kind == "c":
        part = dtypes.float32 if dtype == dtypes.complex64 else dtypes.float64
        pair = generator.standard_normal((2, *shape), dtype=part.type) * part.type(0.5**0.5)
        return numpy.asarray(pair[0] + 1j * pair[1]).astype(dtype)
    drawn = dtype if dtype in dtypes.REAL else dtypes.float64
    return numpy.asarray(generator.standard_normal(shape, dtype=drawn.type)).astype(dtype, copy=False)


def mask(
    generator: numpy.random.Generator, shape: tuple[int, ...], dtype: numpy.dtype, p: float, scale: float
) -> numpy.ndarray:
    """``scale``, or 0 with probability ``p``. Uniform float32 numbers decide, so all dtypes get the same mask."""
    u = uniform(generator, shape, dtypes.float32)
    out = numpy.asarray(u >= dtypes.float32.type(p)).astype(dtype)
    out *= dtype.type(scale)
    return out

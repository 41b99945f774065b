"""Helpers for the tests of save and load: round trips, comparison of saved values, headers of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy

import rustorch
from rustorch.backends import dtypes
from tests.support.target import host


def header(file: Path) -> dict[str, Any]:
    """The header of a safetensors file."""
    content = file.read_bytes()
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def round_trip(value: Any, file: Path, **options: Any) -> Any:
    """Save a value, and load it again."""
    rustorch.save(value, file)
    return rustorch.load(file, **options)


def assert_same(actual: Any, expected: Any) -> None:
    """Assert that two values have the same structure and types, and their arrays the same dtype, shape and bytes."""
    if isinstance(expected, (rustorch.Variable, numpy.ndarray)):
        assert type(actual) is rustorch.Variable and not actual.requires_grad
        a, b = host(actual), host(expected)
        assert a.dtype == b.dtype.newbyteorder("=") and a.shape == b.shape
        assert a.tobytes() == b.astype(a.dtype).tobytes()
    elif isinstance(expected, dict):
        assert type(actual) is dict and list(actual) == list(expected)
        assert [type(key) for key in actual] == [type(key) for key in expected]
        for key in expected:
            assert_same(actual[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected) and len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    else:
        assert type(actual) is type(expected)
        assert actual == expected if isinstance(expected, int) else repr(actual) == repr(expected)


def bits(rng: numpy.random.Generator, dtype: Any, shape: tuple[int, ...]) -> numpy.ndarray:
    """An array of random bits, which includes nan of all kinds and very large and small numbers."""
    if dtype == dtypes.bool:
        return rng.integers(0, 2, shape).astype(bool)
    raw = rng.integers(0, 256, (*shape, dtype.itemsize), dtype=numpy.uint8)
    return raw.view(dtype)[..., 0]


def bounds(size: int, rank: int, n_ranks: int) -> tuple[int, int]:
    """The first and the last element, excluded, of a rank's piece of an array; the last pieces may be empty."""
    length = -(-size // n_ranks)
    return min(rank * length, size), min((rank + 1) * length, size)

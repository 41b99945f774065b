"""Compiled joining of arrays is NumPy's: all axes, sizes and layouts."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from rustorch.backends.numba import joining
from tests.support import compiled


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_LEAST", 0)
    monkeypatch.setattr(joining, "GRAIN", 16)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_like_numpys(axis: int, dtype: str, count: int) -> None:
    shapes = [[40, 7, 9] for _ in range(4)]
    for shape, size in zip(shapes, (1, 0, 30, 5), strict=True):
        shape[axis] = size
    arrays = [compiled.draw(tuple(shape), dtype, i) for i, shape in enumerate(shapes)]
    with compiled.threads(count):
        out = joining.concat(arrays, axis=axis)
    numpy.testing.assert_array_equal(out, numpy.concatenate(arrays, axis=axis), strict=True)


@pytest.mark.parametrize(
    ("arrays", "axis"),
    [
        ([numpy.ones(3), numpy.ones(3, "float32")], 0),
        ([numpy.ones(3, "int64")], 0),
        ([numpy.ones((3, 4)).T, numpy.ones((4, 3))], 0),
        ([numpy.ones(3)], None),
        ([numpy.ones(3)], 1),
        ([numpy.ones((3, 4)), numpy.ones((4, 3))], 0),
        ([numpy.ones(3), numpy.ones((1, 3))], 0),
        ([numpy.ones(0)], 0),
        ([], 0),
    ],
    ids=["dtypes", "integers", "layout", "no axis", "axis", "shapes", "dimensions", "empty", "nothing"],
)
def test_other_calls_are_numpys(arrays: list[Any], axis: int | None) -> None:
    assert joining.concat(arrays, axis=axis) is NotImplemented

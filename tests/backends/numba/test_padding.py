"""Compiled padding: every number of axes, both signs, and what NumPy serves."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import padding as plain
from rustorch.backends.numba import padding
from rustorch.backends.numpy.namespace import full_namespace
from tests.support import compiled

#: Shapes and pairs: rows, planes and volumes in front, between and behind the axes that change.
CASES: dict[str, tuple[tuple[int, ...], tuple[tuple[int, int], ...]]] = {
    "row": ((2, 70), ((0, 0), (3, 5))),
    "rows": ((9, 40), ((0, 0), (2, 0))),
    "images": ((3, 4, 28, 17), ((0, 0), (0, 0), (1, 2), (3, 0))),
    "channels": ((5, 6, 8, 9), ((0, 0), (2, 1), (0, 0), (0, 0))),
    "volumes": ((2, 5, 6, 7, 8), ((0, 0), (1, 0), (0, 0), (2, 3), (0, 0))),
    "fewer": ((3, 10, 40), ((0, 0), (-2, -1), (-5, -3))),
    "both": ((3, 10, 40), ((1, 0), (-2, 4), (6, -3))),
    "none of the row": ((6, 4), ((0, 0), (5, -7))),
    "none of the plane": ((6, 4), ((-7, 3), (1, 1))),
    "nothing there": ((0, 4), ((2, 1), (1, 0))),
}


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padding, "_LEAST", 0)
    monkeypatch.setattr(padding, "_SHORT", 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [1, 3])
def test_like_the_plain_version(case: str, dtype: str, count: int) -> None:
    shape, pairs = CASES[case]
    x = compiled.draw(shape, dtype)
    with compiled.threads(count):
        for value in (0, -1.5, numpy.nan, numpy.inf):
            out = compiled.call(padding.OVERRIDES, "pad_constant", x, pairs, value)
            numpy.testing.assert_array_equal(out, plain.pad_constant(full_namespace(), x, pairs, value), strict=True)
            assert not numpy.shares_memory(out, x)


def test_other_calls_are_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    x = compiled.draw((6, 8), "float32")
    pairs = ((1, 1), (1, 1))
    others: list[tuple[Any, Any]] = [
        (x.astype("int64"), pairs), (x.astype("float16"), pairs), (x[:, ::2], pairs), (x.T, pairs),
        (x.astype(">f4"), pairs), (x, ((0, 0), (0, 0))), (x, ((-6, 0), (1, 1))),
        (compiled.draw((2, 2, 2, 2), "float32"), ((1, 0), (0, 0), (0, 0), (0, 1))), (x.reshape(-1), ((2, 1),)),
    ]  # fmt: skip
    for array, those in others:
        assert padding.pad_constant(array, those, 0) is NotImplemented
    assert padding.pad_constant(x, pairs, 0) is not NotImplemented
    monkeypatch.setattr(padding, "_SHORT", 32)  # more than the 10 elements of a row
    assert padding.pad_constant(x, pairs, 0) is NotImplemented

"""Compiled attention against the plain version: in tiles, with masks, dropout, layouts and special values."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

pytest.importorskip("numba", reason="compiled loops need Numba")

import rustorch
from rustorch.backends.numba import attention, kernel
from rustorch.backends.numba.attention import OVERRIDES
from tests.backends.test_numpy_attention import (
    SHAPES,
    compare,
    compare_all,
    compare_layouts,
    compare_special_values,
    drawn,
)

#: Few keys: the softmax is kept.
SHORT = [((2, 3), 5, 7, 4, 3), ((2, 1, 2), 64, 1, 1, 8), ((), 300, 16, 8, 8), ((40,), 16, 16, 8, 8)]


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_LEAST", 0)


def _forward(*arguments: Any) -> Any:
    results = OVERRIDES["attention"](*arguments)
    assert results is not NotImplemented, f"{kernel.STATE.problem} {kernel.STATE.failures}"
    return results


def _backward(*arguments: Any) -> Any:
    results = OVERRIDES["attention_grad"](*arguments)
    assert results is not NotImplemented, f"{kernel.STATE.problem} {kernel.STATE.failures}"
    return results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_give_the_results_of_the_plain_version(shape: tuple[Any, ...], dtype: str) -> None:
    compare_all(_forward, _backward, shape, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHORT, ids=str)
def test_short_rows_give_the_results_of_the_plain_version(shape: tuple[Any, ...], dtype: str) -> None:
    compare_all(_forward, _backward, shape, dtype, tiled=False)


def test_special_values() -> None:
    compare_special_values(_forward, _backward)
    arrays = drawn(((2,), 5, 4, 4, 3), "float64")
    mask = numpy.zeros((5, 4))
    mask[1] = -numpy.inf
    mask[2, 1] = -numpy.inf
    mask[3] = 1e4
    compare(_forward, _backward, arrays, mask, None, 0.5, False, tiled=False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [1e-30, 1e30, numpy.inf, -numpy.inf, numpy.nan])
def test_special_values_in_short_rows(value: float) -> None:
    arrays = drawn(((2,), 5, 4, 4, 3), "float64")
    arrays[1][0, 2, 1] = value
    arrays[2][1, 3, 0] = value
    compare(_forward, _backward, arrays, None, None, 0.5, False, tiled=False)


def test_layouts() -> None:
    compare_layouts(_forward, _backward, tiled=False)


def test_large_scores_lose_nothing_by_the_logarithm() -> None:
    g, q, k, v = drawn(((), 300, 300, 4, 3), "float32")
    # scores near 1,000: their logarithm in float32 would have an error of 3e-5
    compare(_forward, _backward, [g, q, k, v], numpy.full((1, 1), 1000, "float32"), None, 0.5, False)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    g, q, k, v = drawn(((2, 3), 700, 600, 8, 8), "float32")
    before = rustorch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            rustorch.set_num_threads(count)
            out, logs = _forward(q, k, v, None, None, 0.5, True, False)
            results.append((out, logs, *_backward(g, q, k, v, None, None, out, logs, 0.5, True, False)[:3]))
    finally:
        rustorch.set_num_threads(before)
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            numpy.testing.assert_array_equal(x, y)


def test_calls_that_numpy_serves() -> None:
    g, q, k, v = drawn(((), 9, 8, 4, 3), "float64")
    mask = numpy.zeros((9, 8))
    assert OVERRIDES["attention"](q, k, v, mask, None, 0.5, False, True) is NotImplemented  # a mask that learns
    assert OVERRIDES["attention"](q, k, v.astype("float32"), None, None, 0.5, False, False) is NotImplemented
    p = numpy.zeros((9, 8))
    out = numpy.zeros((9, 3))
    assert OVERRIDES["attention_grad"](g, q, k, v, None, None, out, p, 0.5, False, True) is NotImplemented

"""Compiled attention against the plain version: in tiles, with masks, dropout, layouts and special values."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.numba import attention, attention_loops
from rustorch.backends.numba.attention import OVERRIDES
from tests.backends.test_numpy_attention import (
    SHAPES,
    compare,
    compare_all,
    compare_layouts,
    compare_special_values,
    drawn,
)
from tests.support.compiled import call, odd_copies, same_with_threads

_forward, _backward = partial(call, OVERRIDES, "attention"), partial(call, OVERRIDES, "attention_grad")
#: Around the queries of a panel (32 or fewer), of a block of panels, and the keys of a block (64); sizes and values
#: that fill no vector, or several tiles.
ODD = [
    ((), 63, 64, 32, 64), ((2,), 65, 63, 33, 31), ((1, 1), 129, 65, 64, 96), ((2, 2), 200, 128, 130, 65),
    ((2, 3), 5, 7, 4, 3), ((), 300, 16, 8, 8), ((40,), 16, 16, 8, 8), ((1, 2, 2), 1, 130, 1, 1),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "_LEAST", 0)
    monkeypatch.setattr(attention, "_FEW", 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_give_the_results_of_the_plain_version(shape: tuple[Any, ...], dtype: str) -> None:
    compare_all(_forward, _backward, shape, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", ODD, ids=str)
def test_sizes_around_those_of_blocks(shape: tuple[Any, ...], dtype: str) -> None:
    compare_all(_forward, _backward, shape, dtype)


def test_special_values() -> None:
    compare_special_values(_forward, _backward)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("value", [1e-30, 1e30, numpy.inf, -numpy.inf, numpy.nan])
def test_special_values_of_few_keys(value: float) -> None:
    arrays = drawn(((2,), 5, 4, 4, 3), "float64")
    arrays[1][0, 2, 1] = value
    arrays[2][1, 3, 0] = value
    compare(_forward, _backward, arrays, None, None, 0.5, False)


def test_masks_of_few_keys() -> None:
    mask = numpy.zeros((5, 4))
    mask[1] = -numpy.inf
    mask[2, 1] = -numpy.inf
    compare(_forward, _backward, drawn(((2,), 5, 4, 4, 3), "float64"), mask, None, 0.5, False)


def test_layouts() -> None:
    compare_layouts(_forward, _backward)
    # rows that do not lie in one piece, and odd copies
    g, q, k, v = drawn(((2,), 9, 6, 4, 5), "float64")
    turned = [numpy.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) for x in (g, q, k, v)]
    compare(_forward, _backward, turned, None, None, 0.5, False)
    for copies in zip(*[odd_copies(x) for x in (g, q, k, v)], strict=True):
        compare(_forward, _backward, list(copies), None, None, 0.5, True)


def test_saved_numbers_of_any_layout() -> None:
    """A hook may return what the forward saved as another array."""
    g, q, k, v = drawn(((4,), 70, 70, 4, 3), "float64")
    out, logs = _forward(q, k, v, None, None, 0.5, False, False)
    expected = _backward(g, q, k, v, None, None, out, logs, 0.5, False, False)
    for other, bound in ((numpy.asfortranarray(logs), 0), (logs.astype("float32"), 1e-6)):
        found = _backward(g, q, k, v, None, None, numpy.asfortranarray(out), other, 0.5, False, False)
        for one, two in zip(found[:3], expected[:3], strict=True):
            numpy.testing.assert_allclose(one, two, rtol=bound, atol=bound)


def test_large_scores_lose_nothing_by_the_logarithm() -> None:
    g, q, k, v = drawn(((), 300, 300, 4, 3), "float32")
    # scores near 1,000: their logarithm in float32 would have an error of 3e-5
    compare(_forward, _backward, [g, q, k, v], numpy.full((1, 1), 1000, "float32"), None, 0.5, False)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    g, q, k, v = drawn(((2, 3), 700, 600, 8, 8), "float32")

    def call_both() -> tuple[Any, ...]:
        out, logs = _forward(q, k, v, None, None, 0.5, True, False)
        return out, logs, *_backward(g, q, k, v, None, None, out, logs, 0.5, True, False)[:3]

    same_with_threads(call_both, (1, 2, 3))


def test_one_head_is_shared_between_threads() -> None:
    arrays = drawn(((), 130, 300, 8, 8), "float64")
    before = rustorch.get_num_threads()
    try:
        for count in (2, 3, 16):  # more threads than blocks of keys
            rustorch.set_num_threads(count)
            compare(_forward, _backward, arrays, None, None, 0.5, False)
            compare(_forward, _backward, arrays, None, None, 0.5, True)
    finally:
        rustorch.set_num_threads(before)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(("items", "heads", "blocks"), [(1, 1, 1), (4, 4, 8), (4, 3, 5), (8, 16, 2), (6, 1, 6)])
def test_the_items_share_all_units(items: int, heads: int, blocks: int, spread: bool) -> None:
    units = heads * blocks
    numbers = [0] * (attention_loops.SPREAD + 1)
    numbers[attention_loops.ITEMS], numbers[attention_loops.UNITS] = items, units
    numbers[attention_loops.SPREAD] = spread
    shares = [
        list(itertools.takewhile(lambda u: u >= 0, (attention_loops._unit(i, k, numbers) for k in range(units + 1))))
        for i in range(items)
    ]
    assert sorted(itertools.chain(*shares)) == list(range(units))
    if spread and heads % 2 == 0 and units % (2 * items) == 0:  # if attention is causal, later blocks take longer
        assert len({sum(unit % blocks for unit in share) for share in shares}) == 1


def test_calls_that_numpy_serves() -> None:
    g, q, k, v = drawn(((), 9, 8, 4, 3), "float64")
    mask = numpy.zeros((9, 8))
    assert OVERRIDES["attention"](q, k, v, mask, None, 0.5, False, True) is NotImplemented  # a mask that learns
    assert OVERRIDES["attention"](q, k, v.astype("float32"), None, None, 0.5, False, False) is NotImplemented
    p = numpy.zeros((9, 8))
    out = numpy.zeros((9, 3))
    assert OVERRIDES["attention_grad"](g, q, k, v, None, None, out, p, 0.5, False, True) is NotImplemented

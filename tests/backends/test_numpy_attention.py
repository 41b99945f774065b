"""Attention in tiles against the plain version: masks, dropout, layouts, special values, and memory."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import KERNELS
from rustorch.backends.numpy import attention, attention_tiles
from rustorch.backends.registry import CPU
from tests.support.plain_namespace import PLAIN

#: Leading dimensions, queries, keys, size, values: one tile, several tiles of both, and few queries or keys.
SHAPES = [((2, 3), 5, 70, 4, 3), ((), 270, 600, 8, 4), ((2,), 600, 270, 8, 4), ((2, 1, 2), 64, 20, 1, 8)]
MASKS = {
    "no mask": lambda rng, shape: None,
    "added": lambda rng, shape: rng.standard_normal(shape[-2:]),
    "transposed": lambda rng, shape: rng.standard_normal(shape[:-3:-1]).T,
    "hidden keys": lambda rng, shape: numpy.where(rng.random((*shape[:-2], 1, shape[-1])) < 0.3, -math.inf, 0.0),
    "one column": lambda rng, shape: rng.standard_normal((*shape[:-1], 1)),
}
Function = Callable[..., Any]


def drawn(shape: tuple[Any, ...], dtype: str, seed: int = 0) -> list[Any]:
    """The gradient of the output, queries, keys and values."""
    lead, queries, keys, size, values = shape
    rng = numpy.random.default_rng(seed)
    sizes = [(queries, values), (queries, size), (keys, size), (keys, values)]
    return [rng.standard_normal((*lead, *pair)).astype(dtype) for pair in sizes]


def compare(forward: Function, backward: Function, arrays: list[Any], *options: Any) -> None:
    """Compare the kernels ``attention`` and ``attention_grad`` with the plain versions."""
    g, q, k, v = arrays
    mask, keep, scale, causal = options
    before = [x.copy() for x in arrays]
    expected, p = KERNELS["attention"](PLAIN, q, k, v, *options, False)
    slopes = KERNELS["attention_grad"](PLAIN, g, q, k, v, mask, keep, expected, p, scale, causal, False)
    out, logs = forward(q, k, v, *options, False)
    assert logs.shape == q.shape[:-1]
    results = backward(g, q, k, v, mask, keep, out, logs, scale, causal, False)
    assert results[3] is None
    assert all(CPU.owns(x) for x in (out, *results[:3]))  # else backward would copy them
    # sums over all keys round as many terms; the largest is about the length of a sum of random numbers
    bound = 8 * float(numpy.finfo(q.dtype).eps) * max(q.shape[-2], k.shape[-2]) ** 0.5
    for result, value in zip((out, *results[:3]), (expected, *slopes[:3]), strict=True):
        assert (result.shape, result.dtype) == (value.shape, value.dtype)
        largest = abs(value[numpy.isfinite(value)]).max(initial=1)
        numpy.testing.assert_allclose(result, value, rtol=bound, atol=bound * largest)
    for x, value in zip(arrays, before, strict=True):
        numpy.testing.assert_array_equal(x, value)


def compare_all(forward: Function, backward: Function, shape: tuple[Any, ...], dtype: str) -> None:
    """Compare with every kind of mask, with and without dropout, and causal or not."""
    arrays = drawn(shape, dtype)
    scores = (*arrays[1].shape[:-1], shape[2])
    for mask, dropped, causal in product(MASKS.values(), (False, True), (False, True)):
        rng = numpy.random.default_rng(1)
        added = mask(rng, scores)
        keep = (rng.random(scores) < 0.8).astype(dtype) * numpy.dtype(dtype).type(1.25) if dropped else None
        added = None if added is None else added.astype(dtype)
        compare(forward, backward, arrays, added, keep, 0.5, causal)


def compare_special_values(forward: Function, backward: Function) -> None:
    """Scores that are all hidden, infinite, not a number, tiny or huge."""
    for value in (0.0, 1e-30, 1e30, math.inf, -math.inf, math.nan):
        arrays = drawn(((2,), 400, 300, 4, 3), "float64")
        # products of whole numbers have no error; else it would be multiplied by 1e30 where the gradient is 0
        arrays[0], arrays[3] = numpy.rint(4 * arrays[0]), numpy.rint(4 * arrays[3])
        arrays[1][0, 270, 1] = value
        arrays[2][1, 5, 0] = value
        with numpy.errstate(all="ignore"):
            compare(forward, backward, arrays, None, None, 0.5, False)
    arrays = drawn(((2,), 300, 600, 4, 3), "float64")
    mask = numpy.zeros((300, 600))
    mask[3] = -math.inf  # no key at all
    mask[4, :300] = -math.inf  # none in the first tile
    mask[5, 300:] = -math.inf
    mask[6] = 1e4  # its exponential would overflow
    compare(forward, backward, arrays, mask, None, 0.5, False)


def compare_layouts(forward: Function, backward: Function) -> None:
    """Heads that are views of one product, as in a layer, and arrays that cannot be written."""
    rng = numpy.random.default_rng(0)
    packed = rng.standard_normal((2, 16, 3, 4, 8))
    packed.flags.writeable = False
    q, k, v = packed.transpose(2, 0, 3, 1, 4)
    g = rng.standard_normal((2, 16, 4, 8)).transpose(0, 2, 1, 3)
    compare(forward, backward, [g, q, k, v], None, None, 0.5, True)
    out, _ = forward(q, k, v, None, None, 0.5, True, False)
    assert out.transpose(0, 2, 1, 3).flags.c_contiguous  # the next layer takes it without a copy
    broadcast = [numpy.broadcast_to(x, (3, *x.shape[1:])) for x in drawn(((1,), 9, 6, 4, 3), "float64")]
    compare(forward, backward, broadcast, None, None, 0.5, False)
    strided = [x[..., ::-1, ::2] for x in drawn(((2,), 9, 4, 4, 6), "float64")]
    compare(forward, backward, strided, None, None, 0.5, False)


@pytest.fixture
def _always_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "LONG", 0)


@pytest.mark.usefixtures("_always_in_tiles")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tiles_give_the_results_of_the_plain_version(shape: tuple[Any, ...], dtype: str) -> None:
    compare_all(attention.attention, attention.attention_grad, shape, dtype)


@pytest.mark.usefixtures("_always_in_tiles")
def test_special_values_and_layouts() -> None:
    compare_special_values(attention.attention, attention.attention_grad)
    compare_layouts(attention.attention, attention.attention_grad)


def test_arrays_that_tiles_do_not_take() -> None:
    q, k, mask = numpy.zeros((2, 3, 4)), numpy.zeros((2, 5, 4)), numpy.zeros((3, 5))
    assert attention_tiles.serves(q, k, k, mask, None)
    assert not attention_tiles.serves(q, k, k, numpy.zeros((2, 2, 3, 5)), None)  # more scores than queries
    assert not attention_tiles.serves(q, k, k, mask.astype("float32"), None)
    assert not attention_tiles.serves(q, k[:, :0], k[:, :0], None, None)
    assert not attention_tiles.serves(q, k[0], k[0], None, None)
    whole = numpy.zeros((2, 3, 4), "int64")
    assert not attention_tiles.serves(whole, whole, whole, None, None)


def test_memory_is_linear_in_the_length() -> None:
    def peak(n: int) -> int:
        g, q, k, v = drawn(((), n, n, 16, 16), "float32")
        tracemalloc.start()
        try:
            out, logs = CPU.xp.attention(q, k, v, None, None, 0.25, True, False)
            CPU.xp.attention_grad(g, q, k, v, None, None, out, logs, 0.25, True, False)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1024)
    assert peak(4096) < 4096**2  # a quarter of the bytes of the scores
    assert peak(4096) < 4.5 * peak(1024)

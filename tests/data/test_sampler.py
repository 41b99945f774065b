"""Samplers: how often each index comes, and orders that depend only on the seed and the epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tests.support.target import Target

RANDOM: dict[str, Callable[..., Any]] = {
    "permutation": lambda **seed: RandomSampler(range(20), **seed),
    "replacement": lambda **seed: RandomSampler(range(20), replacement=True, **seed),
    "several": lambda **seed: RandomSampler(range(20), num_samples=50, **seed),
    "subset": lambda **seed: SubsetRandomSampler(list(range(100, 120)), **seed),
    "weighted": lambda **seed: WeightedRandomSampler(range(1, 21), 20, **seed),
    "weighted, once": lambda **seed: WeightedRandomSampler(range(1, 21), 20, replacement=False, **seed),
}


def test_sequential_sampler_counts_up() -> None:
    sampler = SequentialSampler("abc")
    assert list(sampler) == list(sampler) == [0, 1, 2]
    assert len(sampler) == 3
    assert list(SequentialSampler([])) == []


def test_a_sampler_without_iter_raises_not_implemented() -> None:
    with pytest.raises(NotImplementedError, match="Sampler without __iter__"):
        iter(Sampler())


@pytest.mark.parametrize("name", RANDOM)
def test_the_order_of_a_pass_depends_on_seed_and_epoch(name: str) -> None:
    sampler = RANDOM[name](seed=4)
    passes = [list(sampler) for _ in range(3)]
    assert all(len(order) == len(sampler) for order in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]
    assert sampler.epoch == 3
    for epoch in (2, 0, 1):
        other = RANDOM[name](seed=4)
        other.set_epoch(epoch)
        assert list(other) == passes[epoch]
        assert all(type(i) is int for i in passes[epoch])
    assert list(RANDOM[name](seed=5)) != passes[0]
    rustorch.rand(3)  # other random numbers do not change the order
    assert list(RANDOM[name](seed=4)) == passes[0]


@pytest.mark.parametrize("name", RANDOM)
def test_a_sampler_without_a_seed_draws_one(name: str) -> None:
    rustorch.manual_seed(7)
    first, second = list(RANDOM[name]()), list(RANDOM[name]())
    assert first != second
    rustorch.manual_seed(7)
    assert list(RANDOM[name]()) == first
    assert list(RANDOM[name]()) == second


def test_random_samplers_yield_each_index_as_often_as_documented() -> None:
    assert sorted(RandomSampler(range(20), seed=0)) == list(range(20))
    counts = Counter(RandomSampler(range(20), num_samples=50, seed=0))
    assert set(counts.values()) <= {2, 3} and len(counts) == 20
    assert len(set(RandomSampler(range(20), num_samples=7, seed=0))) == 7
    many = Counter(RandomSampler(range(4), replacement=True, num_samples=8000, seed=0))
    assert all(abs(n - 2000) < 4 * (8000 * 0.25 * 0.75) ** 0.5 for n in many.values())
    assert sorted(SubsetRandomSampler([7, 3, 3], seed=0)) == [3, 3, 7]
    assert list(RandomSampler([], seed=0)) == list(SubsetRandomSampler([], seed=0)) == []
    assert list(RandomSampler([], replacement=True, seed=0)) == []


def test_all_permutations_are_equally_likely() -> None:
    sampler = RandomSampler(range(3), seed=1)
    counts = Counter(tuple(sampler) for _ in range(600))
    assert len(counts) == 6
    assert all(abs(n - 100) < 4 * (600 / 6 * 5 / 6) ** 0.5 for n in counts.values())


@pytest.mark.parametrize("replacement", [True, False])
def test_weights_are_probabilities(replacement: bool, backend: Target) -> None:
    weights = backend.array([1.0, 0.0, 3.0, 4.0, 0.0])
    if replacement:
        first = list(WeightedRandomSampler(weights, 8000, seed=2))
    else:  # the first index of each pass
        sampler = WeightedRandomSampler(weights, 2, replacement=False, seed=2)
        passes = [list(sampler) for _ in range(800)]
        assert all(len(set(order)) == 2 for order in passes)
        first = [order[0] for order in passes]
    counts, n = Counter(first), len(first)
    assert set(counts) == {0, 2, 3}
    for i, p in ((0, 1 / 8), (2, 3 / 8), (3, 4 / 8)):
        assert abs(counts[i] - n * p) < 4 * (n * p * (1 - p)) ** 0.5


def test_rounding_never_draws_an_index_without_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = WeightedRandomSampler([1.0, 2.0, 0.0], 4, seed=0)
    almost = numpy.full(4, 1 - 2.0**-53)
    stream = type("Stream", (), {"uniform": lambda self, *args: almost * (1 + 2.0**-52)})()
    assert sampler._order(stream) == [1, 1, 1, 1]


def test_batch_sampler_equals_that_of_pytorch() -> None:
    cases = [(n, size, drop) for n in (0, 1, 6, 7) for size in (1, 3, 10) for drop in (False, True)]
    torch_sampler = pytest.importorskip("torch.utils.data", reason="PyTorch is not installed").BatchSampler
    for case in cases:
        actual, expected = BatchSampler(range(case[0]), *case[1:]), torch_sampler(range(case[0]), *case[1:])
        assert list(actual) == list(expected)
        assert len(actual) == len(expected)


def test_batch_sampler_takes_any_iterable() -> None:
    assert list(BatchSampler(iter([5, 1, 4]), 2)) == [[5, 1], [4]]
    assert list(BatchSampler(RandomSampler(range(4), seed=1), 2, True)) == list(
        BatchSampler(RandomSampler(range(4), seed=1), 2)
    )


NO_SIZE = (0, -1, True, 2.0, "3", None)


@pytest.mark.parametrize("value", NO_SIZE)
def test_sizes_are_positive_integers(value: Any) -> None:
    with pytest.raises(ValueError, match="BatchSampler: batch_size is a positive integer, not "):
        BatchSampler(range(3), value)
    with pytest.raises(ValueError, match="WeightedRandomSampler: num_samples is a positive integer, not "):
        WeightedRandomSampler([1.0], value)
    if value is not None:
        with pytest.raises(ValueError, match="RandomSampler: num_samples is a positive integer, not "):
            RandomSampler(range(3), num_samples=value)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_flags_are_true_or_false(value: Any) -> None:
    with pytest.raises(ValueError, match="BatchSampler: drop_last is True or False, not "):
        BatchSampler(range(3), 2, value)
    with pytest.raises(ValueError, match="RandomSampler: replacement is True or False, not "):
        RandomSampler(range(3), value)
    with pytest.raises(ValueError, match="WeightedRandomSampler: replacement is True or False, not "):
        WeightedRandomSampler([1.0], 1, value)


@pytest.mark.parametrize("value", [-1, 1.0, True, "a"])
def test_seeds_and_epochs_are_not_negative(value: Any) -> None:
    for name, make in RANDOM.items():
        with pytest.raises(ValueError, match="Sampler: seed is a non-negative integer, not"):
            make(seed=value)
        sampler = make(seed=0)
        with pytest.raises(ValueError, match="Sampler: epoch is a non-negative integer, not"):
            sampler.set_epoch(value)
        assert sampler.epoch == 0, name


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1.0], "WeightedRandomSampler: a weight is negative, infinite or nan"),
        ([1.0, float("nan")], "a weight is negative, infinite or nan"),
        ([1.0, float("inf")], "a weight is negative, infinite or nan"),
        ([[1.0], [2.0]], r"weights are of one dimension, not of the shape \(2, 1\)"),
        ([0.0, 0.0], "none of the 2 weights is positive"),
        ([], "none of the 0 weights is positive"),
    ],
)
def test_bad_weights_are_refused(weights: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WeightedRandomSampler(weights, 1)


def test_more_samples_than_available_are_refused() -> None:
    with pytest.raises(ValueError, match="3 samples without replacement, but only 2 of 3 weights are positive"):
        WeightedRandomSampler([1.0, 0.0, 2.0], 3, replacement=False)
    with pytest.raises(ValueError, match="RandomSampler: 3 samples of a dataset that has none"):
        iter(RandomSampler([], num_samples=3))

"""Datasets: samples by index, whole batches, subsets, concatenations and random splits."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.data import (
    ArrayDataset,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    default_collate,
    random_split,
)
from tests.support.target import Target


class Squares(Dataset):
    def __len__(self) -> int:
        return 6

    def __getitem__(self, i: int) -> tuple[int, int]:
        return i, i**2


class Count(IterableDataset):
    def __init__(self, start: int, stop: int):
        self.range = range(start, stop)

    def __iter__(self) -> Any:
        return iter(self.range)


def rows(backend: Target, n: int = 5) -> ArrayDataset:
    x = backend.array(numpy.arange(2.0 * n).reshape(n, 2))
    y = backend.variable(numpy.arange(n), dtype=rustorch.int64)
    return ArrayDataset(x, y)


# -- arrays ------------------------------------------------------------------------------------------------------------
def test_array_dataset_returns_rows(backend: Target) -> None:
    data = rows(backend)
    assert len(data) == 5
    for i in (0, 3, -1, numpy.int64(2), rustorch.asarray(4)):
        x, y = data[i]
        place = int(i) % 5
        assert isinstance(x, rustorch.Variable)
        assert (x.device, x.dtype) == (backend.device, rustorch.float64)
        assert x.tolist() == [2.0 * place, 2.0 * place + 1]
        assert (y.shape, y.item()) == ((), place)
    x, y = data[1:3]
    assert (x.shape, y.tolist()) == ((2, 2), [1, 2])
    assert [part.tolist() for part in data[[4, 0]]] == [[[8.0, 9.0], [0.0, 1.0]], [4, 0]]
    assert [y.item() for _, y in data] == [0, 1, 2, 3, 4]  # iteration without __iter__ ends with an IndexError


def test_a_batch_is_one_indexing_per_array(backend: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    data, calls = rows(backend), []
    take = rustorch.ops.take
    monkeypatch.setattr(
        rustorch.ops, "take", lambda x, *args, **options: calls.append(x.shape) or take(x, *args, **options)
    )
    monkeypatch.setattr(ArrayDataset, "__getitem__", None)
    (batch,) = DataLoader(data, batch_sampler=[[3, -5, 3]])
    assert calls == [(5, 2), (5,)]
    assert [part.tolist() for part in batch] == [[[6.0, 7.0], [0.0, 1.0], [6.0, 7.0]], [3, 0, 3]]
    assert all(part.device == backend.device for part in batch)


def test_a_column_batch_is_a_sequence_of_samples() -> None:
    samples = ArrayDataset(numpy.arange(4.0), numpy.arange(4)).__getitems__([2, 1])
    assert len(samples) == 2
    assert [(x.item(), y.item()) for x, y in samples] == [(2.0, 2), (1.0, 1)]
    assert [y.item() for _, y in samples[::-1]] == [1, 2]
    assert samples[-1][1].item() == 1
    with pytest.raises(IndexError, match="index 2 is out of range for 2 samples"):
        samples[2]


def test_the_dataset_shares_memory_and_batches_are_copies() -> None:
    array = numpy.zeros((3, 2))
    data = ArrayDataset(array)
    assert data.arrays[0].data is array
    (batch,) = next(iter(DataLoader(data, batch_size=3)))
    batch[0] = 1.0
    assert not array.any()


def test_gradients_flow_to_the_arrays_of_a_dataset(backend: Target) -> None:
    x = backend.variable([[1.0], [2.0], [3.0]], requires_grad=True)
    for (batch,) in DataLoader(ArrayDataset(x), batch_size=2, num_workers=1):
        (batch * batch).sum().backward()
    assert backend.numpy(x.grad).tolist() == [[2.0], [4.0], [6.0]]


def test_arrays_of_a_dataset_may_be_on_different_devices(backend: Target) -> None:
    data = ArrayDataset(backend.array([1.0, 2.0]), numpy.array([3, 4]))
    x, y = next(iter(DataLoader(data, batch_size=2)))
    assert (x.device, y.device) == (backend.device, "cpu")


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((), ValueError, "ArrayDataset: no arrays, so no samples"),
        (
            (numpy.zeros((3, 2)), numpy.zeros((3,)), numpy.zeros((4, 1))),
            ValueError,
            r"unequal lengths: array 2 has 4 samples and array 0 has 3 \(array 0 has shape \(3, 2\), "
            r"array 1 has shape \(3,\), array 2 has shape \(4, 1\)\); the first dimension counts",
        ),
        ((numpy.zeros(3), numpy.zeros(())), ValueError, "ArrayDataset: array 1 has no dimensions"),
        (([1, 2],), TypeError, "ArrayDataset takes Variables, arrays and Python numbers, not list; make it a Variable"),
        (("ab",), TypeError, "ArrayDataset takes Variables, arrays"),
        ((numpy.array(["a"]),), TypeError, "hold no numbers"),
    ],
)
def test_array_dataset_refuses_bad_arrays(arrays: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ArrayDataset(*arrays)


@pytest.mark.parametrize("i", [5, -6, 100])
def test_an_index_out_of_range_raises_index_error(i: int, backend: Target) -> None:
    data = rows(backend)
    for dataset, name in (
        (data, "ArrayDataset"),
        (Subset(data, range(5)), "Subset"),
        (ConcatDataset([data]), "ConcatDataset"),
    ):
        message = f"{name}: index {i} is out of range for 5 samples"
        with pytest.raises(IndexError, match=message):
            dataset[i]
        with pytest.raises(IndexError, match=message):
            dataset.__getitems__([0, i])
    with pytest.raises(IndexError, match=f"ArrayDataset: index {i} is out of range for 5 samples"):
        list(DataLoader(data, sampler=[0, i], batch_size=2))
    with pytest.raises(IndexError, match=f"ArrayDataset: index {i} is out of range for 5 samples"):
        list(DataLoader(Subset(data, [i]), num_workers=1))


@pytest.mark.parametrize("i", [1.0, "a", None, True, numpy.True_])
def test_an_index_is_an_integer(i: Any) -> None:
    data = ArrayDataset(numpy.zeros(3))
    for dataset in (data, Subset(data, range(3)), ConcatDataset([data])):
        with pytest.raises(TypeError, match="an index is an integer, not"):
            dataset[i]
        with pytest.raises(TypeError, match="an index is an integer, not"):
            dataset.__getitems__([0, i])


def test_indices_of_a_batch_may_be_an_array(backend: Target) -> None:
    data = rows(backend)
    for indices in (numpy.array([3, -1]), backend.variable([3, -1], rustorch.int64), (3, -1), range(3, 5)):
        for dataset in (data, Subset(data, numpy.arange(5)), ConcatDataset([data])):
            (batch,) = DataLoader(dataset, batch_sampler=[indices])
            assert batch[1].tolist() == [3, 4]
        if not isinstance(indices, range):
            assert data[indices][1].tolist() == [3, 4]


# -- subclasses --------------------------------------------------------------------------------------------------------
def test_a_subclass_without_its_method_raises_not_implemented() -> None:
    with pytest.raises(NotImplementedError, match="Dataset without __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="IterableDataset without __iter__"):
        iter(IterableDataset())


def test_a_subclass_may_name_the_type_of_its_samples() -> None:
    class Typed(Dataset[int]):
        def __getitem__(self, i: int) -> int:
            return i

    assert Typed()[3] == 3


def test_a_loader_uses_getitems_of_a_subclass() -> None:
    class Whole(Squares):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [-i for i in indices]

    assert [batch.tolist() for batch in DataLoader(Whole(), batch_size=4)] == [[0, -1, -2, -3], [-4, -5]]

    class Wrong(Squares):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [1]

    with pytest.raises(ValueError, match=r"Wrong.__getitems__ returned 1 samples for 4 indices"):
        list(DataLoader(Wrong(), batch_size=4))


# -- subsets and concatenations ----------------------------------------------------------------------------------------
def test_a_subset_has_the_samples_of_its_indices(backend: Target) -> None:
    part = Subset(Subset(rows(backend), [4, 2, 0]), [2, 0])
    assert len(part) == 2
    assert [part[i][1].item() for i in (0, 1, -1)] == [0, 4, 4]
    assert [y.item() for y in part[[1, 0]][1]] == [4, 0]
    x, y = next(iter(DataLoader(part, batch_size=2)))
    assert (x.tolist(), y.tolist()) == ([[0.0, 1.0], [8.0, 9.0]], [0, 4])
    assert [Subset(Squares(), [5, 1])[i] for i in (0, 1)] == [(5, 25), (1, 1)]


def test_concat_dataset_has_the_samples_of_all_datasets(backend: Target) -> None:
    both = rows(backend, 3) + rows(backend, 2)
    assert isinstance(both, ConcatDataset)
    assert len(both) == 5
    assert both.cumulative_sizes == [3, 5]
    assert [both[i][1].item() for i in range(5)] == [0, 1, 2, 0, 1]
    assert both[-4][1].item() == 1
    for batches in ([[0, 1, 2, 3, 4]], [[4, 0, 3, 3]], [[1]], [[]]):
        samples = both.__getitems__(batches[0])
        assert [y.item() for _, y in samples] == [[0, 1, 2, 0, 1][i] for i in batches[0]]
    x, y = next(iter(DataLoader(both, batch_sampler=[[4, 0, 3, 2]])))
    assert (x.tolist(), y.tolist()) == ([[2.0, 3.0], [0.0, 1.0], [0.0, 1.0], [4.0, 5.0]], [1, 0, 0, 2])


def test_concat_dataset_joins_different_kinds_of_datasets() -> None:
    both = ConcatDataset([ArrayDataset(numpy.arange(3), numpy.arange(3)), Squares()])
    x, y = next(iter(DataLoader(both, batch_sampler=[[8, 2, 5, 1]])))
    assert (x.tolist(), y.tolist()) == ([5, 2, 2, 1], [25, 2, 4, 1])
    different = ConcatDataset([ArrayDataset(numpy.zeros((2, 3))), ArrayDataset(numpy.zeros((2, 4)))])
    with pytest.raises(ValueError, match=r"samples of different shapes, \(3,\) and \(4,\)"):
        list(DataLoader(different, batch_size=4))


def test_a_subclass_of_subset_or_concat_may_change_samples() -> None:
    class Negative(Subset):
        def __getitem__(self, i: Any) -> Any:
            return -super().__getitem__(i)[1]

    class Shifted(ConcatDataset):
        def __getitem__(self, i: Any) -> Any:
            return super().__getitem__(i)[1] + 100

    assert next(iter(DataLoader(Negative(Squares(), [1, 2]), batch_size=2))).tolist() == [-1, -4]
    assert next(iter(DataLoader(Shifted([Squares()]), batch_size=3))).tolist() == [100, 101, 104]


def test_concat_dataset_refuses_streams_and_datasets_without_length() -> None:
    with pytest.raises(ValueError, match="ConcatDataset: no datasets"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="ConcatDataset: dataset 1 is an iterable one"):
        ConcatDataset([Squares(), Count(0, 2)])

    class Endless(Dataset):
        def __getitem__(self, i: int) -> int:
            return i

    with pytest.raises(TypeError, match="ConcatDataset: it needs a dataset with a length, and Endless has none"):
        ConcatDataset([Endless()])


def test_chain_dataset_yields_the_samples_of_all_streams() -> None:
    chain = Count(0, 3) + Count(7, 9)
    assert isinstance(chain, ChainDataset)
    assert list(chain) == list(chain) == [0, 1, 2, 7, 8]
    with pytest.raises(TypeError, match="ChainDataset: the length needs a dataset with a length, and Count has none"):
        len(chain)
    assert len(ChainDataset([range(2), range(3)])) == 5
    assert [batch.tolist() for batch in DataLoader(chain, batch_size=2, num_workers=2)] == [[0, 1], [2, 7], [8]]


# -- splits ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "lengths", [[7, 3], [10], [0, 10], [4, 3, 3], [0.5, 0.5], [0.33, 0.33, 0.34], [0.7, 0.2, 0.1], [0.25] * 4]
)
def test_random_split_has_each_sample_once_and_the_lengths_of_pytorch(lengths: list) -> None:
    parts = random_split(range(10), lengths, seed=3)
    assert all(isinstance(part, Subset) for part in parts)
    assert sorted(i for part in parts for i in part) == list(range(10))
    again = random_split(range(10), lengths, seed=3)
    assert [part.indices for part in again] == [part.indices for part in parts]
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.utils.data.random_split(range(10), lengths)
    assert [len(part) for part in parts] == [len(part) for part in theirs]


@pytest.mark.parametrize(
    "lengths", [numpy.array([4, 6]), [numpy.int64(4), 6], numpy.float32([0.5, 0.5]), [numpy.float64(0.5), 0.5]]
)
def test_random_split_takes_lengths_as_numpy_numbers(lengths: Any) -> None:
    parts = random_split(range(10), lengths, seed=3)
    own = [length.item() if isinstance(length, numpy.generic) else length for length in lengths]
    assert [part.indices for part in parts] == [part.indices for part in random_split(range(10), own, seed=3)]


def test_a_split_depends_on_its_seed() -> None:
    def split(seed: int | None) -> list[int]:
        return random_split(range(100), [50, 50], seed)[0].indices

    assert split(1) != split(2)
    rustorch.manual_seed(5)
    drawn = split(None), split(None)
    assert drawn[0] != drawn[1]
    rustorch.manual_seed(5)
    assert (split(None), split(None)) == drawn


def test_an_empty_part_of_a_split_warns() -> None:
    with pytest.warns(UserWarning, match="random_split: part 1 of 3 samples is empty"):
        assert [len(part) for part in random_split(range(3), [0.99, 0.01])] == [3, 0]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([7, 4], r"random_split: the lengths \[7, 4\] sum to 11, but the dataset has 10 samples"),
        ([], r"the lengths \[\] sum to 0, but the dataset has 10 samples"),
        ([0.5, 0.6], r"random_split: the fractions \[0.5, 0.6\] sum to 1.1, not to 1"),
        ([12, -2], "random_split: length 1 is neither a non-negative integer nor a fraction in .0, 1.: -2"),
        ([1.5, -0.5], "length 1 is neither"),
        ([float("nan"), 1], "length 0 is neither"),
        ([True, 9], "length 0 is neither"),
        (["5", 5], "length 0 is neither"),
    ],
)
def test_random_split_refuses_bad_lengths(lengths: list, message: str) -> None:
    rustorch.manual_seed(1)
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(ValueError, match=message):
        random_split(range(10), lengths)
    assert rustorch.get_rng_state().tolist() == before


def test_random_split_refuses_streams_and_bad_seeds() -> None:
    with pytest.raises(TypeError, match="random_split: it needs a dataset with a length, and Count has none"):
        random_split(Count(0, 3), [1, 2])
    for seed in (-1, 1.5, True, "a"):
        with pytest.raises(ValueError, match="random_split: seed is a non-negative integer, not"):
            random_split(range(3), [1, 2], seed=seed)


def test_a_batch_of_a_split_is_read_at_once(backend: Target) -> None:
    part, _ = random_split(rows(backend), [4, 1], seed=0)
    x, y = default_collate(part.__getitems__([0, 1, 2, 3]))
    assert y.tolist() == part.indices
    assert x.tolist() == [[2.0 * i, 2.0 * i + 1] for i in part.indices]

"""DataLoader: batches, their order, states to resume from, and errors for bad arguments."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.data import (
    ArrayDataset,
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
)
from tests.support.target import Target

WORKERS = (0, 1, 3)


class Count(IterableDataset):
    def __init__(self, n: int):
        self.n = n

    def __iter__(self) -> Any:
        return iter(range(self.n))


class CountWithLength(Count):
    def __len__(self) -> int:
        return self.n


def numbers(loader: DataLoader) -> list[list[int]]:
    """The values of each batch of one pass."""
    return [batch.tolist() for batch in loader]


# -- batches -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", WORKERS)
def test_loader_cuts_arrays_into_batches(workers: int, backend: Target) -> None:
    images, labels = numpy.arange(28.0).reshape(7, 2, 2), numpy.arange(7)
    data = ArrayDataset(backend.array(images), backend.variable(labels, rustorch.int64))
    loader = DataLoader(data, batch_size=3, num_workers=workers)
    assert len(loader) == 3
    for _ in range(2):
        batches = list(loader)
        assert [len(y) for _, y in batches] == [3, 3, 1]
        assert all(
            isinstance(batch, list) and batch[0].device == batch[1].device == backend.device for batch in batches
        )
        numpy.testing.assert_array_equal(numpy.concatenate([backend.numpy(x) for x, _ in batches]), images)
        assert [i for _, y in batches for i in y.tolist()] == labels.tolist()
    assert len(list(DataLoader(data, batch_size=3, drop_last=True, num_workers=workers))) == 2


@pytest.mark.parametrize("workers", WORKERS)
def test_device_moves_all_arrays_of_a_batch(workers: int, backend: Target) -> None:
    arrays = ArrayDataset(numpy.ones((4, 2), "float32"), numpy.arange(4))
    samples = [{"x": numpy.ones(2, "float32"), "y": i, "name": "a"} for i in range(4)]
    for x, y in DataLoader(arrays, batch_size=2, device=backend.device, num_workers=workers):
        assert (x.device, y.device, x.dtype) == (backend.device, backend.device, rustorch.float32)
    for batch in DataLoader(samples, batch_size=2, device=backend.device, num_workers=workers):
        assert (batch["x"].device, batch["y"].device, batch["name"]) == (backend.device, backend.device, ["a", "a"])
    for batch in DataLoader(samples, batch_size=None, device=backend.device, num_workers=workers):
        assert (batch["x"].device, batch["x"].shape, batch["name"]) == (backend.device, (2,), "a")
    collate = lambda batch: {"x": numpy.stack([sample["x"] for sample in batch]), "n": len(batch)}  # noqa: E731
    for batch in DataLoader(samples, batch_size=3, device=backend.device, num_workers=workers, collate_fn=collate):
        assert isinstance(batch["x"], rustorch.Variable) and batch["x"].device == backend.device


def test_the_result_of_a_collate_fn_is_returned_unchanged() -> None:
    def collate(samples: list) -> Any:
        assert type(samples) is list and all(type(sample) is tuple for sample in samples)
        return len(samples), samples[0][1]

    data = ArrayDataset(numpy.zeros((5, 2)), numpy.arange(5))
    assert [(n, y.item()) for n, y in DataLoader(data, batch_size=2, collate_fn=collate)] == [(2, 0), (2, 2), (1, 4)]
    native = next(iter(DataLoader(data, batch_size=5, collate_fn=lambda batch: numpy.array([len(batch)]))))
    assert isinstance(native, numpy.ndarray)


@pytest.mark.parametrize("workers", WORKERS)
def test_objects_with_getitem_and_len_are_datasets(workers: int) -> None:
    class Bare:
        def __len__(self) -> int:
            return 5

        def __getitem__(self, i: int) -> tuple[int, str]:
            return i, "abcde"[i]

    batches = list(DataLoader(Bare(), batch_size=2, num_workers=workers))
    assert [(x.tolist(), name) for x, name in batches] == [([0, 1], ("a", "b")), ([2, 3], ("c", "d")), ([4], ("e",))]
    assert numbers(DataLoader(range(5), 2, num_workers=workers)) == [[0, 1], [2, 3], [4]]
    assert numbers(DataLoader(numpy.arange(3.0), 2, num_workers=workers)) == [[0.0, 1.0], [2.0]]
    assert numbers(DataLoader(rustorch.zeros((3, 1)), 2, num_workers=workers)) == [[[0.0], [0.0]], [[0.0]]]
    assert list(DataLoader(["a", "b", "c"], 2, num_workers=workers)) == [["a", "b"], ["c"]]
    assert list(DataLoader([], num_workers=workers)) == list(DataLoader([], shuffle=True, num_workers=workers)) == []


@pytest.mark.parametrize("workers", WORKERS)
def test_batch_size_none_returns_single_samples(workers: int) -> None:
    samples = [(numpy.full(2, float(i)), i) for i in range(3)]
    loader = DataLoader(samples, batch_size=None, num_workers=workers)
    assert len(loader) == 3
    assert [(x.tolist(), i) for x, i in loader] == [([0.0, 0.0], 0), ([1.0, 1.0], 1), ([2.0, 2.0], 2)]
    assert list(DataLoader(Count(3), batch_size=None, num_workers=workers)) == [0, 1, 2]
    assert sorted(DataLoader(range(5), batch_size=None, shuffle=True, num_workers=workers)) == list(range(5))


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(
    ("n", "size", "drop"), [(7, 3, False), (7, 3, True), (6, 3, True), (0, 2, False), (2, 5, True), (4, 1, False)]
)
def test_streams_are_cut_into_batches(workers: int, n: int, size: int, drop: bool) -> None:
    expected = [list(range(n))[i : i + size] for i in range(0, n, size)]
    expected = [batch for batch in expected if len(batch) == size or not drop]
    for _ in range(2):
        assert numbers(DataLoader(Count(n), size, drop_last=drop, num_workers=workers)) == expected
    assert numbers(DataLoader(CountWithLength(n), size, drop_last=drop, num_workers=workers)) == expected
    assert len(DataLoader(CountWithLength(n), size, drop_last=drop)) == len(expected)
    with pytest.raises(TypeError, match="needs a dataset with a length, and Count has none"):
        len(DataLoader(Count(n), size))


def test_a_generator_is_a_stream() -> None:
    loader = DataLoader((i * i for i in range(5)), batch_size=2, num_workers=1)
    assert numbers(loader) == [[0, 1], [4, 9], [16]]
    assert numbers(loader) == []


@pytest.mark.parametrize("workers", WORKERS)
def test_loader_takes_datasets_of_pytorch(workers: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    tools = torch.utils.data
    images, labels = torch.arange(20.0).reshape(5, 4), torch.arange(5)
    data = tools.TensorDataset(images, labels)
    expected = list(tools.DataLoader(data, batch_size=2))
    for device in ("cpu", None):
        actual = list(DataLoader(data, batch_size=2, device=device, num_workers=workers))
        assert [[part.tolist() for part in batch] for batch in actual] == [
            [part.tolist() for part in batch] for batch in expected
        ]
        assert {part.device for batch in actual for part in batch} == {device or "torch"}
    part = tools.Subset(data, [3, 1])
    assert next(iter(DataLoader(part, batch_size=2, device="cpu", num_workers=workers)))[1].tolist() == [3, 1]

    class Stream(tools.IterableDataset):
        def __iter__(self) -> Any:
            return iter(range(3))

    assert numbers(DataLoader(Stream(), batch_size=2, num_workers=workers)) == [[0, 1], [2]]


# -- other iterables ---------------------------------------------------------------------------------------------------
def test_a_training_loop_takes_any_iterable_of_arrays_in_place_of_a_loader() -> None:
    x, y = numpy.linspace(-1, 1, 12, dtype="float32").reshape(6, 2), numpy.array([0, 1, 0, 1, 0, 1])

    def train(batches: Any) -> list:
        rustorch.manual_seed(0)
        model = nn.Linear(2, 2)
        optimizer = rustorch.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            for features, labels in batches:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(features), labels).backward()
                optimizer.step()
        return model.weight.tolist()

    loader = DataLoader(ArrayDataset(x, y), batch_size=2)
    arrays = [(x[i : i + 2], y[i : i + 2]) for i in range(0, 6, 2)]
    assert train(loader) == train(list(loader)) == train(arrays)


# -- the order ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("workers", WORKERS)
def test_the_order_depends_on_seed_and_epoch(workers: int) -> None:
    loader = DataLoader(range(20), 3, shuffle=True, seed=5, num_workers=workers)
    epochs = [numbers(loader) for _ in range(3)]
    assert all(sorted(itertools.chain(*epoch)) == list(range(20)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert loader.epoch == 3
    rustorch.rand(5)
    other = DataLoader(range(20), 3, shuffle=True, seed=5)
    for epoch in (2, 0, 1):
        other.set_epoch(epoch)
        assert other.epoch == epoch
        assert numbers(other) == epochs[epoch]
    assert numbers(DataLoader(range(20), 3, shuffle=True, seed=6)) != epochs[0]


def test_a_shuffled_loader_without_a_seed_draws_one() -> None:
    rustorch.manual_seed(2)
    loaders = [DataLoader(range(20), shuffle=True) for _ in range(2)]
    assert loaders[0].seed != loaders[1].seed
    first = numbers(loaders[0])
    rustorch.manual_seed(2)
    again = DataLoader(range(20), shuffle=True)
    assert again.seed == loaders[0].seed
    assert numbers(again) == first
    rustorch.manual_seed(2)
    DataLoader(range(20))  # in order: it draws no seed
    assert DataLoader(range(20), shuffle=True).seed == again.seed


def test_simultaneous_passes_are_different_epochs() -> None:
    loader = DataLoader(range(8), 2, shuffle=True, seed=0)
    pairs = list(zip(loader, loader, strict=True))
    one, two = ([pair[i].tolist() for pair in pairs] for i in (0, 1))
    other = DataLoader(range(8), 2, shuffle=True, seed=0)
    assert [one, two] == [numbers(other), numbers(other)]
    assert len({tuple(next(iter(loader)).tolist()) for _ in range(20)}) > 5  # reading one batch begins an epoch, too


@pytest.mark.parametrize("workers", WORKERS)
def test_loader_takes_samplers_and_batch_samplers(workers: int) -> None:
    assert numbers(DataLoader(range(9), 2, sampler=[8, 1, 5], num_workers=workers)) == [[8, 1], [5]]
    assert numbers(DataLoader(range(9), batch_sampler=[[8], [1, 5]], num_workers=workers)) == [[8], [1, 5]]
    loader = DataLoader(range(9), 4, sampler=iter([1, 2]), num_workers=workers)
    assert numbers(loader) == [[1, 2]]
    with pytest.raises(TypeError):
        len(loader)
    assert len(DataLoader(range(9), batch_sampler=[[8], [1, 5]])) == 2

    class Endless:  # a sampler makes the length unnecessary
        def __getitem__(self, i: int) -> int:
            return i * 10

    assert numbers(DataLoader(Endless(), 2, sampler=[1, 2, 3], num_workers=workers)) == [[10, 20], [30]]


def test_loader_and_sampler_have_the_same_seed() -> None:
    for make in (
        lambda seed: RandomSampler(range(9), seed=seed),
        lambda seed: SubsetRandomSampler(range(9), seed=seed),
        lambda seed: WeightedRandomSampler([1.0] * 9, 9, seed=seed),
    ):
        loader = DataLoader(range(9), 2, sampler=make(3))
        assert loader.seed == 3
        first, second = numbers(loader), numbers(loader)
        given = DataLoader(range(9), 2, sampler=make(8), seed=3)
        nested = DataLoader(range(9), batch_sampler=BatchSampler(make(3), 2))
        assert [numbers(given), numbers(given)] == [numbers(nested), numbers(nested)] == [first, second]
    assert DataLoader(range(9), sampler=[1, 2], seed=4).seed == 4
    assert DataLoader(range(9)).seed == 0


# -- states ------------------------------------------------------------------------------------------------------------
def loaders(kind: str, workers: int, seed: int | None) -> DataLoader:
    options: dict[str, Any] = {"num_workers": workers, "seed": seed}
    return {
        "shuffled": lambda: DataLoader(range(11), 2, shuffle=True, **options),
        "in order": lambda: DataLoader(range(11), 2, **options),
        "weighted": lambda: DataLoader(range(11), 2, sampler=WeightedRandomSampler(range(1, 12), 11), **options),
        "batches": lambda: DataLoader(range(11), batch_sampler=BatchSampler(RandomSampler(range(11)), 2), **options),
        "one by one": lambda: DataLoader([[i] for i in range(6)], None, shuffle=True, **options),
        "stream": lambda: DataLoader(Count(11), 2, **options),
    }[kind]()


def listed(loader: DataLoader) -> list:
    return [batch.tolist() if isinstance(batch, rustorch.Variable) else batch for batch in loader]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["shuffled", "in order", "weighted", "batches", "one by one", "stream"])
def test_a_resumed_run_gets_exactly_the_unseen_batches(kind: str, workers: int) -> None:
    loader = loaders(kind, workers, 9)
    uninterrupted = [listed(loader) for _ in range(3)]
    for stop in range(3 * 6 + 1):
        loader, seen = loaders(kind, workers, 9), []
        for batch in itertools.islice(itertools.chain.from_iterable(iter(loader) for _ in range(3)), stop):
            seen.append(batch)
        state = json.loads(json.dumps(loader.state_dict()))
        assert all(type(value) is int for value in state.values())
        resumed = loaders(kind, workers, None)
        resumed.load_state_dict(state)
        assert resumed.state_dict() == state
        rest = []
        while resumed.epoch < 3:
            rest += listed(resumed)
        seen = [batch.tolist() if isinstance(batch, rustorch.Variable) else batch for batch in seen]
        assert seen + rest == list(itertools.chain(*uninterrupted))


def test_state_dict_counts_the_received_batches() -> None:
    loader = DataLoader(range(6), 2, shuffle=True, seed=3)
    assert loader.state_dict() == {"seed": 3, "epoch": 0, "batches": 0}
    states = []
    for _ in loader:
        states.append(loader.state_dict())
    # after the last batch the epoch is not over: the loop's body still runs for this batch
    assert states == [{"seed": 3, "epoch": 0, "batches": n} for n in (1, 2, 3)]
    assert loader.state_dict() == {"seed": 3, "epoch": 1, "batches": 0}
    for _ in loader:
        break
    assert loader.state_dict() == {"seed": 3, "epoch": 1, "batches": 1}
    other = DataLoader(range(6), 2, shuffle=True)
    other.load_state_dict(states[-1])
    assert numbers(other) == []
    assert other.state_dict() == {"seed": 3, "epoch": 1, "batches": 0}
    other.load_state_dict(loader.state_dict())
    other.set_epoch(1)
    assert len(numbers(other)) == 3
    # load_state_dict does not change a running pass
    passing = iter(other)
    next(passing)
    other.load_state_dict({"seed": 3, "epoch": 7, "batches": 0})
    assert len(list(passing)) == 2
    assert other.epoch == 7


def test_prefetched_batches_do_not_count_as_received() -> None:
    loader = DataLoader(range(40), 2, shuffle=True, seed=1, num_workers=2, prefetch_factor=4)
    passing = iter(loader)
    seen = [next(passing).tolist() for _ in range(3)]
    state = loader.state_dict()
    assert state["batches"] == 3
    del passing
    loader.load_state_dict(state)
    rest = numbers(loader)
    assert sorted(itertools.chain(*seen, *rest)) == list(range(40))


def test_load_state_dict_takes_integers_of_any_type() -> None:
    loader = DataLoader(range(6), 2, shuffle=True)
    loader.load_state_dict({"seed": numpy.int64(3), "epoch": rustorch.asarray(2), "batches": numpy.array(1)[()]})
    assert loader.state_dict() == {"seed": 3, "epoch": 2, "batches": 1}


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ([1, 2, 3], TypeError, "a state is a dict, not list"),
        ({}, ValueError, r"a state has seed, epoch, batches; missing or unknown here: \['batches', 'epoch', 'seed'\]"),
        ({"seed": 1, "epoch": 0, "batch": 0}, ValueError, r"missing or unknown here: \['batch', 'batches'\]"),
        ({"seed": -1, "epoch": 0, "batches": 0}, ValueError, "seed is a non-negative integer, not -1"),
        ({"seed": 1, "epoch": 1.5, "batches": 0}, ValueError, "epoch is a non-negative integer, not 1.5"),
        ({"seed": 1, "epoch": 0, "batches": None}, ValueError, "batches is a non-negative integer, not None"),
        ({"seed": 1, "epoch": 0, "batches": 4}, ValueError, "4 batches of an epoch were handed out, but here it has 3"),
    ],
)
def test_load_state_dict_refuses_bad_states_and_changes_nothing(
    state: Any, error: type[Exception], message: str
) -> None:
    loader = DataLoader(range(6), 2, shuffle=True, seed=3)
    next(iter(loader))
    before = loader.state_dict()
    with pytest.raises(error, match=f"DataLoader.load_state_dict: .*{message}"):
        loader.load_state_dict(state)
    assert loader.state_dict() == before


# -- arguments ---------------------------------------------------------------------------------------------------------
class NoLength(Dataset):
    def __getitem__(self, i: int) -> int:
        return i


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    *[
        ({"batch_size": size}, ValueError, "DataLoader: batch_size is a positive integer, not ")
        for size in (0, -1, True, False, 2.0, "2")
    ],
    *[
        ({"num_workers": n}, ValueError, "DataLoader: num_workers is a non-negative integer, not ")
        for n in (-1, 1.0, True, None)
    ],
    *[
        ({"num_workers": 1, "prefetch_factor": n}, ValueError, "prefetch_factor is a positive integer, not ")
        for n in (0, -1, 1.5, True)
    ],
    ({"prefetch_factor": 2}, ValueError, "prefetch_factor needs num_workers > 0"),
    *[
        ({"seed": seed}, ValueError, "DataLoader: seed is a non-negative integer, not ")
        for seed in (-1, 1.0, True, "a")
    ],
    ({"shuffle": 1}, ValueError, "shuffle is True or False, not 1"),
    ({"drop_last": "yes"}, ValueError, "drop_last is True or False, not 'yes'"),
    ({"shuffle": True, "sampler": [1]}, ValueError, "a sampler decides the order, so shuffle=True cannot"),
    ({"batch_sampler": [[1]], "batch_size": 2}, ValueError, "batch_sampler decides what batch_size would"),
    ({"batch_sampler": [[1]], "shuffle": True}, ValueError, "batch_sampler decides what shuffle would"),
    (
        {"batch_sampler": [[1]], "batch_size": None, "sampler": [1], "drop_last": True},
        ValueError,
        "batch_sampler decides what batch_size, sampler, drop_last would",
    ),
    ({"generator": 3}, TypeError, "DataLoader has no argument 'generator': the order of the epochs follows from seed="),
    ({"worker_init_fn": print}, TypeError, 'worker_init_fn needs worker="process"; threads share the dataset'),
    ({"shufle": True}, TypeError, "DataLoader has no argument 'shufle'$"),
    ({"batch_size": None, "drop_last": True}, ValueError, "drop_last needs batches, and batch_size=None makes none"),
    ({"sampler": 3}, TypeError, "a sampler is an iterable of indices, not int"),
    ({"batch_sampler": 3}, TypeError, "a batch_sampler is an iterable of indices, not int"),
    ({"collate_fn": "stack"}, TypeError, "a collate_fn is a function of a list of samples, not str"),
    ({"device": "nowhere"}, ValueError, "unknown device 'nowhere'"),
    ({"dataset": 5}, TypeError, "a dataset has __getitem__ and __len__, or __iter__; int has not"),
    (
        {"dataset": NoLength()},
        TypeError,
        "an order of all samples needs a dataset with a length, and NoLength has none",
    ),
    (
        {"dataset": Count(3), "shuffle": True},
        ValueError,
        "an iterable dataset has its own order; shuffle cannot change it",
    ),
    ({"dataset": Count(3), "sampler": [1]}, ValueError, "its own order; sampler cannot"),
    ({"dataset": Count(3), "batch_sampler": [[1]]}, ValueError, "its own order; batch_sampler cannot"),
]


def test_arguments_about_pytorchs_processes_have_no_effect() -> None:
    hints: dict[str, Any] = {
        "pin_memory": True,
        "persistent_workers": True,
        "timeout": 5,
        "in_order": True,
        "generator": None,
        "worker_init_fn": None,
    }
    loader = DataLoader(range(5), 2, num_workers=1, **hints)
    assert [batch.tolist() for batch in loader] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_arguments_raise_and_draw_no_random_numbers(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(error, match=message):
        DataLoader(**{"dataset": range(4), **options})
    assert rustorch.get_rng_state().tolist() == before


@pytest.mark.parametrize("epoch", [-1, 1.5, True])
def test_set_epoch_refuses_negative_numbers(epoch: Any) -> None:
    loader = DataLoader(range(4))
    with pytest.raises(ValueError, match="set_epoch: epoch is a non-negative integer"):
        loader.set_epoch(epoch)
    assert loader.epoch == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_are_raised_in_place_of_their_batch(workers: int) -> None:
    class Stops(NoLength):
        def __getitem__(self, i: int) -> int:
            if i == 5:
                raise StopIteration
            return i

    loader, seen = DataLoader(Stops(), 2, sampler=range(8), num_workers=workers), []
    with pytest.raises(RuntimeError, match="the dataset or collate_fn raised StopIteration"):
        for batch in loader:
            seen.append(batch.tolist())
    assert seen == [[0, 1], [2, 3]]
    assert loader.state_dict()["batches"] == 2

    def order() -> Any:
        yield from [0, 1, 2]
        raise KeyError("no more")

    seen = []
    with pytest.raises(KeyError, match="no more"):
        for batch in DataLoader(range(9), sampler=order(), num_workers=workers):
            seen.append(batch.item())
    assert seen == [0, 1, 2]

    def stream() -> Any:
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        list(DataLoader(stream(), num_workers=workers))
    with pytest.raises(ZeroDivisionError):
        list(DataLoader(range(9), collate_fn=lambda batch: 1 / 0, num_workers=workers))
    with pytest.raises(IndexError):
        list(DataLoader([1, 2], sampler=[0, 5], num_workers=workers))


def test_attributes_have_the_given_values_and_defaults() -> None:
    data = [1, 2, 3]
    loader = DataLoader(data, 2, num_workers=2, drop_last=True, device="cpu")
    assert loader.dataset is data
    assert (loader.batch_size, loader.num_workers, loader.drop_last, loader.prefetch_factor) == (2, 2, True, 2)
    assert (loader.collate_fn, loader.device) == (default_collate, "cpu")
    assert isinstance(loader.batch_sampler, BatchSampler) and loader.batch_sampler.sampler is loader.sampler
    assert DataLoader(data).prefetch_factor is None
    assert DataLoader(Subset(data, [0])).batch_size == 1

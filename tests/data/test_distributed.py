"""DistributedSampler: each rank gets its own part of an order that follows from the seed alone."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.data import ArrayDataset, DataLoader, DistributedSampler, IterableDataset, RandomSampler
from tests.support import jobs

SIZES = [(n, ranks) for n in (0, 1, 2, 3, 7, 8, 12, 13) for ranks in (1, 2, 3, 4, 8)]


def parts(n: int, ranks: int, **options: Any) -> list[list[int]]:
    """The indices of every rank."""
    return [list(DistributedSampler(range(n), ranks, rank, **options)) for rank in range(ranks)]


@pytest.mark.parametrize(("n", "ranks"), SIZES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_all_ranks_together_get_every_index(n: int, ranks: int, shuffle: bool) -> None:
    padded = parts(n, ranks, shuffle=shuffle, seed=3)
    length = -(-n // ranks)
    assert [len(part) for part in padded] == [length] * ranks
    counts = Counter(itertools.chain(*padded))
    assert set(counts) == set(range(n))
    assert sum(counts.values()) == length * ranks
    assert n == 0 or max(counts.values()) - min(counts.values()) <= 1  # none comes much more often than others
    cut = parts(n, ranks, shuffle=shuffle, seed=3, drop_last=True)
    assert [len(part) for part in cut] == [n // ranks] * ranks
    assert max(Counter(itertools.chain(*cut)).values(), default=1) == 1  # disjoint
    assert [part[: n // ranks] for part in padded] == cut
    for rank, drop in itertools.product(range(ranks), (False, True)):
        sampler = DistributedSampler(range(n), ranks, rank, shuffle=shuffle, drop_last=drop)
        assert len(sampler) == sampler.num_samples == len(list(sampler))
        assert sampler.total_size == sampler.num_samples * ranks


@pytest.mark.parametrize(("n", "ranks"), SIZES)
@pytest.mark.parametrize("drop_last", [False, True])
def test_parts_without_shuffling_equal_those_of_pytorch(n: int, ranks: int, drop_last: bool) -> None:
    tools = pytest.importorskip("torch.utils.data.distributed", reason="PyTorch is not installed")
    for rank in range(ranks):
        expected = tools.DistributedSampler(range(n), ranks, rank, shuffle=False, drop_last=drop_last)
        actual = DistributedSampler(range(n), ranks, rank, shuffle=False, drop_last=drop_last)
        assert (list(actual), len(actual)) == (list(expected), len(expected))
        assert (actual.num_samples, actual.total_size) == (expected.num_samples, expected.total_size)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_batch_k_of_all_ranks_is_batch_k_of_one_process(ranks: int) -> None:
    one = DataLoader(range(37), 8, sampler=RandomSampler(range(37), seed=5))
    loaders = [
        DataLoader(range(37), 8 // ranks, sampler=DistributedSampler(range(37), ranks, rank, seed=5))
        for rank in range(ranks)
    ]
    for _ in range(3):
        expected = [sorted(batch.tolist()) for batch in one]
        together = [sorted(i for batch in batches for i in batch.tolist()) for batches in zip(*loaders, strict=True)]
        assert together[:4] == expected[:4]
        assert set(expected[4]) <= set(together[4])  # some come again, so that all ranks have the same number


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    epochs = [parts(20, 3, seed=1)]
    samplers = [DistributedSampler(range(20), 3, rank, seed=1) for rank in range(3)]
    rustorch.rand(3)
    passes = [[list(sampler) for sampler in samplers] for _ in range(3)]
    assert passes[0] == epochs[0]
    assert passes[0] != passes[1] != passes[2] != passes[0]
    for epoch in (2, 0, 1):
        for sampler in samplers:
            sampler.set_epoch(epoch)
        assert [list(sampler) for sampler in samplers] == passes[epoch]
    assert parts(20, 3, seed=2) != passes[0]
    state = rustorch.get_rng_state().tolist()
    parts(20, 3)
    assert rustorch.get_rng_state().tolist() == state  # nothing is drawn that could differ between ranks
    assert [sorted(part) for part in parts(20, 2, shuffle=False)] == parts(20, 2, shuffle=False)


def test_a_loader_continues_the_part_of_its_rank_after_a_kill() -> None:
    def loader() -> DataLoader:
        return DataLoader(range(23), 2, sampler=DistributedSampler(range(23), 2, 1, seed=9))

    whole, first, second = loader(), loader(), loader()
    expected = [batch.tolist() for _ in range(2) for batch in whole]
    seen = [batch.tolist() for batch in itertools.islice(first, 3)]
    assert first.state_dict() == {"seed": 9, "epoch": 0, "batches": 3}
    second.load_state_dict(first.state_dict())
    assert seen + [batch.tolist() for _ in range(2) for batch in second] == expected


def test_set_epoch_of_the_sampler_works_as_in_pytorch() -> None:
    sampler = DistributedSampler(range(9), 2, 0, seed=4)
    epochs = [list(sampler) for _ in range(5)]
    sampler.set_epoch(0)
    loader = DataLoader(range(9), 1, sampler=sampler)

    def listed() -> list[int]:
        return [batch.item() for batch in loader]

    seen = []
    for epoch in range(2, 5):  # a program that continues with epoch 2
        sampler.set_epoch(epoch)
        seen.append(listed())
        assert loader.epoch == epoch + 1
    assert seen == epochs[2:]
    sampler.set_epoch(1)
    assert [listed(), listed(), listed()] == epochs[1:4]  # without a call, each pass is the next epoch
    sampler.set_epoch(1)
    loader.set_epoch(0)
    assert listed() == epochs[0]  # the latest call counts
    # within an epoch: the sampler's epoch is that of the loader's state, so the rest of the epoch comes
    for _ in itertools.islice(loader, 2):
        state = loader.state_dict()
    loader.load_state_dict(state)
    sampler.set_epoch(state["epoch"])
    assert listed() == epochs[1][2:]
    sampler.set_epoch(3)
    loader.load_state_dict(state)
    assert listed() == epochs[1][2:]
    # the same holds for every sampler here that has a seed
    random = RandomSampler(range(9), seed=4)
    orders = [list(random) for _ in range(4)]
    random.set_epoch(3)
    assert [batch.item() for batch in DataLoader(range(9), sampler=random)] == orders[3]


@pytest.mark.ranks
def test_ranks_are_those_of_the_group(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    sampler = DistributedSampler(range(23), seed=2)
    assert (sampler.num_replicas, sampler.rank) == (size, rank)
    assert DistributedSampler(range(20), num_replicas=5).rank == rank
    assert DistributedSampler(range(20), rank=0).num_replicas == size
    if rank:
        with pytest.raises(ValueError, match=f"rank {rank} of 1 parts; ranks are 0 to 0"):
            DistributedSampler(range(20), num_replicas=1)
    for _ in range(2):
        mine = list(sampler)
        everything = list(itertools.chain(*dist.all_gather_object(mine)))
        assert len(everything) == sampler.total_size and set(everything) == set(range(23))


@pytest.mark.ranks
def test_batches_of_all_ranks_are_those_of_one_process(dist: ModuleType) -> None:
    data = numpy.arange(48.0)
    one = DataLoader(ArrayDataset(data), 12, shuffle=True, seed=6)
    mine = DataLoader(ArrayDataset(data), 12 // dist.get_world_size(), sampler=DistributedSampler(data, seed=6))
    for _ in range(2):
        for (whole,), (part,) in zip(one, mine, strict=True):
            total = (part**2).sum()
            dist.all_reduce(total)
            assert total.item() == (whole**2).sum().item()


def test_without_a_group_the_ranks_have_to_be_given() -> None:
    with pytest.raises(RuntimeError, match="init_process_group"):
        DistributedSampler(range(4))


WITH_PROCESSES = """
from mpi4py import MPI  # the processes import it, too

import rustorch
import rustorch.distributed as dist
from rustorch.data import DataLoader, DistributedSampler
from tests.data.process_samples import Numbers, drawn

if __name__ == "__main__":
    dist.init_process_group()
    data = Numbers(13, drawn)
    loader = DataLoader(data, 2, sampler=DistributedSampler(data), num_workers=2, worker="process", seed=1)
    seen = []
    for batch in loader:
        seen += batch[0].tolist()
        dist.all_reduce(batch[0])  # exchanges work beside the processes, and on the memory that they share
    every = [number for part in dist.all_gather_object(seen) for number in part]
    assert len(set(every)) == len(every) == 14, every  # no two ranks draw the same numbers
    if dist.get_rank() == 0:
        print(MPI.COMM_WORLD.size, "ranks, and every one has its own numbers")
    dist.destroy_process_group()
"""

UNGUARDED = """
import rustorch.distributed as dist
from rustorch.data import DataLoader

dist.init_process_group()
list(DataLoader(range(3), num_workers=1, worker="process"))
"""


def test_worker_processes_run_beside_mpi(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WITH_PROCESSES, encoding="utf-8")
    done = jobs.run(program, 2, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 ranks, and every one has its own numbers\n", "")


def test_a_program_without_a_guard_does_not_start_mpi_in_its_workers(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(UNGUARDED, encoding="utf-8")
    done = jobs.run(program, 2, timeout=120)
    assert done.returncode != 0
    assert "init_process_group: this process is a worker of a DataLoader, and no rank" in done.stderr
    assert "each of them imports it" in done.stderr


def test_attributes_have_the_given_values_and_defaults() -> None:
    data = ArrayDataset(numpy.zeros((6, 2)))
    sampler = DistributedSampler(data, 2, 1)
    assert sampler.dataset is data
    assert (sampler.num_replicas, sampler.rank, sampler.shuffle, sampler.seed, sampler.drop_last, sampler.epoch) == (
        2, 1, True, 0, False, 0,
    )  # fmt: skip


class Endless(IterableDataset):
    def __iter__(self) -> Any:
        return itertools.count()


class NoLength:
    def __getitem__(self, i: int) -> int:
        return i


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dataset": Endless()}, TypeError, "Endless is an iterable dataset, whose samples have no index. Let its"),
        ({"dataset": iter([1])}, TypeError, "list_iterator is an iterable dataset"),
        ({"dataset": NoLength()}, TypeError, "the parts' length needs a dataset with a length, and NoLength has none"),
        ({"num_replicas": 0}, ValueError, "num_replicas is a positive integer, not 0"),
        ({"num_replicas": 2.0}, ValueError, "num_replicas is a positive integer, not 2.0"),
        ({"rank": -1}, ValueError, "rank is a non-negative integer, not -1"),
        ({"rank": True}, ValueError, "rank is a non-negative integer, not True"),
        ({"rank": 2}, ValueError, "rank 2 of 2 parts; ranks are 0 to 1"),
        ({"shuffle": 1}, ValueError, "shuffle is True or False, not 1"),
        ({"drop_last": None}, ValueError, "drop_last is True or False, not None"),
        ({"seed": None}, ValueError, "seed is a non-negative integer, not None"),
        ({"seed": -1}, ValueError, "seed is a non-negative integer, not -1"),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"DistributedSampler: {message}"):
        DistributedSampler(**{"dataset": range(4), "num_replicas": 2, "rank": 0, **options})

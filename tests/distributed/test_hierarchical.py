"""Exchanges in two levels give what those in one level give, on every rank."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.distributed import nccl
from rustorch.distributed.hierarchical import _Hierarchical, _Places
from tests.support.target import Target, host

pytestmark = pytest.mark.ranks


def of_rank(rank: int, n: int, dtype: str = "float64") -> numpy.ndarray:
    return ((numpy.arange(n) * 7 + rank * 3) % 5 + 1).astype(dtype)


@pytest.fixture(params=["blocks", "in turn", "mixed"])
def group(dist: ModuleType, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """All ranks, on two nodes that are made up; needs 4 ranks to have two levels."""
    rank, size = dist.get_rank(), dist.get_world_size()
    if size % 2:
        pytest.skip("an odd number of ranks does not fill two nodes")
    node = {"blocks": rank // (size // 2), "in turn": rank % 2, "mixed": int(rank in (0, size - 1))}[request.param]
    monkeypatch.setattr(nccl, "machine", lambda: f"node {node}")
    made = dist.new_hierarchical_group()
    yield made
    dist.barrier()
    dist.destroy_process_group(made)


def test_all_reduce(dist, group):
    size = dist.get_world_size()
    if size == 4:
        assert isinstance(group.host, _Hierarchical)
    for n in (0, 1, 2, 3, 4, 7, 64, 1001):
        for op, function in (("sum", numpy.sum), ("max", numpy.max), ("min", numpy.min), ("product", numpy.prod)):
            for dtype in ("float64", "int32"):
                x = of_rank(dist.get_rank(), n, dtype)
                dist.all_reduce(x, op, group=group)
                expected = function(numpy.stack([of_rank(rank, n, dtype) for rank in range(size)]), axis=0)
                numpy.testing.assert_array_equal(x, expected.astype(dtype))
    x = of_rank(dist.get_rank(), 6).reshape(2, 3)
    work = dist.all_reduce(x, "avg", group=group, async_op=True)
    assert work.wait()
    expected = numpy.mean(numpy.stack([of_rank(rank, 6) for rank in range(size)]), axis=0)
    numpy.testing.assert_allclose(x, expected.reshape(2, 3), rtol=1e-15)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_reduce_scatter_and_all_gather(dist, group, n):
    rank, size = dist.get_rank(), dist.get_world_size()
    output = numpy.zeros(n)
    dist.reduce_scatter_tensor(output, of_rank(rank, n * size), group=group)
    total = numpy.sum([of_rank(r, n * size) for r in range(size)], axis=0)
    numpy.testing.assert_array_equal(output, total[rank * n : (rank + 1) * n])
    whole = numpy.zeros((size, n))
    dist.all_gather_into_tensor(whole, of_rank(rank, n), group=group)
    numpy.testing.assert_array_equal(whole, [of_rank(r, n) for r in range(size)])


def test_broadcast_from_every_rank(dist, group):
    for src in range(dist.get_world_size()):
        x = of_rank(dist.get_rank(), 5)
        dist.broadcast(x, src, group=group)
        numpy.testing.assert_array_equal(x, of_rank(src, 5))


def test_other_collectives_are_those_of_any_group(dist, group):
    rank, size = dist.get_rank(), dist.get_world_size()
    x = numpy.full(2, rank + 1.0)
    dist.reduce(x, 0, group=group)
    assert rank != 0 or x.tolist() == [size * (size + 1) / 2] * 2
    received = numpy.zeros(size)
    dist.all_to_all_single(received, numpy.full(size, float(rank)), group=group)
    assert received.tolist() == list(range(size))
    parts = [numpy.zeros(1) for _ in range(size)] if rank == 0 else None
    dist.gather(numpy.asarray([float(rank)]), parts, 0, group=group)
    assert parts is None or [part.item() for part in parts] == list(range(size))
    own = numpy.zeros(1)
    dist.scatter(own, [numpy.asarray([r + 5.0]) for r in range(size)] if rank == 0 else None, 0, group=group)
    assert own.item() == rank + 5
    work = dist.isend(numpy.full(1, float(rank)), (rank + 1) % size, group=group)
    dist.recv(own, (rank - 1) % size, group=group)
    work.wait()
    assert own.item() == (rank - 1) % size
    assert dist.all_gather_object(rank, group=group) == list(range(size))
    assert dist.broadcast_object(rank, 1, group=group) == 1
    dist.barrier(group=group)


def test_calls_that_differ_are_refused(dist, group):
    rank = dist.get_rank()
    with pytest.raises(ValueError, match="The calls differ, and nothing was exchanged"):
        dist.all_reduce(numpy.ones(3 + rank % 2), group=group)


def test_data_parallel_training_over_it(dist, group):
    def trained(over: Any) -> list[float]:
        rustorch.manual_seed(0)
        model = nn.parallel.DistributedDataParallel(nn.Linear(3, 2).to(dtype=rustorch.float64), process_group=over)
        optimizer = rustorch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(3):
            optimizer.zero_grad()
            x = rustorch.asarray(of_rank(dist.get_rank() + step, 12).reshape(4, 3))
            (model(x) ** 2).mean().backward()
            optimizer.step()
        return [value for p in model.parameters() for value in p.data.ravel().tolist()]

    assert trained(group) == pytest.approx(trained(None), rel=1e-12)


def test_arrays_on_gpus_go_on_in_the_background(cuda: Target, dist, group):
    """Under the stand-in: ``CUPY_STAND_IN_GPUS=4 mpiexec -n 4 python -m pytest --stand-in --backend cuda ...``."""
    from rustorch.backends.cupy import nccl as engine

    rank, size = dist.get_rank(), dist.get_world_size()
    if engine.why_not() or rustorch.cuda.device_count() < size:
        pytest.skip(f"needs NCCL, and a GPU for each of {size} ranks")
    device = f"cuda:{rank}" if rank else "cuda"

    def on_gpu(values: numpy.ndarray) -> Any:
        return rustorch.Variable(values, device=device)

    for n in (1, 3, 8, 9):
        summed, largest = on_gpu(of_rank(rank, n)), on_gpu(of_rank(rank, n, "int32"))
        works = [dist.all_reduce(summed, "sum", group, True), dist.all_reduce(largest, "max", group, True)]
        for work in works:
            work.wait()
        numpy.testing.assert_array_equal(host(summed), numpy.sum([of_rank(r, n) for r in range(size)], axis=0))
        numpy.testing.assert_array_equal(host(largest), numpy.max([of_rank(r, n) for r in range(size)], axis=0))
        whole, part = on_gpu(numpy.zeros((size, n))), on_gpu(numpy.zeros(n))
        dist.all_gather_into_tensor(whole, on_gpu(of_rank(rank, n)), group=group)
        numpy.testing.assert_array_equal(host(whole), [of_rank(r, n) for r in range(size)])
        dist.reduce_scatter_tensor(part, on_gpu(of_rank(rank, n * size)), group=group)
        total = numpy.sum([of_rank(r, n * size) for r in range(size)], axis=0)
        numpy.testing.assert_array_equal(host(part), total[rank * n : (rank + 1) * n])
        dist.broadcast(part, size - 1, group=group)
        numpy.testing.assert_array_equal(host(part), total[(size - 1) * n :])
    if size == 4:
        assert isinstance(group.exchange_for(part.data, "test"), _Hierarchical)


def test_nodes_of_one_rank_or_one_node_make_a_plain_group(dist):
    size = dist.get_world_size()
    for ranks_per_node in {1, size}:
        group = dist.new_hierarchical_group(ranks_per_node)
        assert not isinstance(group.host, _Hierarchical)
        x = numpy.ones(3)
        dist.all_reduce(x, group=group)
        assert x.tolist() == [size] * 3


def test_bad_nodes_are_refused_on_every_rank(dist, monkeypatch):
    size = dist.get_world_size()
    for wrong in (0, -1, size + 1, 1.0, True):
        with pytest.raises(ValueError, match="ranks_per_node is a whole number that divides the"):
            dist.new_hierarchical_group(wrong)
    if size > 2:
        monkeypatch.setattr(nccl, "machine", lambda: str(dist.get_rank() == 0))
        with pytest.raises(ValueError, match=r"same number of ranks, and these are on the nodes: \[0\]; \[1, 2"):
            dist.new_hierarchical_group()


def test_orders_of_ranks():
    blocks = _Places([(0, 0), (0, 1), (1, 0), (1, 1)], 2)
    assert (blocks.node, blocks.place, blocks.in_blocks, blocks.in_turn) == (1, 0, True, False)
    turns = _Places([(0, 0), (1, 0), (0, 1), (1, 1)], 2)
    assert (turns.node, turns.place, turns.in_blocks, turns.in_turn) == (0, 1, False, True)
    mixed = _Places([(0, 0), (1, 0), (1, 1), (0, 1)], 3)
    assert (mixed.node, mixed.place, mixed.in_blocks, mixed.in_turn) == (0, 1, False, False)

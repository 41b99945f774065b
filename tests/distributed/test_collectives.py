"""The collectives, on every rank."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends import dtypes
from tests.support.target import Target

pytestmark = pytest.mark.ranks

DTYPES = [name for name in dtypes.NAMES if name != "bfloat16"]
FLOATING = ["float32", "float64", "complex64", "complex128"]
SHAPES = [(3, 2), (), (0,), (5,)]


def of_rank(rank: int, shape: tuple[int, ...], dtype: str) -> numpy.ndarray:
    """Small numbers that differ from rank to rank, so that their sums and products are exact in every dtype."""
    return numpy.asarray((numpy.arange(int(numpy.prod(shape))).reshape(shape) + rank) % 3 + 1, dtype)


def of_ranks(dist: ModuleType, shape: tuple[int, ...], dtype: str) -> list[numpy.ndarray]:
    return [of_rank(rank, shape, dtype) for rank in range(dist.get_world_size())]


REDUCTIONS: dict[str, Any] = {
    "sum": lambda arrays: numpy.sum(numpy.stack(arrays), axis=0).astype(arrays[0].dtype),
    "product": lambda arrays: numpy.prod(numpy.stack(arrays), axis=0).astype(arrays[0].dtype),
    "min": lambda arrays: numpy.min(numpy.stack(arrays), axis=0),
    "max": lambda arrays: numpy.max(numpy.stack(arrays), axis=0),
}


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_reduce(dist: ModuleType, dtype: str, op: str) -> None:
    if dtype.startswith("complex") and op in ("min", "max"):
        with pytest.raises(ValueError, match="complex numbers have no order"):
            dist.all_reduce(numpy.ones(2, dtype), op)
        return
    for shape in SHAPES:
        arrays = of_ranks(dist, shape, dtype)
        x = arrays[dist.get_rank()].copy()
        assert dist.all_reduce(x, op) is None
        expected = REDUCTIONS[op](arrays)
        assert x.dtype == dtype
        assert x.shape == shape
        numpy.testing.assert_array_equal(x, expected)


def test_all_reduce_on_every_backend(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    x = backend.variable([[1.0, 2.0], [3.0, rank]])
    native = x.data
    dist.all_reduce(x)
    numpy.testing.assert_array_equal(backend.numpy(x), [[size, 2.0 * size], [3.0 * size, sum(range(size))]])
    assert x.device == backend.device
    if backend.library.mutable:
        assert x.data is native
        dist.all_reduce(native, "avg")
        numpy.testing.assert_array_equal(backend.numpy(native), backend.numpy(x))
    else:
        with pytest.raises(TypeError, match="cannot be changed; pass a Variable, whose array is replaced"):
            dist.all_reduce(native)


@pytest.mark.parametrize("dtype", FLOATING)
@pytest.mark.parametrize("op", ["avg", "mean", rustorch.distributed.ReduceOp.AVG])
def test_all_reduce_averages(dist: ModuleType, dtype: str, op: str) -> None:
    x = numpy.asarray([1.0 + dist.get_rank(), -2.0], dtype)
    dist.all_reduce(x, op)
    numpy.testing.assert_array_equal(x, numpy.asarray([(dist.get_world_size() + 1) / 2, -2.0], dtype))


def test_long_arrays_are_reduced_whole(dist: ModuleType) -> None:
    size = dist.get_world_size()
    x = numpy.arange(3_000_001, dtype="float64") + dist.get_rank()
    dist.all_reduce(x)
    numpy.testing.assert_array_equal(x, size * numpy.arange(3_000_001.0) + sum(range(size)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies(dist: ModuleType, dtype: str) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    for shape in SHAPES:
        arrays = of_ranks(dist, shape, dtype)
        for root in range(size):
            x = arrays[rank].copy()
            dist.broadcast(x, root)
            numpy.testing.assert_array_equal(x, arrays[root])
            found = [numpy.zeros(shape, dtype) for _ in range(size)]
            dist.gather(arrays[rank], found if rank == root else None, root)
            for r in range(size):
                numpy.testing.assert_array_equal(found[r], arrays[r] if rank == root else numpy.zeros(shape, dtype))
            x = numpy.zeros(shape, dtype)
            dist.scatter(x, arrays if rank == root else None, root)
            numpy.testing.assert_array_equal(x, arrays[rank])
        found = [numpy.zeros(shape, dtype) for _ in range(size)]
        dist.all_gather(found, arrays[rank])
        numpy.testing.assert_array_equal(found, arrays)
        whole = numpy.zeros((size, *shape), dtype)
        dist.all_gather_into_tensor(whole, arrays[rank])
        numpy.testing.assert_array_equal(whole, arrays)
        sent = [of_rank(10 * rank + r, shape, dtype) for r in range(size)]
        dist.all_to_all(found, sent)
        numpy.testing.assert_array_equal(found, [of_rank(10 * r + rank, shape, dtype) for r in range(size)])
        out = numpy.zeros((size, *shape), dtype)
        dist.all_to_all_single(out, numpy.stack(sent))
        numpy.testing.assert_array_equal(out, found)


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool"])
def test_reduce_and_reduce_scatter(dist: ModuleType, dtype: str, op: str) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    for shape in SHAPES:
        arrays = of_ranks(dist, shape, dtype)
        for root in range(size):
            x = arrays[rank].copy()
            dist.reduce(x, root, op)
            numpy.testing.assert_array_equal(x, REDUCTIONS[op](arrays) if rank == root else arrays[rank])
        inputs = [of_rank(rank + 2 * r, shape, dtype) for r in range(size)]
        expected = REDUCTIONS[op]([of_rank(other + 2 * rank, shape, dtype) for other in range(size)])
        out = numpy.zeros(shape, dtype)
        dist.reduce_scatter(out, inputs, op)
        numpy.testing.assert_array_equal(out, expected)
        out = numpy.zeros(shape, dtype)
        dist.reduce_scatter_tensor(out, numpy.stack(inputs), op)
        numpy.testing.assert_array_equal(out, expected)


def test_lists_on_every_backend(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    found = [backend.variable([0.0, 0.0]) for _ in range(size)]
    dist.all_gather(found, backend.variable([1.0, rank]))
    for r, x in enumerate(found):
        numpy.testing.assert_array_equal(backend.numpy(x), [1.0, r])
    out = backend.variable([0.0])
    dist.reduce_scatter(out, [backend.variable([float(r)]) for r in range(size)], "mean")
    numpy.testing.assert_array_equal(backend.numpy(out), [rank])
    dist.scatter(out, [backend.variable([2.0 * r]) for r in range(size)] if rank == 0 else None)
    numpy.testing.assert_array_equal(backend.numpy(out), [2.0 * rank])


def test_exchanges_in_pieces_keep_their_order(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    others = dist.new_group()
    long, longer = numpy.full(2_500_000, 1.0), numpy.full(3_000_001, 2.0)  # 20 MB and 24 MB
    small, message = numpy.full(3, 3.0), numpy.full(2, float(rank))
    works = [dist.all_reduce(x, async_op=True) for x in (long, longer)]
    if rank % 2:  # ranks that wait in different orders: none may keep the others waiting
        works[1].wait()
    else:
        works[0].wait()
    if size > 1 and rank < 2:
        dist.send(message, 1 - rank) if rank == 0 else dist.recv(message, 0)
    dist.all_reduce(small, group=others)
    received = numpy.zeros(2)
    pending = [dist.irecv(received, 0)] if size > 1 and rank == 1 else []
    works.append(dist.all_reduce(longer, async_op=True))
    if rank == 0:
        works[-1].wait()
        if size > 1:
            dist.send(message, 1)
    for work in [*pending, *works]:
        work.wait()
    assert small.tolist() == [3.0 * size] * 3
    assert (long == size).all()
    assert (longer == 2.0 * size**2).all()
    dist.destroy_process_group(others)


def test_handles(dist: ModuleType) -> None:
    size = dist.get_world_size()
    arrays = [numpy.full(4, float(i)) for i in range(5)]
    works = [dist.all_reduce(x, async_op=True) for x in arrays]
    for work in works:
        assert work.wait() is True
        assert work.is_completed()
        assert work.wait() is True  # a second time does nothing
    numpy.testing.assert_array_equal(arrays, [numpy.full(4, float(i * size)) for i in range(5)])
    x = rustorch.ones(3)
    work = dist.all_reduce(x, "avg", async_op=True)
    while not work.is_completed():
        pass
    numpy.testing.assert_array_equal(x.data, [1.0, 1.0, 1.0])
    found = [rustorch.zeros(1) for _ in range(size)]
    dist.all_gather(found, rustorch.ones(1), async_op=True).wait()
    assert [float(x) for x in found] == [1.0] * size
    dist.barrier(async_op=True).wait()


def test_handles_that_are_dropped(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    arrays = [numpy.full(1000, float(i)) for i in range(100)]
    for x in arrays:
        dist.all_reduce(x, async_op=True)  # nobody waits, and later exchanges still see them done
    if size > 1 and rank < 2:
        for _ in range(40):
            dist.isend(numpy.full(1000, 7.0), 1 - rank)
            dist.irecv(numpy.zeros(1000), 1 - rank).wait()
    dist.barrier()
    dist.all_reduce(numpy.ones(3_000_000), async_op=True)
    total = numpy.ones(2)
    dist.all_reduce(total)
    assert total.tolist() == [size, size]
    for i, x in enumerate(arrays):
        assert (x == i * size).all()


def test_arrays_from_rank_to_rank(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1:
        with pytest.raises(ValueError, match="rank 0 is this rank itself; send to another one"):
            dist.send(numpy.ones(1), 0)
        with pytest.raises(ValueError, match="this rank is the only one of its group; there is no other"):
            dist.recv(numpy.ones(1))
        return
    after, before = (rank + 1) % size, (rank - 1) % size
    x = numpy.zeros(3)
    works = [dist.isend(numpy.full(3, float(rank)), after), dist.irecv(x, before)]
    for work in works:
        work.wait()
    numpy.testing.assert_array_equal(x, before)
    big = numpy.full(200_000, float(rank))
    if rank == 0:
        work = dist.isend(big, 1, tag=7)
        dist.send(rustorch.asarray([5, 6]), 1, tag=3)
        work.wait()
    elif rank == 1:
        small = rustorch.asarray([0, 0])
        assert dist.recv(small, 0, tag=3) == 0
        assert small.tolist() == [5, 6]
        assert dist.recv(big, tag=7) == 0
        assert not big.any()


def test_receiving_from_any_rank_begins_at_once(dist: ModuleType) -> None:
    if dist.get_world_size() == 1 or dist.get_rank() > 1:
        return
    received, other = numpy.zeros(2), 1 - dist.get_rank()
    work = dist.irecv(received)
    dist.send(numpy.full(2, float(dist.get_rank())), other)
    work.wait()
    assert received.tolist() == [other, other]


def test_receives_keep_their_order(dist: ModuleType) -> None:
    if dist.get_world_size() == 1 or dist.get_rank() > 1:
        return
    if dist.get_rank() == 0:
        for i in range(4):
            dist.send(numpy.full(2, float(i)), 1)
    else:
        arrays = [numpy.zeros(2) for _ in range(4)]
        works = [dist.irecv(x, 0) for x in arrays]
        for work in reversed(works):
            work.wait()
        numpy.testing.assert_array_equal(arrays, [[i, i] for i in range(4)])


def test_receiving_another_shape_raises_and_loses_nothing(dist: ModuleType) -> None:
    if dist.get_world_size() == 1 or dist.get_rank() > 1:
        return
    if dist.get_rank() == 0:
        dist.send(numpy.arange(3.0), 1)
        dist.send(numpy.arange(2.0), 1)
    else:
        wrong = numpy.full(4, 9.0)
        with pytest.raises(
            ValueError,
            match=r"recv: rank 0 sends an array of float64 of shape \(3,\), and the array to receive it in is",
        ):
            dist.recv(wrong, 0)
        assert (wrong == 9.0).all()
        for n in (3, 2):
            x = numpy.zeros(n)
            dist.recv(x, 0)
            numpy.testing.assert_array_equal(x, numpy.arange(float(n)))


def test_values_of_json(dist: ModuleType) -> None:
    value = {"a": [1, 2.5, None, True], "b": {"c": "ä"}}
    assert dist.broadcast_object(value if dist.get_rank() == 0 else None) == value
    assert dist.all_gather_object([dist.get_rank()]) == [[r] for r in range(dist.get_world_size())]


@pytest.mark.parametrize("value", [{1: 2}, {"a": {None: 1}}, numpy.ones(2), object(), b"bytes", [{2.0: 0}]])
def test_other_values_are_refused_on_every_rank(dist: ModuleType, value: Any) -> None:
    last = dist.get_world_size() - 1
    with pytest.raises(TypeError, match=rf"only None, booleans, numbers, strings.* \(rank {last} passed"):
        dist.broadcast_object(value if dist.get_rank() == last else 1, src=last)
    with pytest.raises(TypeError, match=rf"only None, booleans, numbers, strings.* \(rank {last} passed"):
        dist.all_gather_object(value if dist.get_rank() == last else 1)
    assert dist.all_gather_object(1) == [1] * (last + 1)


def test_groups(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    last = dist.new_group([size - 1])
    assert dist.get_process_group_ranks(last) == [size - 1]
    assert dist.get_group_rank(last, size - 1) == 0
    assert dist.get_global_rank(last, 0) == size - 1
    x = numpy.ones(2)
    if rank == size - 1:
        assert (dist.get_rank(last), dist.get_world_size(last)) == (0, 1)
        dist.all_reduce(x, group=last)
    else:
        assert (dist.get_rank(last), dist.get_world_size(last)) == (-1, -1)
        with pytest.raises(ValueError, match=rf"all_reduce: rank {rank} is not in the group of ranks \({size - 1},\)"):
            dist.all_reduce(x, group=last)
        with pytest.raises(ValueError, match="not in the group"):
            dist.barrier(last)
    assert x.tolist() == [1.0, 1.0]
    everyone = dist.new_group()
    dist.all_reduce(x, group=everyone)
    assert x.tolist() == [size, size]
    if rank == size - 1:
        dist.destroy_process_group(last)
    dist.destroy_process_group(everyone)
    with pytest.raises(RuntimeError, match=r"all_reduce: the group of ranks \(.*\) was destroyed"):
        dist.all_reduce(x, group=everyone)


def test_groups_within_the_world(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    if size < 3:
        return
    group = dist.new_group([2, 0])
    assert dist.get_process_group_ranks(group) == [0, 2]
    if rank in (0, 2):
        x = numpy.full(1, float(rank))
        dist.broadcast(x, 2, group)
        assert x.tolist() == [2.0]
        dist.all_reduce(x, group=group)
        assert x.tolist() == [4.0]
        with pytest.raises(ValueError, match=r"broadcast: rank 1 is not in the group, which has the ranks \(0, 2\)"):
            dist.broadcast(x, 1, group)
        dist.destroy_process_group(group)

"""What the stand-in for NCCL finds: each of these programs is wrong, and a GPU might say nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy
import pytest

from tests.support.gpu_ranks import gpus, on_all_ranks, on_ranks

F32, SUM = 7, 0


@pytest.fixture(autouse=True)
def _one_stream_again(stand_in: ModuleType) -> Iterator[None]:
    yield
    stand_in.cuda.Stream.null.synchronize()


@pytest.fixture
def nccl(stand_in: ModuleType) -> ModuleType:
    from cupy.cuda import nccl

    return nccl


class One:
    """A communicator of one GPU, and a stream for it that has waited for the current one."""

    def __init__(self, cupy: ModuleType, nccl: ModuleType):
        self.cupy = cupy
        self.comm = nccl.NcclCommunicator(1, nccl.get_unique_id(), 0)
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.x, self.y = cupy.ones(4, "float32"), cupy.zeros(4, "float32")
        self.order()

    def order(self) -> None:
        self.stream.wait_event(self.cupy.cuda.get_current_stream().record())

    def reduce(self, source: Any, target: Any, n: int = 4, stream: Any = None) -> None:
        stream = self.stream if stream is None else stream
        self.comm.allReduce(source.data.ptr, target.data.ptr, n, F32, SUM, stream.ptr)

    def wait(self) -> None:
        self.cupy.cuda.get_current_stream().wait_event(self.stream.record())


@pytest.fixture
def one(stand_in: ModuleType, nccl: ModuleType) -> One:
    return One(stand_in, nccl)


# -- streams -----------------------------------------------------------------------------------------------------------
def test_results_are_hidden_until_a_wait(one: One) -> None:
    one.reduce(one.x, one.y)
    assert numpy.isnan(one.y.get()).all()
    one.wait()
    assert one.y.tolist() == [1.0] * 4


@pytest.mark.parametrize("way", ["stream", "event", "device", "runtime", "use", "address"])
def test_every_way_to_wait_shows_results(way: str, one: One) -> None:
    cuda = one.cupy.cuda
    one.reduce(one.x, one.y)
    event = one.stream.record()
    {
        "stream": one.stream.synchronize,
        "event": event.synchronize,
        "device": cuda.Device(0).synchronize,
        "runtime": cuda.runtime.deviceSynchronize,
        "use": lambda: one.stream.__enter__(),
        "address": lambda: cuda.runtime.streamSynchronize(one.stream.ptr),
    }[way]()
    assert one.y.tolist() == [1.0] * 4
    if way == "use":
        one.stream.__exit__()


def test_waiting_for_another_stream_does_not_show_results(one: One) -> None:
    one.reduce(one.x, one.y)
    cuda = one.cupy.cuda
    other = cuda.Stream(non_blocking=True)
    other.synchronize()
    cuda.get_current_stream().synchronize()
    cuda.get_current_stream().wait_event(other.record())
    assert numpy.isnan(one.y.get()).all()
    other.wait_event(one.stream.record())
    cuda.get_current_stream().wait_event(other.record())
    assert one.y.tolist() == [1.0] * 4


def test_an_event_is_not_done_at_once(one: One) -> None:
    one.reduce(one.x, one.y)
    event = one.stream.record()
    assert not event.done
    assert numpy.isnan(one.y.get()).all()
    assert any(event.done for _ in range(100))
    assert one.y.tolist() == [1.0] * 4


def test_a_stream_that_has_not_waited_for_the_kernels_is_found(one: One) -> None:
    x = one.x + 1
    with pytest.raises(AssertionError, match=r"allReduce on .* is not ordered after the kernels that were launched on"):
        one.reduce(x, one.y)
    one.order()
    one.reduce(x, one.y)
    one.wait()
    assert one.y.tolist() == [2.0] * 4


def test_a_stream_that_is_not_non_blocking_follows_the_null_stream(one: One) -> None:
    x, stream = one.x + 1, one.cupy.cuda.Stream()
    one.reduce(x, one.y, stream=stream)
    stream.synchronize()
    assert one.y.tolist() == [2.0] * 4


def test_an_array_that_is_written_too_early_is_found(one: One) -> None:
    one.reduce(one.x, one.y)
    one.x[...] = 3
    with pytest.raises(
        AssertionError, match="an array was written before anybody had waited for the allReduce that re"
    ):
        one.wait()
    one.order()
    one.reduce(one.x, one.x)
    one.x[...] = 3
    with pytest.raises(
        AssertionError, match="an array was written before anybody had waited for the allReduce that wr"
    ):
        one.wait()


def test_memory_that_is_freed_too_early_is_found(one: One) -> None:
    one.x = one.cupy.ones(4, "float32")
    one.order()
    one.reduce(one.x, one.y)
    one.x = None
    with pytest.raises(AssertionError, match="memory was freed before anybody had waited for the exchange"):
        one.wait()


def test_exchanges_of_one_array_on_two_streams_are_found(one: One) -> None:
    other = one.cupy.cuda.Stream(non_blocking=True)
    other.wait_event(one.cupy.cuda.get_current_stream().record())
    one.reduce(one.x, one.y)
    with pytest.raises(AssertionError, match="uses an array of an exchange that runs on"):
        one.reduce(one.y, one.y, stream=other)
    one.reduce(one.y, one.y)  # on the same stream it comes after the first one
    one.wait()
    assert one.y.tolist() == [1.0] * 4


# -- memory and arguments ----------------------------------------------------------------------------------------------
def test_memory_beyond_an_array_is_found(one: One) -> None:
    for source, target in ((one.x, one.cupy.zeros(5, "float32")), (one.cupy.zeros(5, "float32"), one.y)):
        one.order()
        with pytest.raises(AssertionError, match="20 bytes go beyond the end of an array of 16 bytes"):
            one.reduce(source, target, 5)


def test_memory_and_streams_of_another_gpu_are_found(
    stand_in: ModuleType, nccl: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(2, monkeypatch)
    one = One(stand_in, nccl)
    with stand_in.cuda.Device(1):
        far = stand_in.ones(4, "float32")
        stream = stand_in.cuda.Stream(non_blocking=True)
    with pytest.raises(AssertionError, match="the array lies on GPU 1, the communicator on 0"):
        one.reduce(far, one.y)
    with stand_in.cuda.Device(1), pytest.raises(AssertionError, match="the stream belongs to GPU 1, the communicator"):
        one.reduce(one.x, one.y, stream=stream)
    with pytest.raises(AssertionError, match="is used while GPU 0 is the current one"), stream:
        pass
    with pytest.raises(AssertionError, match="is recorded while GPU 0 is the current one"):
        stream.record()


def test_wrong_arguments_are_refused_as_by_nccl(one: One, nccl: ModuleType) -> None:
    comm, x, at = one.comm, one.x.data.ptr, one.stream.ptr
    for call in (
        lambda: comm.allReduce(x, x, 4, 17, SUM, at),
        lambda: comm.allReduce(x, x, 4, F32, 9, at),
        lambda: comm.broadcast(x, x, 4, F32, 1, at),
        lambda: comm.reduce(x, x, 4, F32, SUM, -1, at),
        lambda: comm.send(x, 4, F32, 1, at),
        lambda: comm.allReduce(12345, x, 4, F32, SUM, at),
    ):
        with pytest.raises(nccl.NcclError, match="NCCL_ERROR_INVALID_ARGUMENT") as caught:
            call()
        assert caught.value.status == 4
    with pytest.raises(nccl.NcclError, match="NCCL_ERROR_INVALID_USAGE"):
        nccl.groupEnd()
    for wrong, error in ((b"short", ValueError), ((1,) * 128, TypeError)):
        with pytest.raises(error, match="commId"):
            nccl.NcclCommunicator(1, wrong, 0)
    with pytest.raises(nccl.NcclError, match="NCCL_ERROR_INVALID_ARGUMENT"):
        nccl.NcclCommunicator(1, nccl.get_unique_id(), 1)
    comm.destroy()
    with pytest.raises(nccl.NcclError, match="NCCL_ERROR_INVALID_ARGUMENT"):
        one.reduce(one.x, one.y)


def test_sends_to_itself_need_a_receive_in_the_same_group(one: One, nccl: ModuleType) -> None:
    with pytest.raises(AssertionError, match="a rank sends to itself, and receives nothing in the same group"):
        one.comm.send(one.x.data.ptr, 4, F32, 0, one.stream.ptr)


# -- several ranks -----------------------------------------------------------------------------------------------------
@pytest.fixture
def two(stand_in: ModuleType, nccl: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Run a function on two connected ranks. It gets the rank, its communicator, an array's address and a stream's."""
    gpus(2, monkeypatch)
    unique_id = nccl.get_unique_id()

    def run(function: Callable[..., Any]) -> list[Any]:
        def of_rank(rank: int) -> Any:
            comm = nccl.NcclCommunicator(2, unique_id, rank)
            x, stream = stand_in.full(8, rank + 1, "float32"), stand_in.cuda.Stream(non_blocking=True)
            stream.wait_event(stand_in.cuda.get_current_stream().record())
            try:
                function(rank, comm, x.data.ptr, stream.ptr)
                stream.synchronize()
                return x.tolist()
            finally:
                comm.destroy()

        return on_ranks(2, of_rank)

    return run


DIFFERENT: dict[str, Callable[..., Any]] = {
    "function": lambda rank, comm, x, at: (
        comm.allReduce(x, x, 4, F32, SUM, at) if rank else comm.broadcast(x, x, 4, F32, 0, at)
    ),
    "size": lambda rank, comm, x, at: comm.allReduce(x, x, 4 + rank, F32, SUM, at),
    "dtype": lambda rank, comm, x, at: comm.allReduce(x, x, 4, 2 + rank, SUM, at),
    "reduction": lambda rank, comm, x, at: comm.allReduce(x, x, 4, F32, rank, at),
    "root": lambda rank, comm, x, at: comm.broadcast(x, x, 4, F32, rank, at),
}


@pytest.mark.parametrize("difference", DIFFERENT)
def test_calls_that_differ_are_found_on_every_rank(difference: str, two: Any) -> None:
    for result in two(DIFFERENT[difference]):
        assert isinstance(result, AssertionError)
        assert str(result).startswith(
            "the ranks of a communicator make different calls, and NCCL hangs:\n  rank 0: (1, ("
        )
        assert "\n  rank 1: (1, (" in str(result)


def test_a_different_order_is_found(two: Any) -> None:
    def run(rank: int, comm: Any, x: int, at: int) -> None:
        for name in ("allReduce", "broadcast") if rank else ("broadcast", "allReduce"):
            getattr(comm, name)(x, x, 4, F32, 0, at)

    assert all(isinstance(result, AssertionError) for result in two(run))


def test_a_receive_of_another_size_is_found(two: Any) -> None:
    def run(rank: int, comm: Any, x: int, at: int) -> None:
        comm.send(x, 4, F32, 1, at) if rank == 0 else comm.recv(x, 5, F32, 0, at)

    _, result = two(run)
    assert isinstance(result, AssertionError)
    assert str(result) == "rank 0 sends 4 of float32, and rank 1 receives 5 of float32"


def test_a_rank_that_ends_is_an_error_on_the_others(two: Any, nccl: ModuleType) -> None:
    def run(rank: int, comm: Any, x: int, at: int) -> None:
        if rank:
            raise KeyError("this rank ends")
        comm.allReduce(x, x, 4, F32, SUM, at)

    result, other = two(run)
    assert isinstance(result, nccl.NcclError)
    assert result.status == 6
    assert isinstance(other, KeyError)


def test_two_ranks_on_one_gpu_are_refused(nccl: ModuleType, stand_in: ModuleType) -> None:
    unique_id, results = nccl.get_unique_id(), []

    def connect(rank: int) -> None:
        try:
            nccl.NcclCommunicator(2, unique_id, rank)
        except nccl.NcclError as error:
            results.append(error.status)

    threads = [threading.Thread(target=connect, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [5, 5]


def test_a_rank_that_does_not_come_is_an_error(nccl: ModuleType, stand_in: ModuleType, monkeypatch: Any) -> None:
    monkeypatch.setattr(nccl, "_PATIENCE", 0.2)
    for rank in (0, 1):
        with pytest.raises(nccl.NcclError, match="NCCL_ERROR_SYSTEM_ERROR"):
            nccl.NcclCommunicator(2, nccl.get_unique_id(), rank)


def test_groups_of_sends_and_receives_run_at_once(stand_in: ModuleType, nccl: ModuleType, monkeypatch: Any) -> None:
    gpus(3, monkeypatch)
    unique_id = nccl.get_unique_id()

    def ring(rank: int) -> list[float]:
        comm = nccl.NcclCommunicator(3, unique_id, rank)
        x, y = stand_in.full(200_000, rank, "float32"), stand_in.empty(200_000, "float32")
        stream = stand_in.cuda.get_current_stream()
        nccl.groupStart()
        comm.send(x.data.ptr, x.size, F32, (rank + 1) % 3, stream.ptr)
        comm.recv(y.data.ptr, y.size, F32, (rank - 1) % 3, stream.ptr)
        nccl.groupEnd()
        comm.destroy()
        return sorted(set(y.tolist()))

    assert on_all_ranks(3, ring) == [[2.0], [0.0], [1.0]]

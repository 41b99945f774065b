"""Exchanges by NCCL between ranks that are threads, each with a GPU of its own: values, dtypes, streams, errors."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy
import pytest

from rustorch.backends import dtypes
from tests.support.gpu_ranks import gpus, on_all_ranks, on_ranks
from tests.support.target import Target

SIZES = [1, 2, 3]
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda arrays: numpy.sum(arrays, axis=0),
    "product": lambda arrays: numpy.prod(arrays, axis=0),
    "min": lambda arrays: numpy.min(arrays, axis=0),
    "max": lambda arrays: numpy.max(arrays, axis=0),
}
Communicator = Any


@pytest.fixture
def cupy(cuda: Target) -> ModuleType:
    """CuPy or its stand-in, where NCCL can be used."""
    from rustorch.backends.cupy import nccl

    if nccl.why_not():
        pytest.skip(f"needs NCCL: {nccl.why_not()}")
    return sys.modules["cupy"]


@pytest.fixture
def connected(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Run a function on connected ranks: it gets the rank's communicator."""
    from rustorch.backends.cupy import nccl

    def run(size: int, function: Callable[[Communicator], Any], wait: Any = on_all_ranks) -> list[Any]:
        gpus(size, monkeypatch)
        unique_id = nccl.new_id()
        assert len(unique_id) == 128

        def of_rank(rank: int) -> Any:
            communicator = nccl.Communicator(size, unique_id, rank, rank)
            try:
                return function(communicator)
            finally:
                communicator.abort()

        return wait(size, of_rank)

    return run


def of_rank(rank: int, dtype: Any, n: int = 6) -> numpy.ndarray:
    """Small numbers that differ between ranks, so that every reduction is exact."""
    return ((numpy.arange(n) + rank) % 3).astype(dtype)


def of_ranks(size: int, dtype: Any, n: int = 6) -> numpy.ndarray:
    return numpy.stack([of_rank(rank, dtype, n) for rank in range(size)])


# -- values ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("dtype", "op"),
    [
        (name, op)
        for name in dtypes.NAMES
        for op in REDUCTIONS
        if not (name.startswith("complex") and op in ("min", "max"))  # complex numbers have no order
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_reductions(size: int, dtype: str, op: str, connected: Any, cupy: ModuleType) -> None:
    expected = REDUCTIONS[op](of_ranks(size, dtype)).astype(dtype)
    parts = REDUCTIONS[op](of_ranks(size, dtype, 2 * size)).astype(dtype).reshape(size, 2)

    def run(comm: Communicator) -> None:
        x = cupy.asarray(of_rank(comm.rank, dtype)).reshape(2, 3)
        comm.all_reduce(x, op).wait()
        numpy.testing.assert_array_equal(x.get(), expected.reshape(2, 3))
        for root in range(size):
            x = cupy.asarray(of_rank(comm.rank, dtype))
            comm.reduce(x, root, op).wait()
            numpy.testing.assert_array_equal(x.get(), expected if comm.rank == root else of_rank(comm.rank, dtype))
        values, part = cupy.asarray(of_rank(comm.rank, dtype, 2 * size)), cupy.zeros(2, dtype)
        comm.reduce_scatter(part, values, op).wait()
        numpy.testing.assert_array_equal(part.get(), parts[comm.rank])
        numpy.testing.assert_array_equal(values.get(), of_rank(comm.rank, dtype, 2 * size))

    connected(size, run)


@pytest.mark.parametrize("dtype", ["bool", "int16", "float32", "complex128"])
@pytest.mark.parametrize("size", SIZES)
def test_copies(size: int, dtype: str, connected: Any, cupy: ModuleType) -> None:
    everything = of_ranks(size, dtype)
    table = numpy.arange(size * size * 2).reshape(size, size, 2).astype(dtype)

    def run(comm: Communicator) -> None:
        own = cupy.asarray(of_rank(comm.rank, dtype))
        output = cupy.empty((size, 6), dtype)
        comm.all_gather(output, own).wait()
        numpy.testing.assert_array_equal(output.get(), everything)
        for root in range(size):
            x = own.copy()
            comm.broadcast(x, root).wait()
            numpy.testing.assert_array_equal(x.get(), everything[root])
            here = comm.rank == root
            output = cupy.empty(size * 6, dtype)
            comm.gather(output if here else None, own, root).wait()
            if here:
                numpy.testing.assert_array_equal(output.get(), everything.reshape(-1))
            x = cupy.empty(6, dtype)
            comm.scatter(x, cupy.asarray(everything) if here else None, root).wait()
            numpy.testing.assert_array_equal(x.get(), everything[comm.rank])
        output = cupy.empty((size, 2), dtype)
        comm.all_to_all(output, cupy.asarray(table[comm.rank])).wait()
        numpy.testing.assert_array_equal(output.get(), table[:, comm.rank])

    connected(size, run)


@pytest.mark.parametrize("sends_first", [True, False])
def test_two_ranks_that_both_send_first_do_not_wait_forever(
    sends_first: bool, connected: Any, cupy: ModuleType
) -> None:
    def run(comm: Communicator) -> None:
        other = 1 - comm.rank
        out, into = cupy.full(100_000, comm.rank, "float32"), cupy.empty(100_000, "float32")
        requests = [comm.send(out, other), comm.recv(into, other)] if sends_first else []
        requests = requests or [comm.recv(into, other), comm.send(out, other)]
        for request in requests:
            request.wait()
        assert (into.get() == other).all()
        comm.send(out, other)  # nobody waits for it: the next exchange begins it
        comm.recv(into, other)
        comm.all_reduce(out, "sum").wait()
        assert (out.get() == 1).all()

    connected(2, run)


# -- streams -----------------------------------------------------------------------------------------------------------
def test_an_exchange_runs_in_the_background_until_somebody_waits(
    connected: Any, stand_in: ModuleType, cupy: ModuleType
) -> None:
    def run(comm: Communicator) -> None:
        x = cupy.ones(4, "float32")
        pending = comm.all_reduce(x, "sum")
        assert numpy.isnan(x.get()).all()
        other = cupy.arange(3.0) * 2  # other work goes on
        assert not pending.done()
        pending.wait()
        pending.wait()
        assert x.tolist() == [2.0] * 4
        assert other.tolist() == [0.0, 2.0, 4.0]
        assert pending.done()

    connected(2, run)


def test_waiting_lets_the_stream_wait_and_not_the_host(connected: Any, stand_in: ModuleType, cupy: ModuleType) -> None:
    x = cupy.ones(4, "float32")

    def run(comm: Communicator) -> list[Any]:
        stand_in.LOG.clear()
        for _ in range(5):
            comm.all_reduce(x, "sum").wait()
        return [tuple(event) for event in stand_in.LOG]

    assert connected(1, run) == [[("launch", "allReduce")] * 5]


def test_asking_ends_and_lets_the_arrays_go(connected: Any, cupy: ModuleType) -> None:
    def run(comm: Communicator) -> None:
        x = cupy.ones(4, "float32")
        pending = comm.all_reduce(x, "sum")
        assert pending.arrays
        for _ in range(10**6):
            if pending.done():
                break
        assert pending.done()
        assert not pending.arrays
        assert x.tolist() == [2.0] * 4
        pending = comm.all_reduce(x, "sum")
        pending.synchronize()
        assert x.tolist() == [4.0] * 4
        assert not pending.arrays

    connected(2, run)


def test_arrays_outlive_an_exchange_that_nobody_waits_for(connected: Any, cupy: ModuleType) -> None:
    def run(comm: Communicator) -> None:
        for i in range(30):
            comm.all_reduce(cupy.full(4, i, "float32"), "sum")
        x = cupy.ones(2, "float32")
        comm.all_reduce(x, "sum").wait()
        assert x.tolist() == [2.0, 2.0]
        comm.close()

    connected(2, run)


def test_the_current_stream_is_waited_for(connected: Any, cupy: ModuleType) -> None:
    def run(comm: Communicator) -> None:
        with cupy.cuda.Stream(non_blocking=True) as stream:
            x = cupy.ones(1000, "float32") * (comm.rank + 1)
            comm.all_reduce(x, "sum").wait()
            y = x + 1
            stream.synchronize()
        assert (y.get() == 4).all()

    connected(2, run)


def test_an_exchange_that_runs_is_named(connected: Any, stand_in: ModuleType, cupy: ModuleType) -> None:
    def run(comm: Communicator) -> None:
        x = cupy.ones(4, "float32")
        pending = comm.all_reduce(x, "sum")
        what, since = comm.oldest()
        assert what == "all_reduce"
        assert 0 <= time.monotonic() - since < 30
        pending.wait()
        assert comm.oldest() is None

    connected(1, run)


# -- errors ------------------------------------------------------------------------------------------------------------
def test_dtypes_that_nccl_does_not_add_up_are_refused(connected: Any, stand_in: ModuleType, cupy: ModuleType) -> None:
    def run(comm: Communicator) -> None:
        x = cupy.empty(3, "V8")
        with pytest.raises(TypeError, match="NCCL does not exchange arrays of"):
            comm.all_reduce(x, "sum")
        y = cupy.ones(3)
        comm.all_reduce(y, "sum").wait()
        assert y.tolist() == [1.0] * 3

    connected(1, run)


def test_two_ranks_on_one_gpu_are_refused_with_both_named(
    cupy: ModuleType, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rustorch.backends.cupy import nccl

    gpus(2, monkeypatch)
    unique_id = nccl.new_id()
    for rank, error in enumerate(on_ranks(2, lambda rank: nccl.Communicator(2, unique_id, rank, 0))):
        assert isinstance(error, RuntimeError)
        assert str(error).startswith(
            f"NCCL failed in the connection of the ranks, on rank {rank} of 2 with GPU 0: NCCL_"
        )
        assert "NCCL_DEBUG=INFO" in str(error)


def test_a_communicator_that_is_closed_is_refused(connected: Any, cupy: ModuleType) -> None:
    def run(comm: Communicator) -> None:
        comm.close()
        with pytest.raises(RuntimeError, match="NCCL failed in an exchange, on rank 0 of 1 with GPU 0"):
            comm.all_reduce(cupy.ones(3), "sum")

    connected(1, run)


def test_ids_are_taken_in_the_form_of_cupy_13(connected: Any, stand_in: ModuleType, monkeypatch: Any) -> None:
    """CuPy 13 has tuples of signed numbers where CuPy 14 has bytes."""
    from rustorch.backends.cupy import nccl

    library = nccl._load()
    real, seen = library.NcclCommunicator, []

    def make(size: int, unique_id: Any, rank: int) -> Any:
        if not isinstance(unique_id, tuple):
            raise TypeError("Argument 'commId' has incorrect type (expected tuple, got bytes)")
        seen.append(unique_id)
        return real(size, bytes([value & 255 for value in unique_id]), rank)

    monkeypatch.setattr(library, "NcclCommunicator", make)
    monkeypatch.setattr(library, "get_unique_id", lambda: (-1, *range(127)))
    assert nccl.new_id() == bytes([255, *range(127)])
    nccl.Communicator(1, nccl.new_id(), 0, 0).close()
    assert seen == [(-1, *range(127))]


def test_a_missing_nccl_is_named(cupy: ModuleType, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from rustorch.backends.cupy import nccl

    monkeypatch.setattr(nccl._load(), "available", False)
    assert nccl.why_not() == "NCCL is not installed: pip install nvidia-nccl-cu13"

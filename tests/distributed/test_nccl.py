"""Collectives on arrays of GPUs by NCCL: in a world of one, and on every rank, each with a GPU of its own.

``CUPY_STAND_IN_GPUS=2 mpiexec -n 2 python -m pytest --stand-in --backend cuda tests/distributed/test_nccl.py`` runs
them on two ranks.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy
import pytest

import rustorch
import rustorch.distributed as dist
from rustorch import nn
from rustorch.distributed import nccl
from rustorch.distributed.exchange import Alone
from tests.support import ranks
from tests.support.target import Target, host

pytestmark = pytest.mark.ranks


class Here(NamedTuple):
    """The group under test, and this rank's part in it."""

    group: Any
    device: str
    rank: int
    size: int

    def of_rank(self, rank: int, shape: Any = (2, 3), dtype: str = "float32") -> numpy.ndarray:
        return ((numpy.arange(numpy.prod(shape)) + rank) % 3).reshape(shape).astype(dtype)

    def of_ranks(self, shape: Any = (2, 3), dtype: str = "float32") -> numpy.ndarray:
        return numpy.stack([self.of_rank(rank, shape, dtype) for rank in range(self.size)])

    def own(self, shape: Any = (2, 3), dtype: str = "float32") -> Any:
        return rustorch.Variable(self.of_rank(self.rank, shape, dtype), device=self.device)

    def empty(self, shape: Any, dtype: str = "float32") -> Any:
        return rustorch.zeros(shape, dtype=getattr(rustorch, dtype), device=self.device)


@pytest.fixture
def here(cuda: Target) -> Iterator[Here]:
    """A group whose ranks have a GPU each. Without mpiexec it is a world of one, started for NCCL."""
    from rustorch.backends.cupy import nccl as engine

    if reason := engine.why_not():
        pytest.skip(reason)
    size = ranks.size()
    if rustorch.cuda.device_count() < size:
        pytest.skip(f"needs a GPU for each of {size} ranks, and there are {rustorch.cuda.device_count()}")
    if size == 1:
        dist.init_process_group("nccl")
        yield Here(None, "cuda", 0, 1)
        if dist.is_initialized():
            dist.destroy_process_group()
    else:
        number = dist.get_rank()
        group = dist.new_group()
        yield Here(group, f"cuda:{number}" if number else "cuda", number, size)
        dist.destroy_process_group(group)


def equal(found: Any, expected: Any) -> None:
    numpy.testing.assert_array_equal(host(found), expected)


def exchange_of(here: Here, x: Any) -> Any:
    return (here.group or dist.group.state.group).exchange_for(x.data, "test")


# -- values ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8", "bool", "complex64"])
def test_all_reduce(dtype: str, asynchronous: bool, here: Here) -> None:
    for op in ("sum", "product", "min", "max", "avg"):
        if (op == "avg" and dtype[0] not in "fc") or (op in ("min", "max") and dtype[0] == "c"):
            continue
        for shape in ((2, 3), (), (0, 4)):
            x = here.own(shape, dtype)
            native = x.data
            work = dist.all_reduce(x, op, here.group, asynchronous)
            assert (work is not None) == asynchronous
            if work is not None:
                assert work.wait()
            name = {"product": "prod", "avg": "mean"}.get(op, op)
            equal(x, getattr(numpy, name)(here.of_ranks(shape, dtype), axis=0).astype(dtype))
            assert x.data is native
            assert x.device == here.device
    assert isinstance(exchange_of(here, here.own()), nccl.NcclExchange)


def test_every_collective(here: Here) -> None:
    rank, size, group = here.rank, here.size, here.group
    everything = here.of_ranks()
    for root in range(size):
        x = here.own()
        dist.broadcast(x, root, group)
        equal(x, everything[root])
        x = here.own()
        dist.reduce(x, root, group=group)
        equal(x, everything.sum(0) if rank == root else everything[rank])
        parts = [here.empty((2, 3)) for _ in range(size)] if rank == root else None
        dist.gather(here.own(), parts, root, group)
        for part, value in zip(parts or [], everything, strict=False):
            equal(part, value)
        x, parts = here.empty((2, 3)), None
        if rank == root:
            parts = [rustorch.Variable(value, device=here.device) for value in everything]
        dist.scatter(x, parts, root, group)
        equal(x, everything[rank])
    out = here.empty((2 * size, 3))
    dist.all_gather_into_tensor(out, here.own(), group)
    equal(out, everything.reshape(-1, 3))
    parts = [here.empty((2, 3)) for _ in range(size)]
    dist.all_gather(parts, here.own(), group)
    for part, value in zip(parts, everything, strict=True):
        equal(part, value)
    x = here.empty(3)
    dist.reduce_scatter_tensor(x, here.own((size, 3)), group=group)
    equal(x, here.of_ranks((size, 3)).sum(0)[rank])
    dist.reduce_scatter(x, [here.own((3,)) for _ in range(size)], group=group)
    equal(x, here.of_ranks((3,)).sum(0))
    x = here.empty((size, 2))
    dist.all_to_all_single(x, here.own((size, 2)), group)
    equal(x, here.of_ranks((size, 2))[:, rank])
    parts = [here.empty(2) for _ in range(size)]
    dist.all_to_all(parts, [here.own((2,)) for _ in range(size)], group)
    for part, value in zip(parts, here.of_ranks((2,)), strict=True):
        equal(part, value)
    dist.barrier(group)


def test_values_of_python(here: Here) -> None:
    assert dist.all_gather_object({"rank": here.rank}, here.group) == [{"rank": r} for r in range(here.size)]
    assert dist.broadcast_object(f"from {here.rank}", here.size - 1, here.group) == f"from {here.size - 1}"


def test_exchanges_go_on_in_the_background(here: Here) -> None:
    xs = [here.own() for _ in range(5)]
    works: list[Any] = [dist.all_reduce(x, "avg", here.group, async_op=True) for x in xs]
    y = here.own() * 2
    while not works[4].is_completed():
        pass
    for work in works:
        work.wait()
    for x in xs:
        equal(x, here.of_ranks().mean(0, dtype="float32"))
    equal(y, here.of_rank(here.rank) * 2)


def test_the_host_does_not_wait(here: Here, stand_in: Any) -> None:
    x = here.own()
    dist.all_reduce(x, group=here.group)
    stand_in.LOG.clear()
    for _ in range(3):
        dist.all_reduce(x, group=here.group)
    assert [tuple(event) for event in stand_in.LOG] == [("launch", "allReduce")] * 3


def test_ranks_send_and_receive_at_once(here: Here) -> None:
    if here.size == 1:
        pytest.skip("needs a second rank")
    following, preceding = (here.rank + 1) % here.size, (here.rank - 1) % here.size
    x, y = here.own(), here.empty((2, 3))
    sending = dist.isend(x, following, here.group, tag=3)
    receiving = dist.irecv(y, preceding, here.group, tag=3)
    receiving.wait()
    sending.wait()
    equal(y, here.of_rank(preceding))
    if here.rank == 0:
        assert dist.recv(y, None, here.group) == 1
        equal(y, here.of_rank(1))
    elif here.rank == 1:
        dist.send(x, 0, here.group)


def test_groups_have_communicators_of_their_own(here: Here) -> None:
    if here.size == 1:
        pytest.skip("needs a second rank")
    for members in ([0], [here.size - 1, 0], [1]):
        group = dist.new_group(members)
        if here.rank in members:
            x = here.own()
            dist.all_reduce(x, group=group)
            equal(x, here.of_ranks()[members].sum(0))
        dist.destroy_process_group(group)


# -- training ----------------------------------------------------------------------------------------------------------
def network(normalized: bool) -> nn.Module:
    rustorch.manual_seed(7)
    middle = nn.BatchNorm1d(16) if normalized else nn.Identity()
    return nn.Sequential(nn.Linear(5, 16, bias=not normalized), middle, nn.Tanh(), nn.Linear(16, 3)).to(
        rustorch.float64
    )


def trained(model: Callable[[], Any], here: Here, optimizer: Callable[[Any], Any], whole: bool) -> Any:
    """The weights after five steps: on this rank's part of each batch, or on whole batches."""
    wrapped = model()
    steps = optimizer(wrapped.parameters())
    random = numpy.random.default_rng(3)
    for _ in range(5):
        x, y = random.standard_normal((4 * here.size, 5)), random.standard_normal((4 * here.size, 3))
        part = slice(None) if whole else slice(4 * here.rank, 4 * here.rank + 4)
        steps.zero_grad()
        out = wrapped(rustorch.Variable(x[part], device=here.device))
        nn.functional.mse_loss(out, rustorch.Variable(y[part], device=here.device)).backward()
        steps.step()
    return wrapped


@pytest.mark.parametrize("normalized", [False, True])
def test_training_on_every_rank_is_training_on_the_whole_batch(normalized: bool, here: Here) -> None:
    def spread() -> Any:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(network(normalized), here.group).to(here.device)
        return nn.parallel.DistributedDataParallel(model, process_group=here.group)

    def adam(parameters: Any) -> Any:
        return rustorch.optim.Adam(parameters, lr=0.01)

    found = trained(spread, here, adam, whole=False).module.state_dict()
    expected = trained(lambda: network(normalized).to(here.device), here, adam, whole=True).state_dict()
    for name, value in expected.items():
        numpy.testing.assert_allclose(host(found[name]), host(value), rtol=1e-11, atol=1e-12, err_msg=name)


def test_states_spread_over_ranks_train_alike(here: Here) -> None:
    def spread(parameters: Any) -> Any:
        parameters = list(parameters)
        return rustorch.optim.ZeroRedundancyOptimizer(
            parameters, rustorch.optim.Adam, process_group=here.group, lr=0.01
        )

    def model() -> Any:
        return nn.parallel.DistributedDataParallel(network(False).to(here.device), process_group=here.group)

    found = trained(model, here, spread, whole=False).state_dict()
    expected = trained(model, here, lambda parameters: rustorch.optim.Adam(parameters, lr=0.01), False).state_dict()
    for name, value in expected.items():
        equal(found[name], host(value))


def test_sharded_models_train_alike(here: Here) -> None:
    def spread() -> Any:
        model: Any = network(False).to(here.device)
        for layer in (model[0], model[3]):
            nn.parallel.fully_shard(layer, process_group=here.group)
        return nn.parallel.fully_shard(model, process_group=here.group)

    def adam(parameters: Any) -> Any:
        return rustorch.optim.Adam(parameters, lr=0.01)

    x = rustorch.Variable(numpy.ones((2, 5)), device=here.device)
    found = trained(spread, here, adam, whole=False)(x)
    expected = trained(lambda: network(False).to(here.device), here, adam, whole=True)(x)
    numpy.testing.assert_allclose(host(found.detach()), host(expected.detach()), rtol=1e-11, atol=1e-12)


# -- errors ------------------------------------------------------------------------------------------------------------
def test_arrays_of_the_host_are_refused_where_nccl_was_asked_for(here: Here) -> None:
    if here.size > 1:
        pytest.skip("under mpiexec, MPI exchanges them")
    x = numpy.ones(3)
    with pytest.raises(ValueError, match=r"all_reduce: NCCL exchanges arrays on GPUs, and this one is on 'cpu'; move"):
        dist.all_reduce(x)
    equal(x, [1.0] * 3)


def test_arrays_on_another_gpu_are_refused(here: Here) -> None:
    other = f"cuda:{here.rank + 1}" if here.rank == 0 else "cuda"
    if rustorch.cuda.device_count() < 2:
        pytest.skip("needs a second GPU")
    dist.all_reduce(here.own(), group=here.group)
    with pytest.raises(ValueError, match=f"all_reduce: this rank exchanges arrays on '{here.device}', and this one is"):
        dist.all_reduce(rustorch.ones(3, device=other), group=here.group)
    x = here.own()
    dist.all_reduce(x, group=here.group)
    equal(x, here.of_ranks().sum(0))


class Ranks(Alone):
    """What this rank hears from others that say the same, but for some words."""

    def __init__(self, **different: str):
        self.different = different

    def gather_bytes(self, data: bytes) -> list[bytes]:
        other = data
        for name, value in self.different.items():
            other = json.dumps({**json.loads(other), name: value}).encode()
        return [data, other]


@pytest.mark.parametrize(
    ("different", "message"),
    [
        ({}, "ranks 0, 1 have arrays on the same GPU, 'cuda'; give each rank a GPU of its own"),
        ({"bus": "x", "missing": "NCCL is not installed: pip install it"}, "on rank 1, NCCL is not installed: pip"),
        ({"machine": "other", "missing": "NCCL is not installed: pip install it"}, "on rank 1, NCCL is not installed"),
    ],
)
def test_ranks_that_nccl_cannot_connect_are_named(different: dict[str, str], message: str, cuda: Target) -> None:
    x, others = cuda.array([1.0]), Ranks(**different)
    with pytest.raises(RuntimeError, match=f"NCCL cannot connect the 2 ranks: {message}"):
        nccl.connect(others, 0, 2, cuda.library, x, required=True)
    if different:
        with pytest.warns(RuntimeWarning, match=f"exchanged through the memory of the host, which is slow: {message}"):
            assert nccl.connect(others, 0, 2, cuda.library, x, required=False) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nccl.connect(others, 1, 2, cuda.library, x, required=False) is None

"""Clipping where each rank has a piece of every parameter: the norm, and the clipped values, are those of the whole."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.distributed.shard import Sharding
from rustorch.nn import utils
from rustorch.nn.parallel import DistributedDataParallel
from tests.reference import cases
from tests.support.target import Target

pytestmark = pytest.mark.ranks

INF = math.inf
#: More and fewer elements than ranks, one, and none.
SHAPES: list[tuple[int, ...]] = [(3, 4), (), (7,), (0, 3), (5, 2), (1,)]


def pieces_of(
    dist: ModuleType, backend: Target, values: list[numpy.ndarray], dtypes: tuple[str, ...], group: Any = None
) -> list[rustorch.Variable]:
    """Parameters that are pieces, with the pieces of ``values`` as gradients, as fully_shard makes them."""
    group = group or dist.new_group()
    parameters = []
    for i, value in enumerate(values):
        longest = -(-value.size // group.size)
        start, stop = (min(rank * longest, value.size) for rank in (group.rank, group.rank + 1))
        piece = value.reshape(-1)[start:stop]
        dtype = dtypes[i % len(dtypes)]
        p = backend.variable(2 * piece, dtype, requires_grad=True)
        p._sharding = Sharding(value.shape, start, stop, group)
        p.grad = backend.array(piece, dtype)
        parameters.append(p)
    return parameters


def gradients(scale: float = 1.0) -> list[numpy.ndarray]:
    return [scale * cases.numbers(shape, 0.3 * i) for i, shape in enumerate(SHAPES)]


@pytest.mark.parametrize("order", [1.0, 2.0, 2.5, INF, "inf", 0.0, -1.0, -INF])
@pytest.mark.parametrize("dtypes", [("float64",), ("float32",), ("float64", "float32")])
def test_the_norm_is_that_of_the_whole_gradients(
    order: Any, dtypes: tuple[str, ...], dist: ModuleType, backend: Target
) -> None:
    values = [v for v in gradients() if float(order) > 0 or v.size]
    plain = [backend.variable(v, dtypes[i % len(dtypes)], requires_grad=True) for i, v in enumerate(values)]
    for q, v in zip(plain, values, strict=True):
        q.grad = backend.array(v, q.dtype)
    parameters = pieces_of(dist, backend, values, dtypes)
    expected = utils.clip_grad_norm_(plain, 0.5, order)
    total = utils.clip_grad_norm_(iter(parameters), 0.5, order)
    assert (total.shape, total.dtype, total.device) == ((), expected.dtype, backend.device)
    tolerance = 1e-12 if dtypes == ("float64",) else 1e-5
    numpy.testing.assert_allclose(backend.numpy(total), backend.numpy(expected), rtol=tolerance)
    for p, q in zip(parameters, plain, strict=True):
        piece = backend.numpy(q.grad).reshape(-1)[p._sharding.start : p._sharding.stop]
        numpy.testing.assert_allclose(backend.numpy(p.grad), piece, rtol=tolerance, atol=tolerance)
        assert rustorch.Variable(p.grad).dtype == q.dtype
    assert len(set(dist.all_gather_object(float(total)))) == 1
    # parameters themselves are whole, too
    norms = [utils.get_total_norm(listed, order) for listed in (parameters, [2 * v for v in values])]
    numpy.testing.assert_allclose(backend.numpy(norms[0]), float(norms[1].to("cpu")), rtol=tolerance)


def test_pieces_beside_whole_parameters_and_several_groups(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    alone = [dist.new_group([r]) for r in range(size)]
    values = gradients()
    whole = backend.variable(values[0], requires_grad=True)
    whole.grad = backend.array(values[0])
    parameters = [
        *pieces_of(dist, backend, values[1:3], ("float64",)),
        whole,
        *pieces_of(dist, backend, values[3:5], ("float64",)),
        *pieces_of(dist, backend, values[5:], ("float64",), alone[rank]),
    ]
    total = utils.clip_grad_norm_(parameters, 0.5)
    flat = numpy.concatenate([v.reshape(-1) for v in values])
    numpy.testing.assert_allclose(backend.numpy(total), numpy.linalg.norm(flat), rtol=1e-12)


@pytest.mark.parametrize("order", [2.0, INF, 0.0, -1.0])
def test_ranks_without_gradients_take_part(order: float, dist: ModuleType, backend: Target) -> None:
    """The first rank lacks every gradient, the last one some."""
    values = [v + 2 for v in gradients() if v.size]
    parameters = pieces_of(dist, backend, values, ("float64",))
    rank, size = dist.get_rank(), dist.get_world_size()
    for i, p in enumerate(parameters):
        if rank == 0 or (rank == size - 1 and i % 2):
            p.grad = None
    kept = dist.all_gather_object([[] if p.grad is None else backend.numpy(p.grad).tolist() for p in parameters])
    arrays = [numpy.concatenate([numpy.asarray(one[i]) for one in kept]) for i in range(len(values))]
    norms = numpy.asarray([numpy.linalg.norm(a, order) for a in arrays if a.size])
    if size > 1:
        total = utils.clip_grad_norm_(parameters, 1e9, order)
        numpy.testing.assert_allclose(backend.numpy(total), numpy.linalg.norm(norms, order), rtol=1e-12)
    elif order >= 0:
        assert utils.clip_grad_norm_(parameters, 1.0, order).item() == 0.0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_gradient_that_is_not_finite_raises_on_every_rank(dist: ModuleType, backend: Target) -> None:
    values = gradients()
    values[0][0, 0] = numpy.nan  # the piece of rank 0
    parameters = pieces_of(dist, backend, values, ("float64",))
    before = [p.grad for p in parameters]
    with pytest.raises(RuntimeError, match=r"the total norm of order 2\.0 is nan: a gradient is not finite"):
        utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert all(p.grad is g for p, g in zip(parameters, before, strict=True))
    assert math.isnan(utils.clip_grad_norm_(parameters, 1.0).item())


def test_huge_gradients_do_not_overflow(dist: ModuleType, backend: Target) -> None:
    parameters = pieces_of(dist, backend, [numpy.full((4,), 1e200)], ("float64",))
    total = utils.clip_grad_norm_(parameters, 1.0)
    numpy.testing.assert_allclose(backend.numpy(total), 2e200, rtol=1e-12)


def test_values_are_clipped_each(dist: ModuleType, backend: Target) -> None:
    values = gradients(10.0)
    parameters = pieces_of(dist, backend, values, ("float64",))
    utils.clip_grad_value_(parameters, 1.5)
    for p, value in zip(parameters, values, strict=True):
        piece = value.reshape(-1)[p._sharding.start : p._sharding.stop]
        numpy.testing.assert_array_equal(backend.numpy(p.grad), numpy.clip(piece, -1.5, 1.5))


@pytest.mark.parametrize("as_views", [False, True])
def test_clipping_with_ddp_and_a_spread_optimizer(as_views: bool, dist: ModuleType) -> None:
    """Ranks with a part of the batch each make the steps of one process with the whole batch."""
    rank, size = dist.get_rank(), dist.get_world_size()

    def made() -> Any:
        rustorch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).to(rustorch.float64)

    plain, model = made(), DistributedDataParallel(made())
    reference = rustorch.optim.AdamW(plain.parameters(), lr=0.01, eps=1e-3)
    optimizer = rustorch.optim.ZeroRedundancyOptimizer(
        model.parameters(), rustorch.optim.AdamW, parameters_as_bucket_view=as_views, lr=0.01, eps=1e-3
    )
    for step in range(6):
        batch = rustorch.Variable(cases.numbers((4 * size, 5), 0.3 * step))
        for one, network, x in (
            (reference, plain, batch),
            (optimizer, model, batch[4 * rank : 4 * rank + 4]),
        ):
            one.zero_grad()
            rustorch.mean(network(x) ** 2).backward()
        norms = [utils.clip_grad_norm_(network.parameters(), 0.02) for network in (plain, model)]
        numpy.testing.assert_allclose(norms[1], norms[0], rtol=1e-12)
        assert norms[0].item() > 0.02
        reference.step()
        optimizer.step()
        for p, q in zip(model.parameters(), plain.parameters(), strict=True):
            numpy.testing.assert_allclose(p.data, q.data, rtol=1e-12, atol=1e-13)
    state_bytes = dist.all_gather_object(sum(entries["exp_avg"].nbytes for entries in optimizer.state.values()))
    assert sum(state_bytes) == 8 * sum(p.size for p in plain.parameters())

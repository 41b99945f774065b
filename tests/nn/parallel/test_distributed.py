"""DistributedDataParallel: what a call, backward and the context no_sync do."""

from __future__ import annotations

import copy
import gc
import tracemalloc
import weakref
from functools import partial
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.autograd import leaf_hooks
from rustorch.nn.parallel import DistributedDataParallel
from tests.support.distributed_models import averaged, batch, check_gradients, network, squares
from tests.support.target import Target

pytestmark = pytest.mark.ranks

#: A size of buckets in MiB that makes several of a small network.
TINY = 1e-4


def losses_of(dist: ModuleType, backend: Target, step: int = 0) -> list[Any]:
    """The loss of each rank, as a function of the module."""

    def loss(rank: int, module: Any) -> rustorch.Variable:
        return squares(module(batch(backend, rank, step)))

    return [partial(loss, rank) for rank in range(dist.get_world_size())]


@pytest.mark.parametrize("cap", [25, TINY])
@pytest.mark.parametrize("as_views", [True, False])
def test_backward_averages_the_gradients(dist: ModuleType, backend: Target, cap: float, as_views: bool) -> None:
    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=cap, gradient_as_bucket_view=as_views)
    for step in range(3):
        ddp.zero_grad()
        losses = losses_of(dist, backend, step)
        losses[dist.get_rank()](ddp).backward()
        check_gradients(backend, ddp.module, averaged(lambda: network(backend), losses))


def test_gradients_add_up_until_they_are_cleared(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=TINY)
    expected: dict[str, Any] = {}
    for step in range(3):
        losses = losses_of(dist, backend, step)
        losses[dist.get_rank()](ddp).backward()
        for name, g in averaged(lambda: network(backend), losses).items():
            expected[name] = g if step == 0 else expected[name] + g
        check_gradients(backend, ddp.module, expected)
    ddp.zero_grad(set_to_none=False)
    losses[dist.get_rank()](ddp).backward()
    check_gradients(backend, ddp.module, averaged(lambda: network(backend), losses))


def test_gradients_are_parts_of_the_buckets(dist: ModuleType) -> None:
    backend = Target("cpu")
    ddp = DistributedDataParallel(network(backend))
    squares(ddp(batch(backend, dist.get_rank()))).backward()
    for p in ddp.parameters():
        owned = p.grad is not None and p.grad.base is None
        assert owned == (dist.get_world_size() == 1)
    if dist.get_world_size() > 1:
        assert ddp._reducer is not None
        (bucket,) = ddp._reducer.buckets
        assert all(numpy.shares_memory(p.grad, bucket.flat) for p in ddp.parameters())


def test_gradients_take_no_memory_beside_the_buckets(dist: ModuleType) -> None:
    backend = Target("cpu")
    model = nn.Sequential(*[nn.Linear(256, 256, bias=False) for _ in range(8)])
    squares(model(batch(backend, dist.get_rank(), 0, (2, 256)).float())).backward()  # compiled loops are made
    model.zero_grad()
    ddp = DistributedDataParallel(model, bucket_cap_mb=0.5)
    total = sum(p.data.nbytes for p in ddp.parameters())
    for first in True, False:
        ddp.zero_grad()
        loss = squares(ddp(batch(backend, dist.get_rank(), 0, (2, 256)).float()))
        tracemalloc.start()
        loss.backward()
        now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if dist.get_world_size() == 1 or first:
            assert 0.9 * total < now < 1.1 * total
            assert peak < 1.4 * total  # with a gradient on its way into its bucket
        else:
            assert now < 0.1 * total
            assert peak < 0.4 * total


def test_all_ranks_stay_equal_bit_for_bit(dist: ModuleType) -> None:
    rustorch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 31), nn.Tanh(), nn.Linear(31, 7))
    ddp = DistributedDataParallel(model, bucket_cap_mb=TINY)
    optimizer = rustorch.optim.Adam(ddp.parameters(), lr=0.05)
    for step in range(20):
        optimizer.zero_grad()
        squares(ddp(batch(Target("cpu"), dist.get_rank(), step, (8, 20)).float()) - 1).backward()
        optimizer.step()
    states = dist.all_gather_object([p.data.tobytes().hex() for p in ddp.parameters()])
    assert all(state == states[0] for state in states)


def test_exchanges_begin_while_backward_goes_on(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=1e-6)  # a bucket for each parameter
    if ddp._reducer is None:
        return
    reducer, started = ddp._reducer, []
    x = batch(backend, dist.get_rank())
    x.requires_grad = True
    hidden = ddp.module[0](x)
    hidden.register_hook(lambda g: started.append(reducer._next))
    squares(ddp.module[4](ddp.module[3](ddp.module[2](ddp.module[1](hidden))))).backward()
    assert len(reducer.buckets) == 6
    assert started == [4]  # all but the weight and the bias of the first layer


def test_buckets_have_the_order_in_which_gradients_are_complete(dist: ModuleType, backend: Target) -> None:
    class Crossed(nn.Module):
        """Its layers are called in another order than the one in which they are registered."""

        def __init__(self) -> None:
            super().__init__()
            self.last, self.first, self.middle = (nn.Linear(3, 3) for _ in range(3))

        def forward(self, x: Any) -> Any:
            return self.last(self.middle(self.first(x)))

    rustorch.manual_seed(0)
    ddp = DistributedDataParallel(Crossed().to(device=backend.device, dtype=rustorch.float64), bucket_cap_mb=TINY)
    squares(ddp(batch(backend, dist.get_rank()))).backward()
    if ddp._reducer is not None:
        order = [ddp._reducer.names[i].split(".")[0] for bucket in ddp._reducer.buckets for i in bucket.numbers]
        assert list(dict.fromkeys(order)) == ["last", "middle", "first"]


def test_all_ranks_start_with_the_values_of_rank_0(dist: ModuleType, backend: Target) -> None:
    def make(seed: int) -> nn.Module:
        rustorch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).to(device=backend.device)
        module[1].running_mean[...] = seed + 1.0
        module[1].num_batches_tracked[...] = seed
        module[0].requires_grad_(False)
        return module

    expected = make(0).state_dict()
    kept = make(dist.get_rank()).state_dict()
    for init_sync, wanted in (True, expected), (False, kept):
        ddp = DistributedDataParallel(make(dist.get_rank()), init_sync=init_sync)
        assert list(ddp.state_dict()) == [f"module.{name}" for name in wanted]
        for name, value in wanted.items():
            numpy.testing.assert_array_equal(backend.numpy(ddp.state_dict()[f"module.{name}"]), backend.numpy(value))


@pytest.mark.parametrize("broadcast_buffers", [True, False])
def test_a_forward_takes_over_the_buffers_of_rank_0(dist: ModuleType, backend: Target, broadcast_buffers: bool) -> None:
    rank = dist.get_rank()
    rustorch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=0.5)).to(device=backend.device)
    ddp = DistributedDataParallel(module, broadcast_buffers=broadcast_buffers)
    plain = copy.deepcopy(module)
    x = batch(backend, rank).float()
    for _ in range(2):
        squares(ddp(x)).backward()
    plain(batch(backend, 0 if broadcast_buffers else rank).float())
    plain(x)
    numpy.testing.assert_allclose(
        backend.numpy(module[1].running_mean), backend.numpy(plain[1].running_mean), rtol=1e-6
    )
    ddp.eval()
    with rustorch.no_grad():
        ddp(x)  # the buffers changed since the last exchange
        before = backend.numpy(module[1].running_mean).copy()
        if rank == 0:  # and now they did not, so that one rank can call it alone
            ddp(x)
    means = dist.all_gather_object(before.tolist())
    assert (len({str(mean) for mean in means}) == 1) == (broadcast_buffers or dist.get_world_size() == 1)


def test_no_sync_adds_up_and_the_next_backward_exchanges_the_sum(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=TINY)
    for round in range(2):
        ddp.zero_grad()
        with ddp.no_sync():
            for step in range(2):
                losses_of(dist, backend, step)[rank](ddp).backward()
        alone = network(backend)
        for step in range(2):
            losses_of(dist, backend, step)[rank](alone).backward()
        own = {name: p.grad for name, p in alone.named_parameters()}
        check_gradients(backend, ddp.module, own)  # nothing was exchanged so far
        losses_of(dist, backend, 2)[rank](ddp).backward()

        def together(rank: int, module: Any) -> rustorch.Variable:
            parts = [losses_of(dist, backend, step)[rank](module) for step in range(3)]
            return parts[0] + parts[1] + parts[2]

        expected = averaged(lambda: network(backend), [partial(together, rank) for rank in range(size)])
        check_gradients(backend, ddp.module, expected)
        assert ddp.require_backward_grad_sync, round


def test_the_forward_decides_whether_backward_exchanges(dist: ModuleType, backend: Target) -> None:
    rank = dist.get_rank()
    ddp, alone = DistributedDataParallel(network(backend)), network(backend)
    with ddp.no_sync():
        loss = squares(ddp(batch(backend, rank)))
    loss.backward()
    squares(alone(batch(backend, rank))).backward()
    check_gradients(backend, ddp.module, {name: p.grad for name, p in alone.named_parameters()})
    ddp.zero_grad()
    loss = squares(ddp(batch(backend, rank)))
    with ddp.no_sync():
        loss.backward()
    check_gradients(backend, ddp.module, averaged(lambda: network(backend), losses_of(dist, backend)))


def test_several_forwards_before_one_backward(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()

    def loss(rank: int, module: Any) -> rustorch.Variable:
        first = module(batch(backend, rank, 0))
        with rustorch.no_grad():
            module(batch(backend, rank, 5))
        return squares(first) + squares(module(batch(backend, rank, 1)))

    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=TINY)
    for _ in range(2):
        ddp.zero_grad()
        loss(rank, ddp).backward()
        expected = averaged(lambda: network(backend), [partial(loss, r) for r in range(size)])
        check_gradients(backend, ddp.module, expected)


def test_two_backwards_through_one_graph(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend))
    loss = squares(ddp(batch(backend, dist.get_rank())))
    loss.backward(retain_graph=True)
    loss.backward()
    once = averaged(lambda: network(backend), losses_of(dist, backend))
    check_gradients(backend, ddp.module, {name: 2 * g for name, g in once.items()})  # type: ignore[operator]


class Shared(nn.Module):
    """A weight that two layers share, and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.frozen = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.frozen.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return {"out": self.second(rustorch.tanh(self.frozen(rustorch.tanh(self.first(x))))), "more": (x, None)}


def test_shared_and_frozen_parameters_and_outputs_in_a_dict(dist: ModuleType, backend: Target) -> None:
    def make() -> nn.Module:
        rustorch.manual_seed(0)
        return Shared().to(device=backend.device, dtype=rustorch.float64)

    def loss(rank: int, module: Any) -> rustorch.Variable:
        return squares(module(batch(backend, rank))["out"])

    ddp = DistributedDataParallel(make(), bucket_cap_mb=TINY)
    for _ in range(2):
        ddp.zero_grad()
        loss(dist.get_rank(), ddp).backward()
        expected = averaged(make, [partial(loss, rank) for rank in range(dist.get_world_size())])
        assert expected["frozen.weight"] is None
        check_gradients(backend, ddp.module, expected)


def test_an_lstm_with_its_tuple_of_outputs(dist: ModuleType, backend: Target) -> None:
    def make() -> nn.Module:
        rustorch.manual_seed(0)
        return nn.LSTM(3, 4, num_layers=2, batch_first=True).to(device=backend.device, dtype=rustorch.float64)

    def loss(rank: int, module: Any) -> rustorch.Variable:
        out, (h, c) = module(batch(backend, rank, 0, (2, 5, 3)))
        return squares(out) + squares(h) + squares(c)

    ddp = DistributedDataParallel(make())
    loss(dist.get_rank(), ddp).backward()
    expected = averaged(make, [partial(loss, rank) for rank in range(dist.get_world_size())])
    check_gradients(backend, ddp.module, expected)


def test_a_checkpoint_inside(dist: ModuleType, backend: Target) -> None:
    class Saving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(backend)

        def forward(self, x: Any) -> Any:
            return rustorch.checkpoint(self.net, x)

    ddp = DistributedDataParallel(Saving(), bucket_cap_mb=TINY)
    losses = losses_of(dist, backend)
    losses[dist.get_rank()](ddp).backward()
    check_gradients(backend, ddp.module, averaged(Saving, losses))


def test_parameters_of_several_dtypes_and_without_elements(dist: ModuleType, backend: Target) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.single = nn.Parameter(rustorch.ones(3, dtype=rustorch.float32))
            self.scalar = nn.Parameter(rustorch.asarray(2.0, dtype=rustorch.float64))
            self.empty = nn.Parameter(rustorch.zeros((0, 3), dtype=rustorch.float64))
            self.complex = nn.Parameter(rustorch.asarray([1.0 + 1.0j], dtype=rustorch.complex128))

        def forward(self, x: Any) -> Any:
            out = x * self.single.double() * self.scalar + self.empty.sum()
            return out + rustorch.real(self.complex * (2.0 - 1.0j))

    def make() -> nn.Module:
        return Mixed().to(device=backend.device)

    losses = losses_of(dist, backend)
    ddp = DistributedDataParallel(make(), bucket_cap_mb=TINY)
    for _ in range(2):
        ddp.zero_grad()
        losses[dist.get_rank()](ddp).backward()
        for (name, p), g in zip(ddp.module.named_parameters(), averaged(make, losses).values(), strict=True):
            assert p.grad is not None and g is not None
            assert rustorch.Variable(p.grad).dtype == p.dtype
            numpy.testing.assert_allclose(backend.numpy(p.grad), g, rtol=1e-6, err_msg=name)


def test_one_group_of_some_ranks(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    group = dist.new_group([size - 1])
    if rank == size - 1:
        ddp = DistributedDataParallel(network(backend), process_group=group)
        losses_of(dist, backend)[rank](ddp).backward()
        alone = averaged(lambda: network(backend), losses_of(dist, backend)[rank:])
        check_gradients(backend, ddp.module, alone)
    else:
        with pytest.raises(ValueError, match=f"rank {rank} is not in the group"):
            DistributedDataParallel(network(backend), process_group=group)


def test_gradients_of_inputs_and_their_gradients(dist: ModuleType, backend: Target) -> None:
    def loss(rank: int, module: Any) -> rustorch.Variable:
        x = batch(backend, rank)
        x.requires_grad = True
        (g,) = rustorch.grad(module(x).sum(), x, create_graph=True)
        return squares(g) + squares(module(x))

    ddp = DistributedDataParallel(network(backend))
    loss(dist.get_rank(), ddp).backward()
    expected = averaged(lambda: network(backend), [partial(loss, rank) for rank in range(dist.get_world_size())])
    check_gradients(backend, ddp.module, expected)


def test_a_world_of_one_adds_nothing(dist: ModuleType, backend: Target) -> None:
    module = network(backend)
    ddp = DistributedDataParallel(module)
    if dist.get_world_size() == 1:
        assert ddp._reducer is None
        assert all(p._post_hooks is None for p in module.parameters())
        (g,) = rustorch.grad(squares(ddp(batch(backend, 0))), module[0].weight)
        assert g.shape == module[0].weight.shape


def test_a_dropped_module_leaves_no_hooks(dist: ModuleType, backend: Target) -> None:
    module = network(backend)
    before = leaf_hooks.registered.count
    gc.disable()
    try:
        for _ in range(2):
            ddp = DistributedDataParallel(module)
            squares(ddp(batch(backend, dist.get_rank()))).backward()
            gone = weakref.ref(ddp)
            del ddp
            assert gone() is None
            assert leaf_hooks.registered.count == before
    finally:
        gc.enable()


def test_a_copy_exchanges_its_own_gradients(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend))
    other = copy.deepcopy(ddp)
    losses = losses_of(dist, backend)
    losses[dist.get_rank()](other).backward()
    check_gradients(backend, other.module, averaged(lambda: network(backend), losses))
    assert all(p.grad is None for p in ddp.parameters())
    average = rustorch.optim.swa_utils.AveragedModel(ddp)
    average.update_parameters(ddp)


def test_an_error_in_backward_does_not_harm_the_next_one(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend), bucket_cap_mb=TINY)
    losses = losses_of(dist, backend)

    def fail(g: Any) -> None:
        raise ZeroDivisionError

    hidden = ddp.module[0](batch(backend, dist.get_rank()))
    hidden.register_hook(fail)
    with pytest.raises(ZeroDivisionError):
        squares(ddp.module[4](ddp.module[2](hidden))).backward()
    ddp.zero_grad()
    losses[dist.get_rank()](ddp).backward()
    check_gradients(backend, ddp.module, averaged(lambda: network(backend), losses))

"""DistributedDataParallel where a loss depends on a part of the parameters."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn.parallel import DistributedDataParallel
from tests.support.distributed_models import averaged, batch, check_gradients, squares
from tests.support.jobs import run
from tests.support.target import Target

TINY = 1e-4


class Branches(nn.Module):
    """A layer that all use, and branches of which a call takes some."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.common = nn.Linear(3, 3)
        self.branches = nn.ModuleList([nn.Linear(3, 2) for _ in range(n)])

    def forward(self, x: Any, taken: list[int]) -> rustorch.Variable:
        hidden = rustorch.tanh(self.common(x))
        out: rustorch.Variable = hidden.sum() * 0.5
        for i in taken:
            out = out + squares(self.branches[i](hidden))
        return out


def make(backend: Target, n: int) -> Branches:
    rustorch.manual_seed(0)
    module: Branches = Branches(n).to(device=backend.device, dtype=rustorch.float64)
    return module


def loss(backend: Target, rank: int, taken: list[int], module: Any) -> rustorch.Variable:
    out: rustorch.Variable = module(batch(backend, rank), taken)
    return out


@pytest.mark.ranks
@pytest.mark.parametrize("as_views", [True, False])
@pytest.mark.parametrize("cap", [25, TINY])
def test_each_rank_uses_other_parameters(dist: ModuleType, backend: Target, cap: float, as_views: bool) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(
        make(backend, size + 1),
        find_unused_parameters=True,
        bucket_cap_mb=cap,
        gradient_as_bucket_view=as_views,
    )
    for shift in range(2):
        ddp.zero_grad()
        taken = [[(r + shift) % size] for r in range(size)]
        loss(backend, rank, taken[rank], ddp).backward()
        losses = [partial(loss, backend, r, taken[r]) for r in range(size)]
        expected = averaged(lambda: make(backend, size + 1), losses)
        assert expected[f"branches.{size}.weight"] is None  # no rank takes the last branch
        check_gradients(backend, ddp.module, expected)


@pytest.mark.ranks
def test_a_parameter_that_no_rank_uses_keeps_its_gradient(dist: ModuleType, backend: Target) -> None:
    rank = dist.get_rank()
    ddp = DistributedDataParallel(make(backend, 2), find_unused_parameters=True)
    loss(backend, rank, [0, 1], ddp).backward()
    before = {name: backend.numpy(p.grad).copy() for name, p in ddp.named_parameters()}
    loss(backend, rank, [1], ddp).backward()
    for name, p in ddp.named_parameters():
        equal = numpy.array_equal(backend.numpy(p.grad), before[name])
        assert equal == ("branches.0" in name), name


@pytest.mark.ranks
def test_what_a_rank_accumulated_counts_where_it_uses_a_parameter_no_more(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(make(backend, 2), find_unused_parameters=True)
    with ddp.no_sync():
        loss(backend, rank, [0], ddp).backward()
    last = [[0, 1] if r == 0 else [1] for r in range(size)]
    loss(backend, rank, last[rank], ddp).backward()

    def both(r: int, module: Any) -> rustorch.Variable:
        return loss(backend, r, [0], module) + loss(backend, r, last[r], module)

    check_gradients(backend, ddp.module, averaged(lambda: make(backend, 2), [partial(both, r) for r in range(size)]))


@pytest.mark.ranks
def test_a_static_graph_finds_unused_parameters_once(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(make(backend, size + 1), static_graph=True, bucket_cap_mb=TINY)
    losses = [partial(loss, backend, r, [r]) for r in range(size)]
    for _ in range(3):
        ddp.zero_grad()
        losses[rank](ddp).backward()
        check_gradients(backend, ddp.module, averaged(lambda: make(backend, size + 1), losses))
    if size > 1:
        before = {name: None if p.grad is None else backend.numpy(p.grad).copy() for name, p in ddp.named_parameters()}
        other = loss(backend, rank, [(rank + 1) % size], ddp)
        with pytest.raises(
            RuntimeError, match=rf"static_graph=True each loss depends on the same.*branches\.{rank}\.weight"
        ):
            other.backward()
        for name, p in ddp.named_parameters():
            numpy.testing.assert_equal(None if p.grad is None else backend.numpy(p.grad), before[name])


@pytest.mark.ranks
def test_an_unused_parameter_is_named(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(make(backend, 2))
    if size > 1:
        missing = r"depend on 2 of 6 parameters: \['branches\.0\.weight', 'branches\.0\.bias'\].*find_unused_parameters"
        for _ in range(2):
            with pytest.raises(RuntimeError, match=rf"on rank {rank} .* {missing}"):
                loss(backend, rank, [1], ddp).backward()
            assert all(p.grad is None for p in ddp.parameters())
    loss(backend, rank, [0, 1], ddp).backward()
    losses = [partial(loss, backend, r, [0, 1]) for r in range(size)]
    check_gradients(backend, ddp.module, averaged(lambda: make(backend, 2), losses))


@pytest.mark.ranks
def test_parameters_frozen_after_wrapping_keep_their_gradients(dist: ModuleType, backend: Target) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(make(backend, 1))
    loss(backend, rank, [0], ddp).backward()
    ddp.module.common.requires_grad_(False)
    before = backend.numpy(ddp.module.common.weight.grad).copy()
    ddp.module.branches.zero_grad()
    loss(backend, rank, [0], ddp).backward()
    numpy.testing.assert_array_equal(backend.numpy(ddp.module.common.weight.grad), before)
    losses = [partial(loss, backend, r, [0]) for r in range(size)]
    expected = averaged(lambda: make(backend, 1), losses)
    numpy.testing.assert_allclose(
        backend.numpy(ddp.module.branches[0].weight.grad), backend.numpy(expected["branches.0.weight"]), rtol=1e-12
    )


class Dropping(rustorch.autograd.Function):
    """The sum of two values, which gives the first one no gradient."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        return a + b

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return None, g


@pytest.mark.ranks
def test_a_parameter_that_a_rule_gives_no_gradient(dist: ModuleType, backend: Target) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.without, self.plain = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Any, drops: bool) -> Any:
            a, b = self.without(x), self.plain(x)
            return squares(Dropping.apply(a, b) if drops else a + b)

    def build() -> nn.Module:
        rustorch.manual_seed(0)
        return Model().to(device=backend.device, dtype=rustorch.float64)

    def value(r: int, module: Any) -> Any:
        return module(batch(backend, r), r == 0)

    rank, size = dist.get_rank(), dist.get_world_size()
    ddp = DistributedDataParallel(build(), bucket_cap_mb=TINY)
    value(rank, ddp).backward()
    if size > 1:
        check_gradients(backend, ddp.module, averaged(build, [partial(value, r) for r in range(size)]))


def test_one_rank_without_a_parameter_ends_the_job_with_its_name() -> None:
    program = """
import rustorch, rustorch.distributed as dist
from rustorch import nn
dist.init_process_group()
module = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = module
    def forward(self, x):
        out = self.layers["a"](x)
        return out if dist.get_rank() == 1 else self.layers["b"](out)
ddp = nn.parallel.DistributedDataParallel(Model())
ddp(rustorch.ones((1, 2))).sum().backward()
"""
    done = run(program, 2)
    assert done.returncode != 0
    assert "on rank 1 " in done.stderr
    assert "layers.b.weight" in done.stderr

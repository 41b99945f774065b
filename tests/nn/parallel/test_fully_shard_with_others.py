"""fully_shard together with the rest of the library: hooks, searches for faults, parametrizations, files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn.parallel import DistributedDataParallel, fully_shard
from rustorch.nn.utils import parametrizations
from tests.support.sharded_models import MODELS, batch, loss_of, made, mlp, shard

pytestmark = pytest.mark.ranks


def check_gradients(dist: ModuleType, model: Any, reference: Any, name: str = "mlp") -> None:
    """Compare the gradients of this rank with those of all batches together on one process."""
    ranks = dist.get_world_size()
    reference.zero_grad()
    (sum(loss_of(reference(batch(name, 0, rank, 2))) for rank in range(ranks)) / ranks).backward()
    for (key, p), q in zip(reference.named_parameters(), model.parameters(), strict=True):
        expected = p.grad.reshape(-1)[q._sharding.start : q._sharding.stop]
        numpy.testing.assert_allclose(q.grad, expected, rtol=1e-11, atol=1e-14, err_msg=key)


@pytest.mark.parametrize("reshard", [None, True])
def test_saved_values_may_be_packed(dist: ModuleType, reshard: Any) -> None:
    model = made("gpt")
    shard(model, list(model.blocks), reshard_after_forward=reshard)
    with rustorch.autograd.saved_tensors_hooks(lambda value: value.data.copy(), lambda packed: packed):
        loss_of(model(batch("gpt", 0, dist.get_rank(), 2))).backward()
    check_gradients(dist, model, made("gpt"), "gpt")


@pytest.mark.parametrize("context", [rustorch.autograd.detect_anomaly, rustorch.autograd.detect_writes])
def test_searches_for_faults(dist: ModuleType, context: Any) -> None:
    model = made("lstm")
    shard(model, MODELS["lstm"][2](model))
    with context():
        loss_of(model(batch("lstm", 0, dist.get_rank(), 2))).backward()
    check_gradients(dist, model, made("lstm"), "lstm")


def test_hooks_of_parameters_see_pieces(dist: ModuleType) -> None:
    model, seen = made("mlp"), []
    shard(model, MODELS["mlp"][2](model), reshard_after_forward=True)
    for p in model.parameters():
        p.register_hook(lambda g: seen.append(g.shape))
        p.register_post_accumulate_grad_hook(lambda leaf: seen.append(leaf.grad.shape))
    loss_of(model(batch("mlp", 0, dist.get_rank(), 2))).backward()
    shapes = [p.shape for p in model.parameters()]
    assert sorted(seen) == sorted(shapes * 2)
    check_gradients(dist, model, made("mlp"))


def test_a_step_as_soon_as_a_gradient_is_complete(dist: ModuleType) -> None:
    """The optimizer changes each unit's parameters while backward goes on with the units before."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    reference, model = made("mlp"), made("mlp")
    shard(model, MODELS["mlp"][2](model))
    optimizers = {p: rustorch.optim.SGD([p], lr=0.1) for p in model.parameters()}

    def step(p: Any) -> None:
        optimizers[p].step()
        p.grad = None

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    for i in range(3):
        reference.zero_grad()
        (sum(loss_of(reference(batch("mlp", i, r, 2))) for r in range(ranks)) / ranks).backward()
        for p in reference.parameters():
            p.data[...] -= 0.1 * p.grad
        loss_of(model(batch("mlp", i, rank, 2))).backward()
    with model.summon_full_params():
        for p, q in zip(reference.parameters(), model.parameters(), strict=True):
            numpy.testing.assert_allclose(q.data, p.data, rtol=1e-12, atol=1e-14)


def test_hooks_of_modules(dist: ModuleType) -> None:
    model, seen = made("mlp"), []
    shard(model, MODELS["mlp"][2](model))
    model[0].register_forward_hook(lambda module, args, out: seen.append(module.weight.shape))
    model[2].register_forward_pre_hook(lambda module, args: seen.append(module.weight.shape))
    model[2].register_full_backward_hook(lambda module, g_in, g_out: seen.append("backward"))
    loss_of(model(batch("mlp", 0, dist.get_rank(), 2))).backward()
    assert seen == [(7, 5), (4, 7), "backward"]
    check_gradients(dist, model, made("mlp"))


def test_parametrizations(dist: ModuleType) -> None:
    def make() -> Any:
        rustorch.manual_seed(0)
        model: Any = mlp().double()
        parametrizations.weight_norm(model[0])
        parametrizations.spectral_norm(model[2])
        return model.eval()  # spectral norm changes buffers in training

    model = make()
    shard(model, [model[0], model[2]], reshard_after_forward=True)
    loss_of(model(batch("mlp", 0, dist.get_rank(), 2))).backward()
    check_gradients(dist, model, make())


def test_several_dtypes_in_a_unit(dist: ModuleType) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.double = nn.Linear(5, 3, dtype=rustorch.float64)
            self.single = nn.Linear(3, 2)
            self.rotation = nn.Parameter(rustorch.ones(3, dtype=rustorch.complex128) * 1j)

        def forward(self, x: Any) -> Any:
            y = rustorch.real(self.double(x) * self.rotation * (1 + 2j))
            return self.single(y.astype(rustorch.float32)).astype(rustorch.float64)

    rustorch.manual_seed(0)
    reference = Mixed()
    rustorch.manual_seed(0)
    model = fully_shard(Mixed(), reshard_after_forward=True)
    loss_of(model(batch("mlp", 0, dist.get_rank(), 2))).backward()
    assert {str(p.grad.dtype) for p in model.parameters()} == {"float64", "float32", "complex128"}
    ranks = dist.get_world_size()
    (sum(loss_of(reference(batch("mlp", 0, rank, 2))) for rank in range(ranks)) / ranks).backward()
    for p, q in zip(reference.parameters(), model.parameters(), strict=True):
        expected = p.grad.reshape(-1)[q._sharding.start : q._sharding.stop]
        numpy.testing.assert_allclose(q.grad, expected, rtol=1e-5, atol=1e-7)


def test_buffers_begin_with_those_of_rank_0(dist: ModuleType) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model[1].running_mean.data[...] = dist.get_rank() + 1
    shard(model, [model[1]])
    assert model[1].running_mean.tolist() == [1.0] * 4


def test_units_in_units(dist: ModuleType) -> None:
    def make() -> Any:
        rustorch.manual_seed(0)
        inner = [nn.Sequential(nn.Linear(5, 5), nn.Tanh()) for _ in range(3)]
        return nn.Sequential(nn.Sequential(*inner, nn.Linear(5, 5)), nn.Linear(5, 3)).double()

    model = make()
    for layer in model[0]:
        fully_shard(layer)
    fully_shard(model[0], reshard_after_forward=False)
    fully_shard(model)
    for _ in range(2):
        model.zero_grad()
        loss_of(model(batch("mlp", 0, dist.get_rank(), 2))).backward()
        check_gradients(dist, model, make())


def test_a_backward_that_stops_early_leaves_the_next_one_right(dist: ModuleType) -> None:
    model = made("mlp")
    shard(model, MODELS["mlp"][2](model), reshard_after_forward=True)
    optimizer = rustorch.optim.SGD(model.parameters(), lr=0.0)
    x = batch("mlp", 0, dist.get_rank(), 2)
    (g,) = rustorch.grad(loss_of(model(x.requires_grad_())), x)
    assert g.shape == x.shape
    with pytest.raises(ZeroDivisionError):
        out = model(x)
        out.register_hook(lambda g: 1 / 0)
        loss_of(out).backward()
    optimizer.step()
    loss_of(model(x)).backward()
    check_gradients(dist, model, made("mlp"))


def test_what_needs_whole_parameters_refuses(dist: ModuleType) -> None:
    model = shard(made("mlp"), [])
    with pytest.raises(RuntimeError, match=r"0.weight is spread over the ranks by fully_shard"):
        DistributedDataParallel(model)
    with pytest.raises(ValueError, match="fully_shard"):
        rustorch.optim.ZeroRedundancyOptimizer(model.parameters(), rustorch.optim.Adam)


def test_files_of_pieces(dist: ModuleType, tmp_path: Path) -> None:
    path = dist.broadcast_object(str(tmp_path / "model"))
    model, other = made("mlp", seed=1), made("mlp", seed=2)
    shard(model, MODELS["mlp"][2](model))
    shard(other, [other[0]])
    rustorch.save({"model": model.state_dict()}, path, sharded=True)
    other.load_state_dict(rustorch.load(path)["model"])
    plain = made("mlp", seed=3)
    plain.load_state_dict(rustorch.load(path)["model"])
    with other.summon_full_params():
        for p, q, expected in zip(
            plain.parameters(), other.parameters(), made("mlp", seed=1).parameters(), strict=True
        ):
            numpy.testing.assert_array_equal(p.data, expected.data)
            numpy.testing.assert_array_equal(q.data, expected.data)


def test_functions_called_with_other_parameters(dist: ModuleType) -> None:
    model, values = made("mlp"), {name: p.detach() * 2 for name, p in made("mlp").named_parameters()}
    expected = rustorch.func.functional_call(model, values, (batch("mlp", 0, 0, 2),))
    shard(model, MODELS["mlp"][2](model))
    out = rustorch.func.functional_call(model, values, (batch("mlp", 0, 0, 2),))
    numpy.testing.assert_array_equal(out.data, expected.data)

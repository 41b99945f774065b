"""fully_shard: training is that of one process, and what is spread, gathered and freed."""

from __future__ import annotations

import copy
import gc
import pickle
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.distributed.shard import Shard
from rustorch.nn.parallel import FSDPModule, fully_shard, fully_shard_call, fully_shard_flat, fully_shard_unit
from tests.support.cycles import leaves_none
from tests.support.sharded_models import MODELS, Gpt, batch, loss_of, made, mlp, shard
from tests.support.target import Target

pytestmark = pytest.mark.ranks


def whole(backend: Target, model: Any) -> dict[str, numpy.ndarray]:
    """Copies of the whole parameters by name."""
    with model.summon_full_params(writeback=False):
        return {name: backend.numpy(p).copy() for name, p in model.named_parameters()}


def mean_loss(model: Any, name: str, step: int, ranks: int, device: str) -> Any:
    """The loss of all ranks' batches together."""
    return sum(loss_of(model(batch(name, step, rank, 2, device))) for rank in range(ranks)) / ranks


def compare(backend: Target, sharded: Any, reference: Any, tolerance: float = 1e-12) -> None:
    found = whole(backend, sharded)
    for key, p in reference.named_parameters():
        numpy.testing.assert_allclose(found[key], backend.numpy(p), rtol=tolerance, atol=tolerance, err_msg=key)


@pytest.mark.parametrize("reshard", [None, True, False])
@pytest.mark.parametrize("name", MODELS)
def test_training_equals_that_of_one_process(dist: ModuleType, backend: Target, name: str, reshard: Any) -> None:
    if backend.device == "jax":
        pytest.skip("arrays of JAX cannot be changed; see test_immutable_arrays_are_refused")
    device, rank, ranks = backend.device, dist.get_rank(), dist.get_world_size()
    reference, model = made(name, device), made(name, device, seed=rank)
    shard(model, MODELS[name][2](model), reshard_after_forward=reshard)
    # a large eps: Adam would make large steps of gradients that are zero but for rounding, as those of a key's bias
    optimizers = [rustorch.optim.AdamW(m.parameters(), lr=0.01, eps=1e-3) for m in (reference, model)]
    compare(backend, model, made(name, device, seed=0), 0.0)  # the ranks begin with rank 0's values
    for step in range(50 if reshard is None and device == "cpu" else 4):
        for optimizer in optimizers:
            optimizer.zero_grad()
        mean_loss(reference, name, step, ranks, device).backward()
        loss_of(model(batch(name, step, rank, 2, device))).backward()
        for optimizer in optimizers:
            optimizer.step()
    compare(backend, model, reference)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}])
def test_fifty_steps_of_sgd_with_clipping(dist: ModuleType, options: dict[str, Any]) -> None:
    backend, rank, ranks = Target("cpu"), dist.get_rank(), dist.get_world_size()
    reference, model = made("mlp"), made("mlp")
    shard(model, MODELS["mlp"][2](model))
    optimizers = [rustorch.optim.SGD(m.parameters(), lr=0.05, **options) for m in (reference, model)]
    for step in range(50):
        for optimizer in optimizers:
            optimizer.zero_grad()
        mean_loss(reference, "mlp", step, ranks, "cpu").backward()
        loss_of(model(batch("mlp", step, rank, 2))).backward()
        norms = [nn.utils.clip_grad_norm_(m.parameters(), 0.05) for m in (reference, model)]
        numpy.testing.assert_allclose(float(norms[1]), float(norms[0]), rtol=1e-12)
        for optimizer in optimizers:
            optimizer.step()
    compare(backend, model, reference)


OPTIMIZERS = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_elementwise_optimizer(dist: ModuleType, name: str) -> None:
    backend, rank, ranks = Target("cpu"), dist.get_rank(), dist.get_world_size()
    reference, model = made("mlp"), made("mlp")
    shard(model, [model[0]])
    optimizers = [getattr(rustorch.optim, name)(m.parameters(), lr=0.01) for m in (reference, model)]
    for step in range(5):
        for optimizer in optimizers:
            optimizer.zero_grad()
        mean_loss(reference, "mlp", step, ranks, "cpu").backward()
        loss_of(model(batch("mlp", step, rank, 2))).backward()
        for optimizer in optimizers:
            optimizer.step()
    compare(backend, model, reference)


def test_whole_parameters_may_stay_until_backward(dist: ModuleType) -> None:
    model = made("mlp")
    shard(model, MODELS["mlp"][2](model), reshard_after_forward=True)
    calls = rustorch.distributed.tracing.world("test").calls

    def gathers_of_backward() -> int:
        loss = loss_of(model(batch("mlp", 0, dist.get_rank(), 2)))
        before = calls.count
        loss.backward()
        return calls.count - before

    freed = gathers_of_backward()
    model.set_reshard_after_forward(False)
    kept = gathers_of_backward()
    units = [module for module in model.modules() if isinstance(module, FSDPModule) and module._unit.flats]
    if dist.get_world_size() > 1:
        assert kept == len(units)  # a sum of the gradients for each, and no parameters
        assert freed > kept
    units[-1].set_reshard_after_forward(True, recurse=False)
    assert kept <= gathers_of_backward() <= freed
    model.set_reshard_after_forward(True)
    assert gathers_of_backward() == freed


def test_each_rank_has_an_equal_piece(dist: ModuleType) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    model = made("gpt")
    shapes = {name: p.shape for name, p in model.named_parameters()}
    values = {name: p.data.copy().reshape(-1) for name, p in model.named_parameters()}
    parameters = list(model.parameters())
    units = list(model.blocks)
    assert shard(model, units) is model
    assert all(p is q for p, q in zip(parameters, model.parameters(), strict=True))
    assert isinstance(model, FSDPModule) and isinstance(model, Gpt) and type(model).__name__ == "FSDPGpt"
    for name, p in model.named_parameters():
        sharding = p._sharding
        assert sharding.shape == shapes[name] and p.shape == (sharding.stop - sharding.start,)
        numpy.testing.assert_array_equal(p.data, values[name][sharding.start : sharding.stop])
    for unit in [*units, model]:
        own = [p for p in unit.parameters() if unit is not model or p not in set(model.blocks.parameters())]
        total = sum(int(numpy.prod(p._sharding.shape)) for p in own)
        chunk = -(-total // ranks)
        assert sum(p.size for p in own) == max(min(chunk, total - rank * chunk), 0)
    loss_of(model(batch("gpt", 0, rank, 2))).backward()
    assert all(p.grad.shape == p.shape for p in model.parameters())


def test_parameters_are_whole_in_forward_alone(dist: ModuleType) -> None:
    seen: list[Any] = []

    class Watching(nn.Linear):
        def forward(self, x: Any) -> Any:
            seen.append((self.weight.shape, self.weight.is_leaf, self.weight._sharding))
            return super().forward(x)

    layer = fully_shard(Watching(3, 2))
    piece = layer.weight.data
    layer(rustorch.ones((1, 3))).sum().backward()
    with rustorch.no_grad():
        layer(rustorch.ones((1, 3)))
    assert [shape for shape, *_ in seen] == [(2, 3)] * 2 and [s for *_, s in seen] == [None] * 2
    assert layer.weight.data is piece and layer.weight.is_leaf and layer.weight._sharding is not None
    with pytest.raises(ValueError, match="shape"):
        layer(rustorch.ones((1, 4)))  # after an error in forward, too
    assert layer.weight.data is piece and layer.weight.is_leaf


@pytest.mark.parametrize("where", ["inside", "outside"])
@pytest.mark.parametrize("reshard", [None, True, False])
def test_checkpoints(dist: ModuleType, where: str, reshard: Any) -> None:
    backend, rank, ranks = Target("cpu"), dist.get_rank(), dist.get_world_size()
    models = []
    for checkpointed in ("", where):
        rustorch.manual_seed(0)
        models.append(Gpt(3, checkpointed=checkpointed).double())
    reference, model = models
    shard(model, list(model.blocks), reshard_after_forward=reshard)
    optimizers = [rustorch.optim.SGD(m.parameters(), lr=0.1) for m in (reference, model)]
    for step in range(3):
        for optimizer in optimizers:
            optimizer.zero_grad()
        mean_loss(reference, "gpt", step, ranks, "cpu").backward()
        loss_of(model(batch("gpt", step, rank, 2))).backward()
        for optimizer in optimizers:
            optimizer.step()
    compare(backend, model, reference)


def test_gradients_wait_for_an_exchange(dist: ModuleType) -> None:
    backend, rank, ranks = Target("cpu"), dist.get_rank(), dist.get_world_size()
    reference, model = made("mlp"), made("mlp")
    shard(model, MODELS["mlp"][2](model))
    for step in range(3):
        mean_loss(reference, "mlp", step, ranks, "cpu").backward()
        model.set_requires_gradient_sync(step == 2)
        loss_of(model(batch("mlp", step, rank, 2))).backward()
        assert all((p.grad is None) == (step < 2) for p in model.parameters())
    for p, q in zip(reference.parameters(), model.parameters(), strict=True):
        expected = backend.numpy(p.grad).reshape(-1)[q._sharding.start : q._sharding.stop]
        numpy.testing.assert_allclose(q.grad, expected, rtol=1e-12, atol=1e-15)
    for m in (reference, model):  # with exchanges, gradients add up too
        loss = loss_of(m(batch("mlp", 7, 0, 2)))
        loss.backward()
    for p, q in zip(reference.parameters(), model.parameters(), strict=True):
        expected = backend.numpy(p.grad).reshape(-1)[q._sharding.start : q._sharding.stop]
        numpy.testing.assert_allclose(q.grad, expected, rtol=1e-12, atol=1e-15)


class Branches(nn.Module):
    """Layers of which a call uses some."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])

    def forward(self, x: Any, use: list[int]) -> Any:
        for i in use:
            x = rustorch.tanh(self.layers[i](x))
        return x


def test_unused_parameters_keep_no_gradient(dist: ModuleType) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    rustorch.manual_seed(0)
    reference = Branches().double()
    rustorch.manual_seed(0)
    model = fully_shard(Branches().double())
    uses = [[0, 1] if r == 0 else [0, 2, 0] for r in range(ranks)]
    x = rustorch.ones((2, 3), dtype=rustorch.float64)
    loss_of(model(x, uses[rank])).backward()
    (sum(loss_of(reference(x, use)) for use in uses) / ranks).backward()
    for p, q in zip(reference.parameters(), model.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            expected = p.grad.reshape(-1)[q._sharding.start : q._sharding.stop]
            numpy.testing.assert_allclose(q.grad, expected, rtol=1e-12, atol=1e-15)


def test_frozen_parameters(dist: ModuleType) -> None:
    backend, rank, ranks = Target("cpu"), dist.get_rank(), dist.get_world_size()
    reference, model = made("mlp"), made("mlp")
    for m in (reference, model):
        m[2].requires_grad_(False)
        m[0].weight.requires_grad_(False)
    shard(model, MODELS["mlp"][2](model))
    optimizers = [rustorch.optim.Adam([p for p in m.parameters() if p.requires_grad]) for m in (reference, model)]
    for step in range(4):
        if step == 2:  # a layer may be frozen and thawed in between
            for m in (reference, model):
                m[4].bias.requires_grad_(False)
                m[2].weight.requires_grad_(True)
        for m in (reference, model):
            m.zero_grad()
        mean_loss(reference, "mlp", step, ranks, "cpu").backward()
        loss_of(model(batch("mlp", step, rank, 2))).backward()
        for p, q in zip(reference.parameters(), model.parameters(), strict=True):
            assert (p.grad is None) == (q.grad is None)
        for optimizer in optimizers:
            optimizer.step()
    compare(backend, model, reference)


def test_one_unit_in_several_calls_and_several_backwards(dist: ModuleType) -> None:
    ranks = dist.get_world_size()
    rustorch.manual_seed(0)
    reference = Branches().double()
    rustorch.manual_seed(0)
    model = Branches().double()
    for layer in model.layers:
        fully_shard(layer)
    fully_shard(model)
    x = rustorch.ones((2, 3), dtype=rustorch.float64)
    for m in (reference, model):
        first, second = m(x, [0, 1, 0]), m(x, [1, 1])
        loss = loss_of(first) + loss_of(second)
        loss.backward(retain_graph=True)
        loss.backward()
    assert ranks > 0
    for p, q in zip(reference.parameters(), model.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            expected = p.grad.reshape(-1)[q._sharding.start : q._sharding.stop]
            numpy.testing.assert_allclose(q.grad, expected, rtol=1e-12, atol=1e-15)


def test_gradients_of_inputs_and_of_a_regularization(dist: ModuleType) -> None:
    results = []
    for spread in (False, True):
        model = made("mlp")
        if spread:
            shard(model, MODELS["mlp"][2](model))
        x = batch("mlp", 0, 0, 2).requires_grad_()
        out = loss_of(model(x)) + sum((p**2).sum() for p in model.parameters())
        (g,) = rustorch.grad(out, x, retain_graph=True)
        pieces = rustorch.grad(out, list(model.parameters()))
        results.append([g, pieces, list(model.parameters())])
    numpy.testing.assert_allclose(results[1][0].data, results[0][0].data, rtol=1e-12)
    for mine, expected, p in zip(results[1][1], results[0][1], results[1][2], strict=True):
        part = expected.data.reshape(-1)[p._sharding.start : p._sharding.stop]
        numpy.testing.assert_allclose(mine.data, part, rtol=1e-12, atol=1e-15)


def test_gradients_of_gradients_are_refused(dist: ModuleType) -> None:
    model = fully_shard(made("mlp"))
    x = batch("mlp", 0, 0, 2)
    with pytest.raises(RuntimeError, match="gradients of gradients"):
        rustorch.grad(loss_of(model(x)), list(model.parameters()), create_graph=True)


def test_state_is_pieces_and_loads_pieces_or_whole_arrays(dist: ModuleType) -> None:
    backend = Target("cpu")
    model, other = made("mlp", seed=1), made("mlp", seed=2)
    full = {name: value.clone() for name, value in model.state_dict().items()}
    shard(model, MODELS["mlp"][2](model))
    shard(other, [other[4]])  # the same names in other units
    state = model.state_dict()
    assert list(state) == list(full) and all(type(piece) is Shard for piece in state.values())
    for name, piece in state.items():
        assert piece.shape == full[name].shape
        numpy.testing.assert_array_equal(piece.array, full[name].data.reshape(-1)[piece.start : piece.stop])
    other.load_state_dict(full)
    compare(backend, other, made("mlp", seed=1), 0.0)
    again = shard(made("mlp", seed=3), [])
    twin = shard(made("mlp", seed=4), [])
    twin.load_state_dict(full)
    again.load_state_dict(twin.state_dict())
    compare(backend, again, made("mlp", seed=1), 0.0)
    with twin.summon_full_params():
        assert {name: value.shape for name, value in twin.state_dict().items()} == {n: v.shape for n, v in full.items()}
        twin.load_state_dict({name: value * 2 for name, value in full.items()})
    numpy.testing.assert_array_equal(whole(backend, twin)["0.weight"], full["0.weight"].data * 2)


def test_wrong_states_raise_and_change_nothing(dist: ModuleType) -> None:
    backend = Target("cpu")
    model = fully_shard(made("mlp"))
    before = whole(backend, model)
    full = {name: rustorch.asarray(value) * 2 for name, value in before.items()}
    cases = [
        ({**full, "0.bias": rustorch.zeros(3)}, r"value of 0.bias: \(3,\) given, \(7,\) needed"),
        ({**full, "0.bias": Shard(rustorch.zeros(2), (8,), 0)}, r"a piece of \(8,\) given, \(7,\) needed"),
        ({**full, "0.bias": "text"}, "value of 0.bias"),
    ]
    p = model.get_parameter("0.bias")
    if p.size:
        lacking = Shard(rustorch.zeros(p.size - 1), (7,), p._sharding.start)
        cases.append(({**full, "0.bias": lacking}, "pieces of another number of ranks are put together"))
    for state, message in cases:
        with pytest.raises(RuntimeError, match=message):
            model.load_state_dict(state)
    for name, value in whole(backend, model).items():
        numpy.testing.assert_array_equal(value, before[name])


def test_the_optimizer_saves_pieces_and_loads_them_and_whole_arrays(dist: ModuleType) -> None:
    rank = dist.get_rank()
    plain, model = made("mlp"), made("mlp")
    shard(model, [model[0]])
    optimizers = [rustorch.optim.Adam(m.parameters(), amsgrad=True) for m in (plain, model)]
    for m, optimizer in zip((plain, model), optimizers, strict=True):
        loss_of(m(batch("mlp", 0, 0, 2))).backward()
        optimizer.step()
    state = optimizers[1].state_dict()
    for i, p in enumerate(model.parameters()):
        entry = state["state"][i]["exp_avg"]
        assert type(entry) is Shard and (entry.shape, entry.start) == (p._sharding.shape, p._sharding.start)
    loaded = []
    for source in (state, optimizers[0].state_dict()):
        twin = made("mlp")
        shard(twin, [twin[0]])
        other = rustorch.optim.Adam(twin.parameters(), amsgrad=True)
        other.load_state_dict(source)
        twin.load_state_dict(model.state_dict())
        loss_of(twin(batch("mlp", 1, rank, 2))).backward()
        other.step()
        loaded.append([p.data for p in twin.parameters()])
    for one, two in zip(*loaded, strict=True):
        numpy.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-15)
    wrong = optimizers[0].state_dict()
    wrong["state"][0]["exp_avg"] = rustorch.zeros((2, 2))
    with pytest.raises(ValueError, match=r"parameter 0: \(2, 2\) given, \(7, 5\) needed"):
        rustorch.optim.Adam(model.parameters(), amsgrad=True).load_state_dict(wrong)


@pytest.mark.parametrize("name", ["Adafactor", "LBFGS", "Muon"])
def test_optimizers_of_whole_parameters_refuse_pieces(dist: ModuleType, name: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 2, bias=False))
    early = None if name == "LBFGS" else getattr(rustorch.optim, name)(model.parameters())
    fully_shard(model)
    with pytest.raises(ValueError, match=rf"{name}: parameter 0, of shape \(4, 3\), is spread over the ranks"):
        getattr(rustorch.optim, name)(model.parameters())
    if early is not None:  # made before fully_shard
        model(rustorch.ones((2, 3))).sum().backward()
        with pytest.raises(ValueError, match="needs whole parameters"):
            early.step()


def test_summoned_parameters(dist: ModuleType) -> None:
    backend = Target("cpu")
    model = shard(made("mlp"), [])
    loss_of(model(batch("mlp", 0, 0, 2))).backward()
    gradients = [p.grad for p in model.parameters()]
    with model.summon_full_params():
        assert model[0].weight.shape == (7, 5) and model[0].weight.grad is None
        with rustorch.no_grad():
            model[0].weight[...] = 1.5
        model[2].weight.data = numpy.full((4, 7), 2.5)
        with rustorch.no_grad():
            inside = model(batch("mlp", 0, 0, 2))
        with pytest.raises(RuntimeError, match="under no_grad"):
            model(batch("mlp", 0, 0, 2))
        with pytest.raises(RuntimeError, match="summoned already"), model.summon_full_params():
            pass
        assert model[0].weight.shape == (7, 5)
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients, strict=True))
    assert float(whole(backend, model)["0.weight"].min()) == 1.5
    assert float(whole(backend, model)["2.weight"].max()) == 2.5
    numpy.testing.assert_allclose(model(batch("mlp", 0, 0, 2)).data, inside.data, rtol=1e-12)
    with model.summon_full_params(writeback=False):
        model[0].weight.data[...] = 7
    with pytest.raises(KeyError), model.summon_full_params():
        model[0].weight.data[...] = 7
        raise KeyError
    message = r"0.weight was replaced with an array of shape \(2,\)"
    with pytest.raises(ValueError, match=message), model.summon_full_params():
        model[0].weight.data = numpy.zeros(2)
    assert float(whole(backend, model)["0.weight"].max()) == 1.5
    mixed = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1, dtype=rustorch.float64))
    fully_shard(mixed)
    with pytest.raises(ValueError, match=r"1.bias was replaced"), mixed.summon_full_params():
        mixed[0].bias.data[...] = 9
        mixed[1].bias.data = numpy.zeros(2)
    assert all(p.ndim == 1 and p._sharding is not None for p in mixed.parameters())
    assert float(whole(backend, mixed)["0.bias"].max()) < 9
    model.unshard()
    assert model[0].weight.shape == (7, 5)
    model.reshard()
    model.reshard()
    assert model[0].weight.ndim == 1


def test_writes_between_forward_and_backward_raise(dist: ModuleType) -> None:
    model = made("mlp")
    shard(model, [model[0], model[2]], reshard_after_forward=True)
    optimizer = rustorch.optim.SGD(model.parameters(), lr=0.1)
    loss_of(model(batch("mlp", 0, 0, 2))).backward()
    loss = loss_of(model(batch("mlp", 0, 0, 2)))
    optimizer.step()
    with pytest.raises(RuntimeError, match=r"were changed after forward; call backward before optimizer.step\(\)"):
        loss.backward()


def test_a_parameter_that_forward_writes_raises(dist: ModuleType) -> None:
    layer = fully_shard(nn.Embedding(4, 3, max_norm=0.1))
    with pytest.raises(RuntimeError, match=r"forward of Embedding wrote into one of its parameters \(weight\)"):
        layer(rustorch.asarray([1, 2]))


def test_pieces_move_and_convert(dist: ModuleType) -> None:
    model = fully_shard(made("mlp"))
    model.float()
    out = model(rustorch.ones((2, 5)))
    assert out.dtype == rustorch.float32
    out.sum().backward()
    assert all(p.grad.dtype == rustorch.float32 for p in model.parameters())
    model[0].weight.data = rustorch.zeros(3).data
    with pytest.raises(RuntimeError, match=r"the data of 0.weight was replaced with an array of shape \(3,\)"):
        model(rustorch.ones((2, 5)))


def test_bad_calls_raise_and_change_nothing(dist: ModuleType) -> None:
    ranks = dist.get_world_size()
    with pytest.raises(TypeError, match="module is a Module, not int"):
        fully_shard(3)  # type: ignore[type-var]
    model = made("mlp")
    fully_shard(model[0])
    with pytest.raises(RuntimeError, match="FSDPLinear is a unit already"):
        fully_shard(model[0])
    model[2].weight.grad = rustorch.zeros((4, 7), dtype=rustorch.float64)
    with pytest.raises(RuntimeError, match=r"2\.weight of Sequential has a gradient; call zero_grad"):
        fully_shard(model)
    assert type(model) is nn.Sequential and model[2].weight.shape == (4, 7)
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    fully_shard(tied[0])
    with pytest.raises(RuntimeError, match=r"1\.weight of Sequential belongs to another unit, too"):
        fully_shard(tied)
    if ranks > 1:
        uneven = nn.Linear(3, 3 + dist.get_rank())
        with pytest.raises(
            RuntimeError, match=r"(?s)Linear has other parameters on some ranks.*rank 0: .*\n  rank 1: "
        ):
            fully_shard(uneven)
        group = dist.new_group([0])
        if dist.get_rank() > 0:
            with pytest.raises(ValueError, match="is not in the group"):
                fully_shard(nn.Linear(2, 2), group)


def test_immutable_arrays_are_refused(dist: ModuleType) -> None:
    pytest.importorskip("jax")
    with pytest.raises(TypeError, match="whose arrays cannot be changed in place"):
        fully_shard(nn.Linear(2, 2, device="jax"))


def test_copies_are_refused(dist: ModuleType) -> None:
    model = fully_shard(nn.Linear(2, 2))
    for function in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="is spread over the ranks and cannot be"):
            function(model)


def test_copies_of_pieces_are_arrays_for_themselves(dist: ModuleType) -> None:
    p = fully_shard(nn.Linear(2, 2)).weight
    for twin in (copy.deepcopy(p), pickle.loads(pickle.dumps(p))):
        assert twin._sharding is None and twin.data.tolist() == p.data.tolist() and twin.data is not p.data


def test_groups_spread_for_themselves(dist: ModuleType) -> None:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    groups = [dist.new_group([r]) for r in range(ranks)]
    layer = nn.Linear(3, 2)
    fully_shard(layer, groups[rank])
    assert layer.weight.shape == (6,)
    layer(rustorch.ones((1, 3)) * (rank + 1)).sum().backward()
    numpy.testing.assert_array_equal(layer.weight.grad, numpy.full(6, rank + 1))  # no mean over other ranks


def test_modules_without_parameters_and_small_parameters(dist: ModuleType) -> None:
    layer = fully_shard(nn.Tanh())
    assert layer(rustorch.zeros(2)).tolist() == [0.0, 0.0]
    tiny = nn.Module()
    tiny.a = nn.Parameter(rustorch.tensor(2.0))
    tiny.b = nn.Parameter(rustorch.zeros((0, 3)))
    tiny.forward = lambda x: x * tiny.a + tiny.b.sum()  # type: ignore[method-assign]
    fully_shard(tiny)
    optimizer = rustorch.optim.Adam(tiny.parameters(), lr=1.0)
    tiny(rustorch.tensor(3.0)).backward()
    optimizer.step()
    assert [p.shape for p in tiny.parameters()] in ([(1,), (0,)], [(0,), (0,)])
    with tiny.summon_full_params():
        assert (tiny.a.shape, tiny.b.shape) == ((), (0, 3))
        numpy.testing.assert_allclose(tiny.a.item(), 1.0, rtol=1e-6)


def test_nothing_is_left_after_a_step(dist: ModuleType) -> None:
    """The gathered arrays are freed, also without the garbage collector."""
    rank = dist.get_rank()
    model = made("gpt")
    shard(model, list(model.blocks))
    optimizer = rustorch.optim.Adam(model.parameters())

    def work() -> None:
        for i in range(2):
            optimizer.zero_grad()
            loss_of(model(batch("gpt", i, rank, 2))).backward()
            optimizer.step()
        with rustorch.no_grad():
            model(batch("gpt", 0, rank, 2))
        model(batch("gpt", 0, rank, 2))  # without a backward

    assert leaves_none(work)
    held = [a for a in gc.get_objects() if type(a).__name__ in ("Call", "Gathered", "Gradients")]
    assert not held


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens to units, which have the attribute ``label``."""
    found: list[str] = []

    class Logged(fully_shard_call.Gathered):
        def __init__(self, unit: Any):
            self.label = unit.label
            found.append(f"gather {self.label}")
            super().__init__(unit)

        def wait(self) -> Any:
            found.append(f"use {self.label}")
            return super().wait()

    average, show = fully_shard_flat.Gradients.average, fully_shard_call.Call.show

    def logged_show(self: Any) -> Any:
        found.append(f"forward {self.unit.label}")
        return show(self)

    def logged(self: Any) -> Any:
        found.append("average")
        return average(self)

    monkeypatch.setattr(fully_shard_call, "Gathered", Logged)
    monkeypatch.setattr(fully_shard_unit, "Gathered", Logged)
    monkeypatch.setattr(fully_shard_flat.Gradients, "average", logged)
    monkeypatch.setattr(fully_shard_call.Call, "show", logged_show)
    return found


@pytest.mark.parametrize("checkpointed", ["", "outside"])
def test_parameters_are_gathered_ahead(dist: ModuleType, events: list[str], checkpointed: str) -> None:
    model = Gpt(3, checkpointed=checkpointed)
    shard(model, list(model.blocks), reshard_after_forward=True)
    for i, block in enumerate(model.blocks):
        block._unit.label = str(i)
    model._unit.label = "model"
    x = batch("gpt", 0, dist.get_rank(), 2)
    for _ in range(2):
        loss_of(model(x)).backward()  # finds the order
    events.clear()
    loss = loss_of(model(x))
    forward, events[:] = list(events), []
    loss.backward()
    assert forward == [
        "gather model", "use model", "gather 0", "forward model", "use 0", "gather 1", "forward 0", "use 1", "gather 2",
        "forward 1", "use 2", "forward 2",
    ]  # fmt: skip
    assert [event for event in events if "forward" not in event] == [
        "gather model", "use model", "gather 2", "use 2", "gather 1", "average", "use 1", "gather 0", "average",
        "use 0", "average", "average",
    ]  # fmt: skip


def test_what_was_gathered_ahead_and_not_used_is_waited_for(dist: ModuleType) -> None:
    model = made("mlp")
    shard(model, MODELS["mlp"][2](model), reshard_after_forward=True)
    flat = model[0]._unit.flats[0]
    works: list[Any] = []
    gather = flat.gather

    def logged() -> Any:
        full, work = gather()
        works.append(work)
        return full, work

    flat.gather = logged
    x = batch("mlp", 0, dist.get_rank(), 2).requires_grad_()
    handle = model[0].register_full_backward_pre_hook(lambda module, g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loss_of(model(x)).backward()  # stops when the first layer's parameters are on their way
    gc.collect()
    handle.remove()
    assert len(works) == 2
    assert all(work is None or work._request is None for work in works)
    loss_of(model(x)).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_eval_needs_no_backward(dist: ModuleType) -> None:
    reference, model = made("gpt"), made("gpt")
    shard(model, list(model.blocks))
    x = batch("gpt", 0, 0, 3)
    with rustorch.no_grad():
        numpy.testing.assert_allclose(model.eval()(x).data, reference.eval()(x).data, rtol=1e-12)
    assert all(p.ndim == 1 and p._sharding is not None for p in model.parameters())


def test_mlp_without_an_outer_unit(dist: ModuleType) -> None:
    """Units whose model is none: each is an outermost call."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    rustorch.manual_seed(0)
    reference = mlp().double()
    rustorch.manual_seed(0)
    model = mlp().double()
    fully_shard(model[0])
    fully_shard(model[4])
    for m in (reference, model):
        loss = mean_loss(m, "mlp", 0, ranks, "cpu") if m is reference else loss_of(m(batch("mlp", 0, rank, 2)))
        loss.backward()
    for p, q in zip(reference[0].parameters(), model[0].parameters(), strict=True):
        expected = p.grad.reshape(-1)[q._sharding.start : q._sharding.stop]
        numpy.testing.assert_allclose(q.grad, expected, rtol=1e-12, atol=1e-15)

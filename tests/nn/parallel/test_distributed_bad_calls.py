"""DistributedDataParallel: what it refuses, with which words."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import pytest

import rustorch
from rustorch import nn
from rustorch.nn.parallel import DistributedDataParallel
from tests.support.distributed_models import batch, network, squares
from tests.support.target import Target

CPU = Target("cpu")


def test_it_needs_a_process_group() -> None:
    if not rustorch.distributed.is_initialized():
        with pytest.raises(RuntimeError, match="there is no process group"):
            DistributedDataParallel(nn.Linear(1, 1))


@pytest.mark.ranks
def test_arguments_that_cannot_be_used(dist: ModuleType) -> None:
    layer = nn.Linear(1, 1)
    with pytest.raises(TypeError, match="module is a Module, not int"):
        DistributedDataParallel(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bucket_cap_mb is above 0, not 0"):
        DistributedDataParallel(layer, bucket_cap_mb=0)
    with pytest.raises(ValueError, match=r"device_ids has one device.*\['cpu', 'cpu'\]"):
        DistributedDataParallel(layer, device_ids=["cpu", "cpu"])
    with pytest.raises(ValueError, match="device_ids has one device"):
        DistributedDataParallel(layer, output_device="cpu")
    with pytest.raises(RuntimeError, match="no parameter of Tanh requires a gradient"):
        DistributedDataParallel(nn.Tanh())
    with pytest.raises(RuntimeError, match="no parameter of Linear requires a gradient"):
        DistributedDataParallel(nn.Linear(1, 1).requires_grad_(False))
    ddp = DistributedDataParallel(layer, device_ids=["cpu"], output_device="cpu")
    assert ddp.device_ids == ["cpu"]
    assert ddp(rustorch.ones((2, 1))).shape == (2, 1)


@pytest.mark.ranks
def test_arguments_are_moved_to_the_device_and_the_module_must_be_there(dist: ModuleType, backend: Target) -> None:
    module = network(backend)
    ddp = DistributedDataParallel(module, device_ids=[backend.device])
    assert ddp(batch(CPU, 0)).device == module[0].weight.device
    if backend.device != "cpu":
        with pytest.raises(ValueError, match=r"0\.weight is on .* move the module first"):
            DistributedDataParallel(network(backend), device_ids=["cpu"])


@pytest.mark.ranks
@pytest.mark.parametrize("difference", ["shape", "name", "dtype", "frozen", "fewer", "buffer"])
def test_parameters_that_differ_between_ranks_are_listed_on_every_rank(dist: ModuleType, difference: str) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    last = rank == size - 1 and size > 1
    layers: dict[str, nn.Module] = {"a": nn.Linear(2, 3), "b": nn.Linear(3, 2)}
    if last and difference == "shape":
        layers["b"] = nn.Linear(4, 2)
    elif last and difference == "name":
        layers["c"] = layers.pop("b")
    elif last and difference == "dtype":
        layers["b"].double()
    elif last and difference == "frozen":
        layers["b"].requires_grad_(False)
    elif last and difference == "buffer":
        layers["b"].register_buffer("mean", rustorch.zeros(5))
    elif last and difference == "fewer":
        del layers["b"]
    module = nn.ModuleDict(layers)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    if size == 1:
        DistributedDataParallel(module)
        return
    with pytest.raises(RuntimeError) as caught:
        DistributedDataParallel(module)
    text = str(caught.value)
    assert f"those of ranks 0 and {size - 1} differ" in text
    on_last = {
        "shape": "b.weight float32 (2, 4)",
        "name": "c.weight float32 (2, 3)",
        "dtype": "b.weight float64 (2, 3)",
        "frozen": "b.weight float32 (2, 3) frozen",
        "buffer": "b.mean float32 (5,) buffer",
        "fewer": "only on rank " + str(size - 1) + ": none",
    }[difference]
    assert on_last in text
    only_on_0 = text.split("only on rank 0")[1].splitlines()[0]
    assert ("none" if difference == "buffer" else "b.weight float32 (2, 3)'") in only_on_0
    for name, value in module.state_dict().items():
        assert bool((value == before[name]).all())
    assert all(p._post_hooks is None for p in module.parameters())


@pytest.mark.ranks
def test_gradients_as_return_values_are_refused(dist: ModuleType, backend: Target) -> None:
    ddp = DistributedDataParallel(network(backend))
    loss = squares(ddp(batch(backend, dist.get_rank())))
    weight = ddp.module[0].weight
    if dist.get_world_size() > 1:
        for create_graph in True, False:
            with pytest.raises(RuntimeError, match=r"grad: 0\.weight is a parameter of a DistributedDataParallel"):
                rustorch.grad(loss, weight, create_graph=create_graph)
    loss.backward()  # the graph is still there
    assert weight.grad is not None


@pytest.mark.ranks
def test_a_module_is_wrapped_once(dist: ModuleType, backend: Target) -> None:
    module = network(backend)
    ddp = DistributedDataParallel(module)
    if dist.get_world_size() > 1:
        with pytest.raises(RuntimeError, match=r"0\.weight belongs to another DistributedDataParallel"):
            DistributedDataParallel(module)
    del ddp
    DistributedDataParallel(module)


@pytest.mark.ranks
def test_a_parameter_that_is_to_be_trained_after_wrapping(dist: ModuleType, backend: Target) -> None:
    module = network(backend)
    module[0].requires_grad_(False)
    ddp = DistributedDataParallel(module)
    module[0].requires_grad_(True)
    if dist.get_world_size() > 1:
        with pytest.raises(RuntimeError, match=r"0\.weight required no gradient when the module was wrapped"):
            ddp(batch(backend, 0))


@pytest.mark.ranks
def test_a_module_that_is_converted_after_wrapping(dist: ModuleType) -> None:
    ddp = DistributedDataParallel(network(CPU))
    squares(ddp(batch(CPU, 0))).backward()
    ddp.float()
    loss = squares(ddp(batch(CPU, 0).float()))
    if dist.get_world_size() > 1:
        with pytest.raises(
            RuntimeError, match=r"of 4\.\w+ is float32 .*, and was float64 .* when the module was wrapped"
        ):
            loss.backward()


@pytest.mark.ranks
def test_a_parameter_of_fully_shard(dist: ModuleType) -> None:
    module: Any = nn.Linear(2, 2)
    module.weight._sharding = (1,)
    with pytest.raises(RuntimeError, match="weight is spread over the ranks by fully_shard"):
        DistributedDataParallel(module)


@pytest.mark.ranks
def test_the_state_of_a_module_goes_to_the_wrapped_one_and_back(dist: ModuleType, backend: Target) -> None:
    module = network(backend, seed=1)
    ddp = DistributedDataParallel(network(backend))
    with pytest.raises(RuntimeError, match=r"missing: module\.0\.weight"):
        ddp.load_state_dict(module.state_dict())
    ddp.module.load_state_dict(module.state_dict())
    other = copy.deepcopy(module)
    other.load_state_dict(ddp.module.state_dict())
    assert bool((other[0].weight == module[0].weight).all())

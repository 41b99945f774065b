"""Averaged weights: PyTorch's averages on every backend, states, and invalid input."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.optim import swa_utils
from tests.reference import load, swa_cases
from tests.support.target import Target

Averaged = swa_utils.AveragedModel


# -- PyTorch's numbers -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", swa_cases.TABLE)
def test_averages_are_pytorchs(name: str, backend: Target) -> None:
    actual = swa_cases.run(
        name,
        nn,
        swa_utils,
        lambda array: backend.variable(array, array.dtype),
        backend.numpy,
        lambda model: model.to(backend.device),
    )
    expected = load("swa_utils")[name]
    assert list(actual) == list(expected)
    # PyTorch divides by n + 1 in float32 in this function
    rtol = 1e-6 if name == "get_swa_multi_avg_fn" else 1e-12
    for key, value in expected.items():
        numpy.testing.assert_allclose(actual[key], value, rtol=rtol, atol=1e-6 if rtol > 1e-9 else 1e-14, err_msg=key)


def test_an_exponential_average_in_a_training_loop(backend: Target) -> None:
    p = nn.Linear(2, 1, bias=False).to(backend.device)
    with rustorch.no_grad():
        p.weight[...] = 1.0
    optimizer = rustorch.SGD(p.parameters(), lr=0.5)
    ema = Averaged(p, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.5))
    expected = None
    for _ in range(4):
        optimizer.zero_grad()
        p(rustorch.ones((1, 2), device=backend.device)).sum().backward()
        optimizer.step()
        weight = backend.numpy(p.weight).copy()
        expected = weight if expected is None else 0.5 * expected + 0.5 * weight
        ema.update_parameters(p)
    numpy.testing.assert_allclose(backend.numpy(ema.module.weight), expected, rtol=1e-6)
    assert (ema.module.weight.device, ema.module.weight.dtype) == (backend.device, rustorch.float32)


def test_complex_parameters_are_averaged(backend: Target) -> None:
    model = nn.ParameterList([nn.Parameter(backend.array([1 + 2j, 3j], rustorch.complex128))])
    for averaged in (Averaged(model), Averaged(model, avg_fn=swa_utils.get_swa_avg_fn())):
        for scale in (1.0, 2.0, 6.0):
            with rustorch.no_grad():
                model[0][...] = backend.variable([scale + 2j, 3j * scale], rustorch.complex128)
            averaged.update_parameters(model)
        numpy.testing.assert_allclose(backend.numpy(averaged.module[0]), [3 + 2j, 9j], rtol=1e-12)


# -- the copy ----------------------------------------------------------------------------------------------------------
def test_the_average_shares_no_memory_with_the_model() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model(rustorch.ones((4, 2))).sum().backward()
    averaged = Averaged(model)
    assert all(p.grad is None and p.requires_grad for p in averaged.parameters())
    assert not any(
        numpy.shares_memory(a.data, b.data)
        for a, b in zip(averaged.module.parameters(), model.parameters(), strict=True)
    )
    assert list(averaged.state_dict()) == ["n_averaged", *(f"module.{name}" for name in model.state_dict())]
    assert (averaged.n_averaged.item(), averaged.n_averaged.dtype) == (0, rustorch.int64)
    averaged.eval()
    assert model.training and not averaged.module.training
    x = rustorch.ones((4, 2))
    assert rustorch.all(averaged(x) == model.eval()(x))


def test_the_first_update_copies_parameters_and_buffers() -> None:
    model = nn.BatchNorm1d(2)
    averaged = Averaged(model)
    model(rustorch.asarray([[1.0, 2.0], [3.0, 8.0]]))
    with rustorch.no_grad():
        model.weight[...] = 5.0
    averaged.update_parameters(model)
    assert averaged.module.weight.tolist() == [5.0, 5.0]
    assert averaged.module.running_mean.tolist() == model.running_mean.tolist() != [0.0, 0.0]
    assert averaged.module.num_batches_tracked.item() == 1


def test_averages_continue_from_a_loaded_state(backend: Target) -> None:
    model = nn.Linear(2, 1).to(backend.device)

    def step(value: float, *averages: Any) -> None:
        with rustorch.no_grad():
            for p in model.parameters():
                p[...] = value
        for average in averages:
            average.update_parameters(model)

    uninterrupted = Averaged(model)
    for value in (1.0, 2.0, 4.0):
        step(value, uninterrupted)
    resumed = Averaged(model)
    resumed.load_state_dict(uninterrupted.state_dict())
    step(9.0, uninterrupted, resumed)
    assert resumed.n_averaged.item() == 4
    assert resumed.module.bias.tolist() == uninterrupted.module.bias.tolist() == [4.0]


def test_averages_can_be_on_another_device() -> None:
    pytest.importorskip("array_api_strict")
    model = nn.Linear(2, 1)
    averaged = Averaged(model, device="strict", avg_fn=swa_utils.get_ema_avg_fn(0.5))
    for _ in range(3):
        averaged.update_parameters(model)
    assert {value.device for value in averaged.state_dict().values()} == {"strict"}
    assert averaged.module.bias.tolist() == model.bias.tolist()
    assert model.bias.device == "cpu"


def test_a_function_is_called_with_lists_of_one_dtype_and_the_count() -> None:
    model = nn.ParameterList([nn.Parameter(numpy.ones(2)), nn.Parameter([1.0]), nn.Parameter(numpy.ones(3))])
    seen = []

    def average(averages: list[Any], currents: list[Any], n: int) -> None:
        seen.append(([p.dtype for p in averages], [p.shape for p in currents], n))
        for p, q in zip(averages, currents, strict=True):
            p[...] = q * 3

    averaged = Averaged(model, multi_avg_fn=average)
    averaged.update_parameters(model)
    assert seen == []
    averaged.update_parameters(model)
    assert seen == [([rustorch.float64] * 2, [(2,), (3,)], 1), ([rustorch.float32], [(1,)], 1)]
    assert averaged.module[2].tolist() == [3.0] * 3


# -- invalid input -----------------------------------------------------------------------------------------------------
def test_anything_but_a_module_raises() -> None:
    with pytest.raises(TypeError, match=r"AveragedModel averages a Module of rustorch, not builtins\.list"):
        Averaged([1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"update_parameters takes a Module of rustorch, not builtins\.NoneType"):
        Averaged(nn.Linear(1, 1)).update_parameters(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"update_bn takes a Module of rustorch, not builtins\.int"):
        swa_utils.update_bn([], 3)  # type: ignore[arg-type]


def test_two_functions_raise() -> None:
    with pytest.raises(ValueError, match="Only one of avg_fn and multi_avg_fn should be provided"):
        Averaged(nn.Linear(1, 1), avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=swa_utils.get_swa_multi_avg_fn())
    with pytest.raises(TypeError, match=r"AveragedModel: avg_fn is a function, not 0\.9"):
        Averaged(nn.Linear(1, 1), avg_fn=0.9)  # type: ignore[arg-type]


@pytest.mark.parametrize("decay", [-0.1, 1.1, math.nan, math.inf, "0.9", None, True])
@pytest.mark.parametrize("function", ["get_ema_avg_fn", "get_ema_multi_avg_fn"])
def test_a_decay_outside_of_0_to_1_raises(function: str, decay: Any) -> None:
    with pytest.raises(
        ValueError, match=f"{function}: decay is a number from 0 to 1, not {decay!r}".replace(".", r"\.")
    ):
        getattr(swa_utils, function)(decay)


def test_a_model_with_other_shapes_raises_and_nothing_changes() -> None:
    averaged = Averaged(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    averaged.update_parameters(averaged.module)
    before = {name: value.tolist() for name, value in averaged.state_dict().items()}
    with pytest.raises(ValueError, match="this is another model than the one that is averaged:") as caught:
        averaged.update_parameters(nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)))
    assert "0.weight: shape (4, 2) given, (3, 2) needed" in str(caught.value)
    assert "1.running_mean: shape missing given, (3,) needed" in str(caught.value)
    assert "2.bias: shape (1,) given, none needed" in str(caught.value)
    assert {name: value.tolist() for name, value in averaged.state_dict().items()} == before


def test_a_function_that_raises_does_not_change_the_averages() -> None:
    model = nn.Linear(2, 2)

    def fails(average: Any, current: Any, n: int) -> Any:
        if average.ndim == 1:
            raise ZeroDivisionError("an error of the user")
        return average * 0

    averaged = Averaged(model, avg_fn=fails)
    averaged.update_parameters(model)
    before = {name: value.tolist() for name, value in averaged.state_dict().items()}
    with pytest.raises(ZeroDivisionError):
        averaged.update_parameters(model)
    assert {name: value.tolist() for name, value in averaged.state_dict().items()} == before


# -- batch norm --------------------------------------------------------------------------------------------------------
def _norms() -> Any:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3, momentum=0.3))
    model(rustorch.randn(8, 2))
    model.eval()
    model[3].train()
    return model


def _snapshot(model: Any) -> Any:
    modes = [module.training for module in model.modules()]
    return (
        modes,
        [norm.momentum for norm in (model[1], model[3])],
        {k: v.tolist() for k, v in model.state_dict().items()},
    )


def test_update_bn_computes_means_over_the_batches(rng: numpy.random.Generator) -> None:
    model = _norms()
    modes, momenta, _ = _snapshot(model)
    batches = [rng.normal(size=(16, 2)).astype("float32") for _ in range(3)]
    swa_utils.update_bn(iter(batches), model, device="cpu")
    assert _snapshot(model)[:2] == (modes, momenta)
    hidden = [model[0](batch).detach().numpy() for batch in batches]
    numpy.testing.assert_allclose(
        model[1].running_mean.numpy(), numpy.mean([h.mean(0) for h in hidden], axis=0), atol=1e-6
    )
    numpy.testing.assert_allclose(
        model[1].running_var.numpy(), numpy.mean([h.var(0, ddof=1) for h in hidden], axis=0), rtol=1e-5
    )
    assert model[1].num_batches_tracked.item() == 3
    assert all(p.grad is None for p in model.parameters())


def test_a_loader_that_fails_or_is_empty_does_not_change_the_statistics() -> None:
    model = _norms()
    before = _snapshot(model)

    def fails() -> Any:
        yield rustorch.ones((4, 2))
        raise ZeroDivisionError("in the data")

    with pytest.raises(ZeroDivisionError, match="in the data"):
        swa_utils.update_bn(fails(), model)
    assert _snapshot(model) == before
    with pytest.raises(
        ValueError, match="update_bn: the loader gave no batch; a generator that has been used up gives none"
    ):
        swa_utils.update_bn([], model)
    assert _snapshot(model) == before
    with pytest.raises(ValueError, match="shape"):
        swa_utils.update_bn([rustorch.ones((4, 2)), rustorch.ones((4, 5))], model)
    assert _snapshot(model) == before


def test_a_model_without_batch_norm_is_not_run() -> None:
    swa_utils.update_bn(iter([None]), nn.Linear(2, 2))

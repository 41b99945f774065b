"""nn.utils: clipping gradients, parameters as one vector, and parametrizations."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import utils
from rustorch.nn.utils import parametrize
from tests.support.target import Target

INF = float("inf")


def _with_gradients(target: Target) -> list[rustorch.Variable]:
    parameters = [target.variable(numpy.zeros(shape), requires_grad=True) for shape in ((2, 3), (4,), (1,))]
    for i, p in enumerate(parameters[:2]):
        p.grad = target.variable(numpy.arange(p.size, dtype=float).reshape(p.shape) - 2 + i)
    return parameters


# -- clipping ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("norm_type", [2.0, 1, 3.0, INF, "inf", 0, -INF])
@pytest.mark.parametrize("max_norm", [1.5, 100.0])
def test_clipping_the_norm_equals_pytorchs(norm_type: Any, max_norm: float, backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to compare with")
    ours = _with_gradients(backend)
    theirs = [torch.zeros(p.shape, dtype=torch.float64) for p in ours]
    for p, q in zip(ours, theirs, strict=True):
        q.grad = None if p.grad is None else torch.tensor(backend.numpy(p.grad))
    total = utils.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    assert total.device == backend.device
    for p, q in zip(ours[:2], theirs, strict=False):
        numpy.testing.assert_allclose(backend.numpy(p.grad), q.grad.numpy(), rtol=1e-12)
    assert ours[2].grad is None


def test_clip_grad_value_clips_each_value(backend: Target) -> None:
    ours = _with_gradients(backend)
    utils.clip_grad_value_(iter(ours), 1.25)
    assert backend.numpy(ours[0].grad).tolist() == [[-1.25, -1, 0], [1, 1.25, 1.25]]
    utils.clip_grad_value_(ours[1], 0.5)
    assert backend.numpy(ours[1].grad).tolist() == [-0.5, 0, 0.5, 0.5]


def test_clipping_takes_one_parameter_or_none(backend: Target) -> None:
    p = _with_gradients(backend)[1]
    assert utils.clip_grad_norm_(p, 1.0).item() == pytest.approx(6**0.5)
    assert utils.get_total_norm(backend.variable([3.0, 4.0])).item() == 5.0
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    assert utils.clip_grad_norm_([_with_gradients(backend)[2]], 1.0).item() == 0.0


def test_complex_gradients_are_clipped() -> None:
    p = rustorch.tensor([0j, 0j], requires_grad=True)
    p.grad = rustorch.asarray(numpy.array([3j, 4], "complex64"))
    assert utils.clip_grad_norm_(p, 1.0).item() == pytest.approx(5)
    numpy.testing.assert_allclose(p.grad, [0.6j, 0.8], rtol=1e-5)


def test_error_if_nonfinite_raises_and_scales_nothing(backend: Target) -> None:
    ours = _with_gradients(backend)
    ours[0].grad = backend.variable(numpy.full((2, 3), INF))
    before = backend.numpy(ours[1].grad).tolist()
    with pytest.raises(
        RuntimeError, match=r"the total norm of order 2.0 is inf: a gradient is not finite, so it cannot be clipped"
    ):
        utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    assert backend.numpy(ours[1].grad).tolist() == before


# -- one vector --------------------------------------------------------------------------------------------------------
def test_parameters_become_one_vector_and_a_vector_becomes_parameters(backend: Target) -> None:
    layer = nn.Linear(2, 3, device=backend.device)
    vector = utils.parameters_to_vector(layer.parameters())
    numpy.testing.assert_array_equal(backend.numpy(vector)[:6], backend.numpy(layer.weight).reshape(-1))
    (vector * vector).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(layer.bias.grad), 2 * backend.numpy(layer.bias))
    parameters = list(layer.parameters())
    utils.vector_to_parameters(backend.variable(numpy.arange(9.0)), layer.parameters())
    assert layer.weight.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert layer.bias.tolist() == [6, 7, 8]
    assert [id(p) for p in layer.parameters()] == [id(p) for p in parameters]
    assert layer.weight.dtype == rustorch.float32
    with pytest.raises(ValueError, match=r"the parameters have 9 values together, the vector has shape \(8,\)"):
        utils.vector_to_parameters(backend.variable(numpy.zeros(8)), layer.parameters())
    assert layer.bias.tolist() == [6, 7, 8]
    with pytest.raises(ValueError, match="there are no parameters"):
        utils.parameters_to_vector([])


# -- parametrizations --------------------------------------------------------------------------------------------------
def _built(nn: Any, namespace: Any) -> dict[str, Any]:
    return {
        "weight_norm": namespace.weight_norm(nn.Linear(3, 2)),
        "weight_norm, last": namespace.weight_norm(nn.Linear(3, 2), dim=1),
        "weight_norm, all": namespace.weight_norm(nn.Linear(3, 2), dim=None),
        "weight_norm, bias": namespace.weight_norm(nn.Linear(3, 2), name="bias"),
        "spectral_norm": namespace.spectral_norm(nn.Linear(3, 2), n_power_iterations=2),
        "spectral_norm, dim": namespace.spectral_norm(nn.Linear(3, 2), dim=1),
        "spectral_norm, eval": namespace.spectral_norm(nn.Linear(3, 2)).eval(),
        "spectral_norm, bias": namespace.spectral_norm(nn.Linear(3, 2), name="bias"),
        "both": namespace.spectral_norm(namespace.weight_norm(nn.Linear(3, 2))),
    }


@pytest.mark.parametrize("name", list(_built(nn, utils)))
def test_parametrized_layers_equal_pytorchs(name: str, backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to compare with")
    ours = _built(nn, utils)[name].double().to(backend.device)
    theirs = _built(torch.nn, torch.nn.utils.parametrizations)[name].double()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    ours.load_state_dict({key: value.clone() for key, value in theirs.state_dict().items()})
    x = numpy.random.default_rng(3).standard_normal((4, 3))
    out, expected = ours(backend.variable(x)), theirs(torch.tensor(x))
    numpy.testing.assert_allclose(backend.numpy(out), expected.detach().numpy(), rtol=1e-9)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        numpy.testing.assert_allclose(backend.numpy(p.grad), q.grad.numpy(), rtol=1e-8, atol=1e-10, err_msg=key)
    for (key, value), want in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        numpy.testing.assert_allclose(backend.numpy(value), want.numpy(), rtol=1e-9, err_msg=key)


def test_adding_and_removing_a_parametrization_keeps_the_value() -> None:
    layer = nn.Linear(3, 2)
    weight = layer.weight.tolist()
    assert utils.weight_norm(layer) is layer
    assert isinstance(layer, nn.Linear)
    numpy.testing.assert_allclose(layer.weight.tolist(), weight, rtol=1e-6)
    assert parametrize.is_parametrized(layer)
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    with rustorch.no_grad():
        layer.parametrizations.weight.original0[...] = layer.parametrizations.weight.original0 * 2
    assert utils.remove_weight_norm(layer) is layer
    assert type(layer) is nn.Linear
    assert isinstance(layer.weight, nn.Parameter)
    numpy.testing.assert_allclose(layer.weight.tolist(), 2 * numpy.array(weight), rtol=1e-6)
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert not parametrize.is_parametrized(layer)
    utils.spectral_norm(layer)
    assert utils.remove_spectral_norm(layer) is layer
    assert type(layer) is nn.Linear


def test_spectral_norm_makes_the_largest_singular_value_one() -> None:
    layer = utils.spectral_norm(nn.Linear(6, 4), n_power_iterations=30)
    layer(rustorch.ones((1, 6)))
    assert rustorch.linalg.svdvals(layer.eval().weight.detach())[0].item() == pytest.approx(1, abs=1e-4)


class Double(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2

    def right_inverse(self, x: Any) -> Any:
        return x / 2


class Cut(nn.Module):
    def forward(self, x: Any) -> Any:
        return x[:1]


def test_custom_parametrizations_are_applied_assigned_and_removed() -> None:
    layer = nn.Linear(2, 2)
    weight = layer.weight.tolist()
    parametrize.register_parametrization(layer, "weight", Double())
    parametrize.register_parametrization(layer, "bias", nn.Tanh())
    assert layer.weight.tolist() == weight
    assert list(layer.state_dict()) == ["parametrizations.weight.original", "parametrizations.bias.original"]
    layer.weight = rustorch.ones((2, 2))
    assert layer.parametrizations.weight.original.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    parametrize.register_parametrization(layer, "weight", Double())
    assert layer.weight.tolist() == [[2, 2], [2, 2]]
    clone = copy.deepcopy(layer)
    with rustorch.no_grad():
        clone.parametrizations.weight.original[...] = 5.0
    assert layer.weight.tolist() == [[2, 2], [2, 2]]
    assert clone.weight.tolist() == [[20, 20], [20, 20]]
    with pytest.raises(RuntimeError, match="Tanh has no right_inverse, so the parameter cannot be assigned"):
        layer.bias = rustorch.zeros(2)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert layer.weight.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert parametrize.is_parametrized(layer, "bias")
    parametrize.remove_parametrizations(layer, "bias")
    assert type(layer) is nn.Linear


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deepcopy", "pickle"]
)
def test_a_copy_has_its_own_parametrizations(copied: Any) -> None:
    layer = utils.spectral_norm(utils.weight_norm(nn.Linear(2, 2)), "bias").eval()
    clone = copied(layer)
    assert repr(clone) == repr(layer)
    assert clone.weight.tolist() == layer.weight.tolist()
    utils.remove_weight_norm(clone)
    utils.remove_spectral_norm(clone, "bias")
    assert type(clone) is nn.Linear
    assert parametrize.is_parametrized(layer, "weight")
    assert clone.weight.tolist() == layer.weight.tolist()


def test_a_buffer_can_be_parametrized() -> None:
    layer = nn.BatchNorm1d(2)
    parametrize.register_parametrization(layer, "running_var", Double())
    assert layer.running_var.tolist() == [1.0, 1.0]
    assert "parametrizations.running_var.original" in dict(layer.named_buffers())
    parametrize.remove_parametrizations(layer, "running_var")
    assert "running_var" in dict(layer.named_buffers())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layer: utils.weight_norm(layer, "x"), "weight_norm: Linear has no parameter 'x'"),
        (
            lambda layer: utils.weight_norm(layer, dim=2),
            r"weight_norm: there is no dimension 2 in a weight of shape \(2, 3\)",
        ),
        (
            lambda layer: utils.spectral_norm(layer, n_power_iterations=0),
            "n_power_iterations is a positive number, not 0",
        ),
        (lambda layer: utils.spectral_norm(layer, dim=-3), "spectral_norm: there is no dimension -3"),
        (lambda layer: utils.remove_weight_norm(layer), "remove_weight_norm: 'weight' of Linear has none"),
        (lambda layer: utils.remove_spectral_norm(layer), "remove_spectral_norm: 'weight' of Linear has none"),
        (
            lambda layer: parametrize.register_parametrization(layer, "x", Double()),
            "Linear has no parameter or buffer 'x'",
        ),
        (lambda layer: parametrize.register_parametrization(layer, "weight", Cut()), "unsafe=True allows that"),
        (
            lambda layer: parametrize.remove_parametrizations(layer, "weight"),
            "'weight' of Linear has no parametrization",
        ),
    ],
)
def test_bad_use_raises_and_changes_nothing(call: Any, message: str) -> None:
    layer = nn.Linear(3, 2)
    before = {name: value.tolist() for name, value in layer.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        call(layer)
    assert type(layer) is nn.Linear
    assert {name: value.tolist() for name, value in layer.state_dict().items()} == before


def test_a_parameter_cannot_become_one_of_two_originals() -> None:
    layer = utils.weight_norm(nn.Linear(3, 2))
    with pytest.raises(ValueError, match="leave_parametrized=False has no meaning"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert parametrize.register_parametrization(nn.Linear(3, 2), "weight", Cut(), unsafe=True).weight.shape == (1, 3)

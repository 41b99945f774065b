"""Normalization beyond the parity table: second derivatives, running statistics, functions, bad input."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support import differences
from tests.support.target import Target

SECOND: dict[str, tuple[Any, list[tuple[int, ...]]]] = {
    "layer_norm": (lambda x, w, b: F.layer_norm(x, 3, w, b), [(2, 3), (3,), (3,)]),
    "layer_norm, no weight": (lambda x: F.layer_norm(x, (2, 2), eps=0.1), [(2, 2, 2)]),
    "layer_norm, no bias": (lambda x, w: F.layer_norm(x, 3, w), [(2, 3), (3,)]),
    "layer_norm, bias alone": (lambda x, b: F.layer_norm(x, 3, None, b), [(2, 3), (3,)]),
    "rms_norm": (lambda x, w: F.rms_norm(x, 3, w), [(2, 3), (3,)]),
    "rms_norm, no weight": (lambda x: F.rms_norm(x, (2, 2), eps=0.1), [(1, 2, 2)]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [(3, 2), (2,), (2,)]),
    "batch_norm, no weight": (lambda x: F.batch_norm(x, None, None, training=True), [(2, 2, 2)]),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(1, 4, 2), (4,), (4,)]),
    "instance_norm": (lambda x, w: F.instance_norm(x, weight=w), [(1, 2, 3), (2,)]),
    "local_response_norm": (lambda x: F.local_response_norm(x, 3, 0.5), [(1, 3, 1)]),
    "normalize": (lambda x: F.normalize(x, 3.0, -1), [(2, 3)]),
}


@pytest.mark.parametrize("name", SECOND)
def test_derivatives_of_first_and_second_order(name: str, rng: numpy.random.Generator) -> None:
    call, shapes = SECOND[name]
    differences.check(
        call, [rng.uniform(0.3, 1.5, shape) for shape in shapes], Target("cpu"), order=2, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "batch_norm"])
def test_primitives_have_second_derivatives_on_every_backend(
    name: str, backend: Target, rng: numpy.random.Generator
) -> None:
    call, shapes = SECOND[name]
    values = [rng.standard_normal(shape) for shape in shapes]
    seconds = []
    for target in (backend, Target("cpu")):
        xs = [target.variable(value, requires_grad=True) for value in values]
        out = call(*xs)
        firsts = rustorch.grad((out * out * out).sum(), xs, create_graph=True)
        total = sum(((g * g).sum() for g in firsts), start=0.0)
        seconds.append([target.numpy(g) for g in rustorch.grad(total, xs)])
    for found, expected in zip(*seconds, strict=True):
        numpy.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_running_statistics_average_all_batches(backend: Target, rng: numpy.random.Generator) -> None:
    layer = nn.BatchNorm1d(2, momentum=None, device=backend.device, dtype=rustorch.float64)
    mean, var = layer.running_mean, layer.running_var
    batches = rng.standard_normal((3, 4, 2))
    for batch in batches:
        layer(backend.variable(batch))
    assert layer.running_mean is mean
    assert layer.running_var is var
    numpy.testing.assert_allclose(backend.numpy(mean), batches.mean(axis=(0, 1)), rtol=1e-12)
    numpy.testing.assert_allclose(backend.numpy(var), batches.var(axis=1, ddof=1).mean(axis=0), rtol=1e-12)
    assert layer.num_batches_tracked.item() == 3
    assert not mean.requires_grad
    layer.reset_running_stats()
    assert mean.tolist() == [0.0, 0.0]
    assert layer.num_batches_tracked.item() == 0
    with rustorch.no_grad():
        layer.weight[...] = 3.0
    layer.reset_parameters()
    assert layer.weight.tolist() == [1.0, 1.0]


def test_evaluation_changes_no_statistics() -> None:
    layer = nn.BatchNorm2d(2).eval()
    layer(rustorch.randn(2, 2, 3, 3))
    assert layer.running_mean.tolist() == [0.0, 0.0]
    assert layer.num_batches_tracked.item() == 0


def test_float32_keeps_its_digits_for_a_large_mean() -> None:
    x = (numpy.arange(24.0).reshape(4, 6) % 5 + 3000).astype("float32")
    for layer in (nn.LayerNorm(6), nn.BatchNorm1d(6)):
        found = layer(x)
        exact = layer.double()(x.astype("float64"))
        numpy.testing.assert_allclose(found.detach().data, exact.detach().data, atol=2e-4)  # the mean is rounded once


def test_normalization_of_arrays_that_are_not_contiguous(rng: numpy.random.Generator) -> None:
    x = rng.standard_normal((3, 4, 2)).transpose(2, 1, 0)
    for call in (lambda v: F.layer_norm(v, (4, 3)), lambda v: F.batch_norm(v, None, None, training=True)):
        a, b = rustorch.tensor(x, requires_grad=True), rustorch.tensor(x.copy(order="C"), requires_grad=True)
        (call(a) ** 3).sum().backward()
        (call(b) ** 3).sum().backward()
        numpy.testing.assert_allclose(a.grad, b.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("p", [1, 2, 3.0, float("inf")])
def test_normalize_equals_pytorchs(p: float, rng: numpy.random.Generator) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to be asked")
    x = rng.standard_normal((2, 3, 2))
    x[0, :, 0] = 0
    ours, theirs = rustorch.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    found, expected = F.normalize(ours, p), torch.nn.functional.normalize(theirs, p)
    numpy.testing.assert_allclose(found.detach().data, expected.detach().numpy(), rtol=1e-12)
    w = rng.standard_normal(x.shape)
    w[0, :, 0] = 0  # at zero every subgradient is right, so leave it out
    (found * w).sum().backward()
    (expected * torch.tensor(w)).sum().backward()
    numpy.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)


ONES = rustorch.ones((2, 3, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.BatchNorm1d(0), ValueError, "BatchNorm1d: num_features is a positive number, not 0"),
        (
            lambda: nn.BatchNorm2d(3)(ONES),
            ValueError,
            r"BatchNorm2d: the input has shape .* it takes \(n, channels, height, width\)",
        ),
        (
            lambda: nn.BatchNorm1d(2)(ONES),
            ValueError,
            r"BatchNorm1d: the input has shape \(2, 3, 2\); its channels are 2, not 3",
        ),
        (
            lambda: nn.BatchNorm1d(3)(ONES[:1, :, 0]),
            ValueError,
            r"more than one value per channel; an input of shape \(1, 3\) has 1",
        ),
        (
            lambda: nn.BatchNorm1d(3)(rustorch.ones((2, 3), dtype=rustorch.int64)),
            TypeError,
            "batch_norm is of real floating-point",
        ),
        (lambda: F.batch_norm(ONES, None, None), ValueError, "nothing to evaluate with; pass training=True"),
        (lambda: F.batch_norm(ONES[0, 0], None, None), ValueError, "needs two dimensions at least"),
        (
            lambda: F.batch_norm(ONES, None, None, rustorch.ones(2), training=True),
            ValueError,
            r"the weight has shape \(3,\), not \(2,\)",
        ),
        (
            lambda: F.batch_norm(ONES, numpy.zeros(3, "float32"), None, training=True),
            TypeError,
            "running_mean is updated in place",
        ),
        (lambda: nn.InstanceNorm1d(2, affine=True)(ONES), ValueError, "InstanceNorm1d: .* its channels are 2, not 3"),
        (
            lambda: nn.InstanceNorm2d(3)(ONES[0]),
            ValueError,
            r"it takes \(channels, height, width\) or \(n, channels, height, width\)",
        ),
        (lambda: nn.InstanceNorm1d(3)(ONES[..., :1]), ValueError, "more than one value per channel is needed"),
        (lambda: F.instance_norm(ONES[0]), ValueError, "needs three dimensions at least"),
        (lambda: F.instance_norm(ONES, use_input_stats=False), ValueError, "needs running_mean and running_var"),
        (lambda: nn.LayerNorm(()), ValueError, "LayerNorm: normalized_shape has at least one size"),
        (lambda: nn.LayerNorm((3, -1)), ValueError, r"LayerNorm: normalized_shape\[1\] is a positive number, not -1"),
        (
            lambda: nn.LayerNorm(3)(ONES),
            ValueError,
            r"LayerNorm: the input has shape \(2, 3, 2\); its last sizes are \(3,\)",
        ),
        (
            lambda: nn.RMSNorm((2, 2))(ONES),
            ValueError,
            r"RMSNorm: the input has shape \(2, 3, 2\); its last sizes are \(2, 2\)",
        ),
        (lambda: F.layer_norm(ONES, 0), ValueError, "layer_norm: normalized_shape is positive sizes, not 0"),
        (lambda: F.layer_norm(ONES, 2, rustorch.ones(3)), ValueError, r"layer_norm: the weight has shape \(3,\)"),
        (lambda: F.rms_norm(ONES, (3,)), ValueError, "rms_norm: the input has shape"),
        (
            lambda: nn.GroupNorm(2, 3),
            ValueError,
            "GroupNorm: num_channels is a multiple of num_groups, and 3 is none of 2",
        ),
        (lambda: nn.GroupNorm(0, 3), ValueError, "GroupNorm: num_groups is a positive number, not 0"),
        (
            lambda: nn.GroupNorm(2, 4)(ONES),
            ValueError,
            r"GroupNorm: the input has shape \(2, 3, 2\); it takes \(n, 4, ...\)",
        ),
        (lambda: F.group_norm(ONES, 2), ValueError, "2 groups do not divide the 3 channels"),
        (lambda: F.group_norm(ONES[0, 0], 1), ValueError, "needs two dimensions at least"),
        (lambda: nn.LocalResponseNorm(0), ValueError, "LocalResponseNorm: size is a positive number, not 0"),
        (lambda: F.local_response_norm(ONES[0], 2), ValueError, "needs three dimensions at least"),
        (lambda: F.local_response_norm(ONES, 0), ValueError, "the size is a positive number of channels, not 0"),
        (lambda: F.normalize(ONES, dim=3), IndexError, "axis 3 is out of range"),
        (
            lambda: F.normalize(rustorch.ones(2, dtype=rustorch.int64), dim=0),
            TypeError,
            "normalize is of floating-point numbers",
        ),
        (lambda: F.normalize(ONES, out=ONES), ValueError, "out must be None"),
    ],
)
def test_bad_input_raises(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("x", [ONES, ONES[:1, :2, :1], rustorch.ones((2, 2, 2), dtype=rustorch.int32)])
def test_a_failed_call_changes_no_statistics(x: Any, backend: Target) -> None:
    for layer in (
        nn.BatchNorm1d(2, device=backend.device),
        nn.InstanceNorm1d(2, track_running_stats=True, device=backend.device),
    ):
        before = {name: value.tolist() for name, value in layer.state_dict().items()}
        with pytest.raises((ValueError, TypeError)):
            layer(x.to(backend.device))
        assert {name: value.tolist() for name, value in layer.state_dict().items()} == before


def test_an_instance_norm_without_use_for_its_channels_warns() -> None:
    with pytest.warns(UserWarning, match="without affine and statistics, the number is not used"):
        assert nn.InstanceNorm1d(2)(ONES).shape == (2, 3, 2)

"""Convolutions: derivatives of first and second order, initial values, details of sizes, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
from numpy.lib.array_utils import byte_bounds

import rustorch
from rustorch import nn
from rustorch.autograd.gradcheck import gradcheck, gradgradcheck
from rustorch.backends.kernels import KERNELS
from rustorch.backends.numpy import convolution as numpy_convolution
from rustorch.backends.numpy.namespace import full_namespace
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support.target import Target

ONES = rustorch.ones

#: The three primitives: stride and groups; dilation and padding on one side; a transposed convolution with output
#: padding.
PRIMITIVES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "conv": (
        lambda x, w, b: network.conv(x, w, b, (2, 1), ((1, 1), (0, 2)), (1, 2), 2),
        ((1, 2, 3, 3), (2, 1, 2, 2), (2,)),
    ),
    "conv_grad_input": (
        lambda g, w: network.conv_grad_input(g, w, (5, 3), (2, 1), ((1, 0), (1, 1)), (1, 1), 1),
        ((1, 2, 3, 4), (2, 1, 2, 2)),
    ),
    "conv_grad_weight": (
        lambda g, x: network.conv_grad_weight(g, x, (2,), (2,), ((1, 0),), (2,), 1),
        ((2, 2, 2), (2, 1, 4)),
    ),
}


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_first_and_second_derivatives(name: str, dtype: str, backend: Target, rng: numpy.random.Generator) -> None:
    function, shapes = PRIMITIVES[name]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    if dtype == "complex128":
        if backend.device != "cpu":
            pytest.skip("the rules are the same on every backend")
        arrays = [array + 1j * rng.standard_normal(array.shape) for array in arrays]
    inputs = [backend.variable(array, dtype, requires_grad=True) for array in arrays]
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def _drawn(rng: numpy.random.Generator) -> tuple[Any, ...]:
    """Random sizes, kernel and options of a convolution. Padding may be large or negative."""
    while True:
        n = int(rng.integers(1, 4))
        size, kernel, dilation = (tuple(rng.integers(1, high, n).tolist()) for high in (6, 4, 4))
        stride = (1,) * n if rng.random() < 0.5 else tuple(rng.integers(1, 4, n).tolist())
        padding = tuple([tuple(pair) for pair in rng.integers(0 if max(stride) > 1 else -1, 6, (n, 2)).tolist()])
        rooms = [s + sum(pair) - d * (k - 1) for s, pair, k, d in zip(size, padding, kernel, dilation, strict=True)]
        if min(rooms) > 0 and all(s + min(0, *pair) > 0 for s, pair in zip(size, padding, strict=True)):
            return size, kernel, (stride, padding, dilation, int(rng.integers(1, 3)))


@pytest.mark.parametrize("cache", [1, 2000, 1 << 20], ids=["one sample", "some samples", "all samples"])
def test_kernels_for_numpy_equal_the_plain_kernels(
    cache: int, monkeypatch: pytest.MonkeyPatch, rng: numpy.random.Generator
) -> None:
    """For several numbers of samples at a time. The windows lie in the memory of the scratch buffer."""
    fast, xp = numpy_convolution, full_namespace()
    monkeypatch.setattr(fast, "CACHE", cache)
    for _ in range(60):
        size, kernel, options = _drawn(rng)
        groups = options[-1]
        x, w = rng.standard_normal((3, 2 * groups, *size)), rng.standard_normal((2 * groups, 2, *kernel))
        buffers = fast._Columns(x.shape, x.dtype, kernel, *options, outs=2)
        low, high = byte_bounds(buffers.windows)
        assert low >= byte_bounds(buffers.memory)[0] and high <= byte_bounds(buffers.memory)[1], (size, kernel, options)
        g = fast.conv(x, w, None, *options)
        for name, arguments in {
            "conv": (x, w, None),
            "conv_grad_input": (g, w, size),
            "conv_grad_weight": (g, x, kernel),
        }.items():
            found, expected = getattr(fast, name)(*arguments, *options), KERNELS[name](xp, *arguments, *options)
            numpy.testing.assert_allclose(
                found, expected, rtol=1e-10, atol=1e-10, err_msg=f"{name} {size} {kernel} {options}"
            )


def test_same_padding_adds_the_odd_zero_after(backend: Target) -> None:
    x = backend.variable([[1.0, 2.0, 3.0]])
    weight = backend.variable([[[1.0, 10.0]]])
    assert backend.numpy(F.conv1d(x, weight, padding="same")).tolist() == [[21.0, 32.0, 3.0]]


@pytest.mark.parametrize(
    ("layer", "bound"), [(nn.Conv2d(4, 200, 3, groups=2), 18**-0.5), (nn.ConvTranspose1d(8, 100, 2), 200**-0.5)]
)
def test_initial_values_are_uniform_with_pytorchs_bound(layer: Any, bound: float) -> None:
    for parameter in (layer.weight, layer.bias):
        values = numpy.asarray(parameter.detach())
        assert abs(values).max() <= bound
        assert abs(values).max() > 0.9 * bound
        assert abs(values.mean()) < 0.2 * bound
    before = layer.weight.tolist()
    layer.reset_parameters()
    assert layer.weight.tolist() != before


def test_parameters_have_the_given_device_and_dtype(backend: Target) -> None:
    layer = nn.Conv1d(1, 2, 2, device=backend.device, dtype=rustorch.float64)
    assert (layer.weight.device, layer.weight.dtype) == (backend.device, rustorch.float64)
    assert nn.ConvTranspose2d(1, 2, 2, bias=False).bias is None


def test_gradients_of_two_calls_of_a_layer_add_up(backend: Target) -> None:
    layer = nn.Conv1d(1, 1, 2, bias=False, device=backend.device)
    x = backend.variable([[1.0, 2.0, 4.0]], "float32")
    (layer(x).sum() + layer(2 * x).sum()).backward()
    assert backend.numpy(layer.weight.grad).tolist() == [[[9.0, 18.0]]]


BAD_ARGUMENTS = [
    (lambda: nn.Conv2d(0, 2, 3), ValueError, "Conv2d: in_channels is at least 1, not 0"),
    (lambda: nn.Conv2d(1, 2.5, 3), TypeError, "Conv2d: out_channels is an integer, not 2.5"),
    (lambda: nn.Conv2d(1, 2, 0), ValueError, "Conv2d: kernel_size is at least 1, not 0"),
    (lambda: nn.Conv2d(1, 2, (3,)), ValueError, r"Conv2d: kernel_size is an integer or 2 of them, not \(3,\)"),
    (lambda: nn.Conv2d(1, 2, 3, stride=(0, 1)), ValueError, r"Conv2d: stride is at least 1, not \(0, 1\)"),
    (lambda: nn.Conv2d(1, 2, 3, padding=-1), ValueError, "Conv2d: padding is at least 0, not -1"),
    (lambda: nn.Conv2d(1, 2, 3, padding="full"), ValueError, "Conv2d: padding is 'same', 'valid' or sizes, not 'full'"),
    (lambda: nn.Conv2d(1, 2, 3, 2, "same"), ValueError, r"Conv2d: padding='same' is for a stride of 1, not \(2, 2\)"),
    (lambda: nn.Conv2d(1, 2, 3, dilation=False), TypeError, "Conv2d: dilation is an integer or 2 of them, not False"),
    (lambda: nn.Conv2d(2, 4, 3, groups=0), ValueError, "Conv2d: groups is at least 1, not 0"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "Conv2d: groups=2 do not divide in_channels=3"),
    (lambda: nn.Conv3d(4, 3, 3, groups=2), ValueError, "Conv3d: groups=2 do not divide out_channels=3"),
    (
        lambda: nn.Conv2d(1, 2, 3, padding_mode="mirror"),
        ValueError,
        "Conv2d: padding_mode is 'zeros' or 'reflect' or 'replicate' or 'circular', not 'mirror'",
    ),
    (
        lambda: nn.ConvTranspose2d(1, 2, 3, padding_mode="reflect"),
        ValueError,
        "ConvTranspose2d: padding_mode is 'zeros', not 'reflect'",
    ),
    (lambda: nn.ConvTranspose2d(1, 2, 3, padding="same"), ValueError, "ConvTranspose2d: padding is sizes, not 'same'"),
    (
        lambda: nn.ConvTranspose1d(1, 2, 3, output_padding=-1),
        ValueError,
        "ConvTranspose1d: output_padding is at least 0, not -1",
    ),
    (lambda: nn.Conv1d(1, 2, 3, device="nowhere"), ValueError, "unknown device 'nowhere'"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_ARGUMENTS)
def test_layers_refuse_bad_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


BAD_CALLS = [
    (
        lambda: nn.Conv2d(3, 2, 3)(ONES((5, 5))),
        ValueError,
        r"conv2d: the input has 4 dimensions, \(samples, channels, height, width\), or 3 without samples; its "
        r"shape is \(5, 5\)",
    ),
    (
        lambda: nn.Conv2d(3, 2, 3)(ONES((1, 2, 5, 5))),
        ValueError,
        r"conv2d: a weight of shape \(2, 3, 3, 3\) with groups=1 takes 3 channels; the input of shape \(1, 2, 5, "
        r"5\) has 2",
    ),
    (
        lambda: nn.Conv2d(1, 2, 5, padding=1)(ONES((1, 1, 2, 4))),
        ValueError,
        r"conv2d: a kernel of sizes \(5, 5\) with dilation \(1, 1\) reaches over \(5, 5\), more than the padded "
        r"input has: \(4, 6\)",
    ),
    (
        lambda: nn.Conv1d(1, 2, 3, padding=4, padding_mode="reflect")(ONES((1, 4))),
        ValueError,
        r"pad: padding \(4, 4\) does not fit a dimension of 4; reflection does not repeat the element at the edge",
    ),
    (lambda: nn.Conv1d(1, 2, 1)(rustorch.arange(4)), TypeError, "conv1d is of floating-point numbers, not of int64"),
    (lambda: nn.Conv1d(2, 2, 1)(ONES((1, 2, 0))), ValueError, "reaches over"),
    (
        lambda: F.conv2d(ONES((1, 2, 4, 4)), ONES((2, 2, 3))),
        ValueError,
        r"conv2d: the weight has 4 dimensions, none of them empty; its shape is \(2, 2, 3\)",
    ),
    (lambda: F.conv1d(ONES((1, 2, 4)), ONES((2, 2, 0))), ValueError, r"none of them empty; its shape is \(2, 2, 0\)"),
    (
        lambda: F.conv1d(ONES((1, 4, 4)), ONES((3, 2, 1)), groups=2),
        ValueError,
        "conv1d: groups=2 do not divide the 3 output channels of the weight",
    ),
    (
        lambda: F.conv1d(ONES((1, 2, 4)), ONES((3, 2, 1)), ONES((2,))),
        ValueError,
        r"conv1d: the bias has shape \(2,\), but there are 3 output channels",
    ),
    (
        lambda: F.conv1d(ONES((1, 2, 4)), ONES((3, 2, 1)), padding="half"),
        ValueError,
        "conv1d: padding is 'same', 'valid' or sizes",
    ),
    (lambda: F.conv1d(ONES((1, 2, 4)), ONES((3, 2, 1)), stride=2, padding="same"), ValueError, "is for a stride of 1"),
    (
        lambda: F.conv1d(ONES((1, 2, 4)), ONES((3, 2, 1)), stride=(1, 1)),
        ValueError,
        r"conv1d: stride is an integer, not \(1, 1\)",
    ),
    (lambda: F.conv_transpose1d(ONES((1, 2, 4)), ONES((3, 2, 1))), ValueError, "takes 3 channels; the input .* has 2"),
    (
        lambda: F.conv_transpose1d(ONES((1, 3, 4)), ONES((3, 2, 1)), groups=2),
        ValueError,
        "conv_transpose1d: groups=2 do not divide the 3 input channels of the weight",
    ),
    (
        lambda: F.conv_transpose1d(ONES((1, 3, 4)), ONES((3, 2, 1)), ONES((3,))),
        ValueError,
        "but there are 2 output channels",
    ),
    (
        lambda: F.conv_transpose1d(ONES((1, 2, 4)), ONES((2, 2, 3)), stride=2, output_padding=2),
        ValueError,
        r"conv_transpose1d: output_padding is smaller than the stride or the dilation, \(2,\) and \(1,\); it is \(2,\)",
    ),
    (
        lambda: F.conv_transpose1d(ONES((1, 2, 1)), ONES((2, 2, 3)), padding=2),
        ValueError,
        r"conv_transpose1d: an input of shape \(1, 2, 1\) would have an output of sizes \(-1,\): the padding is "
        r"too large",
    ),
    (lambda: F.conv_transpose1d(ONES((1, 2, 0)), ONES((2, 2, 3))), ValueError, "conv_transpose1d: the input is empty"),
    (
        lambda: nn.ConvTranspose1d(1, 1, 3, 2)(ONES((1, 1, 4)), output_size=(11,)),
        ValueError,
        r"ConvTranspose1d: an input of shape \(1, 1, 4\) gives output sizes from \(9,\) to \(10,\), not \(11,\)",
    ),
    (
        lambda: nn.ConvTranspose1d(1, 1, 3, 2)(ONES((1, 1, 4)), output_size=(9, 9)),
        ValueError,
        "output_size is an integer",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
def test_functions_refuse_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_failed_call_changes_nothing(backend: Target) -> None:
    layer = nn.Conv1d(2, 3, 3, device=backend.device)
    state = {name: backend.numpy(value).copy() for name, value in layer.state_dict().items()}
    x = backend.variable(numpy.ones((1, 1, 5)), "float32", requires_grad=True)
    with pytest.raises(ValueError, match="conv1d: "):
        layer(x)
    assert x.grad is None
    assert all(parameter.grad is None for parameter in layer.parameters())
    for name, value in layer.state_dict().items():
        numpy.testing.assert_array_equal(backend.numpy(value), state[name])


def test_operands_on_different_devices_raise() -> None:
    strict = pytest.importorskip("array_api_strict")
    with pytest.raises(RuntimeError, match="device"):
        nn.Conv1d(1, 1, 1)(strict.ones((1, 3)))

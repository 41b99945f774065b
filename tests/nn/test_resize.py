"""Interpolation and shuffles beyond the parity table: second derivatives, integers, bad input."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support import differences
from tests.support.target import Target

SECOND: dict[str, tuple[Any, tuple[int, ...]]] = {
    "nearest, repeated": (lambda x: F.interpolate(x * x, scale_factor=2), (1, 1, 2, 2)),
    "nearest, picked": (lambda x: F.interpolate(x * x, 5), (1, 1, 3)),
    "linear": (lambda x: F.interpolate(x * x, 5, mode="linear"), (1, 1, 3)),
    "bicubic": (lambda x: F.interpolate(x * x, (3, 1), mode="bicubic"), (1, 1, 2, 2)),
    "area": (lambda x: F.interpolate(x * x, 2, mode="area"), (1, 1, 3)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x * x, 2), (4, 1, 2)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x * x, 2), (1, 2, 2)),
    "channel_shuffle": (lambda x: F.channel_shuffle(x * x, 2), (1, 4, 1)),
}


@pytest.mark.parametrize("name", SECOND)
def test_derivatives_of_first_and_second_order(name: str, rng: numpy.random.Generator) -> None:
    call, shape = SECOND[name]
    differences.check(call, [rng.standard_normal(shape)], Target("cpu"), order=2, rtol=1e-5, atol=1e-6)


def test_pixel_unshuffle_undoes_pixel_shuffle(backend: Target, rng: numpy.random.Generator) -> None:
    x = rng.standard_normal((2, 1, 4, 6))
    there = F.pixel_unshuffle(backend.variable(x), 2)
    assert there.shape == (2, 4, 2, 3)
    numpy.testing.assert_array_equal(backend.numpy(F.pixel_shuffle(there, 2)), x)


def test_shuffles_and_nearest_take_integers() -> None:
    x = rustorch.reshape(rustorch.arange(8), (1, 4, 1, 2))
    assert F.channel_shuffle(x, 2).dtype == rustorch.int64
    assert F.pixel_shuffle(x, 2).tolist() == [[[[0, 2, 1, 3], [4, 6, 5, 7]]]]


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_empty_batches_and_float32(mode: str) -> None:
    x = rustorch.zeros((0, 2, 3, 3)).requires_grad_()
    out = F.interpolate(x, (4, 6), mode=mode)
    assert (out.shape, out.dtype) == ((0, 2, 4, 6), rustorch.float32)
    out.sum().backward()
    assert rustorch.Variable(x.grad).shape == x.shape


def test_resizing_to_the_same_size_returns_the_image(backend: Target, rng: numpy.random.Generator) -> None:
    x = rng.standard_normal((1, 2, 3, 3))
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
        numpy.testing.assert_allclose(backend.numpy(F.interpolate(backend.variable(x), 3, mode=mode)), x, rtol=1e-15)


# -- bad input ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("shape", "options", "error", "message"),
    [
        (
            (2, 3),
            {"size": 2},
            ValueError,
            r"interpolate: the input has 1 to 3 spatial dimensions after batch and channels; .*\(2, 3\)",
        ),
        (
            (1, 1, 0),
            {"size": 2},
            ValueError,
            r"interpolate: only the batch may be of size 0; the input's shape is \(1, 1, 0\)",
        ),
        ((1, 1, 3), {"size": 2, "mode": "cubic"}, ValueError, "interpolate: mode is one of 'nearest', .*, not 'cubic'"),
        (
            (1, 1, 3),
            {"size": 2, "mode": "bilinear"},
            ValueError,
            r"interpolate: 'bilinear' is for 4 dimensions; .*\(1, 1, 3\)",
        ),
        (
            (1, 1, 3),
            {"size": 2, "align_corners": True},
            ValueError,
            "interpolate: align_corners is for 'linear', .*, not for 'nearest'",
        ),
        (
            (1, 1, 3, 3),
            {"size": 2, "antialias": True},
            ValueError,
            "interpolate: antialias is for 'bilinear' and 'bicubic', not for",
        ),
        ((1, 1, 3), {}, ValueError, "interpolate: give either size or scale_factor, one of them"),
        (
            (1, 1, 3),
            {"size": 2, "scale_factor": 2},
            ValueError,
            "interpolate: give either size or scale_factor, not both",
        ),
        (
            (1, 1, 3),
            {"size": 2, "recompute_scale_factor": True},
            ValueError,
            "interpolate: recompute_scale_factor is for a scale_factor",
        ),
        ((1, 1, 3), {"size": (2, 2)}, ValueError, r"interpolate: size is an integer, not \(2, 2\)"),
        ((1, 1, 3), {"size": 2.5}, TypeError, "interpolate: size is an integer, not 2.5"),
        ((1, 1, 3), {"size": 0}, ValueError, "interpolate: size is at least 1, not 0"),
        (
            (1, 1, 3),
            {"scale_factor": (2, 2)},
            ValueError,
            r"interpolate: scale_factor is a number or 1 of them .*, not \(2, 2\)",
        ),
        (
            (1, 1, 3),
            {"scale_factor": "2"},
            ValueError,
            "interpolate: scale_factor is a number or 1 of them .*, not '2'",
        ),
        ((1, 1, 3), {"scale_factor": -1.0}, ValueError, "interpolate: scale_factor is positive and finite, not -1.0"),
        (
            (1, 1, 3),
            {"scale_factor": float("nan")},
            ValueError,
            "interpolate: scale_factor is positive and finite, not nan",
        ),
        (
            (1, 1, 3),
            {"scale_factor": 0.2},
            ValueError,
            r"interpolate: with scale_factor 0.2 an input of shape \(1, 1, 3\) .* \(0,\)",
        ),
    ],
)
def test_interpolate_refuses_bad_input(
    shape: tuple, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        F.interpolate(rustorch.ones(shape), **options)


def test_interpolate_refuses_integers(backend: Target) -> None:
    with pytest.raises(TypeError, match="interpolate is of floating-point numbers, not of int64"):
        nn.Upsample(2)(backend.variable(numpy.ones((1, 1, 3)), "int64"))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            nn.PixelShuffle(2),
            (6, 2, 2),
            r"pixel_shuffle: the number of channels must be a multiple of 2 \* 2; the input's shape is \(6, 2, 2\)",
        ),
        (
            nn.PixelShuffle(2),
            (4, 2),
            r"pixel_shuffle: the input is \(..., channels, height, width\); its shape is \(4, 2\)",
        ),
        (nn.PixelUnshuffle(2), (1, 3, 4), "pixel_unshuffle: height and width must be multiples of 2"),
        (nn.PixelUnshuffle(2), (4,), r"pixel_unshuffle: the input is .*; its shape is \(4,\)"),
        (nn.ChannelShuffle(2), (1, 3, 4), "channel_shuffle: the number of channels must be a multiple of groups=2"),
        (
            nn.ChannelShuffle(2),
            (2, 4),
            r"channel_shuffle: the input is \(batch, channels, ...\) of at least 3 dimensions",
        ),
    ],
)
def test_shuffles_refuse_bad_shapes(layer: Any, shape: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer(rustorch.ones(shape))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.PixelShuffle(0), ValueError, "PixelShuffle: upscale_factor is at least 1, not 0"),
        (lambda: nn.PixelUnshuffle(1.5), TypeError, "PixelUnshuffle: downscale_factor is an integer, not 1.5"),
        (lambda: nn.ChannelShuffle(-1), ValueError, "ChannelShuffle: groups is at least 1, not -1"),
    ],
)
def test_layers_refuse_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_deprecated_functions_interpolate_and_warn() -> None:
    x = Target("cpu").variable(numpy.arange(6.0).reshape(1, 1, 2, 3))
    calls: list[tuple[Any, dict[str, Any]]] = [
        (F.upsample, {"mode": "bilinear", "align_corners": False}),
        (F.upsample_nearest, {}),
        (F.upsample_bilinear, {"mode": "bilinear", "align_corners": True}),
    ]
    for call, options in calls:
        with pytest.warns(UserWarning, match=f"{call.__name__} is deprecated; write interpolate"):
            out = call(x, scale_factor=2, **(options if call is F.upsample else {}))
        assert out.tolist() == F.interpolate(x, scale_factor=2, **options).tolist()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("options", [{"size": (4, 5)}, {"size": (20, 2)}, {"scale_factor": 0.37}])
def test_antialiasing_equals_pytorchs(mode: str, align: bool, options: dict[str, Any], backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    image = numpy.random.default_rng(0).standard_normal((2, 3, 11, 9))
    x, other = backend.variable(image, requires_grad=True), torch.tensor(image, requires_grad=True)
    out = F.interpolate(x, mode=mode, align_corners=align, antialias=True, **options)
    expected = torch.nn.functional.interpolate(other, mode=mode, align_corners=align, antialias=True, **options)
    numpy.testing.assert_allclose(backend.numpy(out), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    (out * out).sum().backward()
    (expected * expected).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), other.grad.numpy(), rtol=1e-9, atol=1e-11)


def test_antialiasing_of_an_image_of_one_column() -> None:
    """PyTorch 2.13 repeats one value where a width becomes 1 and the height changes."""
    image = Target("cpu").variable(numpy.random.default_rng(0).standard_normal((1, 1, 6, 9)))
    out = F.interpolate(image, (3, 1), mode="bilinear", antialias=True)
    steps = F.interpolate(
        F.interpolate(image, (6, 1), mode="bilinear", antialias=True), (3, 1), mode="bilinear", antialias=True
    )
    assert rustorch.all(rustorch.abs(out - steps) < 1e-12)

"""Pooling beyond the parity table: second derivatives, ties, nan and infinities, dtypes, empty batches, bad input."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.backends.kernels.pooling import Window, bins
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support import differences
from tests.support.target import Target

INF, NAN = numpy.inf, numpy.nan
WINDOWS = (Window(4, 2, 3, 2, 1, 1), bins(3, 2))
WHICH = numpy.array([[4, 3], [0, 5]], dtype="uint8")

SECOND: dict[str, tuple[Any, tuple[int, ...]]] = {
    "max_pool": (lambda x: F.max_pool2d(x * x, 2, 1), (1, 3, 3)),
    "max_pool_gather": (lambda x: network.max_pool_gather(x * x, _on(x, WHICH), WINDOWS), (4, 3)),
    "max_pool_grad": (lambda x: network.max_pool_grad(x * x, _on(x, WHICH), WINDOWS), (2, 2)),
    "max_unpool": (lambda x: F.max_unpool1d(x * x, _on(x, numpy.array([[3, 0]])), 2), (1, 2)),
    "avg_pool": (lambda x: F.avg_pool2d(x * x, 2, 1, 1, count_include_pad=False), (1, 3, 2)),
    "avg_pool_grad": (lambda x: network.avg_pool_grad(x * x, WINDOWS[:1], 2), (2, 2)),
    "lp_pool": (lambda x: F.lp_pool1d(x, 3, 2), (1, 4)),
    "adaptive_avg_pool": (lambda x: F.adaptive_avg_pool2d(x * x, (2, 1)), (1, 3, 3)),
    "adaptive_max_pool": (lambda x: F.adaptive_max_pool2d(x * x, (2, 1), return_indices=True)[0], (1, 3, 3)),
}


def _on(x: Any, array: numpy.ndarray) -> Any:
    return rustorch.asarray(array, device=x.device)


@pytest.mark.parametrize("name", SECOND)
def test_derivatives_of_first_and_second_order(name: str, rng: numpy.random.Generator) -> None:
    call, shape = SECOND[name]
    at = 0.5 + rng.permutation(int(numpy.prod(shape))).reshape(shape) / 10  # no ties
    differences.check(call, [at], Target("cpu"), order=2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["max_pool", "avg_pool", "adaptive_max_pool"])
def test_second_derivatives_are_equal_on_every_backend(name: str, backend: Target, rng: numpy.random.Generator) -> None:
    call, shape = SECOND[name]
    at = rng.standard_normal(shape)
    seconds = []
    for target in (backend, Target("cpu")):
        x = target.variable(at, requires_grad=True)
        out = call(x)
        (first,) = rustorch.grad((out * out).sum(), x, create_graph=True)
        seconds.append(target.numpy(rustorch.grad((first * first).sum(), x)[0]))
    numpy.testing.assert_allclose(*seconds, rtol=1e-10, atol=1e-12)


# -- ties, nan, infinities ---------------------------------------------------------------------------------------------
EDGES = {
    "ties": ([[2.0, 2.0, 1.0, 1.0]], {"kernel_size": 2}, [[2.0, 1.0]], [[0, 2]]),
    "nan": ([[NAN, 5.0, 1.0, NAN, NAN, NAN]], {"kernel_size": 3}, [[NAN, NAN]], [[0, 5]]),
    "nothing but -inf": (
        [[-INF, -INF, -INF]],
        {"kernel_size": 2, "stride": 1, "padding": 1},
        [[-INF] * 4],
        [[0, 0, 1, 2]],
    ),
    "inf": ([[INF, INF, -INF, 0.0]], {"kernel_size": 2}, [[INF, 0.0]], [[0, 3]]),
}


@pytest.mark.parametrize("name", EDGES)
def test_ties_nan_and_infinities_choose_the_right_index(name: str, backend: Target) -> None:
    values, options, expected, places = EDGES[name]
    out, indices = F.max_pool1d(backend.variable(values), **options, return_indices=True)
    numpy.testing.assert_array_equal(backend.numpy(out), expected)
    numpy.testing.assert_array_equal(backend.numpy(indices), places)
    x = backend.variable(values, requires_grad=True)
    F.max_pool1d(x, **options).backward(backend.variable(numpy.ones(numpy.shape(expected))))
    counts = numpy.bincount(numpy.ravel(places), minlength=len(values[0]))[None]
    numpy.testing.assert_array_equal(backend.numpy(x.grad), counts)


def test_ties_nan_and_infinities_equal_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for values, options, expected, places in EDGES.values():
        out, indices = torch.nn.functional.max_pool1d(torch.tensor(values), **options, return_indices=True)
        numpy.testing.assert_array_equal(out.numpy(), expected)
        numpy.testing.assert_array_equal(indices.numpy(), places)


def test_adaptive_pooling_of_a_long_dimension(backend: Target) -> None:
    """The product of its length and the number of bins needs more than 32 bits."""
    size, out = 70_000, 40_001
    x = rustorch.reshape(backend.variable(range(size)), (1, size))
    found, indices = F.adaptive_max_pool1d(x, out, return_indices=True)
    last = [-((o + 1) * size // -out) - 1 for o in range(out)]
    numpy.testing.assert_array_equal(backend.numpy(found), [last])
    numpy.testing.assert_array_equal(backend.numpy(indices), [last])


@pytest.mark.parametrize("overlap", [False, True])
def test_an_infinite_gradient_goes_to_one_value_only(overlap: bool, backend: Target) -> None:
    x = backend.variable([[1.0, 2.0, 3.0, 0.0]], requires_grad=True)
    out = F.max_pool1d(x, 2, 1 if overlap else 2)
    out.backward(backend.variable([[INF] + [1.0] * (out.shape[1] - 1)]))
    expected = [[0.0, INF, 2.0, 0.0]] if overlap else [[0.0, INF, 1.0, 0.0]]
    numpy.testing.assert_array_equal(backend.numpy(x.grad), expected)


def test_a_nan_stays_in_its_bin(backend: Target) -> None:
    out = F.adaptive_avg_pool1d(backend.variable([[NAN, 1.0, 2.0, INF, 1.0]]), 3)
    numpy.testing.assert_array_equal(backend.numpy(out), [[NAN, INF, INF]])


# -- forms of the input ------------------------------------------------------------------------------------------------
def _layers() -> list[Any]:
    return [
        nn.MaxPool2d(2),
        nn.AvgPool2d(2),
        nn.LPPool2d(2, 2),
        nn.AdaptiveAvgPool2d(2),
        nn.AdaptiveMaxPool2d((None, 3)),
    ]


@pytest.mark.parametrize("layer", _layers(), ids=repr)
def test_float32_and_empty_batches(layer: Any, backend: Target) -> None:
    x = backend.variable(numpy.full((2, 1, 4, 4), 3.0), "float32", requires_grad=True)
    out = layer(x)
    assert out.dtype == rustorch.float32
    out.sum().backward()
    assert rustorch.Variable(x.grad).dtype == rustorch.float32
    empty = backend.variable(numpy.zeros((0, 1, 4, 4)), requires_grad=True)
    out = layer(empty)
    assert out.shape[0] == 0
    out.sum().backward()
    assert rustorch.Variable(empty.grad).shape == (0, 1, 4, 4)


def test_pooling_of_arrays_that_are_not_contiguous(rng: numpy.random.Generator) -> None:
    backend = Target("cpu")
    x = rng.standard_normal((2, 4, 6, 3))
    moved = rustorch.moveaxis(backend.variable(x), -1, 1)
    copied = backend.variable(numpy.ascontiguousarray(numpy.moveaxis(x, -1, 1)))
    for layer in _layers():
        numpy.testing.assert_array_equal(backend.numpy(layer(moved)), backend.numpy(layer(copied)))


def test_pooling_does_not_change_its_input(rng: numpy.random.Generator) -> None:
    backend = Target("cpu")  # its kernels write in place
    values = rng.standard_normal((1, 1, 4, 4))
    for layer in [*_layers(), nn.AvgPool2d(1), nn.MaxPool2d(1), nn.AdaptiveAvgPool2d(4)]:
        x = backend.variable(values, requires_grad=True)
        out = layer(x)
        start = backend.variable(numpy.ones(out.shape))
        out.backward(start)
        numpy.testing.assert_array_equal(backend.numpy(x), values)
        numpy.testing.assert_array_equal(backend.numpy(start), numpy.ones(out.shape))


def test_max_unpool_restores_overlapping_windows(backend: Target) -> None:
    x = backend.variable([[1.0, 5.0, 2.0, 3.0, 4.0]])
    values, indices = F.max_pool1d(x, 3, 1, return_indices=True)
    back = F.max_unpool1d(values, indices, 3, 1)
    numpy.testing.assert_array_equal(backend.numpy(back), [[0.0, 5.0, 0.0, 0.0, 4.0]])


def test_pooling_compiles_under_jax() -> None:
    jax = pytest.importorskip("jax")

    def loss(a: Any) -> Any:
        x = rustorch.Variable(a, requires_grad=True)
        out = F.max_pool2d(x, 2) + F.avg_pool2d(x, 3, 2, 1) + F.adaptive_avg_pool2d(x, 2) + F.adaptive_max_pool2d(x, 2)
        (out * out).sum().backward()
        return x.grad

    a = jax.numpy.arange(16.0).reshape(1, 4, 4)
    numpy.testing.assert_allclose(numpy.asarray(jax.jit(loss)(a)), numpy.asarray(loss(a)), rtol=1e-6)


# -- bad input ---------------------------------------------------------------------------------------------------------
def _ones(*shape: int, dtype: str = "float64") -> Any:
    return lambda backend: backend.variable(numpy.ones(shape), dtype)


BAD: list[tuple[Any, Any, type[Exception], str]] = [
    (
        nn.MaxPool2d(2),
        _ones(4, 4),
        ValueError,
        r"max_pool2d: the input is \(batch, channels, size1, size2\) or .*, of 4 or 3 dimensions; its shape is "
        r"\(4, 4\)",
    ),
    (
        nn.MaxPool1d(2),
        _ones(1, 1, 4, 4),
        ValueError,
        r"max_pool1d: the input is \(batch, channels, size\).*\(1, 1, 4, 4\)",
    ),
    (nn.AvgPool3d(2), _ones(4, 4, 4), ValueError, r"avg_pool3d: .* of 5 or 4 dimensions; its shape is \(4, 4, 4\)"),
    (nn.AdaptiveAvgPool1d(2), _ones(4), ValueError, r"adaptive_avg_pool1d: .* its shape is \(4,\)"),
    (
        nn.MaxPool2d(2),
        _ones(1, 0, 4),
        ValueError,
        r"max_pool2d: only the batch may be of size 0; the input's shape is \(1, 0, 4\)",
    ),
    (
        nn.MaxPool2d((2, 5)),
        _ones(1, 4, 4),
        ValueError,
        r"max_pool2d: a kernel that covers 5 values does not fit into an axis of size 4 with padding 0; .*\(1, 4, 4\)",
    ),
    (
        nn.MaxPool1d(2, dilation=4),
        _ones(1, 4),
        ValueError,
        r"max_pool1d: a kernel that covers 5 values does not fit into .* size 4",
    ),
    (
        nn.AvgPool1d(6),
        _ones(1, 4),
        ValueError,
        r"avg_pool1d: a kernel that covers 6 values does not fit into an axis of size 4",
    ),
    (
        nn.LPPool1d(2, 6),
        _ones(1, 4),
        ValueError,
        r"lp_pool1d: a kernel that covers 6 values does not fit into an axis of size 4",
    ),
    (
        nn.MaxPool1d(2, padding=2),
        _ones(1, 4),
        ValueError,
        r"max_pool1d: padding is at most half of the kernel, but 2 is more .* of 2",
    ),
    (nn.AvgPool2d(3, padding=2), _ones(1, 4, 4), ValueError, r"avg_pool2d: padding is at most half of the kernel"),
    (
        nn.MaxPool1d(2, padding=1, dilation=2),
        _ones(1, 1),
        ValueError,
        r"max_pool1d: with dilation 2 and padding 1 a window holds no value",
    ),
    (
        nn.MaxPool2d(2),
        _ones(1, 4, 4, dtype="int64"),
        TypeError,
        "max_pool2d is of floating-point numbers, not of int64",
    ),
    (
        nn.MaxPool2d(2),
        _ones(1, 4, 4, dtype="complex128"),
        TypeError,
        "max_pool2d: numbers of complex128 have no order",
    ),
    (
        nn.AdaptiveMaxPool1d(2),
        _ones(1, 4, dtype="complex128"),
        TypeError,
        "adaptive_max_pool1d: numbers of complex128 have no order",
    ),
    (
        nn.AdaptiveAvgPool1d(2),
        _ones(1, 4, dtype="bool"),
        TypeError,
        "adaptive_avg_pool1d is of floating-point numbers, not of bool",
    ),
]


@pytest.mark.parametrize(
    ("layer", "make", "error", "message"), BAD, ids=lambda value: repr(value) if isinstance(value, nn.Module) else ""
)
def test_functions_refuse_bad_input(
    layer: Any, make: Any, error: type[Exception], message: str, backend: Target
) -> None:
    with pytest.raises(error, match=message):
        layer(make(backend))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size is at least 1, not 0"),
        (
            lambda: nn.MaxPool2d((2, 2, 2)),
            ValueError,
            r"MaxPool2d: kernel_size is an integer or 2 of them, not \(2, 2, 2\)",
        ),
        (lambda: nn.MaxPool2d(2.0), TypeError, "MaxPool2d: kernel_size is an integer or 2 of them, not 2.0"),
        (lambda: nn.MaxPool1d(2, stride=0), ValueError, "MaxPool1d: stride is at least 1, not 0"),
        (lambda: nn.MaxPool3d(2, padding=-1), ValueError, "MaxPool3d: padding is at least 0, not -1"),
        (
            lambda: nn.MaxPool3d(2, dilation=(1, 0, 1)),
            ValueError,
            r"MaxPool3d: dilation is at least 1, not \(1, 0, 1\)",
        ),
        (lambda: nn.MaxUnpool2d(-2), ValueError, "MaxUnpool2d: kernel_size is at least 1, not -2"),
        (lambda: nn.AvgPool1d((2, 2)), ValueError, r"AvgPool1d: kernel_size is an integer, not \(2, 2\)"),
        (
            lambda: nn.AvgPool2d(2, divisor_override=0),
            ValueError,
            "AvgPool2d: divisor_override is a divisor and must not be 0",
        ),
        (
            lambda: nn.AvgPool3d(2, stride=(1, 2)),
            ValueError,
            r"AvgPool3d: stride is an integer or 3 of them, not \(1, 2\)",
        ),
        (lambda: nn.LPPool2d(0, 2), ValueError, "LPPool2d: norm_type is the power p of the norm, not 0"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, r"AdaptiveAvgPool2d: output_size is at least 1"),
        (
            lambda: nn.AdaptiveMaxPool2d((1, 2, 3)),
            ValueError,
            r"AdaptiveMaxPool2d: output_size is an integer or 2 of them",
        ),
    ],
)
def test_layers_refuse_bad_arguments(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("indices", "options", "error", "message"),
    [
        (numpy.array([[0, 4]]), {}, IndexError, r"max_unpool1d: index 4 is out of range for an output of sizes \(4,\)"),
        (numpy.array([[0, -1]]), {}, IndexError, r"max_unpool1d: index -1 is out of range"),
        (
            numpy.array([[0, 1, 2]]),
            {},
            ValueError,
            r"max_unpool1d: the input has shape \(1, 2\) and the indices \(1, 3\)",
        ),
        (numpy.array([[0.0, 1.0]]), {}, TypeError, "max_unpool1d: indices are integers, not float64"),
        (
            numpy.array([[0, 1]]),
            {"output_size": (9,)},
            ValueError,
            r"max_unpool1d: output_size must differ from \(4,\) by less than .*\(9,\)",
        ),
        (numpy.array([[0, 1]]), {"padding": 3}, ValueError, r"max_unpool1d: the output would have sizes \(-2,\)"),
    ],
)
def test_max_unpool_refuses_bad_indices(
    indices: numpy.ndarray, options: dict[str, Any], error: type[Exception], message: str, backend: Target
) -> None:
    given = backend.variable([[1.0, 2.0]], requires_grad=True), backend.variable(indices, indices.dtype)
    if error is IndexError and not backend.library.readable:  # the value is left out and has a gradient of 0
        out = F.max_unpool1d(*given, 2, **options)
        out.sum().backward()
        assert (out.tolist(), backend.numpy(given[0].grad).tolist()) == ([[1.0, 0.0, 0.0, 0.0]], [[1.0, 0.0]])
        return
    with pytest.raises(error, match=message):
        F.max_unpool1d(*given, 2, **options)


def test_a_sequence_of_one_size_is_for_all_dimensions() -> None:
    image, volume = rustorch.ones((1, 1, 6, 6)), rustorch.ones((1, 1, 6, 6, 6))
    for one in ((2,), [2]):
        assert F.max_pool2d(image, one, one, (1,), (1,)).shape == F.max_pool2d(image, 2, 2, 1, 1).shape
        assert F.avg_pool3d(volume, one, one, (1,)).shape == F.avg_pool3d(volume, 2, 2, 1).shape
        assert F.lp_pool2d(image, 2, one).shape == (1, 1, 3, 3)
        assert nn.MaxPool3d(one)(volume).shape == nn.AvgPool3d(one)(volume).shape == (1, 1, 3, 3, 3)
        pooled, indices = nn.MaxPool2d(one, return_indices=True)(image)
        assert nn.MaxUnpool2d(one)(pooled, indices).shape == image.shape
        assert nn.FractionalMaxPool2d(one, output_size=(3,))(image).shape == (1, 1, 3, 3)


def test_fractional_pooling_of_a_sample_without_batch() -> None:
    assert nn.FractionalMaxPool3d(2, output_ratio=0.5)(rustorch.ones((2, 8, 8, 8))).shape == (2, 4, 4, 4)
    assert F.fractional_max_pool3d(rustorch.ones((2, 8, 8, 8)), 2, 3).shape == (2, 3, 3, 3)
    assert F.fractional_max_pool2d(rustorch.ones((2, 8, 8)), 2, 3).shape == (2, 3, 3)


def test_one_of_many_equal_maxima_gets_the_gradient() -> None:
    x = rustorch.tensor(numpy.ones((1, 1, 70_000), "float32"), requires_grad=True)
    F.max_pool1d(x, 70_000).sum().backward()
    assert (float(x.grad.sum()), float(x.grad[0, 0, 0])) == (1.0, 1.0)

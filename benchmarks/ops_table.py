"""The 40 functions and layers that `ops` times: how to call them, and their inputs at a small and at a large size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .ops_checks import Results, compare, compare_dropout
from .ops_inputs import Input, complex_normal, full, integers, mask, normal, regular, target, weight

Function = Callable[..., Any]
Prepare = Callable[[Any], Function]


@dataclass(frozen=True)
class Operation:
    """A function or layer.

    Attributes
    ----------
    name : str
    prepare : callable
        ``prepare(library)`` is the function of the inputs, for ``rustorch`` and for ``torch``.
    small, large : sequences of Input
    check : callable
        Compares the results of both libraries, and raises AssertionError if they differ.
    """

    name: str
    prepare: Prepare
    small: Sequence[Input]
    large: Sequence[Input]
    check: Callable[[Results, Results], None] = compare


# -- how to call them --------------------------------------------------------------------------------------------------
def function(name: str, **options: Any) -> Prepare:
    """A function of the library, with the same name and options in both."""
    return lambda library: partial(getattr(library, name), **options) if options else getattr(library, name)


def layer(name: str, **options: Any) -> Prepare:
    """A function of ``nn.functional``."""
    return lambda library: function(name, **options)(library.nn.functional)


def _each(ours: Prepare, theirs: Prepare) -> Prepare:
    """A function with another name or other arguments in PyTorch."""
    return lambda library: (theirs if library.__name__ == "torch" else ours)(library)


def _concat(library: Any) -> Function:
    return lambda x, y: library.concat([x, y], axis=1)


def _clip(library: Any) -> Function:
    return lambda x: library.clip(x, -1.0, 1.0)


def _batch_norm(library: Any) -> Function:
    function = library.nn.functional.batch_norm
    return lambda x, weight, bias, mean, var: function(x, mean, var, weight, bias, True)


def _group_norm(library: Any) -> Function:
    function = library.nn.functional.group_norm
    return lambda x, weight, bias: function(x, 8, weight, bias)


def _layer_norm(library: Any) -> Function:
    function = library.nn.functional.layer_norm
    return lambda x, weight, bias: function(x, (x.shape[-1],), weight, bias)


def _rms_norm(library: Any) -> Function:
    function = library.nn.functional.rms_norm
    return lambda x, weight: function(x, (x.shape[-1],), weight)


_cumulative_sum = _each(function("cumulative_sum", axis=-1), function("cumsum", dim=-1))
# faster than torch.amax, and the same where the largest number occurs once
_max = _each(function("max", axis=-1), lambda library: lambda x: library.max(x, -1).values)
_take = _each(function("take", axis=0), lambda library: lambda x, rows: library.index_select(x, 0, rows))
_take_along_axis = _each(
    function("take_along_axis", axis=-1), lambda library: lambda x, indices: library.gather(x, -1, indices)
)


# -- the table ---------------------------------------------------------------------------------------------------------
#: Activations of a small and of a large network. The functions of rows reduce the last axis.
SMALL, LARGE = (64, 512), (4, 512, 1024)
SMALL_IMAGES, LARGE_IMAGES = (8, 16, 16, 16), (32, 64, 28, 28)


def _unary(name: str, prepare: Prepare, **options: Any) -> Operation:
    return Operation(name, prepare, [normal(*SMALL)], [normal(*LARGE)], **options)


def _norm(
    name: str, prepare: Prepare, affine: int, running: bool, small: tuple[int, ...], large: tuple[int, ...]
) -> Any:
    """A normalization with ``affine`` parameters for each channel, and running statistics if ``running``."""

    def inputs(shape: tuple[int, ...]) -> list[Input]:
        channels = shape[1] if len(shape) == 4 else shape[-1]
        statistics = [full(0.0, channels), full(1.0, channels)] if running else []
        return [normal(*shape), *[normal(channels)] * affine, *statistics]

    return Operation(name, prepare, inputs(small), inputs(large))


def _convolution(name: str, small: Sequence[tuple[int, ...]], large: Sequence[tuple[int, ...]], **options: Any) -> Any:
    """A convolution with a bias. A size is the shapes of its images and of its weight."""
    transposed = name.startswith("transposed")

    def inputs(images: tuple[int, ...], shape: tuple[int, ...]) -> list[Input]:
        return [normal(*images), weight(*shape), normal(shape[transposed])]

    prepare = layer("conv_transpose2d" if transposed else "conv2d", **options)
    return Operation(name, prepare, inputs(*small), inputs(*large))


def _depthwise(library: Any) -> Function:
    function = library.nn.functional.conv2d
    return lambda x, weight, bias: function(x, weight, bias, padding=1, groups=x.shape[1])


def _elementwise() -> list[Operation]:
    return [
        Operation(
            "add, a row to each row", function("add"), [normal(*SMALL), normal(512)], [normal(*LARGE), normal(1024)]
        ),
        Operation("multiply", function("multiply"), [normal(*SMALL)] * 2, [normal(*LARGE)] * 2),
        Operation(
            "where", function("where"), [mask(*SMALL), *[normal(*SMALL)] * 2], [mask(*LARGE), *[normal(*LARGE)] * 2]
        ),
        _unary("exp", function("exp")),
        _unary("clip", _clip),
        _unary("tanh", function("tanh")),
        _unary("sigmoid", layer("sigmoid")),
        _unary("relu", layer("relu")),
        _unary("gelu", layer("gelu")),
        _unary("silu", layer("silu")),
        _unary("dropout", layer("dropout", p=0.5), check=compare_dropout),
    ]


def _rows() -> list[Operation]:
    return [
        _unary("sum", function("sum", axis=-1)),
        _unary("max", _max),
        _unary("var", function("var", axis=-1, correction=1)),
        _unary("cumulative_sum", _cumulative_sum),
        _unary("softmax", layer("softmax", dim=-1)),
        _unary("log_softmax", layer("log_softmax", dim=-1)),
        _norm("layer_norm", _layer_norm, 2, False, SMALL, LARGE),
        _norm("rms_norm", _rms_norm, 1, False, SMALL, LARGE),
        _norm("group_norm", _group_norm, 2, False, SMALL_IMAGES, LARGE_IMAGES),
        _norm("batch_norm, training", _batch_norm, 2, True, SMALL_IMAGES, LARGE_IMAGES),
        Operation("fft", lambda library: library.fft.fft, [complex_normal(64, 256)], [complex_normal(512, 2048)]),
    ]


def _indexing() -> list[Operation]:
    return [
        Operation("concat", _concat, [normal(*SMALL_IMAGES)] * 2, [normal(*LARGE_IMAGES)] * 2),
        Operation(
            "take, rows",
            _take,
            [normal(1_000, 64), integers(1_000, 512)],
            [normal(50_000, 64), integers(50_000, 8_192)],
        ),
        Operation(
            "take_along_axis",
            _take_along_axis,
            [normal(64, 512), integers(512, 64, 128)],
            [normal(4096, 512), integers(512, 4096, 128)],
        ),
        Operation(
            "embedding",
            layer("embedding"),
            [integers(1_000, 8, 64), normal(1_000, 64)],
            [integers(50_000, 64, 128), normal(50_000, 64)],
        ),
    ]


def _products() -> list[Operation]:
    return [
        Operation("matmul", function("matmul"), [normal(16, 64, 64)] * 2, [normal(32, 256, 256)] * 2),
        Operation(
            "linear",
            layer("linear"),
            [normal(64, 256), weight(256, 256), normal(256)],
            [normal(1024, 1024), weight(1024, 1024), normal(1024)],
        ),
        Operation("inv", lambda library: library.linalg.inv, [regular(32, 8, 8)], [regular(64, 64, 64)]),
        Operation(
            "attention",
            layer("scaled_dot_product_attention"),
            [normal(8, 4, 64, 32)] * 3,
            [normal(4, 8, 256, 64)] * 3,
        ),
    ]


def _images() -> list[Operation]:
    return [
        _convolution(
            "3x3 convolution, few channels",
            [(8, 3, 32, 32), (16, 3, 3, 3)],
            [(64, 16, 28, 28), (32, 16, 3, 3)],
            padding=1,
        ),
        _convolution(
            "3x3 convolution, many channels",
            [(8, 64, 8, 8), (64, 64, 3, 3)],
            [(8, 256, 14, 14), (256, 256, 3, 3)],
            padding=1,
        ),
        _convolution("1x1 convolution", [(8, 64, 8, 8), (64, 64, 1, 1)], [(16, 64, 28, 28), (256, 64, 1, 1)]),
        Operation(
            "depthwise convolution",
            _depthwise,
            [normal(8, 32, 16, 16), weight(32, 1, 3, 3), normal(32)],
            [normal(16, 128, 28, 28), weight(128, 1, 3, 3), normal(128)],
        ),
        _convolution(
            "transposed convolution",
            [(8, 16, 8, 8), (16, 8, 4, 4)],
            [(16, 128, 14, 14), (128, 64, 4, 4)],
            stride=2,
            padding=1,
        ),
        Operation("max_pool2d", layer("max_pool2d", kernel_size=2), [normal(*SMALL_IMAGES)], [normal(*LARGE_IMAGES)]),
        Operation("avg_pool2d", layer("avg_pool2d", kernel_size=2), [normal(*SMALL_IMAGES)], [normal(*LARGE_IMAGES)]),
    ]


def _losses() -> list[Operation]:
    return [
        Operation(
            "cross_entropy",
            layer("cross_entropy"),
            [normal(64, 10), integers(10, 64)],
            [normal(512, 8192), integers(8192, 512)],
        ),
        Operation("mse_loss", layer("mse_loss"), [normal(*SMALL), target(*SMALL)], [normal(*LARGE), target(*LARGE)]),
        Operation(
            "binary cross-entropy with logits",
            layer("binary_cross_entropy_with_logits"),
            [normal(*SMALL), target(*SMALL)],
            [normal(*LARGE), target(*LARGE)],
        ),
    ]


#: The functions by name.
OPERATIONS = {
    operation.name: operation
    for part in (_elementwise(), _rows(), _indexing(), _products(), _images(), _losses())
    for operation in part
}

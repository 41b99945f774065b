"""Compiled convolutions are those of the plain version: any sizes, layouts and ways to share the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from rustorch.backends import threads
from rustorch.backends.kernels import convolution as plain
from rustorch.backends.numba import convolution, convolution_plans, windows
from rustorch.backends.numpy.namespace import full_namespace
from tests.backends.kernel_cases import CASES, draw
from tests.support import compiled

NAMES = ["conv", "conv_grad_input", "conv_grad_weight", "conv_grad_weight_bias"]
#: Shapes of input and weight, stride, padding, dilation, groups.
SHAPES: dict[str, tuple[Any, ...]] = {
    "3x3": ((3, 4, 9, 9), (6, 4, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "strides": ((3, 4, 9, 11), (6, 2, 3, 5), (2, 1), ((1, 0), (2, 1)), (1, 2), 2),
    "wide rows": ((2, 4, 7, 40), (6, 4, 3, 5), (1, 2), ((1, 1), (2, 3)), (2, 1), 1),
    "rows as in the input": ((2, 4, 7, 40), (6, 4, 3, 3), (1, 1), ((1, 0), (1, 1)), (1, 1), 1),
    "elements left out": ((3, 4, 9, 25), (4, 1, 3, 3), (1, 1), ((-1, 3), (-2, 3)), (1, 1), 4),
    "padding alone": ((2, 4, 1, 1), (6, 4, 3, 3), (1, 1), ((4, 4), (4, 4)), (1, 1), 1),
    "wide padding": ((2, 2, 2, 3), (2, 2, 2, 2), (1, 1), ((1, 1), (20, 3)), (1, 1), 1),
    "1 dimension": ((2, 3, 70), (4, 3, 7), (3,), ((3, 3),), (2,), 1),
    "3 dimensions": ((2, 4, 5, 6, 7), (4, 2, 3, 2, 3), (2, 1, 2), ((1, 1), (0, 2), (2, 0)), (1, 2, 1), 2),
    "volumes": ((2, 3, 4, 5, 20), (4, 3, 3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1), 1),
    "1x1": ((5, 8, 10, 10), (6, 8, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "1x1, few positions": ((5, 8, 2, 2), (6, 4, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
    "1x1, moved": ((5, 8, 12, 12), (6, 8, 1, 1), (1, 1), ((1, -1), (1, -1)), (1, 1), 1),
    "1x1, strides": ((5, 8, 10, 10), (6, 4, 1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 2),
    "1x1, strides, 1 group": ((5, 4, 10, 10), (6, 4, 1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1), 1),
    "few positions": ((5, 16, 2, 2), (24, 16, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "one sample": ((1, 6, 20, 21), (8, 6, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "many channels": ((3, 64, 14, 13), (48, 64, 3, 3), (1, 1), ((1, 1), (0, 2)), (1, 1), 1),
    "rows of 14": ((5, 16, 14, 14), (24, 16, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "few channels": ((9, 1, 28, 28), (16, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "many positions": ((3, 3, 40, 40), (4, 3, 7, 7), (2, 2), ((3, 3), (3, 3)), (1, 1), 1),
    "64 channels": ((3, 64, 12, 13), (64, 64, 3, 3), (1, 1), ((1, 2), (1, -1)), (1, 1), 1),
    "strides, odd rows": ((3, 3, 11, 23), (9, 3, 4, 4), (2, 2), ((2, 2), (2, 1)), (1, 1), 1),
    "strides, short rows": ((3, 3, 11, 9), (9, 3, 3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),
    "depthwise": ((3, 5, 17, 16), (5, 1, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 5),
    "depthwise, strides": ((3, 5, 17, 15), (5, 1, 5, 3), (2, 2), ((1, 2), (1, 1)), (1, 1), 5),
    "depthwise, dilation": ((3, 5, 17, 16), (5, 1, 3, 7), (1, 1), ((2, 2), (-1, 6)), (2, 3), 5),
    "depthwise, 1 dimension": ((3, 5, 90), (5, 1, 31), (1,), ((15, 15),), (1,), 5),
    "depthwise, 3 dimensions": ((2, 3, 4, 5, 6), (3, 1, 3, 2, 3), (1, 2, 1), ((1, 1),) * 3, (1, 1, 1), 3),
}  # fmt: skip


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "LEAST", 0)


@pytest.fixture(params=["one thread", "threads", "small blocks", "positions as rows", "positions as columns"])
def sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, two threads that share the smallest work, the same with blocks of one sample, and each way to
    multiply for all shapes.
    """
    monkeypatch.setattr(threads, "LEAST", 0)
    if request.param == "small blocks":
        monkeypatch.setattr(convolution_plans, "CACHE", 1)
        monkeypatch.setattr(convolution_plans, "LONG", 1)
        monkeypatch.setattr(convolution, "_LONG", 1)
    if "positions" in request.param:
        monkeypatch.setattr(convolution, "_positions_are_rows", lambda *_: request.param == "positions as rows")
        monkeypatch.setattr(convolution, "_LONG", 1 if request.param == "positions as rows" else 1 << 60)
    with compiled.threads(1 if request.param == "one thread" else 2):
        yield


def _arguments(name: str, case: str, dtype: str) -> list[Any]:
    """Arguments of a kernel: those of the layer, with a gradient where it takes one."""
    x_shape, weight_shape, stride, *rest = SHAPES[case]
    x, weight = draw(*x_shape).astype(dtype), draw(*weight_shape).astype(dtype)
    bias = draw(weight_shape[0]).astype(dtype)
    options = [stride, *rest]
    size = plain.conv(full_namespace(), x, weight, None, *options).shape
    g = draw(*size).astype(dtype)
    return {
        "conv": [x, weight, bias, *options],
        "conv_grad_input": [g, weight, x_shape[2:], *options],
        "conv_grad_weight": [g, x, weight_shape[2:], *options],
        "conv_grad_weight_bias": [g, x, weight_shape[2:], *options],
    }[name]


def _expected(name: str, arguments: list[Any]) -> Any:
    """The result of the plain version in float64."""
    wide = [a.astype("float64") if isinstance(a, numpy.ndarray) else a for a in arguments]
    return getattr(plain, name)(full_namespace(), *wide)


def _pairs(found: Any, expected: Any) -> list[tuple[Any, Any]]:
    """The results of a kernel, one or several, beside the expected ones."""
    return list(zip(found, expected, strict=True)) if isinstance(found, tuple) else [(found, expected)]


def _check(name: str, arguments: list[Any]) -> None:
    for out, expected in _pairs(compiled.call(vars(convolution), name, *arguments), _expected(name, arguments)):
        assert out.dtype == arguments[0].dtype
        assert out.shape == expected.shape
        scale = numpy.abs(expected).max() * numpy.finfo(out.dtype).eps
        assert numpy.abs(out - expected).max() <= 24 * scale  # sums of up to 1,000 products; measured: 12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_like_the_plain_version(name: str, case: str, dtype: str, sharing: None) -> None:
    _check(name, _arguments(name, case, dtype))


@pytest.mark.parametrize("rows", [False, True])
def test_long_sums_keep_their_digits(rows: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """4,608 terms of one sign, as after ReLU; and a bias beside which each single one is lost."""
    monkeypatch.setattr(convolution, "_positions_are_rows", lambda *_: rows)
    x, weight = abs(draw(2, 512, 8, 16)).astype("float32"), abs(draw(48, 512, 3, 3)).astype("float32")
    options = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    arguments = [x, weight, None, *options]
    out, expected = compiled.call(vars(convolution), "conv", *arguments), _expected("conv", arguments)
    assert (numpy.abs(out - expected) / expected).max() <= 6 * numpy.finfo("float32").eps  # measured: 3; in one sum: 33
    arguments = [x, weight * numpy.float32(1e-5), numpy.full(48, 1024, "float32"), *options]
    out, expected = compiled.call(vars(convolution), "conv", *arguments), _expected("conv", arguments)
    assert numpy.abs(out - expected).max() <= 2 * numpy.spacing(numpy.float32(1024))


def test_rows_are_filled_up_where_that_pays() -> None:
    """Rows of 14 positions become rows of 16 on a processor whose vectors have 16 numbers, rows of 9 do not."""
    for row, length in ((14, 16), (16, 16), (9, 9)):
        plan = convolution_plans.Plan(4, (5, row), (6, 4, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 16).forward
        assert len(plan.columns) == len(plan.places) == 5 * length
        targets = plan.places.reshape(5, length)
        numpy.testing.assert_array_equal(targets[:, :row].reshape(-1), numpy.arange(5 * row))
        assert (targets[:, row:] == -1).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_cases_of_all_backends(name: str, dtype: str) -> None:
    """Infinities, nan and empty arrays. Empty ones are left to NumPy, and large strides in one function."""
    for case in CASES[name]:
        arguments = [a.astype(dtype) if isinstance(a, numpy.ndarray) else a for a in case]
        with numpy.errstate(all="ignore"):
            found, expected = getattr(convolution, name)(*arguments), _expected(name, arguments)
        many_phases = name == "conv_grad_input" and numpy.prod(case[3]) > convolution.MOST_PHASES
        assert (found is NotImplemented) == (0 in arguments[0].shape or many_phases)
        if found is not NotImplemented:
            for out, value in _pairs(found, expected):
                numpy.testing.assert_allclose(out, value, 1e-4 if dtype == "float32" else 1e-12, 1e-5)


@pytest.mark.parametrize("value", [numpy.inf, -numpy.inf, numpy.nan, 3e38])
@pytest.mark.parametrize("name", NAMES)
def test_results_that_are_not_finite(name: str, value: float) -> None:
    """A number that is not finite reaches the outputs that it belongs to, and no other one."""
    arguments = _arguments(name, "64 channels", "float32")
    arguments[0][1, 2, 3, 4] = value
    with numpy.errstate(all="ignore"):
        results = _pairs(getattr(convolution, name)(*arguments), _expected(name, arguments))
        results = [(out, expected.astype("float32")) for out, expected in results]
    for out, expected in results:
        assert numpy.array_equal(numpy.isnan(out), numpy.isnan(expected))
        finite = numpy.isfinite(expected) & (numpy.abs(expected) < 1e30)
        assert not finite.all()
        assert numpy.abs(out[finite] - expected[finite]).max() < 1e-3
        assert numpy.array_equal(out[numpy.isinf(expected)], expected[numpy.isinf(expected)])


@pytest.mark.parametrize("case", ["3x3", "wide rows", "many channels", "depthwise"])
@pytest.mark.parametrize("name", NAMES)
def test_layouts(name: str, case: str) -> None:
    """Arguments with steps between their elements, that may not be written, of the other order of bytes."""
    arguments = _arguments(name, case, "float64")
    for i, a in enumerate(arguments):
        if isinstance(a, numpy.ndarray):
            arguments[i] = numpy.repeat(a, 2, 0)[::2].swapaxes(0, -1).copy().swapaxes(0, -1)
            arguments[i].flags.writeable = False
    _check(name, arguments)
    swapped = [a.astype(a.dtype.newbyteorder()) if isinstance(a, numpy.ndarray) else a for a in arguments]
    assert getattr(convolution, name)(*swapped) is NotImplemented


@pytest.mark.parametrize("dtype", ["float16", "complex64"])
@pytest.mark.parametrize("name", NAMES)
def test_other_dtypes_are_numpys(name: str, dtype: str) -> None:
    arguments = _arguments(name, "3x3", "float64")
    arguments[0] = arguments[0].astype(dtype)
    assert getattr(convolution, name)(*arguments) is NotImplemented


def test_gradients_with_large_strides_are_numpys() -> None:
    g, weight = draw(2, 4, 3, 3), draw(4, 4, 3, 3)
    assert convolution.conv_grad_input(g, weight, (9, 9), (3, 3), ((0, 0),) * 2, (1, 1), 1) is NotImplemented


def test_plans_of_large_images_are_not_kept_for_long() -> None:
    options = (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1, 16
    first = convolution_plans.plan(3, (100, 100), *options)
    assert convolution_plans.plan(3, (100, 100), *options) is first
    for width in range(101, 110):
        convolution_plans.plan(3, (100, width), *options)
    assert convolution_plans.plan(3, (100, 100), *options) is not first


def test_a_gradient_of_another_size_is_numpys() -> None:
    g, x = draw(2, 4, 3, 3), draw(2, 4, 9, 9)
    assert convolution.conv_grad_weight(g, x, (3, 3), (1, 1), ((0, 0),) * 2, (1, 1), 1) is NotImplemented
    assert convolution.conv_grad_input(g, draw(4, 4, 3, 3), (9, 9), (1, 1), ((0, 0),) * 2, (1, 1), 1) is NotImplemented


def test_scratch_memory_is_bounded() -> None:
    """Large buffers are not kept, and small ones are used again."""
    large = windows.scratch("test", windows.KEPT // 8 + 1, numpy.dtype("float64"))
    assert windows.scratch("test", 10, numpy.dtype("float64")).base is not large
    small = windows.scratch("test", 100, numpy.dtype("float64"))
    assert numpy.shares_memory(small, windows.scratch("test", 60, numpy.dtype("float64")))
    assert not numpy.shares_memory(small, windows.scratch("test", 60, numpy.dtype("float32")))
    windows._buffers.__dict__.clear()

"""The compiled loops of normalization against the plain versions: shapes, layouts, special values, and threads."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.numba import normalization
from rustorch.backends.numba.normalization import OVERRIDES
from tests.support.compiled import check_layer, compare, draw, same_with_threads

pytestmark = pytest.mark.usefixtures("quiet")
_compare = partial(compare, OVERRIDES)

DTYPES = ["float32", "float64"]
ROWS = {"rows": ((33, 70), 1), "two axes": ((3, 5, 4, 7), 2), "one row": ((1, 90), 1), "short rows": ((40, 3), 1)}
IMAGES = {
    "no axes": (21, 70), "three samples": (3, 5), "one axis": (6, 8, 9), "two axes": (5, 8, 3, 4),
    "one sample": (1, 4, 30),
}  # fmt: skip
PARAMETERS = {"no weight": (False, False), "weight": (True, False), "weight, bias": (True, True), "bias": (False, True)}


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels serve small arrays, and share them in small parts."""
    monkeypatch.setattr(normalization, "LEAST", 0)
    monkeypatch.setattr(normalization, "_LEAST_SIZE", 0)
    monkeypatch.setattr(normalization, "_CHUNK", 256)
    monkeypatch.setattr(normalization, "_BLOCK", 32)


def _check_rows(x: Any, g: Any, w: Any, b: Any, n: int, eps: float) -> None:
    _, mean, rstd = _compare("layer_norm", x, w, b, n, eps)
    _compare("layer_norm_grad", g, x, mean, rstd, w, n)
    _, rstd = _compare("rms_norm", x, w, n, eps)
    _compare("rms_norm_grad", g, x, rstd, w, n)


def _check_channels(x: Any, g: Any, w: Any, b: Any, eps: float) -> None:
    _, mean, _, rstd = _compare("batch_norm", x, w, b, eps)
    _compare("batch_norm_grad", g, x, mean, rstd, w)
    # the gradient of a row of one element is 0, and rounding errors are all that could be compared
    for groups in {1, x.shape[1]} if x.ndim > 2 else {1}:
        _, mean, rstd = _compare("group_norm", x, w, b, groups, eps)
        _compare("group_norm_grad", g, x, mean, rstd, w, groups)


def _check_forward(x: Any, eps: float) -> None:
    _compare("layer_norm", x, None, None, 1, eps)
    _compare("rms_norm", x, None, 1, eps)
    _compare("group_norm", x, None, None, 5, eps)
    _compare("batch_norm", x, None, None, eps)


def _parameters(which: str, shape: tuple[int, ...], dtype: str) -> list[Any]:
    return [draw(shape, dtype, 5 + i) if given else None for i, given in enumerate(PARAMETERS[which])]


# -- ordinary numbers --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", PARAMETERS)
@pytest.mark.parametrize(("shape", "n"), ROWS.values(), ids=ROWS)
def test_rows(shape: tuple[int, ...], n: int, which: str, dtype: str) -> None:
    w, b = _parameters(which, shape[len(shape) - n :], dtype)
    _check_rows(draw(shape, dtype, 1) * 3 + 1, draw(shape, dtype, 2), w, b, n, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("which", PARAMETERS)
@pytest.mark.parametrize("shape", IMAGES.values(), ids=IMAGES)
def test_channels(shape: tuple[int, ...], which: str, dtype: str) -> None:
    w, b = _parameters(which, shape[1:2], dtype)
    _check_channels(draw(shape, dtype, 1) * 3 + 1, draw(shape, dtype, 2), w, b, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_groups(groups: int, dtype: str) -> None:
    x, g, w, b = draw((3, 8, 5), dtype), draw((3, 8, 5), dtype, 1), draw((8,), dtype, 2), draw((8,), dtype, 3)
    _, mean, rstd = _compare("group_norm", x, w, b, groups, 1e-5)
    _compare("group_norm_grad", g, x, mean, rstd, w, groups)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_every_layout(dtype: str) -> None:
    x, g = draw((12, 8, 10), dtype).transpose(2, 1, 0), numpy.broadcast_to(draw((10, 1, 12), dtype), (10, 8, 12))
    w, b = draw((24,), dtype)[::2], draw((24,), dtype)[::-2]
    for a in (x, w, b):
        a.flags.writeable = False
    _check_rows(x, g, w, b, 1, 1e-5)
    _check_channels(x, g, w[:8], b[4:], 1e-5)
    _check_channels(x[:, :, 0], g[:, :, 0], w[:8], b[4:], 1e-5)


def test_enough_elements_for_all_threads() -> None:
    """The sums of the gradients are of parts that threads compute; their number depends on the size alone."""
    x, g, w, b = [draw((700, 96), "float64", i) for i in range(2)] + [draw((96,), "float64", i) for i in range(2, 4)]

    def call() -> tuple[Any, ...]:
        _check_rows(x, g, w, b, 1, 1e-5)
        _check_channels(x.reshape(70, 10, 96), g.reshape(70, 10, 96), w[:10], b[:10], 1e-5)
        _, mean, rstd = OVERRIDES["layer_norm"](x, w, b, 1, 1e-5)
        return OVERRIDES["layer_norm_grad"](g, x, mean, rstd, w, 1)

    same_with_threads(call)


# -- special values ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("size", ["tiny", "huge", "huge and tiny"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_that_overflow_or_underflow(dtype: str, size: str, eps: float) -> None:
    exponent = 30 if dtype == "float32" else 300
    x = draw((6, 5, 7), dtype)
    if size == "huge and tiny":
        x[::2] *= x.dtype.type(10.0**exponent)
        x[1::2] *= x.dtype.type(10.0**-exponent)
    else:
        x *= x.dtype.type(10.0 ** (exponent if size == "huge" else -exponent))
    _check_forward(x, eps)
    _compare("batch_norm", x[:, :, 0], None, None, eps)


@pytest.mark.parametrize("value", [numpy.nan, numpy.inf, -numpy.inf, 0.0])
@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_stay_in_their_rows_and_channels(dtype: str, eps: float, value: float) -> None:
    x = draw((6, 5, 7), dtype)
    x[2, 3, 4] = value
    x[3, 1] = value
    _check_forward(x, eps)
    _compare("batch_norm", x[:, :, 4], None, None, eps)
    out = OVERRIDES["layer_norm"](x, None, None, 1, 1e-5)[0]
    assert numpy.isfinite(out[:2]).all()


@pytest.mark.parametrize("shape", [(64, 3), (16, 3, 8)], ids=["one element", "planes"])
def test_a_large_mean_leaves_the_variance_right(shape: tuple[int, ...]) -> None:
    """Sums of squares that are not centered would lose all digits here."""
    precise = draw(shape, "float64") + 1000.0
    x = precise.astype("float32")
    axes = (0, *range(2, x.ndim))
    _, mean, var, _ = OVERRIDES["batch_norm"](x, None, None, 1e-5)
    numpy.testing.assert_allclose(mean, x.astype("float64").mean(axes), rtol=1e-6)
    # the mean is a float32 near 1,000, off by up to 3e-5; its square is what is left of this in the variance
    numpy.testing.assert_allclose(var, x.astype("float64").var(axes), rtol=1e-5)


# -- where NumPy serves ------------------------------------------------------------------------------------------------
def test_numpy_serves_small_arrays_and_other_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = draw((8, 4, 6), "float16")
    moments = x[:, :1, :1]
    assert OVERRIDES["layer_norm"](x, None, None, 1, 1e-5) is NotImplemented
    assert OVERRIDES["rms_norm_grad"](x, x, moments, None, 2) is NotImplemented
    assert OVERRIDES["batch_norm"](x, None, None, 1e-5) is NotImplemented
    assert OVERRIDES["group_norm"](x, None, None, 2, 1e-5) is NotImplemented
    monkeypatch.undo()
    small = x.astype("float32")
    for name in ("layer_norm", "rms_norm", "batch_norm"):
        arguments = {"layer_norm": (None, None, 1), "rms_norm": (None, 1), "batch_norm": (None, None)}[name]
        assert OVERRIDES[name](small, *arguments, 1e-5) is NotImplemented
    assert OVERRIDES["group_norm"](small, None, None, 2, 1e-5) is NotImplemented
    assert OVERRIDES["layer_norm"](small[:0], None, None, 1, 1e-5) is NotImplemented


LAYERS = {
    "layer_norm": (lambda: rustorch.nn.LayerNorm(64), {"rows", "rows_grad"}),
    "rms_norm": (lambda: rustorch.nn.RMSNorm(64), {"rows", "rows_grad"}),
    "group_norm": (lambda: rustorch.nn.GroupNorm(4, 16), {"groups", "groups_grad"}),
    "instance_norm": (lambda: rustorch.nn.InstanceNorm1d(16, affine=True), {"groups", "groups_grad"}),
    "batch_norm": (lambda: rustorch.nn.BatchNorm1d(16), {"planes", "planes_grad"}),
}


@pytest.mark.parametrize(("make", "used"), LAYERS.values(), ids=LAYERS)
def test_layers_use_the_compiled_loops(make: Any, used: set[str], asked: set[str]) -> None:
    """They compute the numbers that the plain version computes in float64 on another library."""
    check_layer(make(), make(), (128, 16, 64), lambda out: (out * out * out).sum())
    assert used <= asked

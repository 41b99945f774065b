"""Compiled Fourier transforms against NumPy's in the longest precision: sizes, layouts, special values, threads."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.numba import fft
from rustorch.backends.numba.fft import OVERRIDES
from rustorch.backends.numpy import fft as numpy_fft
from tests.support.compiled import call, draw, same_with_threads

DTYPES = ["complex64", "complex128"]
NAMES = pytest.mark.parametrize("name", ["fft", "ifft"])
#: Several rows of each size at once, and one row as a matrix; all radices; one stage, and an odd and an even number.
SIZES = [16, 48, 80, 128, 240, 256, 400, 512, 768, 1000, 1024, 1280, 2048, 3840, 4096, 16384, 65536]


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fft, "_LEAST", 1)
    monkeypatch.setattr(fft, "_SHORTEST", dict.fromkeys(fft._SHORTEST, 8))
    monkeypatch.setattr(fft, "_plan", fft._plan.__wrapped__)


def _compiled(name: str, x: Any, **options: Any) -> Any:
    out = call(OVERRIDES, f"fft.{name}", x, **options)
    assert (out.shape, out.dtype) == (x.shape, x.dtype)
    return out


def _compare(name: str, x: Any, axis: int = -1, norm: Any = "backward") -> Any:
    """The error in the Euclidean norm is that of rounding: two to three units in the last place."""
    out = _compiled(name, x, axis=axis, norm=norm)
    expected = getattr(numpy.fft, name)(x.astype(numpy.clongdouble), axis=axis, norm=norm)
    error = numpy.linalg.norm((out - expected).astype(complex)) / numpy.linalg.norm(expected.astype(complex))
    assert error < 3 * numpy.finfo(x.dtype).eps
    return out


@NAMES
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_transforms_are_exact_to_rounding(name: str, dtype: str, n: int) -> None:
    if n % (128 // numpy.dtype(dtype).itemsize):
        assert OVERRIDES[f"fft.{name}"](draw((16, n), dtype)) is NotImplemented
        return
    rows = 1 if n % 256 == 0 else 16
    for count in (rows, rows + 3, 2 * rows):
        _compare(name, draw((count, n), dtype))


@NAMES
@pytest.mark.parametrize("dtype", DTYPES)
def test_norms_divide_as_numpys(name: str, dtype: str) -> None:
    for norm in ("backward", "ortho", "forward"):
        _compare(name, draw((3, 512), dtype), norm=norm)
        _compare(name, draw((17, 32), dtype), norm=norm)


@NAMES
@pytest.mark.parametrize("dtype", DTYPES)
def test_axes_and_layouts(name: str, dtype: str) -> None:
    x = draw((256, 3, 64), dtype)
    for axis in (0, 2, -1, -3):
        _compare(name, x, axis=axis)
    read_only = x[:, ::2, ::-1]
    read_only.flags.writeable = False
    for axis in (0, 2):
        _compare(name, read_only, axis=axis)
    _compare(name, x.transpose(1, 2, 0))


def test_a_single_number_becomes_a_wave_and_back() -> None:
    x = numpy.zeros((1, 1024), "complex128")
    x[0, 3] = 1
    wave = _compiled("fft", x)
    numpy.testing.assert_allclose(wave[0], numpy.exp(-2j * numpy.pi * 3 * numpy.arange(1024) / 1024), atol=1e-14)
    numpy.testing.assert_allclose(_compiled("ifft", wave), x, atol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values_stay_in_their_rows(dtype: str) -> None:
    x = draw((32, 256), dtype)
    x[0], x[1, 5], x[2, 6], x[3] = 0, numpy.nan, numpy.inf, 1e30
    with numpy.errstate(all="ignore"):
        out = _compiled("fft", x)
    assert not out[0].any()
    assert not numpy.isfinite(out[1]).any() and not numpy.isfinite(out[2]).any()
    numpy.testing.assert_allclose(out[3, 0], 256e30, rtol=1e-6)
    assert numpy.isfinite(out[3:]).all()
    x = draw((20, 32), dtype)  # the rows of a block are side by side in memory
    x[1, 5] = numpy.nan
    assert numpy.isnan(_compiled("fft", x)).any(axis=1).tolist() == [i == 1 for i in range(20)]


def test_numpy_serves_what_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in ((16, 20), (64, 7 * 16), (0, 256), (3, 32), (1 << 17,)):
        assert OVERRIDES["fft.fft"](draw(shape, "complex64")) is NotImplemented
    assert OVERRIDES["fft.fft"](draw((16, 256), "complex64"), n=128) is NotImplemented
    assert OVERRIDES["fft.fft"](draw((16, 256), "complex64").real) is NotImplemented
    monkeypatch.setattr(fft, "_LEAST", 1 << 13)
    assert OVERRIDES["fft.fft"](draw((16, 256), "complex64")) is NotImplemented


@pytest.mark.parametrize("n", [48, 512])
def test_threads_share_the_rows(n: int) -> None:
    x = draw((700, n), "complex64")
    same_with_threads(lambda: _compare("fft", x))


def test_gradients_are_the_adjoint_transforms() -> None:
    host, g = draw((4, 512), "complex64"), draw((4, 512), "complex64", 1)
    x = rustorch.tensor(host, requires_grad=True)
    rustorch.fft.fft(x, norm="ortho").backward(rustorch.tensor(g))
    numpy.testing.assert_allclose(numpy.asarray(x.grad), numpy.fft.ifft(g, norm="ortho"), atol=1e-5)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_numpy_computes_in_the_precision_of_the_array(name: str, norm: Any) -> None:
    for n in (None, 300, 77):
        x = draw((64, 150), "complex64")
        x = x.real if name == "rfft" else x
        out, expected = (f(x, n=n, norm=norm) for f in (getattr(numpy_fft, name), getattr(numpy.fft, name)))
        assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
        assert numpy.linalg.norm(out - expected) < 3e-7 * numpy.linalg.norm(expected)

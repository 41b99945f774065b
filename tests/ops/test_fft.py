"""fft on every backend: values against NumPy, inverses, frequencies, and errors. Derivatives are in tests/specs."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import fft
from tests.support.target import Target

NORMS = pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])


def _close(got: Any, want: Any) -> None:
    assert got.dtype == want.dtype
    numpy.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


@NORMS
@pytest.mark.parametrize("n", [None, 1, 3, 4, 5, 8])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_transforms_are_numpys(
    backend: Target, name: str, n: int | None, norm: Any, rng: numpy.random.Generator
) -> None:
    real, imaginary = rng.standard_normal((2, 4, 3))
    hosts = [real] if name in ("rfft", "ihfft") else [real, real + 1j * imaginary]
    for host in hosts:
        for axis in (0, -1):
            got = getattr(fft, name)(backend.variable(host, host.dtype), n=n, axis=axis, norm=norm)
            assert got.device == backend.device
            _close(backend.numpy(got), getattr(numpy.fft, name)(host, n=n, axis=axis, norm=norm))


@NORMS
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_transforms_of_several_axes_are_numpys(
    backend: Target, name: str, norm: Any, rng: numpy.random.Generator
) -> None:
    host = rng.standard_normal((2, 3, 4))
    x = backend.variable(host)
    for s, axes in ((None, None), (None, (0, -1)), ((3, -1), (2, 0)), ((5, 2, 2), (0, 1, 2))):
        got = getattr(fft, name)(x, s=s, axes=axes, norm=norm)
        sizes = (
            None if s is None else [host.shape[axis] if n == -1 else n for n, axis in zip(s, axes or (), strict=True)]
        )
        if name == "irfftn" and s is not None and s[-1] == -1:
            sizes = [s[0], 2 * (host.shape[0] - 1)]
        _close(backend.numpy(got), getattr(numpy.fft, name)(host, s=sizes, axes=axes, norm=norm))


@NORMS
def test_inverses_restore_the_array(backend: Target, norm: Any, rng: numpy.random.Generator) -> None:
    host = rng.standard_normal((3, 5))
    x = backend.variable(host)
    _close(backend.numpy(fft.irfft(fft.rfft(x, norm=norm), n=5, norm=norm)), host)
    _close(backend.numpy(fft.hfft(fft.ihfft(x, norm=norm), n=5, norm=norm)), host)
    _close(backend.numpy(fft.irfftn(fft.rfftn(x, norm=norm), s=(3, 5), norm=norm)), host)
    _close(backend.numpy(fft.ifftn(fft.fftn(x, norm=norm), norm=norm)), host + 0j)
    _close(backend.numpy(fft.ifftshift(fft.fftshift(x))), host)


def test_single_precision_stays(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], "float32")
    assert fft.fft(x).dtype == fft.rfft(x).dtype == fft.fftn(x).dtype == rustorch.complex64
    assert fft.irfft(x).dtype == fft.hfft(x).dtype == rustorch.float32


@pytest.mark.parametrize("n", [1, 4, 5])
def test_frequencies_are_numpys(backend: Target, n: int) -> None:
    for name in ("fftfreq", "rfftfreq"):
        got = getattr(fft, name)(n, d=0.5, dtype=rustorch.float64, device=backend.device)
        assert got.device == backend.device
        _close(backend.numpy(got), getattr(numpy.fft, name)(n, d=0.5))
        assert getattr(fft, name)(n).dtype == rustorch.float32


def test_shifts_are_numpys(backend: Target) -> None:
    host = numpy.arange(10).reshape(2, 5)
    for name in ("fftshift", "ifftshift"):
        for axes in (None, 0, (1,), (0, 1)):
            got = getattr(fft, name)(backend.variable(host, "int64"), axes=axes)
            _close(backend.numpy(got), getattr(numpy.fft, name)(host, axes=axes))


def test_wrong_arguments_raise(backend: Target) -> None:
    x = backend.variable([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"^fft: a transform has at least one point, not 0$"):
        fft.fft(x, n=0)
    with pytest.raises(ValueError, match=r"^irfft: a transform has at least one point, not 0$"):
        fft.irfft(x[:1])
    with pytest.raises(ValueError, match=r"^rfft: norm is 'backward', 'ortho' or 'forward', not 'both'$"):
        fft.rfft(x, norm="both")
    with pytest.raises(
        TypeError, match=r"^ifft is of floating-point arrays, not int64; convert with x.astype\(rustorch.float32\)$"
    ):
        fft.ifft(backend.variable([1, 2], "int64"))
    with pytest.raises(TypeError, match=r"^rfftn is of real arrays, not complex128; use fftn$"):
        fft.rfftn(fft.fft(x))
    with pytest.raises(TypeError, match=r"^ihfft is of real arrays, not complex128; use ifft$"):
        fft.ihfft(fft.fft(x))
    with pytest.raises(ValueError, match=r"^fft: an array without dimensions has no axis to transform along$"):
        fft.fft(x[0])
    with pytest.raises(ValueError, match=r"^fftn: s has 2 sizes for 1 axes of the shape \(2,\)$"):
        fft.fftn(x, s=(2, 2), axes=(0,))
    with pytest.raises(ValueError, match=r"^ifftn needs at least one axis$"):
        fft.ifftn(x, axes=())
    with pytest.raises(IndexError, match=r"^axis 1 is out of range for an array of 1 dimensions$"):
        fft.fft(x, axis=1)
    with pytest.raises(TypeError, match=r"^fftfreq: frequencies are of a real floating-point dtype, not int64$"):
        fft.fftfreq(3, dtype=rustorch.int64)
    assert x.grad is None

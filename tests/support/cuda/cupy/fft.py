"""``cupy.fft``, with NumPy's functions instead of cuFFT."""

from __future__ import annotations

import numpy

from ._functions import checked, on_device, signatures

globals().update(
    {name: checked(on_device(name, getattr(numpy.fft, name), "fft."), name, "fft") for name in signatures("fft")}
)
__all__ = list(signatures("fft"))

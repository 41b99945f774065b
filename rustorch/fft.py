"""The extension ``fft`` of the standard, as a module to import: ``import rustorch.fft``. Its functions live in
ops/fft.py.
"""

from .ops.fft import *  # noqa: F403
from .ops.fft import __all__ as __all__

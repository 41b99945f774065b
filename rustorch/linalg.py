"""The extension ``linalg`` of the standard, as a module to import: ``import rustorch.linalg``. Its functions live in
ops/linalg.py.
"""

from .ops.linalg import *  # noqa: F403
from .ops.linalg import __all__ as __all__

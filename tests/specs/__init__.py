"""Every public function in one of two tables: how its gradient is tested, or that it has none.

`SPECS` drives tests/ops/test_gradients.py, test_values.py and test_against_torch.py. `NOT_DIFFERENTIABLE` (the names in
tests/values.py) and `CONSTANTS` name the other functions. A test proves that the three together are the public
functions. A line in one of the tables is all that a new function needs to be tested in first and second order, on every
backend, with arrays that are empty, 0-d, or not contiguous.
"""

from __future__ import annotations

from types import ModuleType

import rustorch
from rustorch import ops
from tests.specs.elementwise import ELEMENTWISE
from tests.specs.fft import FFT
from tests.specs.internal import INTERNAL
from tests.specs.linalg import LINALG, LINEAR_ALGEBRA
from tests.specs.manipulation import MANIPULATION, REST
from tests.specs.spec import Input, Spec
from tests.specs.statistical import STATISTICAL
from tests.values import VALUES

__all__ = ["CONSTANTS", "INTERNAL", "NOT_DIFFERENTIABLE", "SPECS", "Input", "Spec", "public_functions"]

SPECS = [*ELEMENTWISE, *STATISTICAL, *LINEAR_ALGEBRA, *LINALG, *FFT, *MANIPULATION, *REST]

#: Functions without gradients.
NOT_DIFFERENTIABLE = frozenset(value.name for value in VALUES)

CONSTANTS = frozenset(("e", "inf", "nan", "newaxis", "pi"))


def public_functions() -> set[str]:
    """The standard's functions by name, those of extensions as ``linalg.det``."""
    found = set()
    for name in [*ops.__all__, "fft", "linalg"]:
        value = getattr(rustorch, name)
        if isinstance(value, ModuleType):
            found |= {f"{name}.{inner}" for inner in value.__all__}
        else:
            found.add(name)
    return found

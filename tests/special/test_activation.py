"""Activations at special values, compared with arithmetic of thousands of bits."""

from __future__ import annotations

import pytest

from tests.special.precise import Function
from tests.special.sweep import faults
from tests.special.tables import PIECEWISE, SMOOTH
from tests.support.target import Target


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("function", [*SMOOTH, *PIECEWISE], ids=lambda f: f.name)
def test_value_and_derivatives_are_right(function: Function, dtype: str, backend: Target) -> None:
    wrong = faults(function, dtype, backend)
    assert not wrong, "\n".join(wrong)

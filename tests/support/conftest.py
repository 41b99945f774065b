"""Fixtures for the tests of the stand-in for CuPy."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "support" / "cuda"


@pytest.fixture
def stand_in(stand_in: ModuleType) -> ModuleType:
    """The stand-in of this repository."""
    if STAND_IN not in Path(str(stand_in.__file__)).parents:
        pytest.skip(f"for the stand-in in {STAND_IN.relative_to(ROOT)}: --stand-in")
    return stand_in

"""Numbers computed by PyTorch: the tests compare layers, losses and optimizers with them, without PyTorch."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def load(name: str) -> Any:
    """The content of ``<name>.json``, as ``make.py`` wrote it."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())

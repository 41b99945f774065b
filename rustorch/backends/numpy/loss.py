"""Losses: what NumPy does with fewer passes."""

from __future__ import annotations

from typing import Any

import numpy

Array = numpy.ndarray


def quotient(total: Array, count: Array) -> Any:
    with numpy.errstate(divide="ignore", invalid="ignore"):
        return numpy.divide(total, count)


OVERRIDES = {"quotient": quotient}

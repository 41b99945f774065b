"""The line of a program that called into rustorch, for the messages of `detect_anomaly` and `detect_writes`."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from typing import Any

_PACKAGE = str(Path(__file__).parents[1])


def calling_line() -> str:
    """``file:line: text`` of the innermost frame outside of rustorch."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "an unknown line"
    text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" + (f": {text}" if text else "")

"""Checks that a call raises the documented error, and that rustorch itself raises it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rustorch

#: A call that must fail, the type of its error, and a pattern for the message.
Bad = tuple[Callable[[], Any], type[Exception], str]

KINDS = (ValueError, TypeError, RuntimeError, IndexError)
_PACKAGE = Path(rustorch.__file__).parent


def raised_here(error: BaseException) -> bool:
    """Whether rustorch raised the error, and not a library below it."""
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(_PACKAGE)


def check_error(bad: Bad) -> None:
    """Assert that a call raises the error it must raise."""
    call, kind, message = bad
    with pytest.raises(kind, match=message) as caught:
        call()
    assert raised_here(caught.value), f"raised from within another library: {caught.value}"

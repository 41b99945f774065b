"""Errors that teach: of the type that was promised, with the words that were promised, raised by rustorch itself."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rustorch

#: A call that must fail, the type of its error, and a pattern that the message matches.
Bad = tuple[Callable[[], Any], type[Exception], str]

KINDS = (ValueError, TypeError, RuntimeError, IndexError)
_PACKAGE = Path(rustorch.__file__).parent


def raised_here(error: BaseException) -> bool:
    """Whether rustorch raised the error, and no library beneath it."""
    return Path(traceback.extract_tb(error.__traceback__)[-1].filename).is_relative_to(_PACKAGE)


def check_error(bad: Bad) -> None:
    """Run the call, and compare its error with what is promised."""
    call, kind, message = bad
    with pytest.raises(kind, match=message) as caught:
        call()
    assert raised_here(caught.value), f"raised from within another library: {caught.value}"

"""The warning that a gradient ends because a tracked Variable became a Python number."""

from __future__ import annotations

import sys
import warnings
from opcode import opmap
from types import FrameType

from .modes import mode

__all__ = ["GradientLostWarning"]


class GradientLostWarning(UserWarning):
    """A tracked Variable became a Python number, and its gradient ends there.

    ``float(x)``, ``int(x)`` and ``complex(x)`` give it outside of `no_grad`, once for each line of a program. So do
    functions that call them: ``math.exp(x)``, ``numpy_array[i] = x``, ``scipy.integrate.quad`` of a function that
    returns ``x``. ``x.item()``, formatting and printing, ``bool(x)`` and comparisons give no warning.

    Notes
    -----
    It is an ordinary warning: ``warnings.simplefilter("error", GradientLostWarning)`` makes it an error, "ignore"
    silences it.

    Examples
    --------
    >>> import math, warnings
    >>> import rustorch
    >>> x = rustorch.tensor(0.0, requires_grad=True)
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     y = math.exp(x)
    >>> found[0].category.__name__
    'GradientLostWarning'
    >>> math.exp(x.item()), rustorch.exp(x)
    (1.0, Variable(1., grad_fn=<exp>))
    """


class _Seen:
    """The lines that have had their warning. It forgets them when a program changes the filters of warnings."""

    def __init__(self) -> None:
        self.filters: object = None
        self.places: set[tuple[str, int]] = set()

    def add(self, place: tuple[str, int]) -> None:
        self.places.add(place)

    def has(self, place: tuple[str, int]) -> bool:
        if self.filters is not warnings.filters:  # `catch_warnings` sets another list when it begins and when it ends
            self.filters = warnings.filters
            self.places.clear()
        return place in self.places


_seen = _Seen()
_NAME = __name__.partition(".")[0]
_BINARY_OP = opmap.get("BINARY_OP")
#: Arguments of BINARY_OP for ``%`` and ``%=``.
_REMAINDERS = (6, 19)


def _formats(frame: FrameType) -> bool:
    """Whether the frame is at ``text % values``: a Variable's own ``%`` calls no ``float``, so text is formatted."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at] == _BINARY_OP and code[at + 1] in _REMAINDERS


def warn_lost(kind: str) -> None:
    """Warn that ``kind(x)`` ends the gradient of a tracked ``x``: once for each line of a program."""
    if not mode.enabled:
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _NAME:
        frame, level = frame.f_back, level + 1
    place = (frame.f_code.co_filename, frame.f_lineno)
    if _seen.has(place) or _formats(frame):
        return
    warnings.warn(
        f"{kind}() of a Variable that requires grad, at {place[0]}:{place[1]}: its gradient ends here. Write x.item() "
        f"or x.detach() if a plain number is meant. If the gradient is wanted, use a function of rustorch, as "
        f"rustorch.exp(x) for math.exp(x), and join values with rustorch.stack",
        GradientLostWarning,
        stacklevel=level,
    )
    _seen.add(place)

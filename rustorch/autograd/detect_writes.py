"""detect_writes: which array was changed between a call and its backward without rustorch.

rustorch notes what is written through it (see `writes`). A program that holds an array from which a Variable was made
can write into the array directly, and rustorch does not notice. While `detect_writes` is active, it watches every call
(see `recording.Watch`): it takes a checksum of each saved value, and compares it before backward runs the rules.
"""

from __future__ import annotations

import copy
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ..backends import BY_TYPE, of
from .calling_line import calling_line
from .graph import Value
from .primitive import Plan, Primitive
from .recording import watched_by


class _Settings(threading.local):
    """What is active in this thread."""

    depth = 0  # contexts that are open


_settings = _Settings()


class detect_writes:
    """Raise in backward if an array that a gradient needs was changed after the call: ``with detect_writes():``.

    rustorch notices what is written through it, as in ``x[0] = 1``. It shares memory with the arrays that it is given,
    and does not notice what is written into those: a buffer that is filled again for the next batch, or
    ``x.data[...] = 0``. Backward then computes with the new values, and the gradients are silently wrong. Calls inside
    this context are checked whenever their backward runs, inside the context or later, for gradients of every order.

    Raises
    ------
    RuntimeError
        In backward, before a gradient is computed from a changed array. It names the operation, the argument, and the
        line of the program that called the operation.

    Notes
    -----
    Use it to search for a fault: it reads each saved array twice, and copies arrays of a GPU to the host, which
    synchronises. It applies to the thread that enters it. An array may change after its last use. Arrays of JAX cannot
    be written into, and are not read. What `checkpoint` computes anew is compared with what was saved at first.

    Examples
    --------
    >>> import numpy as np
    >>> import rustorch
    >>> batch = np.array([1.0, 2.0])
    >>> weight = rustorch.tensor([3.0, 4.0], dtype=rustorch.float64, requires_grad=True)
    >>> with rustorch.autograd.detect_writes():
    ...     loss = (weight * rustorch.asarray(batch)).sum()
    ...     batch[:] = 0.0  # the next batch, too early
    ...     loss.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: multiply: x2, an array of float64 and shape (2,), was changed after the call, ...
    """

    def __init__(self) -> None:
        self._watching = watched_by(_watch)

    def __enter__(self) -> detect_writes:
        _settings.depth += 1
        self._watching.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._watching.__exit__()
        _settings.depth -= 1


def _digest(array: Any) -> int:
    from ..backends.buffers import contents  # imported here: most programs need neither files nor checksums

    return zlib.crc32(contents(array))


def _arrays(value: Any, label: str) -> Iterator[tuple[str, Any]]:
    """The arrays in one of the values that a call has saved, with names."""
    if isinstance(value, Value):
        value = value._native
    if type(value) is tuple:
        for i, part in enumerate(value):
            yield from _arrays(part, f"{label}[{i}]")
    elif hasattr(value, "saved_arrays"):  # the context of a Function
        yield from value.saved_arrays()
    elif hasattr(value, "shape"):
        backend = BY_TYPE.get(type(value)) or of(value)
        if backend is not None and backend.mutable:
            yield label, value


def _watch(
    primitive: Primitive, out: Any, plan: Plan | None, saved: tuple[Any, ...]
) -> tuple[Plan | None, tuple[Any, ...]]:
    """The plan with rules that compare the checksums of their saved values first."""
    if plan is None or not _settings.depth:
        return plan, saved
    line = calling_line()
    digests = [
        [(name, _digest(array)) for name, array in _arrays(value, primitive.values[index])]
        for index, value in zip(plan.keep, saved, strict=True)
    ]
    if not any(digests):
        return plan, saved
    out_at = primitive.arity + primitive.n_options
    # a second derivative computes these by-products anew, on Variables, and so their bits may differ
    computed_anew = {
        place for place, index in enumerate(plan.keep) if out_at < index < primitive.n_values and primitive.recompute
    }

    def check(place: int, value: Any) -> None:
        if not digests[place] or (place in computed_anew and isinstance(value, Value)):
            return
        for (name, digest), (_, array) in zip(digests[place], _arrays(value, ""), strict=True):
            if _digest(array) != digest:
                dtype = BY_TYPE[type(array)].dtype_of(array)
                raise RuntimeError(
                    f"{primitive.name}: {name}, an array of {dtype} and shape {tuple(array.shape)}, was changed after "
                    f"the call, and the gradient needs its values from before. Call backward first, or give the call "
                    f"a copy, as in rustorch.asarray(array, copy=True); {primitive.name} was called at {line}"
                )

    def checking(rule: Callable[..., Any], places: tuple[int, ...]) -> Callable[..., Any]:
        def check_and_run(xp: Any, g: Any, *values: Any) -> Any:
            for place, value in zip(places, values, strict=True):
                check(place, value)
            return rule(xp, g, *values)

        return check_and_run

    checked = copy.copy(plan)
    checked.calls = [(k, checking(rule, places), *rest, places) for k, rule, *rest, places in plan.calls]  # type: ignore[misc]
    checked.alone = [(k, checking(rule, places), *rest, places) for k, rule, *rest, places in plan.alone]  # type: ignore[misc]
    if plan.joint is not None and plan.primitive.joint is not None:
        checked.primitive = copy.copy(plan.primitive)
        checked.primitive.joint = checking(plan.primitive.joint, plan.joint)
    return checked, saved

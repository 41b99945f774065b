"""detect_writes: which array was rewritten between a call and its backward, behind rustorch's back.

What is written through rustorch is noticed anyway. A program that holds an array from which a Variable was made can
write into it without a trace: while this is active, a checksum of everything that a call keeps is taken, and taken
again before its rules run.
"""

from __future__ import annotations

import copy
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from ..backends import BY_TYPE, of
from . import exchange
from .graph import Value
from .primitive import Plan


class _Mine(threading.local):
    depth = 0


_mine = _Mine()


class detect_writes:
    """Raise in backward if an array that a gradient needs was changed after the call that kept it: ``with
    detect_writes():``.

    rustorch notices what is written through it, as in ``x[0] = 1``. It shares memory with the arrays that it is given,
    and does not notice what is written into those: a buffer that is filled again for the next batch, or ``x.data[...] =
    0``. Backward then computes with the new values, and gradients are wrong without a word. Calls inside this context
    are checked whenever their backward runs, inside of it or later, in every order.

    Raises
    ------
    RuntimeError
        In backward, before a gradient is computed from a changed array. It names the operation, the argument, and the
        line of the program that called the operation.

    Notes
    -----
    For a search, not for every day: each array that is kept is read twice, and a GPU's is copied to the host for that,
    which waits. It is of this thread; while it is not active it costs nothing. What was changed after its last use is
    no matter. Arrays of JAX are never written into, and not looked at. What `checkpoint` computes anew is held against
    what was there before.

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

    def __enter__(self) -> detect_writes:
        _mine.depth += 1
        exchange.enter(_watch)
        return self

    def __exit__(self, *exc: object) -> None:
        exchange.leave(_watch)
        _mine.depth -= 1


def _digest(array: Any) -> int:
    from ..backends.buffers import contents  # most programs need neither files nor checksums

    return zlib.crc32(contents(array))


def _arrays(value: Any, label: str) -> Iterator[tuple[str, Any]]:
    """The arrays in one of the values that a call has kept, with names."""
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


def _watch(plan: Plan, out: Any, saved: tuple) -> Plan:
    """The plan with rules that look at what was kept before they use it."""
    if not _mine.depth:
        return plan
    primitive, where = plan.primitive, exchange.line()
    labels = [primitive.values[index] for index in plan.keep]
    known = [
        [(name, _digest(a)) for name, a in _arrays(value, label)] for label, value in zip(labels, saved, strict=True)
    ]
    out_at = primitive.arity + primitive.n_options
    # by-products that a second derivative computes anew, on Variables, are others
    again = {
        place for place, index in enumerate(plan.keep) if out_at < index < primitive.n_values and primitive.recompute
    }
    if not any(known):
        return plan

    def check(position: int, value: Any) -> None:
        if not known[position] or (position in again and isinstance(value, Value)):
            return
        for (name, digest), (_, array) in zip(known[position], _arrays(value, ""), strict=True):
            if _digest(array) != digest:
                dtype = BY_TYPE[type(array)].dtype_of(array)
                raise RuntimeError(
                    f"{primitive.name}: {name}, an array of {dtype} and shape {tuple(array.shape)}, was changed after "
                    f"the call, and the "
                    f"gradient needs its values from before. Call backward first, or give the call a copy, as in "
                    f"rustorch.asarray(array, copy=True); {primitive.name} was called at {where}"
                )

    def checked(rule: Callable, indices: tuple[int, ...]) -> Callable:
        def first_checked(xp: Any, g: Any, *values: Any) -> Any:
            for position, value in zip(indices, values, strict=True):
                check(position, value)
            return rule(xp, g, *values)

        return first_checked

    watched = copy.copy(plan)
    watched.calls = [(k, checked(rule, indices), *numbers, indices) for k, rule, *numbers, indices in plan.calls]  # type: ignore[misc]
    if plan.joint is not None:
        watched.primitive = copy.copy(primitive)
        watched.primitive.joint = checked(primitive.joint, plan.joint)  # type: ignore[arg-type]
    return watched

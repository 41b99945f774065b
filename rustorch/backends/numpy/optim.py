"""Steps of the optimizers on NumPy: in place, and block by block, so that temporaries stay in the processor's cache.

The formulas stand in ``kernels/optim.py``, under the same names. The elementwise updates that are not written out here
run the plain version on each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, divide, maximum, multiply, negative, sqrt, subtract

from ..kernels import optim as plain
from .constants import numbers_of

if TYPE_CHECKING:
    from ..base import Array

#: Elements in a block: 512 KiB of float32. A smaller block would stay in a nearer cache, but the additional calls cost
#: more than that saves.
BLOCK = 1 << 17


def writable(p: Array) -> Array:
    """``p``, or a copy of it where it cannot be written."""
    return p if p.flags.writeable else p.copy()


def _blocks(arrays: tuple[Array | None, ...], size: int = BLOCK) -> Iterator[tuple[Any, ...]]:
    """The same part of each of several arrays of one shape, as views, one part after the other; None stays None."""
    first: Array = arrays[0]
    if first.size <= size:
        yield arrays
        return
    if all(a is None or a.flags.c_contiguous for a in arrays):
        arrays, step = tuple(None if a is None else a.reshape(-1) for a in arrays), size
        first = arrays[0]
    else:
        step = max(1, size * first.shape[0] // first.size)
    for start in range(0, first.shape[0], step):
        yield tuple(None if a is None else a[start : start + step] for a in arrays)


def _in_blocks(name: str) -> Callable[..., tuple[Array | None, ...]]:
    """The plain update, run on one block at a time; it writes the results over the old parameter and state."""
    update: Callable[..., tuple[Array | None, ...]] = getattr(plain, name)

    @wraps(update)
    def run(p: Array, g: Array, *state: Array | None, **numbers: Any) -> tuple[Array | None, ...]:
        p = writable(p)
        for block in _blocks((p, g, *state), BLOCK // 4):  # a plain update makes several temporaries
            old = (block[0], *block[2:])
            for target, new in zip(old, update(numpy, *block, **numbers), strict=True):
                if target is not None:
                    target[...] = new
        return (p, *state)

    return run


def sgd(
    p: Array,
    g: Array,
    buffer: Array | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> tuple[Array, Array | None]:
    """As the plain version, in place: with one scratch buffer of a block's size."""
    p = writable(p)
    rate, decay, keep, enter = numbers_of(p.dtype, lr, weight_decay, momentum, 1 - dampening)
    if p.size <= 8 * BLOCK and not (momentum or weight_decay or maximize):  # the expression makes one temporary only
        return subtract(p, multiply(g, rate), p), buffer
    first = momentum and buffer is None
    if first:
        buffer = numpy.empty_like(p)
    for p_, g_, buffer_ in _blocks((p, g, buffer if momentum else None)):
        scratch = numpy.empty_like(p_)
        if weight_decay:
            multiply(p_, decay, scratch)
            g_ = (subtract if maximize else add)(scratch, g_, scratch)
        elif maximize:
            g_ = negative(g_, scratch)
        if momentum:
            if first:
                buffer_[...] = g_
            else:
                multiply(buffer_, keep, buffer_)
                # SGD refuses nesterov with dampening, so g_ is not needed again and the scratch buffer is free
                add(buffer_, multiply(g_, enter, scratch) if dampening else g_, buffer_)
            if nesterov:
                subtract(p_, multiply(g_, rate, scratch), p_)
            g_ = buffer_
        subtract(p_, multiply(g_, lr * momentum if nesterov else rate, scratch), p_)
    return p, buffer


def adam(
    p: Array,
    g: Array,
    mean: Array,
    square: Array,
    top: Array | None,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction1: float,
    correction2: float,
) -> tuple[Array, Array, Array, Array | None]:
    """As the plain version, in place; it moves both corrections out of the quotient, which saves a pass over the
    block.
    """
    p = writable(p)
    # mean / correction1 / (sqrt(square / correction2) + eps) is mean * root / correction1 / (sqrt(square) + eps * root)
    root, gain = correction2**0.5, beta1 - 1 if maximize else 1 - beta1
    rate, eps_, decay, shrink, keep1, gain_, keep2, gain2 = numbers_of(
        p.dtype,
        lr * root / correction1,
        eps * root,
        -weight_decay if maximize else weight_decay,
        1 - lr * weight_decay,
        beta1,
        gain,
        beta2,
        (1 - beta2) / gain**2,
    )
    for p_, g_, mean_, square_, top_ in _blocks((p, g, mean, square, top)):
        scratch = numpy.empty_like(p_)
        if weight_decay and decoupled:
            multiply(p_, shrink, p_)
        elif weight_decay:
            g_ = add(g_, multiply(p_, decay, scratch), scratch)
        multiply(g_, gain_, scratch)
        multiply(mean_, keep1, mean_)
        add(mean_, scratch, mean_)
        multiply(scratch, scratch, scratch)
        multiply(scratch, gain2, scratch)
        multiply(square_, keep2, square_)
        add(square_, scratch, square_)
        sqrt(square_ if top_ is None else maximum(top_, square_, out=top_), scratch)
        add(scratch, eps_, scratch)
        divide(mean_, scratch, scratch)
        multiply(scratch, rate, scratch)
        subtract(p_, scratch, p_)
    return p, mean, square, top


# -- several parameters ------------------------------------------------------------------------------------------------
#: What a kernel is called with: its arrays (or None) by position, and its numbers by keyword.
Call = tuple[Sequence["Array | None"], dict[str, Any]]
#: What it returns: the new parameter, and the new state.
Outcome = tuple["Array | None", ...]
#: Elements of a parameter that is updated together with others. A longer one has a call of its own: the copies would
#: take longer than the calls that they save.
SMALL = 1 << 12
#: Parameters from which on the copies take less time than the calls.
MANY = 6


def steps(name: str, update: Callable[..., Outcome], calls: Sequence[Call]) -> Sequence[Outcome | None]:
    """What the kernel ``update`` returns for each of several calls; None where it wrote into the arrays it got.

    Where compiled loops can be used, one call updates all parameters. Otherwise small parameters with the same dtype
    and numbers are updated as one: they are copied into one array, and the results back. So a step of Adam for 40
    parameters of 256 elements takes 0.6 of the time.
    """
    if name not in plain.ELEMENTWISE:
        return [update(*arrays, **numbers) for arrays, numbers in calls]
    outcomes: list[Outcome | None] = [None] * len(calls)
    left: Sequence[int] = _descend(calls) if name == "sgd" else range(len(calls))
    if left and (compiled := _compiled_steps()) is not None:
        done = compiled(name, [calls[i] for i in left])
        for i, outcome in zip(left, done, strict=True):
            outcomes[i] = outcome
        left = [i for i, outcome in zip(left, done, strict=True) if outcome is None]
    groups: dict[Any, list[int]] = {}
    many = len(left) >= MANY
    for i in left:
        arrays, numbers = calls[i]
        p: Any = arrays[0]
        if many and p.size <= SMALL and p.dtype.kind == "f" and p.flags.c_contiguous and p.flags.writeable:
            groups.setdefault((p.dtype, *numbers.values()), []).append(i)
        else:
            outcomes[i] = update(*arrays, **numbers)
    for members in groups.values():
        _update_as_one(update, [calls[i] for i in members], members, outcomes)
    return outcomes


@cache
def _compiled_steps() -> Callable[[str, Sequence[Call]], Sequence[Outcome | None]] | None:
    """`steps` for compiled loops, which returns None for calls that NumPy should serve. None where there are none."""
    from ..numba.availability import wanted

    if not wanted():
        return None
    from ..numba.optim import steps

    return steps


def _descend(calls: Sequence[Call]) -> list[int]:
    """Take the steps of SGD that subtract the gradient of a small parameter times the learning rate, and do nothing
    else: two calls of NumPy are faster than anything else. Returns the numbers of the calls that are left.
    """
    left: list[int] = []
    last: Any = None
    dtype: Any = None
    rate: Any = None
    for i, (arrays, numbers) in enumerate(calls):
        p: Any = arrays[0]
        g: Any = arrays[1]
        if numbers is not last:
            last, dtype = numbers, None
            is_plain = not (numbers["momentum"] or numbers["weight_decay"] or numbers["maximize"])
        if not is_plain or p.size > SMALL:
            left.append(i)
            continue
        if p.dtype is not dtype:
            dtype = p.dtype
            (rate,) = numbers_of(dtype, numbers["lr"])
        try:
            subtract(p, multiply(g, rate), p)
        except ValueError:  # it is read-only: asking each parameter would take longer
            left.append(i)
    return left


def _update_as_one(
    update: Callable[..., Outcome], calls: Sequence[Call], members: Sequence[int], outcomes: list[Any]
) -> None:
    """Update contiguous parameters of one dtype with the same numbers by one call. Store what is not written in place
    in ``outcomes``, at the places ``members``.
    """
    p: Any = calls[0][0][0]
    columns = list(zip(*[arrays for arrays, _ in calls], strict=True)) if len(calls) >= MANY else []
    if not columns or not all(_is_uniform(column, p.dtype) for column in columns):
        for i, (arrays, numbers) in zip(members, calls, strict=True):
            outcomes[i] = update(*arrays, **numbers)
        return
    flat = [None if column[0] is None else _joined(column, p.dtype) for column in columns]
    results = update(*flat, **calls[0][1])
    del columns[1]
    made = [_written(column, columns[0], result) for column, result in zip(columns, results, strict=True)]
    if any(parts is not column for parts, column in zip(made, columns, strict=True)):
        for i, outcome in zip(members, zip(*made, strict=True), strict=True):
            outcomes[i] = outcome


def _written(column: Sequence[Array | None], like: Sequence[Array], result: Array | None) -> Sequence[Array | None]:
    """The arrays of a column with the parts of ``result`` written into them; new arrays if there were none."""
    if result is None:
        return column
    parts: list[Array] = []
    start = 0
    for target, p in zip(column, like, strict=True):
        shape, stop = p.shape, start + p.size
        part = result[start:stop] if len(shape) == 1 else result[start:stop].reshape(shape)
        start = stop
        if target is None:
            parts.append(part.copy())
        else:
            target[...] = part
    return parts or column


def _is_uniform(column: Sequence[Array | None], dtype: numpy.dtype) -> bool:
    """Whether all arrays have this dtype, or all are None."""
    if column[0] is None:
        return all(a is None for a in column)
    return all(a is not None and a.dtype is dtype for a in column)


def _joined(arrays: Sequence[Array], dtype: numpy.dtype) -> Array:
    """The elements of several arrays, one after another, in an array of its own."""
    try:
        return numpy.frombuffer(bytearray().join(arrays), dtype)  # in a sixth of the time that concatenate takes
    except (BufferError, TypeError, ValueError):  # an array that is not contiguous
        return numpy.concatenate(arrays, axis=None)


OVERRIDES: dict[str, Callable[..., Any]] = {name: _in_blocks(name) for name in plain.ELEMENTWISE} | {
    function.__name__: function for function in (adam, sgd)
}

"""Steps of the optimizers on NumPy: in place, and block by block, so that temporaries stay in the processor's cache.

The formulas stand in ``kernels/optim.py``, under the same names. The elementwise updates that are not written out here
run the plain version on each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy
from numpy import add, divide, maximum, multiply, negative, sqrt, subtract

from ..kernels import optim as plain

if TYPE_CHECKING:
    from ..base import Array

#: Elements in a block: 512 KiB of float32. A smaller block would stay in a nearer cache, but the additional calls cost
#: more than that saves.
BLOCK = 1 << 17


def _scalars(dtype: numpy.dtype, *values: float) -> list[Array]:
    """Numbers as 0-d arrays. A call with them takes half as long as with Python's numbers, whose promotion NumPy has to
    look up.
    """
    array = numpy.array(values, dtype)
    return [array[i, ...] for i in range(len(values))]


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
    if p.size <= 8 * BLOCK and not (momentum or weight_decay or maximize):  # the expression makes one temporary only
        return subtract(p, multiply(g, lr), p), buffer
    first = momentum and buffer is None
    if first:
        buffer = numpy.empty_like(p)
    for p_, g_, buffer_ in _blocks((p, g, buffer if momentum else None)):
        scratch = numpy.empty_like(p_)
        if weight_decay:
            multiply(p_, weight_decay, scratch)
            g_ = (subtract if maximize else add)(scratch, g_, scratch)
        elif maximize:
            g_ = negative(g_, scratch)
        if momentum:
            if first:
                buffer_[...] = g_
            else:
                multiply(buffer_, momentum, buffer_)
                # SGD refuses nesterov with dampening, so g_ is not needed again and the scratch buffer is free
                add(buffer_, multiply(g_, 1 - dampening, scratch) if dampening else g_, buffer_)
            if nesterov:
                subtract(p_, multiply(g_, lr, scratch), p_)
            g_ = buffer_
        subtract(p_, multiply(g_, lr * momentum if nesterov else lr, scratch), p_)
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
    rate, eps_, decay, shrink, keep1, gain_, keep2, gain2 = _scalars(
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


OVERRIDES: dict[str, Callable[..., Any]] = {name: _in_blocks(name) for name in plain.ELEMENTWISE} | {
    function.__name__: function for function in (adam, sgd)
}

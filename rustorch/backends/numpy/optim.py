"""Updates of parameters, in place and block by block: what an update computes on its way stays in the processor's
cache, and no array of a parameter's size is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy
from numpy import add, divide, maximum, multiply, negative, sqrt, subtract
from numpy.linalg import norm

from ..kernels import optim as plain

Array = Any

#: Numbers in a block: 512 KiB of float32. A smaller one would stay in a nearer cache, but there would be more calls,
#: which cost more.
BLOCK = 1 << 17


def _scalars(dtype: Any, *values: float) -> list[Array]:
    """Numbers as arrays without axes, with which a call takes half as long as with Python's, for which NumPy asks about
    promotion.
    """
    array = numpy.array(values, dtype)
    return [array[i, ...] for i in range(len(values))]


def _writable(p: Array) -> Array:
    return p if p.flags.writeable else p.copy()


def _blocks(arrays: tuple[Array, ...], size: int = BLOCK) -> Iterator[tuple[Array, ...]]:
    """Parts of arrays of one shape that lie in one place, as views; None stays None."""
    first = arrays[0]
    if first.size <= size:
        yield arrays
        return
    if all(a is None or a.flags.c_contiguous for a in arrays):
        arrays, step = tuple(None if a is None else a.reshape(-1) for a in arrays), size
    else:
        step = max(1, size * first.shape[0] // first.size)
    for start in range(0, arrays[0].shape[0], step):
        yield tuple(None if a is None else a[start : start + step] for a in arrays)


def _in_blocks(name: str, arrays: int) -> Callable[..., tuple]:
    """The plain update, for a block at a time; its results are written over what they replace."""
    update = getattr(plain, name)

    @wraps(update)
    def run(*args: Any) -> tuple:
        p, g, *state = args[:arrays]
        p, numbers = _writable(p), args[arrays:]
        for block in _blocks((p, g, *state), BLOCK // 4):  # of temporaries, there are several
            old = (block[0], *block[2:])
            for to, new in zip(old, update(numpy, *block, *numbers), strict=True):
                if to is not None:
                    to[...] = new
        return (p, *state)

    return run


def sgd(
    p: Array,
    g: Array,
    buffer: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> tuple[Array, Array | None]:
    p = _writable(p)
    if p.size <= 8 * BLOCK and not (momentum or weight_decay or maximize):  # one temporary is all there is
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
                # with dampening there is no nesterov, so that g_ may be overwritten
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
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    correction1: float,
    correction2: float,
) -> tuple[Array, ...]:
    p = _writable(p)
    root, gain = correction2**0.5, beta1 - 1 if maximize else 1 - beta1
    # the corrections are drawn out of the quotient, which saves a pass over the block: m / (sqrt(v) / root + eps)
    rate, eps, decay, shrink, keep1, gain, keep2, gain2 = _scalars(
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
        multiply(g_, gain, scratch)
        multiply(mean_, keep1, mean_)
        add(mean_, scratch, mean_)
        multiply(scratch, scratch, scratch)
        multiply(scratch, gain2, scratch)
        multiply(square_, keep2, square_)
        add(square_, scratch, square_)
        sqrt(square_ if top_ is None else maximum(top_, square_, out=top_), scratch)
        add(scratch, eps, scratch)
        divide(mean_, scratch, scratch)
        multiply(scratch, rate, scratch)
        subtract(p_, scratch, p_)
    return p, mean, square, top


def adafactor(
    p: Array,
    g: Array,
    rows: Any,
    columns: Any,
    variance: Array | None,
    lr: float,
    keep: float,
    eps1: float,
    eps2: float,
    d: float,
    rho: float,
    weight_decay: float,
    maximize: bool,
) -> tuple[Array, ...]:
    p, size = _writable(p), p.size**0.5
    step = rho * max(eps2, float(norm(p)) / size)  # in this order, as in PyTorch: of nan, it is eps2
    if weight_decay:
        multiply(p, 1 - lr * weight_decay, p)
    scratch = multiply(g, g)[...]
    if variance is None:
        rows[...] = plain._toward(rows, scratch.mean(-1, keepdims=True), keep)
        columns[...] = plain._toward(columns, scratch.mean(-2, keepdims=True), keep)
        multiply(rows / maximum(rows.mean(-2, keepdims=True), eps1), columns, scratch)
    else:
        if keep < 0.5:
            subtract(scratch, variance, scratch)
            add(variance, multiply(scratch, keep, scratch), variance)
        else:
            subtract(scratch, variance, variance)
            subtract(scratch, multiply(variance, 1 - keep, variance), variance)
        scratch[...] = variance
    maximum(scratch, eps1 * eps1, out=scratch)
    divide(g, sqrt(scratch, scratch), scratch)
    step /= max(1.0, float(norm(scratch)) / (size * d))
    multiply(scratch, -step if maximize else step, scratch)
    return subtract(p, scratch, p), rows, columns, variance


def muon(
    p: Array,
    g: Array,
    buffer: Array,
    lr: float,
    decay: float,
    momentum: float,
    nesterov: bool,
    coefficients: tuple[float, float, float],
    steps: int,
    eps: float,
) -> tuple[Array, Array]:
    """With two arrays of the parameter's size: a product cannot be written over its factor."""
    p = _writable(p)
    x = multiply(g, 1 - momentum)
    add(multiply(buffer, momentum, buffer), x, buffer)
    if nesterov:
        add(x, multiply(buffer, momentum), x)
    else:
        x[...] = buffer
    divide(x, max(float(norm(x)), eps), x)
    other, (a, b, c) = numpy.empty_like(x), coefficients
    wide, into = (x.T, other.T) if x.shape[0] > x.shape[1] else (x, other)
    for _ in range(steps):
        gram = wide @ wide.T
        update = gram @ gram
        add(multiply(update, c, update), multiply(gram, b, gram), update)
        numpy.matmul(update, wide, out=into)
        add(multiply(wide, a, wide), into, wide)
    return subtract(multiply(p, decay, p), multiply(x, lr, x), p), buffer


OVERRIDES: dict[str, Callable] = {name: _in_blocks(name, arrays) for name, arrays in plain.ELEMENTWISE.items()} | {
    function.__name__: function for function in (adafactor, adam, muon, sgd)
}

"""Pooling to a given size with windows at random places."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

from ... import ops
from ...autograd.check import adopt
from ...backends import dtypes
from ...random import rand
from .pooling import ordered
from .sizes import sizes_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]


def ratios(name: str, output_ratio: Any, n: int) -> tuple[float, ...]:
    """One ratio per axis. Raises ValueError unless they are between 0 and 1."""
    given = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
    if len(given) != n or not all(isinstance(ratio, (int, float)) and 0 < ratio < 1 for ratio in given):
        raise ValueError(f"{name}: output_ratio is a number between 0 and 1, or {n} of them, not {output_ratio!r}")
    return given


def one_of(name: str, output_size: Any, output_ratio: Any) -> None:
    """Raise ValueError unless just one of the two is given."""
    if (output_size is None) == (output_ratio is None):
        raise ValueError(
            f"{name}: give either output_size or output_ratio, {'one of them' if output_size is None else 'not both'}"
        )


def _starts(u: Variable, size: int, out: int, kernel: int) -> Variable:
    """Where the windows of every plane begin, (batch, channels, out): ``floor((i + u) * a) - floor(u * a)``, and the
    last at the end.
    """
    last = ops.full_like(u, size - kernel, dtype=dtypes.int64)
    if out == 1:
        return last
    a = (size - kernel) / (out - 1)
    i = ops.arange(out - 1, dtype=u.dtype, device=u.device)
    return ops.concat([ops.astype(ops.floor((i + u) * a) - ops.floor(u * a), dtypes.int64), last], axis=-1)


def _positions(x: Variable, starts: list[Variable], kernel: tuple[int, ...]) -> Variable:
    """Where in the flattened plane the largest value of every window is, (batch, channels, windows); the first of equal
    ones.
    """
    n, sizes = len(kernel), x.shape[2:]
    flat = ops.reshape(x.detach(), (*x.shape[:2], prod(sizes)))
    windows = [
        ops.reshape(start, (*x.shape[:2], *[start.shape[2] if i == j else 1 for j in range(n)]))
        for i, start in enumerate(starts)
    ]
    count = prod([start.shape[2] for start in starts])
    best: Any = None
    found: Any = None
    for offset in product(*map(range, kernel)):
        places: Any = 0
        for i in range(n):
            places = places * sizes[i] + (windows[i] + offset[i])
        places = ops.reshape(places, (*x.shape[:2], count))
        values = ops.take_along_axis(flat, places, axis=2)
        if found is None:
            best, found = values, places
            continue
        better = ops.logical_or(values > best, ops.isnan(values))
        best, found = ops.where(better, values, best), ops.where(better, places, found)
    return found


def _fractional_max_pool(
    n: int,
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: ArrayLike,
) -> Any:
    name = f"fractional_max_pool{n}d"
    input = ordered(name, input, n)
    kernel = sizes_of(name, "kernel_size", kernel_size, n)
    one_of(name, output_size, output_ratio)
    have = input.shape[-n:]
    if output_size is None:
        wanted = tuple([int(size * ratio) for size, ratio in zip(have, ratios(name, output_ratio, n), strict=True)])
    else:
        wanted = sizes_of(name, "output_size", output_size, n)
    for size, out, k in zip(have, wanted, kernel, strict=True):
        if out < 1 or out + k - 1 > size:
            raise ValueError(
                f"{name}: {out} windows of {k} values do not start at different places of an axis of size {size}; the "
                f"input's shape is {input.shape}"
            )
    x = input if input.ndim == n + 2 else ops.reshape(input, (1, *input.shape))
    shape = (*x.shape[:2], n)
    if samples is None:
        samples = rand(shape, dtype=x.dtype, device=x.device)
    else:
        samples = adopt(samples, name, (input,))
        if samples.shape != shape:
            raise ValueError(
                f"{name}: the random samples have shape {shape}, (batch, channels, {n}), not {samples.shape}"
            )
    axes = range(n) if n == 3 else (1, 0)  # PyTorch's order: the first of two numbers is for the width
    starts = [
        _starts(samples[:, :, j : j + 1], size, out, k)
        for j, size, out, k in zip(axes, have, wanted, kernel, strict=True)
    ]
    places = _positions(x, starts, kernel)
    flat = ops.reshape(x, (*x.shape[:2], prod(have)))
    out_shape = (*input.shape[:-n], *wanted)
    pooled = ops.reshape(ops.take_along_axis(flat, places, axis=2), out_shape)
    return (pooled, ops.reshape(places, out_shape)) if return_indices else pooled


def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Any:
    """The largest values of windows that begin at random places, as many as the output shall have.

    From window to window it is now one, now two values (or more), by a random number for every plane and axis.
    Source: Graham, "Fractional max-pooling", 2014.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    kernel_size : int or pair of int
    output_size : int or pair of int, optional
        Either this or ``output_ratio``.
    output_ratio : float or pair of float, optional
        The output's size by the input's, between 0 and 1.
    return_indices : bool
        Whether to return where each value is, too: positions in the flattened height and width.
    _random_samples : Variable or array, (batch, channels, 2), optional
        The random numbers, in [0, 1); default: drawn anew.

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit; then no number has been drawn.
    TypeError
        If the input is not of real floating-point numbers, or a size no integer.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.fractional_max_pool2d(rustorch.ones((1, 2, 7, 9)), 2, output_ratio=0.7).shape
    (1, 2, 4, 6)
    """
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Any:
    """The largest values of windows of three axes that begin at random places; see `fractional_max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    """
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)

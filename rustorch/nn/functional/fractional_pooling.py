"""Fractional max pooling: windows at random places, with a given number of windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Literal, overload

from ... import ops
from ...backends import dtypes
from ...random import rand
from .checks import adopt
from .pooling import ordered
from .sizes import sizes_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]


def ratios(name: str, output_ratio: float | Sequence[float] | None, n: int) -> tuple[float, ...]:
    """One ratio for each dimension. Raises ValueError unless all are between 0 and 1."""
    given: tuple[Any, ...] = tuple(output_ratio) if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * n
    if len(given) != n or not all(isinstance(ratio, (int, float)) and 0 < ratio < 1 for ratio in given):
        raise ValueError(f"{name}: output_ratio is a number between 0 and 1, or {n} of them, not {output_ratio!r}")
    return given


def one_of(name: str, output_size: Sizes | None, output_ratio: float | Sequence[float] | None) -> None:
    """Raise ValueError unless exactly one of the two is given."""
    if (output_size is None) == (output_ratio is None):
        raise ValueError(
            f"{name}: give either output_size or output_ratio, {'one of them' if output_size is None else 'not both'}"
        )


def _starts(u: Variable, size: int, out: int, kernel: int) -> Variable:
    """The first place of each window along a dimension, for every plane: (batch, channels, out).

    Window ``i`` begins at ``floor((i + u) * a) - floor(u * a)`` for random numbers ``u``; the last one ends at the end.
    """
    last = ops.full_like(u, size - kernel, dtype=dtypes.int64)
    if out == 1:
        return last
    a = (size - kernel) / (out - 1)
    i = ops.arange(out - 1, dtype=u.dtype, device=u.device)
    return ops.concat([ops.astype(ops.floor((i + u) * a) - ops.floor(u * a), dtypes.int64), last], axis=-1)


def _positions(x: Variable, starts: list[Variable], kernel: tuple[int, ...]) -> Variable:
    """The place of the largest value of each window in the flattened plane, (batch, channels, windows).

    If several values are largest, it is the place of the first one.
    """
    n, sizes = len(kernel), x.shape[2:]
    flat = ops.reshape(x.detach(), (*x.shape[:2], prod(sizes)))
    windows = [
        ops.reshape(start, (*x.shape[:2], *[start.shape[2] if i == j else 1 for j in range(n)]))
        for i, start in enumerate(starts)
    ]
    count = prod([start.shape[2] for start in starts])
    best: Variable | None = None
    best_places: Variable | None = None
    for offset in product(*map(range, kernel)):
        places: Any = 0
        for i in range(n):
            places = places * sizes[i] + (windows[i] + offset[i])
        places = ops.reshape(places, (*x.shape[:2], count))
        values = ops.take_along_axis(flat, places, axis=2)
        if best is None or best_places is None:
            best, best_places = values, places
            continue
        better = ops.logical_or(values > best, ops.isnan(values))
        best, best_places = ops.where(better, values, best), ops.where(better, places, best_places)
    assert best_places is not None  # a kernel has at least one place
    return best_places


def _fractional_max_pool(
    n: int,
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: bool,
    samples: ArrayLike | None,
) -> Variable | tuple[Variable, Variable]:
    name = f"fractional_max_pool{n}d"
    input = ordered(name, input, n)
    kernel = sizes_of(name, "kernel_size", kernel_size, n)
    one_of(name, output_size, output_ratio)
    sizes = input.shape[-n:]
    if output_size is None:
        outs = tuple([int(size * ratio) for size, ratio in zip(sizes, ratios(name, output_ratio, n), strict=True)])
    else:
        outs = sizes_of(name, "output_size", output_size, n)
    for size, out, k in zip(sizes, outs, kernel, strict=True):
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
    axes = range(n) if n == 3 else (1, 0)  # as in PyTorch, the first of two random numbers is for the width
    starts = [
        _starts(samples[:, :, j : j + 1], size, out, k)
        for j, size, out, k in zip(axes, sizes, outs, kernel, strict=True)
    ]
    places = _positions(x, starts, kernel)
    flat = ops.reshape(x, (*x.shape[:2], prod(sizes)))
    out_shape = (*input.shape[:-n], *outs)
    pooled = ops.reshape(ops.take_along_axis(flat, places, axis=2), out_shape)
    return (pooled, ops.reshape(places, out_shape)) if return_indices else pooled


@overload
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: Literal[False] = False,
    _random_samples: ArrayLike | None = None,
) -> Variable: ...
@overload
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Variable | tuple[Variable, Variable]: ...
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Variable | tuple[Variable, Variable]:
    """The largest values of windows that begin at random places, with one window for each place of the output.

    The distance from one window to the next changes between two neighbouring integers. A random number for each plane
    and dimension decides where. Source: Graham, "Fractional max-pooling", 2014.

    Parameters
    ----------
    input : Variable or array, (batch, channels, height, width) or (channels, height, width)
    kernel_size : int or pair of int
    output_size : int or pair of int, optional
        Either this or ``output_ratio``.
    output_ratio : float or pair of float, optional
        The output's size divided by the input's size, between 0 and 1.
    return_indices : bool
        Whether to return the indices of the values, too: positions in the flattened height and width.
    _random_samples : Variable or array, (batch, channels, 2), optional
        The random numbers, in [0, 1); default: new ones.

    Raises
    ------
    ValueError
        If the input's shape or a size does not fit. No random number is drawn then.
    TypeError
        If the input has no real floating-point dtype, or a size is not an integer.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.nn.functional.fractional_max_pool2d(rustorch.ones((1, 2, 7, 9)), 2, output_ratio=0.7).shape
    (1, 2, 4, 6)
    """
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


@overload
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: Literal[False] = False,
    _random_samples: ArrayLike | None = None,
) -> Variable: ...
@overload
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Variable | tuple[Variable, Variable]: ...
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
) -> Variable | tuple[Variable, Variable]:
    """The largest values of windows over three dimensions that begin at random places; see `fractional_max_pool2d`.

    Parameters
    ----------
    input : Variable or array, (batch, channels, depth, height, width) or (channels, depth, height, width)
    """
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)

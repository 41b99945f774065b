"""Sliding windows over images: their contents as columns (unfold), and columns added up to an image (fold)."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

from ... import ops
from ...ops.from_data import constant
from ...ops.indexing import index_add
from .checks import adopt
from .padding import padded
from .sizes import batched, tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Sizes
    from ...variable import Variable


__all__ = ["fold", "unfold"]


def _windows(
    name: str,
    size: tuple[int, ...],
    kernel_size: Sizes,
    dilation: Sizes,
    padding: Sizes,
    stride: Sizes,
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], list[int]]:
    """Kernel, padding, sizes of the padded image, and the places of all elements of all windows in the flat image.

    The places are ordered by the element of the kernel first, and then by the window.
    """
    kernel, stride = tuple_of(name, "kernel_size", kernel_size, 2), tuple_of(name, "stride", stride, 2)
    dilation, padding = tuple_of(name, "dilation", dilation, 2), tuple_of(name, "padding", padding, 2, least=0)
    full = tuple([n + 2 * p for n, p in zip(size, padding, strict=True)])
    ends = [n - d * (k - 1) for n, k, d in zip(full, kernel, dilation, strict=True)]
    if min(ends) < 1:
        raise ValueError(
            f"{name}: a kernel of sizes {kernel} with dilation {dilation} reaches over more than the padded image has: "
            f"{full}"
        )
    starts = list(product(*[range(0, end, s) for end, s in zip(ends, stride, strict=True)]))
    places = [
        (row * dilation[0] + y) * full[1] + column * dilation[1] + x
        for row, column in product(*map(range, kernel))
        for y, x in starts
    ]
    return kernel, padding, full, places


def unfold(
    input: ArrayLike,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Variable:
    """The contents of a sliding window at each of its places, as columns.

    Parameters
    ----------
    input : Variable or array, (samples, channels, height, width) or (channels, height, width)
    kernel_size, dilation, padding, stride : int or pair of int
        Sizes of the window, as in `conv2d`.

    Returns
    -------
    Variable, (samples, channels * kernel_height * kernel_width, places) or without samples
        Rows are ordered by channel, then by the place in the window. Columns are ordered by the place in the image.

    Raises
    ------
    ValueError
        If the input's shape does not fit, a size is too small, or the window is larger than the padded image.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.unfold(rustorch.tensor([[[1.0, 2.0, 3.0]]]), (1, 2)).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    x, had_samples = batched("unfold", adopt(input, "unfold"), 2)
    n, channels = x.shape[:2]
    kernel, zeros, full, places = _windows("unfold", tuple(x.shape[2:]), kernel_size, dilation, padding, stride)
    x = padded("unfold", x, (zeros[1], zeros[1], zeros[0], zeros[0]), "constant")
    flat = ops.reshape(x, (n, channels, prod(full)))
    values = ops.take(flat, constant(places, x), axis=2)
    out = ops.reshape(values, (n, channels * prod(kernel), len(places) // prod(kernel)))
    return out if had_samples else ops.squeeze(out, axis=0)


def fold(
    input: ArrayLike,
    output_size: Sizes,
    kernel_size: Sizes,
    dilation: Sizes = 1,
    padding: Sizes = 0,
    stride: Sizes = 1,
) -> Variable:
    """The transpose of `unfold`: put columns back to the places of a sliding window. Add up what overlaps.

    Parameters
    ----------
    input : Variable or array, (samples, channels * kernel_height * kernel_width, places) or without samples
    output_size : int or pair of int
        Height and width of the image.
    kernel_size, dilation, padding, stride : int or pair of int
        Sizes of the window, as in `unfold`.

    Returns
    -------
    Variable, (samples, channels, height, width) or (channels, height, width)

    Raises
    ------
    ValueError
        If the input's dimensions, rows or columns do not fit the sizes.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> F.fold(rustorch.tensor([[1.0, 2.0], [2.0, 3.0]]), (1, 3), (1, 2)).tolist()
    [[[1.0, 4.0, 3.0]]]
    """
    x = adopt(input, "fold")
    size = tuple_of("fold", "output_size", output_size, 2)
    kernel, zeros, full, places = _windows("fold", size, kernel_size, dilation, padding, stride)
    if x.ndim not in (2, 3):
        raise ValueError(f"fold: the input is (samples, rows, places), or without samples; its shape is {x.shape}")
    rows, count = prod(kernel), len(places) // prod(kernel)
    if x.shape[-2] % rows or not x.shape[-2] or x.shape[-1] != count:
        raise ValueError(
            f"fold: a window of sizes {kernel} has {count} places in an image of {size}: the input has {rows} rows for "
            f"each channel and {count} columns; its shape is {x.shape}"
        )
    samples, channels = x.shape[0] if x.ndim == 3 else 1, x.shape[-2] // rows
    indices = constant(places, x)
    flat = index_add(ops.reshape(x, (samples, channels, len(places))), indices, (samples, channels, prod(full)), 2)
    out = padded(
        "fold",
        ops.reshape(flat, (samples, channels, *full)),
        (-zeros[1], -zeros[1], -zeros[0], -zeros[0]),
        "constant",
    )
    return out if x.ndim == 3 else ops.squeeze(out, axis=0)

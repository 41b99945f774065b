"""Padding: more or fewer elements at both ends of the last dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import ops
from ...ops import network
from ...ops.arguments import fill_number
from ...ops.from_data import constant
from .checks import adopt
from .sizes import tuple_of

if TYPE_CHECKING:
    from ...typing import ArrayLike, Number
    from ...variable import Variable


__all__ = ["pad"]


def _sources(mode: str, name: str, size: int, before: int, after: int) -> list[int]:
    """For each position from ``-before`` to ``size + after``, the index of the element that it repeats."""
    start, left = max(-before, 0), size + min(before, 0) + min(after, 0)
    limit, reason = {
        "reflect": (
            size - 1,
            "reflection does not repeat the element at the edge: it is smaller than the dimension's size",
        ),
        "circular": (left, "it wraps around once: it is at most the dimension's size"),
        "replicate": (max(before, after) if size else 0, "there is no element at the edge of an empty one"),
    }[mode]
    if max(before, after) > limit:
        raise ValueError(f"{name}: padding {(before, after)} does not fit a dimension of {size}; {reason}")
    places = range(-before, size + after)
    if mode == "replicate":
        return [min(max(place, 0), size - 1) for place in places]
    if mode == "circular":  # negative padding leaves elements out; wrap around the others
        return [start + (place - start) % left for place in places]
    return [size - 1 - abs(size - 1 - abs(place)) for place in places]


def _filled(name: str, x: Variable, pairs: Sequence[tuple[int, int, int]], value: Any) -> Variable:
    """The input with constants at both ends of some axes."""
    whole = [(0, 0)] * x.ndim
    for axis, before, after in pairs:
        whole[axis] = (before, after)
    return network.pad_constant.call(x, tuple(whole), fill_number(name, 0 if value is None else value, x.dtype))


def pad(input: ArrayLike, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Variable:
    """The input with more or fewer elements at both ends of its last dimensions.

    Parameters
    ----------
    input : Variable or array
    pad : sequence of int
        Numbers of elements to add before and after along the last dimension, then along the dimension before it, and so
        on. A negative number leaves elements out.
    mode : {"constant", "reflect", "replicate", "circular"}
        The added elements. With two more at both ends, ``a b c`` becomes ``v v a b c v v``, ``c b a b c b a``,
        ``a a a b c c c`` or ``b c a b c a b``.
    value : number, optional
        The v of "constant"; default: 0.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If there are more pairs than dimensions, a dimension would lose more elements than it has, or a dimension is too
        short for the mode.
    TypeError
        If ``value`` is no number, or a complex one for real elements.
    OverflowError
        If it does not fit into the input's dtype.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.nn import functional as F
    >>> x = rustorch.tensor([1.0, 2.0, 3.0])
    >>> F.pad(x, (2, 1)).tolist()
    [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]
    >>> F.pad(x, (2, -1), mode="reflect").tolist()
    [3.0, 2.0, 1.0, 2.0]
    """
    return padded("pad", input, pad, mode, value)


def padded(name: str, input: ArrayLike, pad: Sequence[int], mode: str, value: Number | None = None) -> Variable:
    """`pad`, with ``name`` in its errors."""
    x = adopt(input, name)
    if not isinstance(pad, (tuple, list)) or len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ValueError(
            f"{name}: padding is a pair of numbers for each of the last dimensions, for at most {x.ndim} of an input "
            f"of shape {x.shape}; it is {pad!r}"
        )
    sizes = tuple_of(name, "padding", pad, len(pad), least=None)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f"{name}: mode is 'constant', 'reflect', 'replicate' or 'circular', not {mode!r}")
    if mode != "constant" and value is not None:
        raise ValueError(f"{name}: a value is for mode='constant', not for mode={mode!r}")
    pairs = [(x.ndim - 1 - i, sizes[2 * i], sizes[2 * i + 1]) for i in range(len(sizes) // 2)]
    for axis, before, after in pairs:
        left = x.shape[axis] + (min(before, 0) + min(after, 0) if mode == "constant" else before + after)
        if left < 0:
            raise ValueError(
                f"{name}: padding {(before, after)} removes more elements than a dimension of size {x.shape[axis]} has"
            )
    pairs = [pair for pair in pairs if pair[1:] != (0, 0)]
    if mode == "constant":
        return _filled(name, x, pairs, value) if pairs else x
    for axis, before, after in pairs:
        places = _sources(mode, name, x.shape[axis], before, after)
        x = ops.take(x, constant(places, x), axis=axis)
    return x

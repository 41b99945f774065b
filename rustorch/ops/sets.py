"""Arrays as sets: distinct elements, and whether elements are in an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.check import adopt, common_backend, weak
from ..autograd.graph import make
from ..backends import of
from ..backends.promotion import PYTHON_SCALARS
from .data_type import astype, result_type
from .from_data import asarray
from .indexing import take
from .manipulation import reshape

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Namespace
    from ..variable import Variable

__all__ = ["isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"]


class _All(NamedTuple):
    """What `unique_all` returns."""

    values: Variable
    indices: Variable
    inverse_indices: Variable
    counts: Variable


class _Counts(NamedTuple):
    """What `unique_counts` returns."""

    values: Variable
    counts: Variable


class _Inverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Variable
    inverse_indices: Variable


def _order(xp: Namespace, x: Array, kind: str) -> Array:
    """The indices that sort a vector of any dtype, stably. The standard sorts real numbers alone."""
    if kind == "c":  # by the real part, then by the imaginary part
        order = xp.argsort(xp.imag(x), stable=True)
        return xp.take(order, xp.argsort(xp.take(xp.real(x), order, axis=0), stable=True), axis=0)
    return xp.argsort(xp.astype(x, xp.uint8) if kind == "b" else x, stable=True)


def _distinct(xp: Namespace, x: Array, kind: str) -> tuple[Any, Any, Any]:
    """The indices, inverse indices and counts of `unique_all` of a vector."""
    n = x.shape[0]
    if not n:
        none = xp.zeros((0,), dtype=xp.int64, device=x.device)
        return none, none, none
    order = _order(xp, x, kind)
    ordered = xp.take(x, order, axis=0)
    first = xp.ones((1,), dtype=xp.bool, device=x.device)
    starts = xp.concat([first, ordered[1:] != ordered[:-1]])  # nan differs from itself: each nan is distinct
    (places,) = xp.nonzero(starts)
    ends = xp.concat([places[1:], xp.full((1,), n, dtype=places.dtype, device=x.device)])
    ranks = xp.cumulative_sum(xp.astype(starts, xp.int64)) - 1
    return xp.take(order, places, axis=0), xp.take(ranks, xp.argsort(order), axis=0), ends - places


def _unique(x: ArrayLike, name: str) -> _All:
    x = adopt(x, name)
    flat = reshape(x, (-1,))
    backend: Any = of(x._native)
    with backend.guard(x._native):
        found = _distinct(backend.xp, flat._native, x.dtype.kind)
    indices, inverse, counts = [make(backend.as_array(a)) for a in found]
    return _All(take(flat, indices, axis=0), indices, reshape(inverse, x.shape), counts)


def unique_all(x: ArrayLike, /) -> _All:
    """The distinct elements, their first places, the inverse and how often each occurs.

    Each nan is distinct from each other nan. The gradient of a distinct element goes to its first place. The sizes
    depend on the values.

    Parameters
    ----------
    x : Variable or array

    Returns
    -------
    named tuple (values, indices, inverse_indices, counts)
        ``values`` are the distinct elements and ``indices`` their first places in the flattened array.
        ``inverse_indices`` has the shape of ``x``: ``values[inverse_indices]`` is ``x``. The others are vectors of one
        length.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.unique_all(rustorch.asarray([3, 1, 3])).counts
    Variable([1, 2])
    """
    return _unique(x, "unique_all")


def unique_counts(x: ArrayLike, /) -> _Counts:
    """The distinct elements and how often each occurs, named ``values`` and ``counts``; see `unique_all`."""
    found = _unique(x, "unique_counts")
    return _Counts(found.values, found.counts)


def unique_inverse(x: ArrayLike, /) -> _Inverse:
    """The distinct elements and the inverse, named ``values`` and ``inverse_indices``; see `unique_all`."""
    found = _unique(x, "unique_inverse")
    return _Inverse(found.values, found.inverse_indices)


def unique_values(x: ArrayLike, /) -> Variable:
    """The distinct elements, as a vector; see `unique_all`."""
    return _unique(x, "unique_values").values


def isin(x1: ArrayLike, x2: ArrayLike, /, *, invert: bool = False) -> Variable:
    """Whether each element of ``x1`` is equal to an element of ``x2``. nan is equal to no element.

    Parameters
    ----------
    x1, x2 : Variable, array or Python number
        At least one is an array.
    invert : bool
        True: whether each element is equal to *no* element of ``x2``.

    Returns
    -------
    Variable
        Booleans in the shape of ``x1``.

    Raises
    ------
    TypeError
        If both are numbers, or the standard does not promote the two dtypes.
    """
    x1, x2 = weak(x1, x2), weak(x2, x1)
    number1, number2 = type(x1) in PYTHON_SCALARS, type(x2) in PYTHON_SCALARS
    if number1 and number2:
        raise TypeError(f"isin needs at least one array; got the Python numbers {x1!r} and {x2!r}")
    if not number1:
        x1 = adopt(x1, "isin", (x2,))
    if not number2:
        x2 = adopt(x2, "isin", (x1,))
    dtype = result_type(x1, x2)
    x1 = asarray(x1, dtype=dtype, device=x2.device) if number1 else astype(x1.detach(), dtype, copy=False)
    x2 = asarray(x2, dtype=dtype, device=x1.device) if number2 else astype(x2.detach(), dtype, copy=False)
    common_backend("isin", (x1, x2))
    native: Any = reshape(x1, (-1,))._native
    backend: Any = of(native)
    with backend.guard(native):
        found = _members(backend.xp, native, reshape(x2, (-1,))._native, dtype.kind)
        if invert:
            found = backend.xp.logical_not(found)
    return reshape(make(backend.as_array(found)), x1.shape)


def _members(xp: Namespace, x: Array, among: Array, kind: str) -> Array:
    """Whether each element of the vector ``x`` is equal to an element of the vector ``among``."""
    among = among[among == among]  # without nan, among which some libraries cannot search
    n, m = x.shape[0], among.shape[0]
    if not n or not m:
        return xp.zeros((n,), dtype=xp.bool, device=x.device)
    if kind == "c":  # the standard does not sort complex numbers: sort their ranks
        _, ranks, _ = _distinct(xp, xp.concat([x, among]), kind)
        x, among = ranks[:n], ranks[n:]
    elif kind == "b":
        x, among = xp.astype(x, xp.uint8), xp.astype(among, xp.uint8)
    among = xp.sort(among)
    places = xp.searchsorted(among, x)
    last = xp.full_like(places, m - 1)
    return xp.take(among, xp.where(places < m, places, last), axis=0) == x

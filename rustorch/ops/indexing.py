"""Reading and writing elements by position, and the transposes, which add where positions repeat."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt, keeps_gradient, number_of, weak, weak_number
from ..autograd.graph import Value, make
from ..autograd.modes import mode
from ..autograd.primitive import Primitive
from ..autograd.writes import writes
from ..backends import BY_TYPE, device_of, of
from ..backends.convert import elements, fits, nests
from ..backends.promotion import PYTHON_SCALARS
from . import keys, nested_lists
from .arguments import one_axis
from .creation import full_like
from .data_type import broadcast_shapes
from .manipulation import broadcast_to, reshape

if TYPE_CHECKING:
    from ..typing import Array, ArrayLike, Namespace
    from ..variable import Variable

__all__ = ["take", "take_along_axis"]


# -- kernels: the transposes are primitives too, so that every order of derivative exists ------------------------------
index_add = Primitive(
    "index_add",
    lambda xp, values, indices, /, shape, axis: xp.index_add(values, indices, shape, axis),
    values=lambda xp, g, indices, axis: xp.take(g, indices, axis=axis),
)
scatter_add = Primitive(
    "scatter_add",
    lambda xp, values, indices, /, shape, axis: xp.scatter_add(values, indices, shape, axis),
    values=lambda xp, g, indices, axis: xp.take_along_axis(g, indices, axis=axis),
)
put_add = Primitive(
    "put_add",
    lambda xp, values, /, shape, key: xp.put_add(values, shape, key),
    values=lambda xp, g, key: g[key],
)


def _along(g_shape: tuple[int, ...], x_shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape of ``x`` after it was broadcast with the indices in all axes but one."""
    axis %= len(x_shape)
    return (*g_shape[:axis], x_shape[axis], *g_shape[axis + 1 :])


_take = Primitive(
    "take",
    lambda xp, x, indices, /, axis: xp.take(x, indices, axis=axis),
    x=lambda xp, g, indices, x_shape, axis: xp.index_add(g, indices, x_shape, axis),
)
_take_along_axis = Primitive(
    "take_along_axis",
    lambda xp, x, indices, /, axis: xp.take_along_axis(x, indices, axis=axis),
    x=lambda xp, g, indices, x_shape, axis: xp.scatter_add(g, indices, _along(g.shape, x_shape, axis), axis),
)
_getitem = Primitive(
    "getitem",
    lambda xp, x, /, key: x[key],
    x=lambda xp, g, x_shape, key: xp.put_add(g, x_shape, key),
)


def _gradient_of_written(
    xp: Namespace, g: Array, read: Callable[[Array], Array], write: Callable[[Array, Array], Array]
) -> Array:
    """The gradient of values that were written. If several values were written to one place, the last one gets it.

    Writing the numbers of the values in the same way, and reading them back, shows which values are the last ones.
    """
    values = read(g)
    count = prod(values.shape)
    zeros = xp.zeros_like(g, dtype=xp.int32 if count < 2**31 else xp.int64)  # JAX has int64 only if it is enabled
    numbers = xp.reshape(xp.arange_like(zeros, count), tuple(values.shape))
    return xp.where(read(write(zeros, numbers)) == numbers, values, xp.zeros_like(values))


def _put_value(xp: Namespace, g: Array, key: Any) -> Array:
    if "array" not in keys.kinds(key):  # no position repeats
        return g[key]
    return _gradient_of_written(xp, g, lambda x: x[key], lambda x, value: xp.put(x, value, key))


put = Primitive(
    "put",
    lambda xp, x, value, /, key: xp.put(x, value, key),
    x=lambda xp, g, key: xp.put(g, 0, key),
    value=_put_value,
)
overwrite = Primitive(
    "overwrite",
    lambda xp, x, values, places, /: xp.overwrite(x, values, places),
    x=lambda xp, g, places: xp.overwrite(g, xp.take(xp.zeros_like(g), places, axis=0), places),
    values=lambda xp, g, places: _gradient_of_written(
        xp, g, lambda x: xp.take(x, places, axis=0), lambda x, value: xp.overwrite(x, value, places)
    ),
)


def _indices(value: ArrayLike, name: str, x: Variable) -> Variable:
    indices = adopt(value, name, (x,))
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices are integers, not {indices.dtype}")
    return indices


def extent(indices: Variable) -> tuple[int | None, int | None]:
    """The smallest and the largest of some integers.

    (None, None) if there are no integers, or they cannot be read without waiting for the device.
    """
    return of(indices._native).extent(indices._native)  # type: ignore[union-attr]


def readable(x: Variable) -> bool:
    """Whether the values of a Variable can be read without waiting for its device."""
    return of(x._native).readable  # type: ignore[union-attr]


def within(indices: Variable, size: int) -> bool:
    """Whether the indices are int64 and known to be in [0, size)."""
    return of(indices._native).within(indices._native, size)  # type: ignore[union-attr]


def _check_range(name: str, indices: Variable, size: int, axis: int) -> None:
    """Raise IndexError for an index out of range that can be read. Some libraries would wrap or clamp it."""
    if within(indices, size):  # in half the time
        return
    lowest, highest = extent(indices)
    if lowest is not None and (lowest < -size or highest >= size):  # type: ignore[operator]
        worst = lowest if lowest < -size else highest
        raise IndexError(f"{name}: index {worst} is out of range for axis {axis} of size {size}")


def take(x: ArrayLike, indices: ArrayLike, /, *, axis: int | None = None) -> Variable:
    """Slices of ``x`` along an axis. A slice that is taken twice gets the sum of both gradients.

    Parameters
    ----------
    x : Variable or array
    indices : integer array, (k,)
    axis : int, optional
        May be left out if ``x`` has one dimension.

    Returns
    -------
    Variable
        Of the shape of ``x``, with size k along the axis.

    Raises
    ------
    IndexError
        If an index is out of range.
    """
    x = adopt(x, "take")
    indices = _indices(indices, "take", x)
    if indices.ndim != 1:
        raise ValueError(f"take: indices of shape {indices.shape}; the standard takes one dimension of them")
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take: name the axis of an array of {x.ndim} dimensions")
        axis = 0
    axis = one_axis(axis, x.ndim)
    _check_range("take", indices, x.shape[axis], axis)
    return _take(x, indices, axis)


def take_along_axis(x: ArrayLike, indices: ArrayLike, /, *, axis: int = -1) -> Variable:
    """Elements of ``x`` along an axis, chosen by an array of indices.

    Along the last axis of a matrix, element [i, j] of the result is ``x[i, indices[i, j]]``.

    Parameters
    ----------
    x : Variable or array
    indices : integer array
        It has as many dimensions as ``x``. The two broadcast in all axes but this one.
    axis : int

    Returns
    -------
    Variable

    Raises
    ------
    IndexError
        If an index is out of range.
    """
    x = adopt(x, "take_along_axis")
    indices = _indices(indices, "take_along_axis", x)
    axis = one_axis(axis, x.ndim)
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_axis: indices of {indices.ndim} dimensions for an array of {x.ndim}")
    others = (*x.shape[:axis], 1, *x.shape[axis + 1 :]), (*indices.shape[:axis], 1, *indices.shape[axis + 1 :])
    if others[0] != others[1]:
        broadcast_shapes(*others)
    _check_range("take_along_axis", indices, x.shape[axis], axis)
    return _take_along_axis(x, indices, axis)


# -- x[key] and x[key] = value -----------------------------------------------------------------------------------------
def _translated(x: Value, key: Any, writing: bool) -> tuple[Any, Any]:
    """A key for a library that does not index like NumPy.

    Returns
    -------
    (key, None) or (None, positions)
        A key that the library has; or the positions of the elements in the flattened array, if it has none.
    """
    backend = BY_TYPE[type(x._native)]
    shape = tuple(x._native.shape)
    parts = keys.by_axis(key, shape)
    has_empty_mask = keys.has_empty_mask(backend, parts, shape)
    kinds = keys.kinds(key)
    if not has_empty_mask and backend.indexes(kinds, writing):
        has_arrays = kinds & {"array", "mask", "0-d mask", "0-d array"}
        return (key if has_arrays else keys.standard_key(parts, shape)), None
    like = backend.new("zeros", device_of(x._native), backend.native_dtype("int64"), (0,))
    return None, make(keys.positions(backend.xp, parts, shape, like))


def getitem(x: Value, key: Any) -> Variable:
    """``x[key]``."""
    if type(key) is not int and type(key) is not slice:
        key = keys.native(key, x)
    if not BY_TYPE[type(x._native)].indexes_as_numpy:
        key, places = _translated(x, key, False)
        if places is not None:
            return reshape(_take(reshape(x, (x.size,)), reshape(places, (places.size,)), 0), places.shape)
    return _getitem(x, key)


def _must_record(x: Value, value: Any, what: str) -> bool:
    """Whether a write of ``value`` into ``x`` must be recorded. Raises RuntimeError if it would be lost."""
    recording = mode.enabled and (x._tracked or (isinstance(value, Value) and value._tracked))
    if recording and x._tracked and x._node is None:
        raise RuntimeError(
            f"{what} on a leaf that requires grad: its gradient would be that of a value it no longer has; write "
            f"inside rustorch.no_grad(), or into a clone()"
        )
    return recording


def _become(x: Value, out: Value) -> None:
    x._native, x._node, x._tracked = out._native, out._node, out._tracked


def assign(x: Variable, compute: Callable[[], Variable], what: str, other: Any = None) -> Variable:
    """Let ``x`` become the result of an operation: in place, or with a new place in the graph, as in `setitem`.

    Parameters
    ----------
    x : Variable
    compute : callable
        Computes the result from ``x`` and ``other``.
    what : str
        The operation, for messages.
    other : Variable or number, optional

    Returns
    -------
    Variable or NotImplemented
        ``x``, unless ``compute`` returned NotImplemented.
    """
    recording = _must_record(x, other, what)
    out = compute()
    if out is NotImplemented:
        return NotImplemented  # type: ignore[no-any-return] # as operators do
    if out.shape != x.shape:
        raise ValueError(
            f"{what}: the result has shape {out.shape}, which does not fit into {x.shape}; write x = ... instead"
        )
    if out.dtype != x.dtype:
        if not (
            out.dtype.kind == x.dtype.kind or (out.dtype.kind, x.dtype.kind) in (("f", "c"), ("u", "i"), ("i", "u"))
        ):
            raise TypeError(f"{what}: the result is {out.dtype}, which {x.dtype} cannot hold; write x = ... instead")
        out = out.astype(x.dtype)
    if recording:
        _become(x, out)
    else:
        setitem(x, ..., out.detach())
    return x


def _variable_of_list(values: Any, x: Value) -> Variable:
    """A list as a Variable of the dtype of ``x``. Its numbers must not be of a higher kind."""
    leaves = elements(values)[1]
    for leaf in leaves:
        if (number := number_of(leaf)) is not None:
            weak_number("x[key] = value", number, x._native)
            if type(number) is complex and x.dtype.kind == "f":
                raise TypeError(
                    f"x[key] = value: {number} into {x.dtype} would drop the imaginary part; take value.real first"
                )
        else:
            keeps_gradient("x[key] = value", leaf, x.dtype)
    if nested_lists.holds_arrays(values):
        return nested_lists.variable_of_list(values, x.dtype)
    return nested_lists.variable_of_numbers(values, x.dtype, device_of(x._native))


def setitem(x: Value, key: Any, value: Any) -> None:
    """``x[key] = value``: in place, or if it must be recorded, ``x`` becomes a new array with a place in the graph.

    Raises
    ------
    TypeError
        If numbers are of a higher kind than ``x``, or a value that requires grad is written into integers.
    OverflowError
        If a number does not fit into the dtype of ``x``.
    RuntimeError
        If ``x`` is a leaf that requires grad, or ``x`` and ``value`` are on different devices.
    ValueError
        If the shapes do not fit.
    """
    if type(value) not in PYTHON_SCALARS and not isinstance(value, Value):
        value = _variable_of_list(value, x) if nests(type(value)) else weak(value, x)
    recording = _must_record(x, value, "x[key] = value")
    key = keys.native(key, x)
    backend = of(x._native)
    assert backend is not None
    if type(value) in PYTHON_SCALARS:
        weak_number("x[key] = value", value, x._native)
        if type(value) is complex and x.dtype.kind == "f":
            raise TypeError(
                f"x[key] = value: {value} into {x.dtype} would drop the imaginary part; take value.real first"
            )
        fits(value, x.dtype)
        stored: Any = value
    else:
        keeps_gradient("x[key] = value", value, x.dtype)
        stored = adopt(value, "x[key] = value", (x,))
        if stored.device != device_of(x._native):
            raise RuntimeError(
                f"x[key] = value: operands are on different devices, {device_of(x._native)!r} and {stored.device!r}; "
                f"move the value with .to({device_of(x._native)!r})"
            )
        if stored.dtype != x.dtype:
            stored = stored.astype(x.dtype)
        if stored.ndim and stored.shape[0] == 1:  # a value may have more leading axes of size 1 than the target
            lead = next((i for i, size in enumerate(stored.shape) if size != 1), stored.ndim)
            stored = reshape(stored, stored.shape[lead:])
    key, places = (key, None) if backend.indexes_as_numpy else _translated(x, key, True)
    # A leaf stays a leaf if nothing is recorded.
    out: Any = None
    if places is not None:
        out = _overwritten(x, stored, places)
    elif recording or not backend.writable(x._native):
        out = put(x, stored, key)
    if recording:
        _become(x, out)
    elif not backend.writable(x._native):
        x._native = out._native
    else:
        if out is not None:
            key, stored = ..., out
        try:
            with backend.guard(x._native):
                x._native[key] = stored._native if isinstance(stored, Value) else stored
        except (ValueError, RuntimeError) as error:
            if isinstance(error, NotImplementedError):
                raise
            raise ValueError(f"x[key] = value: {error}") from error
        writes.note_all((x._native,))


def _overwritten(x: Any, value: Any, places: Variable) -> Variable:
    """``x`` with ``value`` at the positions ``places`` of the flattened array. The value broadcasts to their shape."""
    if not isinstance(value, Value):
        value = full_like(places, value, dtype=x.dtype)
    try:
        value = broadcast_to(value, places.shape)
    except ValueError as error:
        raise ValueError(
            f"x[key] = value: a value of shape {value.shape} does not fit into the shape {places.shape}"
        ) from error
    flat = overwrite(reshape(x, (x.size,)), reshape(value, (places.size,)), reshape(places, (places.size,)))
    return reshape(flat, x.shape)

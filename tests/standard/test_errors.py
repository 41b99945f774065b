"""Errors for bad input are the same on every backend.

Each error that the standard documents, mixtures of kinds that it leaves undefined, and axes and indices out of range.
The errors of singular matrices and of matrices that are not square are in tests/ops/test_linalg.py, and those of
operators in tests/test_variable_operators.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import fft
from rustorch import linalg as la
from tests.support.target import Target

Call = Callable[[Target], Any]


def _x(b: Target, *shape: int, dtype: str = "float64", requires_grad: bool = False) -> rustorch.Variable:
    """1, 2, 3, ... in a shape."""
    return b.variable((numpy.arange(numpy.prod(shape)) + 1.0).reshape(shape), dtype, requires_grad=requires_grad)


def _i(b: Target, *values: int) -> rustorch.Variable:
    return b.variable(list(values), "int64")


def _set(x: rustorch.Variable, key: Any, value: Any) -> None:
    x[key] = value


#: What the standard's pages say must or should raise: (call, kind of error, what it says).
DOCUMENTED: dict[str, tuple[Call, type[Exception], str]] = {
    # -- the array object
    "T of three dimensions": (
        lambda b: _x(b, 1, 2, 3).T,
        ValueError,
        r"T is of two dimensions, not of the shape \(1, 2, 3\)",
    ),
    "mT of a vector": (lambda b: _x(b, 2).mT, ValueError, r"needs at least two dimensions, not the shape \(2,\)"),
    "an unknown revision": (
        lambda b: _x(b, 2).__array_namespace__(api_version="1999.01"),
        ValueError,
        r"not '1999\.01'",
    ),
    "bool of many": (lambda b: bool(_x(b, 2)), ValueError, "the truth of 2 elements is ambiguous"),
    "float of many": (lambda b: float(_x(b, 2)), TypeError, r"float\(\) is of one element; the shape \(2,\) has 2"),
    "float of complex": (
        lambda b: float(b.variable(1j, "complex128")),
        TypeError,
        r"float\(\) of a complex number would drop",
    ),
    "int of complex": (
        lambda b: int(b.variable(1j, "complex128")),
        TypeError,
        r"int\(\) of a complex number would drop its imag",
    ),
    "int of infinity": (
        lambda b: int(b.variable(numpy.inf)),
        OverflowError,
        "cannot convert float infinity to integer",
    ),
    "int of nan": (lambda b: int(b.variable(numpy.nan)), ValueError, "cannot convert float NaN to integer"),
    "index of a float": (
        lambda b: b.variable(1.0).__index__(),
        TypeError,
        "only an integer without dimensions is an index",
    ),
    "DLPack to no device": (lambda b: _x(b, 2).__dlpack__(dl_device=(99, 0)), BufferError, "."),
    "matmul without dimensions": (
        lambda b: b.variable(1.0) @ _x(b, 2),
        ValueError,
        r"matmul: shapes \(\) and \(2,\) do not multiply",
    ),
    "matmul by no dimensions": (
        lambda b: rustorch.matmul(_x(b, 2), b.variable(1.0)),
        ValueError,
        r"shapes \(2,\) and \(\) do not",
    ),
    "matmul (K,) (L,)": (
        lambda b: _x(b, 2) @ _x(b, 3),
        ValueError,
        r"matmul: shapes \(2,\) and \(3,\) do not multiply",
    ),
    "matmul (K,) (L, N)": (
        lambda b: _x(b, 2) @ _x(b, 3, 2),
        ValueError,
        r"matmul: shapes \(2,\) and \(3, 2\) do not multiply",
    ),
    "matmul (M, K) (L,)": (
        lambda b: _x(b, 2, 2) @ _x(b, 3),
        ValueError,
        r"matmul: shapes \(2, 2\) and \(3,\) do not multiply",
    ),
    "matmul (M, K) (L, N)": (
        lambda b: _x(b, 2, 2) @ _x(b, 3, 2),
        ValueError,
        r"matmul: shapes \(2, 2\) and \(3, 2\) do not multiply",
    ),
    "matmul of stacks": (
        lambda b: _x(b, 2, 2, 2) @ _x(b, 3, 2, 2),
        ValueError,
        r"matmul: the leading axes of \(2, 2, 2\) and \(3, 2, 2\)",
    ),
    # -- creation
    "asarray, a list without a copy": (
        lambda b: rustorch.asarray([1], copy=False, device=b.device),
        ValueError,
        "copy=False, but",
    ),
    "asarray, a dtype without a copy": (
        lambda b: rustorch.asarray(_x(b, 2), dtype=rustorch.float32, copy=False),
        ValueError,
        "copy=False",
    ),
    "from_dlpack of a list": (
        lambda b: rustorch.from_dlpack([1]),
        AttributeError,
        "list has no __dlpack__ and __dlpack_device__",
    ),
    "a complex number into floats": (
        lambda b: _set(_x(b, 2), slice(None), 1j),
        TypeError,
        "would drop the imaginary part",
    ),
    "complex numbers into floats": (
        lambda b: _set(_x(b, 2), ..., _x(b, 2, dtype="complex64")),
        TypeError,
        "drop the imaginary part",
    ),
    "a value of another shape": (
        lambda b: _set(_x(b, 2), slice(None), _x(b, 3)),
        ValueError,
        r"x\[key\] = value: |put of float64\(2,\)",
    ),
    # -- data types
    "finfo of an integer": (
        lambda b: rustorch.finfo(_i(b, 1)),
        TypeError,
        "finfo is of floating-point dtypes, not int64",
    ),
    "iinfo of a float": (lambda b: rustorch.iinfo(_x(b, 1)), TypeError, "iinfo is of integer dtypes, not float64"),
    "an unknown kind": (lambda b: rustorch.isdtype(_x(b, 1).dtype, "number"), ValueError, "unknown kind 'number'"),
    "the type of nothing": (lambda b: rustorch.result_type(), ValueError, "needs at least one array or dtype"),
    "complex to real": (
        lambda b: rustorch.astype(_x(b, 2, dtype="complex128"), "float64"),
        TypeError,
        "would drop the imaginary part",
    ),
    # -- manipulation
    "broadcast_to": (
        lambda b: rustorch.broadcast_to(_x(b, 2), (3,)),
        ValueError,
        r"shapes \(2,\) and \(3,\) do not broadcast",
    ),
    "broadcast_to fewer dimensions": (
        lambda b: rustorch.broadcast_to(_x(b, 2, 2), (2,)),
        ValueError,
        r"does not broadcast to \(2,\)",
    ),
    "broadcast_arrays": (
        lambda b: rustorch.broadcast_arrays(_x(b, 2), _x(b, 3)),
        ValueError,
        r"shapes \(2,\) and \(3,\) do not",
    ),
    "broadcast_shapes": (
        lambda b: rustorch.broadcast_shapes((2,), (3,)),
        ValueError,
        r"shapes \(2,\) and \(3,\) do not broadcast",
    ),
    "expand_dims above": (lambda b: rustorch.expand_dims(_x(b, 2), axis=2), IndexError, "axis 2 is out of range"),
    "expand_dims below": (lambda b: rustorch.expand_dims(_x(b, 2), axis=-3), IndexError, "axis -3 is out of range"),
    "squeeze": (
        lambda b: rustorch.squeeze(_x(b, 2, 1), axis=0),
        ValueError,
        r"squeeze: axis 0 of shape \(2, 1\) has size 2, not 1",
    ),
    "stack": (lambda b: rustorch.stack([_x(b, 2), _x(b, 3)]), ValueError, r"stack: shapes \(2,\), \(3,\) differ"),
    "concat": (
        lambda b: rustorch.concat([_x(b, 2, 2), _x(b, 2, 3)]),
        ValueError,
        r"concat: shapes \(2, 2\), \(2, 3\) differ in more",
    ),
    "reshape to another size": (
        lambda b: rustorch.reshape(_x(b, 3), (2,)),
        ValueError,
        r"3 elements of shape \(3,\) do not fill",
    ),
    "reshape to two unknown sizes": (
        lambda b: rustorch.reshape(_x(b, 4), (-1, -1)),
        ValueError,
        r"do not fill the shape \(-1, -1\)",
    ),
    "reshape to negative sizes": (
        lambda b: rustorch.reshape(_x(b, 4), (-2, -2)),
        ValueError,
        r"do not fill the shape \(-2, -2\)",
    ),
    "repeats for other places": (
        lambda b: rustorch.repeat(_x(b, 3), _i(b, 1, 2)),
        ValueError,
        r"repeat: \(2,\) repeats for 3 places",
    ),
    "axes that are no permutation": (
        lambda b: rustorch.permute_dims(_x(b, 2, 2), (0,)),
        ValueError,
        "must name each of the 2 axes",
    ),
    "an axis moved twice": (
        lambda b: rustorch.moveaxis(_x(b, 2, 2), (0, 0), (0, 1)),
        ValueError,
        "names an axis twice",
    ),
    "shifts for other axes": (
        lambda b: rustorch.roll(_x(b, 2, 2), (1, 2), axis=(0,)),
        ValueError,
        "roll: 2 shifts for 1 axes",
    ),
    # -- searching, statistics, utility
    "nonzero without dimensions": (
        lambda b: rustorch.nonzero(b.variable(1.0)),
        ValueError,
        "nonzero: an array without dimensions",
    ),
    "max of nothing": (lambda b: rustorch.max(_x(b, 0)), ValueError, "there is no max of nothing"),
    "min of nothing": (lambda b: rustorch.min(_x(b, 2, 0), axis=1), ValueError, "there is no min of nothing"),
    "cumulative_sum without an axis": (
        lambda b: rustorch.cumulative_sum(_x(b, 2, 2)),
        ValueError,
        "name the axis of an array of 2",
    ),
    "take without an axis": (
        lambda b: rustorch.take(_x(b, 2, 2), _i(b, 0)),
        ValueError,
        "name the axis of an array of 2",
    ),
    "take of a matrix of indices": (
        lambda b: rustorch.take(_x(b, 2), b.variable([[0]], "int64")),
        ValueError,
        "takes one dimension",
    ),
    "searchsorted in a matrix": (
        lambda b: rustorch.searchsorted(_x(b, 2, 2), _x(b, 2)),
        ValueError,
        r"a vector, not of the shape \(2, 2",
    ),
    "searchsorted on no side": (lambda b: rustorch.searchsorted(_x(b, 2), _x(b, 2), side="on"), ValueError, "not 'on'"),
    "meshgrid of matrices": (lambda b: rustorch.meshgrid(_x(b, 2, 2)), ValueError, "coordinates have one dimension"),
    # -- linear algebra
    "vecdot": (lambda b: rustorch.vecdot(_x(b, 2), _x(b, 3)), ValueError, r"vecdot: sizes 2 and 3 along axis -1"),
    "vecdot of sizes that would broadcast": (
        lambda b: rustorch.vecdot(_x(b, 1), _x(b, 3)),
        ValueError,
        "vecdot: sizes 1 and 3",
    ),
    "tensordot": (
        lambda b: rustorch.tensordot(_x(b, 2, 3), _x(b, 2, 3), axes=1),
        ValueError,
        "tensordot: axes .* differ in size",
    ),
    "cross": (lambda b: la.cross(_x(b, 2), _x(b, 2)), ValueError, "cross: sizes along axis -1 are 3, not 2 and 2"),
    "cross of sizes that would broadcast": (lambda b: la.cross(_x(b, 1), _x(b, 3)), ValueError, "are 3, not 1 and 3"),
    "outer of matrices": (lambda b: la.outer(_x(b, 2, 2), _x(b, 2)), ValueError, "outer is of two vectors"),
    "solve": (lambda b: la.solve(_x(b, 2, 2), _x(b, 3, 2)), ValueError, "differ in the number of equations"),
    # -- fft
    "a transform of no points": (lambda b: fft.fft(_x(b, 2), n=0), ValueError, "at least one point, not 0"),
    "an unknown norm": (
        lambda b: fft.fft(_x(b, 2), norm="no"),
        ValueError,
        "norm is 'backward', 'ortho' or 'forward', not 'no'",
    ),
    "rfft of complex numbers": (
        lambda b: fft.rfft(_x(b, 2, dtype="complex128")),
        TypeError,
        "rfft is of real arrays, not complex128",
    ),
    "sizes for other axes": (lambda b: fft.fftn(_x(b, 2, 2), s=(1, 2, 3)), ValueError, "s has 3 sizes for 3 axes"),
}

#: Mixtures whose dtype the standard leaves undefined; operators and numbers are in tests/test_variable_operators.py.
MIXED: dict[str, Call] = {
    "matmul": lambda b: rustorch.matmul(_x(b, 2, 2), _x(b, 2, 2, dtype="int64")),
    "matmul of vectors": lambda b: _x(b, 2, dtype="bool") @ _x(b, 2, dtype="int64"),
    "tensordot": lambda b: rustorch.tensordot(_x(b, 2, 2), _x(b, 2, 2, dtype="int64"), axes=1),
    "vecdot": lambda b: rustorch.vecdot(_x(b, 2), _x(b, 2, dtype="int64")),
    "outer": lambda b: la.outer(_x(b, 2), _x(b, 2, dtype="int64")),
    "cross": lambda b: la.cross(_x(b, 3), _x(b, 3, dtype="int64")),
    "uint64 and a signed integer": lambda b: _x(b, 2, dtype="uint64") + _x(b, 2, dtype="int8"),
    "a signed integer and uint64": lambda b: rustorch.maximum(_x(b, 2, dtype="int64"), _x(b, 2, dtype="uint64")),
    "stack": lambda b: rustorch.stack([_x(b, 2), _x(b, 2, dtype="int64")]),
    "diff": lambda b: rustorch.diff(_x(b, 2), prepend=_x(b, 1, dtype="int64")),
    "clip": lambda b: rustorch.clip(_x(b, 2), _x(b, 2, dtype="int64"), None),
    "clip by a number": lambda b: rustorch.clip(_x(b, 2, dtype="int64"), 0.5, 1.5),
    "searchsorted": lambda b: rustorch.searchsorted(_x(b, 2), _x(b, 2, dtype="int64")),
    "searchsorted of a number": lambda b: rustorch.searchsorted(_x(b, 2, dtype="int64"), 0.5),
    "isin": lambda b: rustorch.isin(_x(b, 2), _x(b, 2, dtype="int64")),
    "a float into integers": lambda b: _set(_x(b, 2, dtype="int64"), 0, 0.5),
    "an integer into booleans": lambda b: _set(_x(b, 2, dtype="bool"), ..., 1),
    "result_type": lambda b: rustorch.result_type(_x(b, 2), _x(b, 2, dtype="int64")),
    "result_type of a number": lambda b: rustorch.result_type(_x(b, 2, dtype="int64"), 0.5),
    "result_type of uint64": lambda b: rustorch.result_type(rustorch.uint64, rustorch.int8),
}


def _along(name: str, axis: int) -> Call:
    return lambda b: getattr(rustorch, name)(_x(b, 2), axis=axis)


REDUCTIONS = ("sum", "prod", "mean", "max", "min", "var", "std", "all", "any", "argmax", "argmin", "count_nonzero")
#: Axes that are not there.
AXES: dict[str, Call] = {
    **{
        f"{name}, axis {axis}": _along(name, axis)
        for axis in (1, -2)
        for name in (
            *REDUCTIONS,
            "cumulative_sum",
            "cumulative_prod",
            "diff",
            "sort",
            "argsort",
            "flip",
            "squeeze",
            "unstack",
        )
    },
    "roll": lambda b: rustorch.roll(_x(b, 2), 1, axis=1),
    "repeat": lambda b: rustorch.repeat(_x(b, 2), 1, axis=1),
    "moveaxis": lambda b: rustorch.moveaxis(_x(b, 2, 2), 0, 2),
    "permute_dims": lambda b: rustorch.permute_dims(_x(b, 2, 2), (0, 2)),
    "concat": lambda b: rustorch.concat([_x(b, 2), _x(b, 2)], axis=1),
    "concat of no dimensions": lambda b: rustorch.concat([b.variable(1.0), b.variable(2.0)]),
    "stack": lambda b: rustorch.stack([_x(b, 2), _x(b, 2)], axis=2),
    "take": lambda b: rustorch.take(_x(b, 2), _i(b, 0), axis=1),
    "take_along_axis": lambda b: rustorch.take_along_axis(_x(b, 2), _i(b, 0), axis=1),
    "vecdot": lambda b: rustorch.vecdot(_x(b, 2), _x(b, 2), axis=-2),
    "cross": lambda b: la.cross(_x(b, 3), _x(b, 3), axis=-2),
    "vector_norm": lambda b: la.vector_norm(_x(b, 2), axis=1),
    "fft": lambda b: fft.fft(_x(b, 2), axis=1),
}

#: Indices that are not there.
INDICES: dict[str, Call] = {
    "x[n]": lambda b: _x(b, 2)[2],
    "x[-n - 1]": lambda b: _x(b, 2)[-3],
    "x[..., n]": lambda b: _x(b, 2, 3)[..., 3],
    "x[i, n]": lambda b: _x(b, 2, 3)[0, 3],
    "too many": lambda b: _x(b, 2)[0, 0],
    "an array": lambda b: _x(b, 2)[_i(b, 0, 2)],
    "an array, below": lambda b: _x(b, 2)[_i(b, 0, -3)],
    "a list": lambda b: _x(b, 2)[[0, 2]],
    "a mask of another size": lambda b: _x(b, 2)[b.variable([True, False, True], "bool")],
    "a mask of more dimensions": lambda b: _x(b, 2)[b.variable([[True, False]], "bool")],
    "two ellipses": lambda b: _x(b, 2, 2)[..., ...],
    "of nothing": lambda b: _x(b, 0)[0],
    "x[n] = v": lambda b: _set(_x(b, 2), 2, 1.0),
    "x[array] = v": lambda b: _set(_x(b, 2), _i(b, 5), 1.0),
    "take": lambda b: rustorch.take(_x(b, 2), _i(b, 2)),
    "take below": lambda b: rustorch.take(_x(b, 2), _i(b, 0, -3)),
    "take of nothing": lambda b: rustorch.take(_x(b, 2, 0), _i(b, 0), axis=1),
    "take_along_axis": lambda b: rustorch.take_along_axis(_x(b, 2), _i(b, 2)),
    "sorter": lambda b: rustorch.searchsorted(_x(b, 2), _x(b, 2), sorter=_i(b, 0, 2)),
}

#: Those that only the values of an array tell.
IN_ARRAYS = {
    "an array",
    "an array, below",
    "a list",
    "x[array] = v",
    "take",
    "take below",
    "take of nothing",
    "take_along_axis",
    "sorter",
}

#: Numbers that are no size.
SIZES: dict[str, tuple[Call, str]] = {
    "zeros": (
        lambda b: rustorch.zeros((2, -1), device=b.device),
        r"zeros: sizes are not negative, as they are in \(2, -1\)",
    ),
    "ones": (lambda b: rustorch.ones(-1, device=b.device), "ones: sizes are not negative"),
    "empty": (lambda b: rustorch.empty(-1, device=b.device), "empty: sizes are not negative"),
    "full": (lambda b: rustorch.full(-1, 2.0, device=b.device), "full: sizes are not negative"),
    "eye": (lambda b: rustorch.eye(2, -1, device=b.device), "eye: sizes are not negative"),
    "linspace": (lambda b: rustorch.linspace(0, 1, -1, device=b.device), "linspace: sizes are not negative"),
    "arange": (lambda b: rustorch.arange(3, step=0, device=b.device), "arange: step is 0"),
    "broadcast_to": (lambda b: rustorch.broadcast_to(_x(b, 1), (-1,)), "broadcast_to: sizes are not negative"),
    "tile": (lambda b: rustorch.tile(_x(b, 2), (-1,)), "tile: sizes are not negative"),
    "repeat": (lambda b: rustorch.repeat(_x(b, 2), -1), "repeat: -1 is no number of times"),
    "repeat by an array": (lambda b: rustorch.repeat(_x(b, 2), _i(b, 1, -2)), "repeat: -2 is no number of times"),
    "diff": (lambda b: rustorch.diff(_x(b, 2), n=-1), "diff: n is the number of times, not -1"),
    "roll": (lambda b: rustorch.roll(_x(b, 2, 2), (1, 1)), "roll: 2 shifts, but no axes"),
    "x[::0]": (lambda b: _x(b, 2)[::0], "slice step cannot be zero"),
}


@pytest.mark.parametrize("case", DOCUMENTED)
def test_errors_that_the_standard_documents(case: str, backend: Target) -> None:
    call, error, message = DOCUMENTED[case]
    with pytest.raises(error, match=message):
        call(backend)


def test_reshape_without_copy_raises_or_shares_memory(backend: Target) -> None:
    if backend.device == "jax":
        pytest.skip("jax: its arrays are immutable, and whether two share memory cannot be seen")
    x = _x(backend, 2, 3)
    with pytest.raises(ValueError, match=r"^reshape: copy=False, but \(3, 2\) to \(6,\) needs a copy of this memory$"):
        rustorch.reshape(x.T, (6,), copy=False)
    assert rustorch.reshape(x, (6,), copy=False).shape == (6,)


@pytest.mark.parametrize("case", MIXED)
def test_mixtures_of_kinds_that_the_standard_leaves_undefined_raise(case: str, backend: Target) -> None:
    with pytest.raises(TypeError, match=r"mix kinds, which the Array API standard leaves undefined; convert .*astype"):
        MIXED[case](backend)


@pytest.mark.parametrize("case", AXES)
def test_axes_out_of_range_raise(case: str, backend: Target) -> None:
    with pytest.raises(IndexError, match=r"axis -?\d is out of range for an array of \d dimensions"):
        AXES[case](backend)


@pytest.mark.parametrize("case", INDICES)
def test_indices_out_of_range_raise(case: str, backend: Target) -> None:
    if backend.device == "cuda" and case in IN_ARRAYS:
        pytest.skip("cuda: to look at indices would mean to wait for the GPU")
    with pytest.raises(IndexError, match=r"."):
        INDICES[case](backend)


@pytest.mark.parametrize("case", SIZES)
def test_negative_sizes_and_other_wrong_numbers_raise(case: str, backend: Target) -> None:
    if backend.device == "cuda" and "array" in case:
        pytest.skip("cuda: to look at an array would mean to wait for the GPU")
    call, message = SIZES[case]
    with pytest.raises(ValueError, match=message):
        call(backend)


def test_a_call_that_raises_changes_nothing(backend: Target) -> None:
    x = _x(backend, 2, 2, requires_grad=True)
    y = x * x
    for call in (
        lambda: y @ _x(backend, 3),
        lambda: y[2],
        lambda: y + _i(backend, 1),
        lambda: rustorch.reshape(y, (3,)),
    ):
        with pytest.raises((ValueError, TypeError, IndexError)):
            call()
    numpy.testing.assert_array_equal(backend.numpy(y), [[1.0, 4.0], [9.0, 16.0]])
    y.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), [[2.0, 4.0], [6.0, 8.0]])

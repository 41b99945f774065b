"""Checks of operands before a call, and explanations of errors after it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

from ..backends import BY_TYPE, Array, Namespace, device_of, of
from ..backends.errors import ARITHMETIC, KEPT
from ..backends.promotion import PYTHON_SCALARS, is_numpy_scalar, promoted, promoted_with
from .graph import VARIABLES, Value, make
from .modes import mode

if TYPE_CHECKING:
    from ..variable import Variable


def adopt(value: Any, name: str, args: Sequence[Any] = ()) -> Variable:
    """A Variable around a native array that was passed to ``name`` bare; shares its memory."""
    if isinstance(value, Value):
        return value  # type: ignore[return-value] # every Value is a Variable
    backend = of(value)
    if backend is None:
        raise TypeError(no_array(name, value))
    if is_numpy_scalar(value):  # numpy.float32(2) goes to the device of the other inputs
        for other in args:
            if type(other) in VARIABLES:
                return make(BY_TYPE[type(other._native)].from_numpy(backend.adopt(value), device_of(other._native)))
    return make(backend.adopt(value))


def no_array(name: str, value: Any) -> str:
    """The text of an error: why a value is no array, and what to write instead."""
    kind = type(value).__name__
    if isinstance(value, tuple(PYTHON_SCALARS)):
        return (
            f"{name} needs a Variable or an array here, not the Python number {value!r}; write "
            f"rustorch.asarray({value!r})"
        )
    if isinstance(value, (list, tuple, range, deque)):
        shown = repr(value) if len(value) <= 12 else "..."
        shown = shown if len(shown) <= 40 else "..."
        return (
            f"{name} takes Variables, arrays and Python numbers, not {kind}; make it a Variable with "
            f"rustorch.asarray({shown})"
        )
    if value is None:
        hint = "; None is what a function without return gives, and the grad of a Variable before backward"
    elif isinstance(value, (str, bytes)):
        hint = f"; {value!r} is text: numbers in it are read by float(...)" if len(value) <= 40 else "; it is text"
    elif isinstance(value, Number):
        hint = "; write float(...) around it"
    elif isinstance(value, Iterable):
        hint = f"; make it a Variable with rustorch.asarray(list(...)) if the {kind} holds numbers"
    elif callable(value):
        hint = f"; call the {kind} to get its result"
    else:
        hint = "; rustorch.from_dlpack takes arrays of other libraries"
    return f"{name} takes Variables, arrays and Python numbers, not {kind}{hint}"


def keeps_gradient(what: str, value: Any, dtype: Any) -> None:
    """Refuse to put a tracked value where there are integers or booleans: they have no gradients."""
    if isinstance(value, Value) and value._tracked and mode.enabled and dtype.kind in "biu":
        raise TypeError(
            f"{what}: a value that requires grad would lose its gradient, and its fraction, in {dtype}; make x "
            f"floating-point first, as in x.astype(rustorch.float32), or take value.detach()"
        )


def number_of(value: Any) -> Any:
    """The Python number that a value stands for: a NumPy scalar, or a subclass of a Python number such as ``IntEnum``.

    None if it is no number.
    """
    kind = type(value)
    if kind in PYTHON_SCALARS:
        return value
    if is_numpy_scalar(value):
        code = "i" if value.dtype.kind == "u" else value.dtype.kind
        return next((python_type(value) for python_type, its_code in PYTHON_SCALARS.items() if its_code == code), None)
    return next((python_type(value) for python_type in PYTHON_SCALARS if issubclass(kind, python_type)), None)


def weak(value: Any, *others: Any) -> Any:
    """The Python number for a NumPy scalar beside an array, so that ``q / numpy.sqrt(8)`` stays float32.

    Every other value is returned as it is. So is a NumPy scalar if no array is among the others, as in
    ``maximum(a.max(), b.max())``: there it keeps its dtype.
    """
    if type(value) in PYTHON_SCALARS or isinstance(value, Value):
        return value
    if is_numpy_scalar(value) and not any(
        isinstance(one, Value) or (of(one) is not None and not is_numpy_scalar(one)) for one in others
    ):
        return value
    number = number_of(value)
    return value if number is None else number


def native_of(value: Any) -> Array:
    """A native array as its backend keeps it. Raises TypeError for anything else."""
    backend = of(value)
    if backend is None:
        raise TypeError(f"an array is needed here, not {type(value).__name__}")
    return backend.as_array(backend.adopt(value))


def promotable(name: str, x1: Any, x2: Any) -> tuple[Any, Any] | None:
    """The operands of a binary function, each a Variable or a Python number, after the check that they promote.

    Returns
    -------
    tuple or None
        None if one of them is no number and no array: another library's class may know what to do with Variables.

    Raises
    ------
    TypeError
        If both are numbers, one is a list, or the standard leaves their promotion undefined.
    RuntimeError
        If they are on different devices.
    """
    if type(x1) not in VARIABLES:
        x1 = weak(x1, x2)
    if type(x2) not in VARIABLES:
        x2 = weak(x2, x1)
    is_number1, is_number2 = type(x1) in PYTHON_SCALARS, type(x2) in PYTHON_SCALARS
    if is_number1 and is_number2:
        raise TypeError(
            f"{name} needs at least one array; got the Python numbers {x1!r} and {x2!r}; write "
            f"rustorch.asarray({x1!r}) for one of them"
        )
    no_lists(name, x1, x2)
    if not is_number1:
        if not isinstance(x1, Value) and of(x1) is None:
            return None
        x1 = adopt(x1, name, (x2,))
    if not is_number2:
        if not isinstance(x2, Value) and of(x2) is None:
            return None
        x2 = adopt(x2, name, (x1,))
    if is_number1:
        weak_number(name, x1, x2._native)
    elif is_number2:
        weak_number(name, x2, x1._native)
    else:
        mixed_kinds(name, common_backend(name, (x1, x2)), x1._native, x2._native)
    return x1, x2


#: Types whose own ``*`` repeats them: Python would take a Variable beside them for the number of repeats.
_REPEATED = frozenset((list, tuple, str, bytes, bytearray, range, deque))


def no_lists(name: str, x1: Any, x2: Any) -> None:
    """Refuse lists and texts beside a Variable, except for ``==``, which may compare anything, and ``[0] * n``."""
    if name in ("equal", "not_equal"):
        return
    for one, other in ((x1, x2), (x2, x1)):
        if type(one) in _REPEATED and isinstance(other, Value) and not (name == "multiply" and _counts(other)):
            raise TypeError(no_array(name, one))


def _counts(x: Any) -> bool:
    """Whether x is an integer without dimensions."""
    return not x._native.ndim and BY_TYPE[type(x._native)].dtype_of(x._native).kind in "iu"


def weak_number(name: str, number: Any, native: Array) -> None:
    """Refuse a Python number of a higher kind than the array beside it: the standard leaves their dtype undefined."""
    try:
        promoted_with(BY_TYPE[type(native)].dtype_of(native), type(number))
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def common_backend(name: str, values: Sequence[Any]) -> type:
    """The array type that decides the backend of a call whose inputs may be of several types.

    Raises
    ------
    RuntimeError
        If two inputs are on different devices.
    """
    natives = [value._native for value in values if type(value) in VARIABLES]
    first = natives[0]
    device = device_of(first)
    for native in natives[1:]:
        other = device_of(native)
        if other != device:
            raise RuntimeError(
                f"{name}: operands are on different devices, {device!r} and {other!r}; move one of them, as in "
                f"x.to({device!r})"
            )
    return next((type(a) for a in natives if type(a) is not type(first)), type(first))


def common_namespace(name: str, values: Sequence[Any]) -> Namespace:
    """The namespace for the arrays of Variables on one device. Raises as `common_backend` does."""
    return BY_TYPE[common_backend(name, values)].xp


def mixed_kinds(name: str, array_type: type, a: Array, b: Array) -> None:
    """Refuse two arrays whose kinds the standard does not promote together, such as integers with floats."""
    backend = BY_TYPE[array_type]
    try:
        promoted(backend.dtype_of(a), backend.dtype_of(b))
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


#: Dtypes of arrays that are known not to be complex, by identity: each library has one object per dtype.
known_real: dict[int, Any] = {}


def refuse_complex(name: str, *natives: Any) -> None:
    """Raise TypeError if an array is of complex numbers."""
    for a in natives:
        dtype = None if a is None else getattr(a, "dtype", None)
        if dtype is None or id(dtype) in known_real:
            continue
        public = BY_TYPE[type(a)].dtype_of(a)
        if public.kind == "c":
            raise TypeError(f"{name} is of real numbers, not of {public}; take their real part, as in rustorch.real(x)")
        if len(known_real) < 1000:  # a bound, for a library that makes a new dtype object each time
            known_real[id(dtype)] = dtype


def broadcastable(shapes: Sequence[tuple[int, ...]]) -> bool:
    for axis in range(1, max(map(len, shapes), default=0) + 1):
        sizes = {shape[-axis] for shape in shapes if len(shape) >= axis} - {1}
        if len(sizes) > 1:
            return False
    return True


#: Operations whose inputs need not broadcast: an error in them has another reason.
OTHER_SHAPES = frozenset((
    "matmul", "linear", "concat", "stack", "take", "take_along_axis", "index_add", "scatter_add", "put", "overwrite",
    "searchsorted",
))  # fmt: skip


def explain(name: str, natives: Sequence[Any], error: Exception) -> Exception:
    """The library's error as one that names the function, the shapes and the dtypes."""
    if getattr(error, "_explained", False):
        return error
    arrays = [a for a in natives if hasattr(a, "shape")]
    shapes = [tuple(a.shape) for a in arrays]
    if name == "matmul" and not broadcastable([shape[:-2] for shape in shapes]) and not isinstance(error, ARITHMETIC):
        return explained(ValueError(f"matmul: the leading axes of {' and '.join(map(str, shapes))} do not broadcast"))
    if len(shapes) > 1 and not broadcastable(shapes) and name not in OTHER_SHAPES and not isinstance(error, ARITHMETIC):
        shown = " and ".join(map(str, shapes))
        return explained(
            ValueError(f"{name}: shapes {shown} do not broadcast; from the right, sizes must be equal or 1")
        )
    described = ", ".join(
        f"{BY_TYPE[type(a)].dtype_of(a) if type(a) in BY_TYPE else type(a).__name__}{tuple(a.shape)}" for a in arrays
    )
    family = next((kind for kind in KEPT if isinstance(error, kind)), RuntimeError)
    return explained(family(f"{name} of {described}: {error}"))


def explained(error: Exception) -> Exception:
    """The error, marked so that no outer function explains it again."""
    error._explained = True  # type: ignore[attr-defined]
    return error

"""``rustorch.fuse``: a function of the user's as one loop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from functools import update_wrapper
from types import MethodType
from typing import Any
from weakref import WeakSet

from ..autograd.check import adopt, number_of
from ..autograd.graph import VARIABLES, Value
from ..backends import BY_TYPE, of
from ..backends.dtypes import bool as BOOL
from ..backends.dtypes import float32, float64
from ..backends.promotion import is_numpy_scalar
from ..backends.symbols import Refused, Symbol, Unfit
from .captured import Captured, simple
from .explanation import explanation
from .operation import Operation
from .tracing import place_of

#: The most kinds of arguments, and values of numbers from outside, that one function is traced for.
MOST = 64


class NotFused(Exception):
    """Why a call runs the function itself."""


class Broken(NotFused):
    """The function fails on symbols, although it may compute on arrays."""


class Call:
    """The arguments of a call, sorted.

    Attributes
    ----------
    args, options : tuple, dict
        The arguments, with Variables for arrays.
    values : list
        The arrays and the numbers among them.
    kinds : str
        A letter for each value; see `Trace`.
    key : list
        What decides the loop: the kinds and dtypes of the values, and all other arguments.
    dtypes : set of dtype
        Of the arrays.
    nested : bool
        Whether the function is called while another one is traced.
    """

    def __init__(self, name: str, args: Sequence[Any], options: dict[str, Any]):
        self.values: list[Any] = []
        self.kinds = ""
        self.key: list[Any] = [tuple(options), len(args)]
        self.dtypes: set[Any] = set()
        self.nested = False
        #: For each argument, its place among the values, or -1 and the argument.
        self.places: list[tuple[int, Any]] = []
        given = [*args, *options.values()]
        taken = [self._take(name, x, given) for x in given]
        self.args = tuple(taken[: len(args)])
        self.options = dict(zip(options, taken[len(args) :], strict=True))

    def _take(self, name: str, x: Any, given: Sequence[Any]) -> Any:
        kind = type(x)
        if kind not in VARIABLES and not isinstance(x, Value):
            if is_numpy_scalar(x) and x.dtype.kind != "c":
                x = number_of(x)
                kind = type(x)
            if kind is float or kind is int:
                return self._add(x, "#", "#")
            if of(x) is None:
                return self._fix(name, x)
            x = adopt(x, name, given)
        native = x._native
        if type(native) is Symbol:
            self.nested = True
        dtype = BY_TYPE[type(native)].dtype_of(native)
        self.dtypes.add(dtype)
        return self._add(x, "m" if dtype == BOOL else "v", dtype)

    def _add(self, x: Any, kind: str, code: Any) -> Any:
        self.places.append((len(self.values), None))
        self.values.append(x)
        self.kinds += kind
        self.key.append(code)
        return x

    def _fix(self, name: str, x: Any) -> Any:
        """An argument that is part of the loop."""
        if simple(x) or isinstance(x, Enum):
            self.key.append((type(x), x))
        elif isinstance(x, (list, dict, set, complex)) or not hasattr(x, "__dict__"):
            raise Refused(
                f"it takes arrays, numbers and constants such as strings and tuples of numbers, not {type(x).__name__}"
            )
        else:  # self of a method, for example
            state = tuple([item for item in vars(x).items() if simple(item[1])])
            self.key.append((type(x), id(x), state))
            # it is kept: another object at its place in memory would look the same
        self.places.append((-1, x))
        return x


def _filled(places: Sequence[tuple[int, Any]], values: Sequence[Any]) -> list[Any]:
    """All arguments, from the arrays and numbers."""
    return [values[place] if place >= 0 else x for place, x in places]


#: All fused functions. In a forked process they get new locks: a thread that is missing there may hold an old one.
_all: WeakSet[FusedFunction] = WeakSet()


def _new_locks() -> None:
    for function in _all:
        function._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_locks)


class FusedFunction:
    """A function that runs as one loop, and whose gradients do; see `fuse`."""

    def __init__(self, function: Callable[..., Any]):
        update_wrapper(self, function, updated=())
        self.__wrapped__ = function
        self._captured = Captured(function)
        self._operations: dict[Any, Any] = {}
        self._lock = threading.RLock()
        _all.add(self)

    def __repr__(self) -> str:
        return f"<fused {self.__wrapped__!r}>"

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else MethodType(self, owner)

    def __reduce__(self) -> Any:
        """A pickle holds the name of the function; the loops are made again."""
        name: str = getattr(self, "__qualname__", "")
        return name if _reachable(self, name) else (fuse, (self.__wrapped__,))

    def __deepcopy__(self, memo: Any) -> FusedFunction:
        return self

    def __copy__(self) -> FusedFunction:
        return self

    @property
    def _name(self) -> str:
        return getattr(self, "__name__", type(self.__wrapped__).__name__)

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            call = Call(self._name, args, options)
        except Refused as error:
            raise TypeError(f"fuse({self._name}): {error}") from None
        if call.nested:  # another fused function takes this one into its own loop
            return self.__wrapped__(*call.args, **call.options)
        try:
            operation, rebuild = self._operation(call)
        except Broken as error:
            self.__wrapped__(*call.args, **call.options)  # it may raise an error of its own
            raise TypeError(str(error)) from error.__cause__
        except NotFused:
            return self.__wrapped__(*call.args, **call.options)
        outs = operation(*call.values)
        return self.__wrapped__(*call.args, **call.options) if outs is NotImplemented else rebuild(outs)

    def _operation(self, call: Call) -> tuple[Operation, Callable[[Any], Any]]:
        """The operation for a call, and what makes the function's result of the operation's.

        Raises
        ------
        NotFused
            If the function itself is to be called; the message says why.
        TypeError
            If the function is not elementwise.
        """
        floats = call.dtypes - {BOOL}
        if len(floats) != 1 or not floats <= {float32, float64}:
            raise NotFused(_why_not(call.dtypes))
        key = (*call.key, self._captured.values())
        found = self._operations.get(key)
        if found is None:
            with self._lock:
                found = self._operations.get(key)
                if found is None:
                    if len(self._operations) >= MOST:
                        raise NotFused(
                            f"it was traced for {MOST} kinds of arguments and numbers from outside already; pass "
                            f"numbers that change as arguments"
                        )
                    found = self._operations[key] = self._traced(call, floats.pop())
        if isinstance(found, Exception):
            raise type(found)(*found.args) from found.__cause__
        return found  # type: ignore[no-any-return]

    def _traced(self, call: Call, dtype: Any) -> Any:
        """The operation and what rebuilds its result, or the error that its calls raise."""
        places, names, count = call.places, tuple(call.options), len(call.args)
        function, rebuild = self.__wrapped__, [lambda outs: outs]

        def by_position(*values: Any) -> tuple[Any, ...]:
            given = _filled(places, values)
            before = [v._native if isinstance(v, Value) else None for v in values]
            out = function(*given[:count], **dict(zip(names, given[count:], strict=True)))
            for value, native in zip(values, before, strict=True):
                if isinstance(value, Value) and value._native is not native:
                    raise Refused("it writes into an argument; write y = x + 1 instead of x += 1")
            outs, rebuild[0] = _outputs(out)
            return outs

        try:
            operation = Operation(by_position, self._name, call.kinds, dtype)
        except Refused as error:
            return TypeError(
                f"fuse({self._name}): {error}{place_of(error)}. A fused function computes each element from the "
                f"elements at the same place; where() chooses between values"
            )
        except Unfit as error:
            return NotFused(f"{error}{place_of(error)}")
        except Exception as error:
            if "'fuse'" in str(error):
                return TypeError(
                    f"fuse({self._name}): it uses an array that is not among its arguments{place_of(error)}; pass the "
                    f"array as an argument"
                )
            broken = Broken(f"fuse({self._name}): this is not elementwise{place_of(error)}: {error}")
            broken.__cause__ = error.with_traceback(None)
            return broken
        return operation, rebuild[0]

    def explain(self, *args: Any, **options: Any) -> str:
        """Say how a call with these arguments runs, without computing anything.

        Returns
        -------
        str
            ``"one loop ..."``, or ``"the function itself: "`` and why.

        Raises
        ------
        TypeError
            If the function is not elementwise.
        """
        call = Call(self._name, args, options)
        if call.nested:
            return "the function itself: it is part of another fused function"
        try:
            operation, _ = self._operation(call)
        except Broken as error:
            raise TypeError(str(error)) from error
        except NotFused as error:
            return f"the function itself: {error}"
        return explanation(operation, call.values)


def _outputs(out: Any) -> tuple[tuple[Any, ...], Callable[[Any], Any]]:
    """The results as a tuple, and what makes the function's result of such a tuple."""
    for one in out if isinstance(out, tuple) else (out,):
        if not isinstance(one, Value):
            raise Refused(f"it returns a value of type {type(one).__name__}, and a fused function returns arrays")
    if not isinstance(out, tuple):
        return (out,), lambda outs: outs[0]
    if not out:
        raise Refused("it returns nothing")
    make: Callable[[Any], Any] = getattr(type(out), "_make", tuple)
    return out, make


def _why_not(dtypes: set[Any]) -> str:
    floats = sorted([str(d) for d in dtypes if d != BOOL])
    if not dtypes:
        return "there is no array among its arguments"
    return f"a loop computes with arrays of float32 or of float64, not of {' and '.join(floats) or 'bool alone'}"


def _reachable(function: Any, name: str) -> bool:
    """Whether a module has the function under its name, so that a pickle needs no more."""
    import sys

    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is function


def fuse(function: Callable[..., Any]) -> FusedFunction:
    """An elementwise function as one compiled loop on "cpu", or as one launch on "cuda"; its gradients, too.

    The function is run once on symbols, which record what it does, and so are the rules of its gradients. So gradients
    of every order are loops, too. On other devices, for other dtypes than float32 and float64, for small arrays and
    where Numba is not installed, a call runs the function itself, with the same results to rounding.

    Parameters
    ----------
    function : callable
        It computes each element of its results from the elements of its arguments at the same place: with elementwise
        functions of rustorch, operators and ``where``. It takes Variables or arrays, whose shapes broadcast, and
        numbers, and returns a Variable or a tuple of them. It must be pure: the result depends on the arguments alone,
        and nothing else changes.

    Returns
    -------
    FusedFunction
        It is called as the function is. ``explain(*args)`` says how a call with these arguments runs.

    Raises
    ------
    TypeError
        If ``function`` is not callable; and in a call, if the function is not elementwise: it sums, multiplies
        matrices, takes parts of arrays, asks for a shape, or branches on a value. The message names the line.

    Notes
    -----
    A number is an argument of the loop: a new value needs no new loop. A string, None or a bool is part of the loop. A
    number that the function reads from outside is part of the loop as well, and a new value needs a new loop.

    Examples
    --------
    >>> import rustorch
    >>> @rustorch.fuse
    ... def swish(x, beta):
    ...     return x / (1 + rustorch.exp(-beta * x))
    >>> x = rustorch.linspace(-3.0, 3.0, 10_000).requires_grad_()
    >>> y = swish(x, 1.5)
    >>> y.sum().backward()
    >>> swish.explain(rustorch.zeros(3), 1.5)
    'the function itself: 3 elements are too few for a loop'
    """
    if isinstance(function, FusedFunction):
        return function
    if not callable(function):
        raise TypeError(f"fuse takes a function, not {type(function).__name__}")
    return FusedFunction(function)

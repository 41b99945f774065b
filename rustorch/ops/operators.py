"""The operators and methods of Variables, and the function that each of them calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from . import elementwise, manipulation, searching, statistical, utility
from .indexing import assign
from .linalg import products

if TYPE_CHECKING:
    from ..autograd.primitive import BinaryFunction
    from ..typing import Axes
    from ..variable import Variable


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _operator(function: BinaryFunction) -> Callable[[Any, Any], Variable]:
    return function.operator


def _reflected(function: BinaryFunction) -> Callable[[Any, Any], Variable]:
    operate = function.operator

    def operator(self: Any, other: Any) -> Variable:
        return operate(other, self)

    return operator


def _in_place(operate: Callable[[Any, Any], Variable], sign: str) -> Callable[[Any, Any], Variable]:
    def operator(self: Any, other: Any) -> Variable:
        return assign(self, lambda: operate(self, other), f"x {sign}= y", other)

    return operator


def _reduction(function: Callable[..., Variable]) -> Callable[..., Variable]:
    def method(self: Any, axis: Axes = None, keepdims: bool = False, **options: Any) -> Variable:
        if "out" in options:  # numpy.sum(x) calls x.sum(out=...)
            name = function.__name__
            raise TypeError(
                f"numpy.{name} does not compute with Variables; write rustorch.{name}(x), or numpy.{name}(x.data) "
                f"where no gradient is needed (out= is not supported)"
            )
        return function(self, axis=axis, keepdims=keepdims, **options)

    return _named(method, function)


def _method(function: Callable[[Any], Variable]) -> Callable[[Any], Variable]:
    def method(self: Any) -> Variable:
        return function(self)

    return _named(method, function)


def _named(method: _Method, function: Callable[..., Any]) -> _Method:
    method.__name__ = function.__name__
    method.__doc__ = f"The function `rustorch.{function.__name__}` of this Variable."
    return method


class Operators:
    """The operators of the Array API, and the functions that are usually called as methods.

    An operator in place (``x += y``) writes into the array, unless the operation is recorded. Then ``x`` gets a new
    array and a place in the graph, so that no saved value changes.
    """

    # fmt: off
    __add__, __radd__ = _operator(elementwise.add), _reflected(elementwise.add)
    __sub__, __rsub__ = _operator(elementwise.subtract), _reflected(elementwise.subtract)
    __mul__, __rmul__ = _operator(elementwise.multiply), _reflected(elementwise.multiply)
    __truediv__, __rtruediv__ = _operator(elementwise.divide), _reflected(elementwise.divide)
    __floordiv__, __rfloordiv__ = _operator(elementwise.floor_divide), _reflected(elementwise.floor_divide)
    __mod__, __rmod__ = _operator(elementwise.remainder), _reflected(elementwise.remainder)
    __pow__, __rpow__ = _operator(elementwise.pow), _reflected(elementwise.pow)
    __matmul__, __rmatmul__ = products.matmul_operator, products.reflected_matmul
    __and__, __rand__ = _operator(elementwise.bitwise_and), _reflected(elementwise.bitwise_and)
    __or__, __ror__ = _operator(elementwise.bitwise_or), _reflected(elementwise.bitwise_or)
    __xor__, __rxor__ = _operator(elementwise.bitwise_xor), _reflected(elementwise.bitwise_xor)
    __lshift__, __rlshift__ = _operator(elementwise.bitwise_left_shift), _reflected(elementwise.bitwise_left_shift)
    __rshift__, __rrshift__ = _operator(elementwise.bitwise_right_shift), _reflected(elementwise.bitwise_right_shift)
    __eq__, __ne__ = _operator(elementwise.equal), _operator(elementwise.not_equal)  # type: ignore[assignment]
    __lt__, __le__ = _operator(elementwise.less), _operator(elementwise.less_equal)
    __gt__, __ge__ = _operator(elementwise.greater), _operator(elementwise.greater_equal)
    __neg__, __pos__ = _method(elementwise.negative), _method(elementwise.positive)
    __abs__, __invert__ = _method(elementwise.abs), _method(elementwise.bitwise_invert)
    __iadd__ = _in_place(__add__, "+")
    __isub__ = _in_place(__sub__, "-")
    __imul__ = _in_place(__mul__, "*")
    __itruediv__ = _in_place(__truediv__, "/")
    __ifloordiv__ = _in_place(__floordiv__, "//")
    __imod__ = _in_place(__mod__, "%")
    __ipow__ = _in_place(__pow__, "**")
    __imatmul__ = _in_place(__matmul__, "@")
    __iand__ = _in_place(__and__, "&")
    __ior__ = _in_place(__or__, "|")
    __ixor__ = _in_place(__xor__, "^")
    __ilshift__ = _in_place(__lshift__, "<<")
    __irshift__ = _in_place(__rshift__, ">>")
    # fmt: on

    sum = _reduction(statistical.sum)
    prod = _reduction(statistical.prod)
    mean = _reduction(statistical.mean)
    max = _reduction(statistical.max)
    min = _reduction(statistical.min)
    var = _reduction(statistical.var)
    std = _reduction(statistical.std)
    all = _reduction(utility.all)
    any = _reduction(utility.any)
    argmax = _reduction(searching.argmax)
    argmin = _reduction(searching.argmin)

    abs = _method(elementwise.abs)
    exp = _method(elementwise.exp)
    log = _method(elementwise.log)
    sqrt = _method(elementwise.sqrt)
    square = _method(elementwise.square)
    sin = _method(elementwise.sin)
    cos = _method(elementwise.cos)
    tanh = _method(elementwise.tanh)
    conj = _method(elementwise.conj)

    def reshape(self, *shape: Any) -> Variable:
        """The function `rustorch.reshape` of this Variable. The shape may be given as one tuple or as several sizes."""
        return manipulation.reshape(self, shape[0] if len(shape) == 1 else shape)

    def squeeze(self, axis: Any) -> Variable:
        """The function `rustorch.squeeze` of this Variable."""
        return manipulation.squeeze(self, axis)

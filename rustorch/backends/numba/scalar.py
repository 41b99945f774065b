"""Scalars of a loop that Numba compiles: Python's operators append LLVM's instructions.

A formula is a plain function of Scalars. It runs once while a loop is compiled, and its instructions become part of the
loop. This costs far less time than functions that Numba types and compiles one by one, and constants take the dtype of
the number beside them, so float32 stays float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from math import frexp
from typing import Any, TypeAlias, TypeVar

from llvmlite import ir

Choice = TypeVar("Choice")

#: A product and a sum may become one instruction. No flag lets LLVM forget nan, infinity or the sign of 0.
_FLAGS = ("contract",)


@dataclasses.dataclass(frozen=True)
class Format:
    """The numbers that describe float32 or float64.

    Parameters
    ----------
    width : int
        The number of bits.
    digits : int
        The number of bits after the leading one.
    """

    width: int
    digits: int

    @property
    def bias(self) -> int:
        """What is added to an exponent when it is stored."""
        return (1 << (self.width - self.digits - 2)) - 1

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def magic(self) -> float:
        """Adding this number rounds a small one to an integer, which stands in the last bits of the sum."""
        return 1.5 * 2.0**self.digits

    def stored(self, number: float) -> int:
        """The bits of a normal positive number that the format has."""
        fraction, exponent = frexp(number)
        return ((exponent - 1 + self.bias) << self.digits) + int((2 * fraction - 1) * 2.0**self.digits)


SINGLE, DOUBLE = Format(32, 23), Format(64, 52)


class Scalar:
    """A number, an integer or a condition in the code that is generated.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where instructions are appended.
    value : llvmlite.ir.Value
        The result of an instruction, an argument or a constant.
    """

    __slots__ = ("builder", "value")

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @property
    def is_float(self) -> bool:
        """Whether this is float32 or float64, not an integer."""
        return not isinstance(self.value.type, ir.IntType)

    @property
    def format(self) -> Format:
        """What describes the dtype of a float."""
        return DOUBLE if isinstance(self.value.type, ir.DoubleType) else SINGLE

    def pick(self, single: Choice, double: Choice) -> Choice:
        """The first for float32, and the second for float64."""
        return double if self.format is DOUBLE else single

    def like(self, number: Number) -> Scalar:
        """A constant of the same type; a Scalar stays as it is."""
        return number if isinstance(number, Scalar) else Scalar(self.builder, self.value.type(number))

    def _join(self, other: Number, of_floats: str, of_integers: str, swap: bool = False) -> Scalar:
        a, b = self.value, self.like(other).value
        if swap:
            a, b = b, a
        if self.is_float:
            return Scalar(self.builder, getattr(self.builder, of_floats)(a, b, flags=_FLAGS))
        return Scalar(self.builder, getattr(self.builder, of_integers)(a, b))

    def __add__(self, other: Number) -> Scalar:
        return self._join(other, "fadd", "add")

    __radd__ = __add__

    def __sub__(self, other: Number) -> Scalar:
        return self._join(other, "fsub", "sub")

    def __rsub__(self, other: Number) -> Scalar:
        return self._join(other, "fsub", "sub", swap=True)

    def __mul__(self, other: Number) -> Scalar:
        return self._join(other, "fmul", "mul")

    __rmul__ = __mul__

    def __truediv__(self, other: Number) -> Scalar:
        return self._join(other, "fdiv", "sdiv")

    def __rtruediv__(self, other: Number) -> Scalar:
        return self._join(other, "fdiv", "sdiv", swap=True)

    def __neg__(self) -> Scalar:
        return Scalar(self.builder, self.builder.fneg(self.value))

    def __and__(self, other: Number) -> Scalar:
        return self._join(other, "", "and_")

    def __or__(self, other: Number) -> Scalar:
        return self._join(other, "", "or_")

    def __xor__(self, other: Number) -> Scalar:
        return self._join(other, "", "xor")

    def __invert__(self) -> Scalar:
        return Scalar(self.builder, self.builder.not_(self.value))

    def __lshift__(self, other: Number) -> Scalar:
        return self._join(other, "", "shl")

    def __rshift__(self, other: Number) -> Scalar:
        """Zeros come in from the left."""
        return self._join(other, "", "lshr")

    def _compare(self, sign: str, other: Number) -> Scalar:
        compare = self.builder.fcmp_ordered if self.is_float else self.builder.icmp_signed
        return Scalar(self.builder, compare(sign, self.value, self.like(other).value))

    def __lt__(self, other: Number) -> Scalar:
        return self._compare("<", other)

    def __le__(self, other: Number) -> Scalar:
        return self._compare("<=", other)

    def __gt__(self, other: Number) -> Scalar:
        return self._compare(">", other)

    def __ge__(self, other: Number) -> Scalar:
        return self._compare(">=", other)

    def equals(self, other: Number) -> Scalar:
        """The condition ``self == other``."""
        return self._compare("==", other)

    def is_nan(self) -> Scalar:
        """The condition that this is nan."""
        return Scalar(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    def call(self, intrinsic: str, *others: Number) -> Scalar:
        """The result of one of LLVM's functions, such as ``sqrt``, of this float and others."""
        arguments, type_ = [self.value, *(self.like(x).value for x in others)], self.value.type
        signature = ir.FunctionType(type_, [type_] * len(arguments))
        function = self.builder.module.declare_intrinsic(f"llvm.{intrinsic}", [type_], signature)
        return Scalar(self.builder, self.builder.call(function, arguments))

    def bits(self) -> Scalar:
        """The integer with the bits of a float."""
        return Scalar(self.builder, self.builder.bitcast(self.value, ir.IntType(self.format.width)))

    def as_float(self) -> Scalar:
        """The float with the bits of an integer."""
        type_ = ir.DoubleType() if self.value.type.width == DOUBLE.width else ir.FloatType()
        return Scalar(self.builder, self.builder.bitcast(self.value, type_))

    def double(self) -> Scalar:
        """A float as float64."""
        if self.format is DOUBLE:
            return self
        return Scalar(self.builder, self.builder.fpext(self.value, ir.DoubleType()))

    def rounded_like(self, other: Scalar) -> Scalar:
        """A float64 in the dtype of another float."""
        if other.format is DOUBLE:
            return self
        return Scalar(self.builder, self.builder.fptrunc(self.value, ir.FloatType()))

    def look_up(self, name: str, table: Sequence[float]) -> Scalar:
        """The float64 of a table at the place of this integer, which must be in the table."""
        module = self.builder.module
        if name not in module.globals:
            kind = ir.ArrayType(ir.DoubleType(), len(table))
            array = ir.GlobalVariable(module, kind, name)
            array.linkage, array.global_constant, array.unnamed_addr = "internal", True, True
            array.initializer = kind(list(table))
        zero = self.value.type(0)
        place = self.builder.gep(module.globals[name], [zero, self.value], inbounds=True)
        return Scalar(self.builder, self.builder.load(place))


Number: TypeAlias = "Scalar | float"


def where(condition: Scalar, a: Number, b: Number) -> Scalar:
    """``a`` where the condition holds, and ``b`` elsewhere. At least one of them is a Scalar."""
    model = a if isinstance(a, Scalar) else b
    assert isinstance(model, Scalar)
    builder = condition.builder
    return Scalar(builder, builder.select(condition.value, model.like(a).value, model.like(b).value))


def at_most(x: Scalar, high: float) -> Scalar:
    """x, or ``high`` where x is larger; nan stays nan."""
    return where(x > high, high, x)


def clamp(x: Scalar, low: float, high: float) -> Scalar:
    """The number next to x from ``low`` to ``high``; nan stays nan."""
    return at_most(where(x < low, low, x), high)


def polynomial(x: Scalar, coefficients: Sequence[float]) -> Scalar:
    """A polynomial by Horner's rule. The coefficient of the highest power comes first."""
    out = x.like(coefficients[0])
    for a in coefficients[1:]:
        out = out * x + a
    return out


def fma(a: Scalar, b: Number, c: Number) -> Scalar:
    """``a * b + c``, rounded once on every processor, also where two roundings would be faster."""
    return a.call("fma", b, c)


def absolute(x: Scalar) -> Scalar:
    """The size of x."""
    return x.call("fabs")


def copysign(x: Scalar, sign: Scalar) -> Scalar:
    """The size of x with another number's sign."""
    return x.call("copysign", sign)

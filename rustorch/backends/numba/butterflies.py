"""Machine code of Fourier transforms: short transforms of vectors, whose real and imaginary parts lie apart.

LLVM does not make vectors of these loops by itself: they read and write many places, and it cannot prove that these
differ. So the vectors are written out here. One of them has 64 bytes. LLVM splits it where a processor's have less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import cos, pi, sin
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vectors import WORD, Vectors

_FLAGS = ("contract",)

#: A vector of complex numbers: the real parts, and the imaginary parts.
_Complex = tuple[Any, Any]


class _Vectors(Vectors):
    """Vectors of 64 bytes, and arithmetic with pairs of them: complex numbers."""

    def __init__(self, context: Any, builder: Any, kind: Any):
        super().__init__(context, builder, kind, 512 // kind.dtype.bitwidth)

    def place(self, at: Any, number: int, step: Any) -> Any:
        """The index ``at + number * step``."""
        return self.builder.add(at, self.builder.mul(step, WORD(number))) if number else at

    def load_pair(self, data: Any, at: Any, apart: Any) -> _Complex:
        return self.load(data, at), self.load(data, self.builder.add(at, apart))

    def store_pair(self, pair: _Complex, data: Any, at: Any, apart: Any) -> None:
        self.store(pair[0], data, at)
        self.store(pair[1], data, self.builder.add(at, apart))

    @contextmanager
    def loop(self, stop: Any, step: int) -> Iterator[Any]:
        """A loop over ``range(0, stop, step)``: inside, its index."""
        with cgutils.for_range_slice(self.builder, WORD(0), stop, WORD(step)) as (index, _):
            yield index

    def load_number(self, data: Any, at: Any) -> Any:
        """A number of an array in all lanes."""
        return self.filled(self.number(data, at))

    def constant(self, value: float) -> Any:
        return ir.Constant(self.type, [self.scalar(value)] * self.lanes)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FLAGS)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=_FLAGS)

    # -- complex numbers -----------------------------------------------------------------------------------------------
    def plus(self, a: _Complex, b: _Complex) -> _Complex:
        return self.add(a[0], b[0]), self.add(a[1], b[1])

    def minus(self, a: _Complex, b: _Complex) -> _Complex:
        return self.sub(a[0], b[0]), self.sub(a[1], b[1])

    def plus_times(self, a: _Complex, b: _Complex, factor: float) -> _Complex:
        """``a + factor * b``, for a real factor."""
        constant = self.constant(factor)
        return self.add(a[0], self.mul(b[0], constant)), self.add(a[1], self.mul(b[1], constant))

    def times(self, a: _Complex, b: _Complex) -> _Complex:
        real = self.sub(self.mul(a[0], b[0]), self.mul(a[1], b[1]))
        return real, self.add(self.mul(a[0], b[1]), self.mul(a[1], b[0]))

    def plus_i(self, a: _Complex, b: _Complex) -> _Complex:
        """``a + i * b``."""
        return self.sub(a[0], b[1]), self.add(a[1], b[0])

    def minus_i(self, a: _Complex, b: _Complex) -> _Complex:
        """``a - i * b``."""
        return self.add(a[0], b[1]), self.sub(a[1], b[0])

    def turned(self, a: _Complex, k: int, n: int) -> _Complex:
        """``a * exp(-2 pi i k / n)``, for an angle between 0 and half a turn."""
        if k == 0:
            return a
        if 4 * k == n:
            return a[1], self.builder.fneg(a[0])
        if 8 * k in (n, 3 * n):
            half = self.constant(sin(pi / 4))
            total, difference = self.mul(self.add(a[0], a[1]), half), self.mul(self.sub(a[1], a[0]), half)
            return (total, difference) if 8 * k == n else (difference, self.builder.fneg(total))
        angle = -2 * pi * k / n
        return self.times(a, (self.constant(cos(angle)), self.constant(sin(angle))))

    # -- transforms of a few numbers -----------------------------------------------------------------------------------
    def transform(self, x: list[_Complex]) -> list[_Complex]:
        """The Fourier transform of 1, 2, 3, 4, 5, 8 or 16 numbers."""
        n = len(x)
        if n == 1:
            return x
        if n == 3:
            return self._of_three(x)
        if n == 5:
            return self._of_five(x)
        even, odd = self.transform(x[::2]), self.transform(x[1::2])
        pairs = []
        for k, (a, b) in enumerate(zip(even, odd, strict=True)):
            if 4 * k == n:
                pairs.append((self.minus_i(a, b), self.plus_i(a, b)))
            else:
                b = self.turned(b, k, n)
                pairs.append((self.plus(a, b), self.minus(a, b)))
        return [a for a, _ in pairs] + [b for _, b in pairs]

    def _of_three(self, x: list[_Complex]) -> list[_Complex]:
        total, difference = self.plus(x[1], x[2]), self.minus(x[1], x[2])
        middle, factor = self.plus_times(x[0], total, -0.5), self.constant(sin(pi / 3))
        side = self.mul(difference[0], factor), self.mul(difference[1], factor)
        return [self.plus(x[0], total), self.minus_i(middle, side), self.plus_i(middle, side)]

    def _of_five(self, x: list[_Complex]) -> list[_Complex]:
        c1, c2, s1, s2 = cos(2 * pi / 5), cos(4 * pi / 5), sin(2 * pi / 5), sin(4 * pi / 5)
        outer, inner = self.plus(x[1], x[4]), self.plus(x[2], x[3])
        outer_, inner_ = self.minus(x[1], x[4]), self.minus(x[2], x[3])
        middle1 = self.plus_times(self.plus_times(x[0], outer, c1), inner, c2)
        middle2 = self.plus_times(self.plus_times(x[0], outer, c2), inner, c1)
        zero = self.constant(-0.0), self.constant(-0.0)
        side1 = self.plus_times(self.plus_times(zero, outer_, s1), inner_, s2)
        side2 = self.plus_times(self.plus_times(zero, outer_, s2), inner_, -s1)
        return [
            self.plus(self.plus(x[0], outer), inner), self.minus_i(middle1, side1), self.minus_i(middle2, side2),
            self.plus_i(middle2, side2), self.plus_i(middle1, side1),
        ]  # fmt: skip

    def swapped(self, rows: list[Any]) -> list[Any]:
        """The columns of a square of numbers, from its rows."""
        width, size = self.lanes, 1
        while size < width:  # swap two squares of this size in each square of twice the size
            low = [i if not i & size else width + i - size for i in range(width)]
            high = [i + size if not i & size else width + i for i in range(width)]
            for i in range(width):
                if not i & size:
                    a, b = rows[i], rows[i + size]
                    rows[i], rows[i + size] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            size *= 2
        return rows


# -- functions that the kernel calls -----------------------------------------------------------------------------------
def _function(name: str, work: Callable[..., None]) -> Callable[..., Any]:
    """What Numba calls to write a call of ``work(vectors, *values)``, with addresses for arrays.

    It is a function of its own in the machine code. Otherwise LLVM would optimize these many instructions again
    wherever they are used, which takes seconds.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        arrays = [kind for kind in signature.args if isinstance(kind, types.Array)]
        vectors = _Vectors(context, builder, arrays[0])
        given = [
            vectors.data(kind, value) if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, values, strict=True)
            if not isinstance(kind, types.Literal)
        ]
        full_name = f"rustorch_{name}_{vectors.scalar}"
        function = builder.module.globals.get(full_name)
        if function is None:
            function_type = ir.FunctionType(ir.VoidType(), [value.type for value in given])
            function = ir.Function(builder.module, function_type, full_name)
            function.linkage = "linkonce_odr"
            function.attributes.add("noinline")
            vectors.builder = ir.IRBuilder(function.append_basic_block("entry"))
            work(vectors, *function.args)
            vectors.builder.ret_void()
        builder.call(function, given)
        return context.get_dummy_value()

    return generate


def _integers(count: int) -> list[Any]:
    return [types.int64] * count


@intrinsic
def split_pairs(typing_context: Any, source: Any, at: Any, target: Any, real: Any, imaginary: Any, count: Any) -> Any:
    """Write the real and the imaginary parts of ``count`` complex numbers to two places. Vectors have to divide it."""

    def work(v: _Vectors, source: Any, at: Any, target: Any, real: Any, imaginary: Any, count: Any) -> None:
        add = v.builder.add
        with v.loop(count, v.lanes) as q:
            place = add(at, v.builder.add(q, q))
            a, b = v.load(source, place), v.load(source, add(place, WORD(v.lanes)))
            v.store(v.shuffle(a, b, range(0, 2 * v.lanes, 2)), target, v.builder.add(real, q))
            v.store(v.shuffle(a, b, range(1, 2 * v.lanes, 2)), target, v.builder.add(imaginary, q))

    return types.none(source, types.int64, target, *_integers(3)), _function("split", work)


@intrinsic
def join_pairs(
    typing_context: Any, source: Any, real: Any, imaginary: Any, target: Any, at: Any, count: Any, factor: Any
) -> Any:
    """The inverse of `split_pairs`, times a factor."""

    def work(
        v: _Vectors, source: Any, real: Any, imaginary: Any, target: Any, at: Any, count: Any, factor: Any
    ) -> None:
        factors = v.filled(factor)
        pairs = [lane // 2 + lane % 2 * v.lanes for lane in range(2 * v.lanes)]
        add = v.builder.add
        with v.loop(count, v.lanes) as q:
            a, b = v.mul(v.load(source, add(real, q)), factors), v.mul(v.load(source, add(imaginary, q)), factors)
            place = add(at, add(q, q))
            v.store(v.shuffle(a, b, pairs[: v.lanes]), target, place)
            v.store(v.shuffle(a, b, pairs[v.lanes :]), target, add(place, WORD(v.lanes)))

    return types.none(source, *_integers(2), target, *_integers(2), source.dtype), _function("join", work)


@intrinsic(prefer_literal=True)
def stage(
    typing_context: Any, radix: Any, room: Any, source: Any, target: Any, count: Any, width: Any, apart: Any,
    table: Any, factors: Any,
) -> Any:  # fmt: skip
    """One stage of Stockham's transform of columns, from ``source`` to ``target``, two places in ``room``.

    There are ``radix * count`` rows of ``width`` complex numbers; imaginary parts are ``apart`` numbers after the real
    ones. The rows p + k * count, for all k, are transformed, multiplied by numbers in a table, which are the same for
    all columns, and written to the rows p * radix + k.

    Parameters
    ----------
    radix : int
        A constant. If it is negative, nothing is multiplied.
    factors : int
        The place in the table of pairs, of which there are ``radix - 1`` for each p.
    """
    number, multiplied = abs(radix.literal_value), radix.literal_value > 0

    def work(
        v: _Vectors, room: Any, source: Any, target: Any, count: Any, width: Any, apart: Any, table: Any, factors: Any
    ) -> None:
        add, mul = v.builder.add, v.builder.mul
        gap = mul(count, width)
        with v.loop(count, 1) as p:
            row = add(factors, mul(p, WORD(2 * number - 2)))
            first, to = add(source, mul(p, width)), add(target, mul(mul(p, width), WORD(number)))
            with v.loop(width, v.lanes) as q:
                at = add(first, q)
                x = v.transform([v.load_pair(room, v.place(at, k, gap), apart) for k in range(number)])
                for k in range(number):
                    if multiplied and k:
                        place = add(row, WORD(2 * k - 2))
                        x[k] = v.times(x[k], (v.load_number(table, place), v.load_number(table, add(place, WORD(1)))))
                    v.store_pair(x[k], room, v.place(add(to, q), k, width), apart)

    name = f"stage_{number}{'' if multiplied else '_last'}"
    return types.none(radix, room, *_integers(5), table, types.int64), _function(name, work)


@intrinsic(prefer_literal=True)
def transpose(
    typing_context: Any, multiplied: Any, room: Any, source: Any, target: Any, height: Any, width: Any, apart: Any,
    table: Any,
) -> Any:  # fmt: skip
    """Transpose a matrix of complex numbers, from ``source`` to ``target``, two places in ``room``.

    If ``multiplied`` is the constant 1, the matrix is multiplied by one at the start of the table, element by element.
    """

    def work(v: _Vectors, room: Any, source: Any, target: Any, height: Any, width: Any, apart: Any, table: Any) -> None:
        add, mul = v.builder.add, v.builder.mul
        with v.loop(height, v.lanes) as i, v.loop(width, v.lanes) as j:
            at, to = add(mul(i, width), j), add(target, add(mul(j, height), i))
            rows = []
            for k in range(v.lanes):
                place = v.place(at, k, width)
                row = v.load_pair(room, add(source, place), apart)
                rows.append(v.times(row, v.load_pair(table, place, apart)) if multiplied.literal_value else row)
            for part in range(2):
                for k, vector in enumerate(v.swapped([row[part] for row in rows])):
                    place = v.place(to, k, height)
                    v.store(vector, room, add(place, apart) if part else place)

    name = "transpose_multiplied" if multiplied.literal_value else "transpose"
    return types.none(multiplied, room, *_integers(5), table), _function(name, work)

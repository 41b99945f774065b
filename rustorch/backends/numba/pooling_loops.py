"""The loops of pooling over rows of the output: maxima with their numbers, sums, and the gradients of both.

Tables say where the values of each window are along each axis, -1 for padding: so one loop serves regular windows with
padding and dilation, and bins of different lengths. Frequent windows have loops of their own: those of 2 x 2 side by
side, and maxima of windows with a stride of 1 or 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .kernel import Kernel

if TYPE_CHECKING:
    T: Any = float


def _max_pool(x: Any, best: Any, which: Any, table: Any, sizes: Any, start: int, stop: int) -> None:
    """The largest values of a row of windows, and their numbers. An item is a row of the output."""
    n0, n1, n2, o0, o1, o2 = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    k0, k1, k2 = sizes[6], sizes[7], sizes[8]
    t1, t2 = k0 * o0, k0 * o0 + k1 * o1
    first0 = t2 + k2 * o2
    first1, first2 = first0 + o0, first0 + o0 + o1
    for item in range(start, stop):
        plane = item // (o0 * o1)
        a, b = item // o1 % o0, item % o1
        y, numbers = best[item * o2 : item * o2 + o2], which[item * o2 : item * o2 + o2]
        # in a window of -inf alone, the first value that is not padding counts
        firsts = table[first2 : first2 + o2]
        lead = (table[first0 + a] * k1 + table[first1 + b]) * k2
        for i in range(y.size):
            y[i] = T(-float("inf"))
            numbers[i] = lead + firsts[i]
        for c0 in range(k0):
            for c1 in range(k1):
                z, r = table[c0 * o0 + a], table[t1 + c1 * o1 + b]
                if (z < 0) | (r < 0):
                    continue
                row = ((plane * n0 + z) * n1 + r) * n2
                source = x[row : row + n2]
                for c2 in range(k2):
                    number = (c0 * k1 + c1) * k2 + c2
                    places = table[t2 + c2 * o2 : t2 + c2 * o2 + o2]
                    for i in range(y.size):
                        place = places[i]
                        value = source[place] if place >= 0 else T(-float("inf"))
                        better = (value > y[i]) | (value != value)
                        y[i] = value if better else y[i]
                        numbers[i] = number if better else numbers[i]


def _max_pool_pairs(x: Any, best: Any, which: Any, width: int, rows: int, height: int, start: int, stop: int) -> None:
    """`max_pool` for windows of 2 x 2 side by side. An item is a row of the output; a plane has ``rows`` of them."""
    for item in range(start, stop):
        place = (item // rows * height + item % rows * 2) * width
        r0, r1 = x[place : place + width], x[place + width : place + 2 * width]
        y = best[item * (width // 2) : (item + 1) * (width // 2)]
        numbers = which[item * (width // 2) : (item + 1) * (width // 2)]
        for i in range(y.size):
            a, b, c, d = r0[2 * i], r0[2 * i + 1], r1[2 * i], r1[2 * i + 1]
            right, lower_right = (b > a) | (b != b), (d > c) | (d != d)
            upper, lower = b if right else a, d if lower_right else c
            down = (lower > upper) | (lower != lower)
            first, second = T(1.0) if right else T(0.0), T(3.0) if lower_right else T(2.0)
            y[i] = lower if down else upper
            numbers[i] = second if down else first


def _max_pool_rows(x: Any, best: Any, which: Any, numbers: Any, start: int, stop: int) -> None:
    """`max_pool` for windows whose stride along the last axis is 1 or 2. An item is a row of the output."""
    n0, n1, n2, o0, o1, o2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    k0, k1, k2, s0, s1, s2 = numbers[6], numbers[7], numbers[8], numbers[9], numbers[10], numbers[11]
    p0, p1, p2, d0, d1, d2 = numbers[12], numbers[13], numbers[14], numbers[15], numbers[16], numbers[17]
    for item in range(start, stop):
        plane = item // (o0 * o1)
        a, b = item // o1 % o0 * s0 - p0, item % o1 * s1 - p1
        row, codes = best[item * o2 : item * o2 + o2], which[item * o2 : item * o2 + o2]
        # in a window of -inf alone, the first value that is not padding counts
        lead = (max((d0 - 1 - a) // d0, 0) * k1 + max((d1 - 1 - b) // d1, 0)) * k2
        code = codes.dtype.type(lead)
        for i in range(row.size):
            row[i] = T(-float("inf"))
            codes[i] = code
        for i in range(min((p2 + s2 - 1) // s2, o2)):
            codes[i] = lead + (p2 - i * s2 + d2 - 1) // d2
        for c0 in range(max((d0 - 1 - a) // d0, 0), min((n0 - a + d0 - 1) // d0, k0)):
            for c1 in range(max((d1 - 1 - b) // d1, 0), min((n1 - b + d1 - 1) // d1, k1)):
                base = ((plane * n0 + a + c0 * d0) * n1 + b + c1 * d1) * n2
                for c2 in range(k2):
                    shift = c2 * d2 - p2
                    first, end = max((s2 - 1 - shift) // s2, 0), min((n2 - 1 - shift) // s2 + 1, o2)
                    length = max(end - first, 0)
                    code = codes.dtype.type((c0 * k1 + c1) * k2 + c2)
                    y, found = row[first : first + length], codes[first : first + length]
                    place = base + first * s2 + shift
                    source = x[place : place + 2 * length]
                    if s2 == 1:
                        for i in range(y.size):
                            value = source[i]
                            better = (value > y[i]) | (value != value)
                            y[i] = value if better else y[i]
                            found[i] = code if better else found[i]
                    else:
                        for i in range(y.size):
                            value = source[2 * i]
                            better = (value > y[i]) | (value != value)
                            y[i] = value if better else y[i]
                            found[i] = code if better else found[i]


def _add_to_place(g: Any, which: Any, out: Any, places: Any, numbers: Any, start: int, stop: int) -> None:
    """Add each gradient where its value came from. An item is a plane of the input.

    ``places`` has the distance of each value of a window from its first one.
    """
    n0, n1, n2, o0, o1, o2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    s0, s1, s2, p0, p1, p2 = numbers[9], numbers[10], numbers[11], numbers[12], numbers[13], numbers[14]
    for item in range(start, stop):
        base = item * n0 * n1 * n2
        plane = out[base : base + n0 * n1 * n2]
        for i in range(plane.size):
            plane[i] = 0
        for a in range(o0):
            for b in range(o1):
                row = ((item * o0 + a) * o1 + b) * o2
                place = base + ((a * s0 - p0) * n1 + b * s1 - p1) * n2 - p2
                y, codes = g[row : row + o2], which[row : row + o2]
                for i in range(y.size):
                    out[place + i * s2 + places[codes[i]]] += y[i]


def _take_from_place(x: Any, which: Any, out: Any, places: Any, numbers: Any, start: int, stop: int) -> None:
    """Take one value of each window. An item is a row of the output."""
    n0, n1, n2, o0, o1, o2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    s0, s1, s2, p0, p1, p2 = numbers[9], numbers[10], numbers[11], numbers[12], numbers[13], numbers[14]
    for item in range(start, stop):
        plane, a, b = item // (o0 * o1), item // o1 % o0, item % o1
        place = ((plane * n0 + a * s0 - p0) * n1 + b * s1 - p1) * n2 - p2
        y, codes = out[item * o2 : item * o2 + o2], which[item * o2 : item * o2 + o2]
        for i in range(y.size):
            y[i] = x[place + i * s2 + places[codes[i]]]


def _max_pool_grad_pairs(
    g: Any, which: Any, out: Any, width: int, rows: int, height: int, start: int, stop: int
) -> None:
    """`max_pool_grad` for windows of 2 x 2 side by side. An item is a row of windows; the rest of ``out`` is 0."""
    for item in range(start, stop):
        place = (item // rows * height + item % rows * 2) * width
        pair = out[place : place + 2 * width]
        for i in range(pair.size):
            pair[i] = 0
        y = g[item * (width // 2) : (item + 1) * (width // 2)]
        numbers = which[item * (width // 2) : (item + 1) * (width // 2)]
        for i in range(y.size):
            number = numbers[i]
            pair[2 * i + (number & 1) + (width if number > 1 else 0)] = y[i]


def _avg_pool(x: Any, out: Any, table: Any, sizes: Any, divisor: float, start: int, stop: int) -> None:
    """The sums of a row of windows, divided. An item is a row of the output."""
    n0, n1, n2, o0, o1, o2 = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    k0, k1, k2 = sizes[6], sizes[7], sizes[8]
    t1, t2 = k0 * o0, k0 * o0 + k1 * o1
    for item in range(start, stop):
        plane = item // (o0 * o1)
        a, b = item // o1 % o0, item % o1
        y = out[item * o2 : item * o2 + o2]
        for i in range(y.size):
            y[i] = 0
        for c0 in range(k0):
            for c1 in range(k1):
                z, r = table[c0 * o0 + a], table[t1 + c1 * o1 + b]
                if (z < 0) | (r < 0):
                    continue
                row = ((plane * n0 + z) * n1 + r) * n2
                source = x[row : row + n2]
                if (o2 == 1) & (k2 == n2):
                    total = T(0.0)
                    for i in range(source.size):
                        total += source[i]
                    y[0] += total
                    continue
                for c2 in range(k2):
                    places = table[t2 + c2 * o2 : t2 + c2 * o2 + o2]
                    for i in range(y.size):
                        place = places[i]
                        y[i] += source[place] if place >= 0 else T(0.0)
        for i in range(y.size):
            y[i] = y[i] / divisor


def _avg_pool_grad(g: Any, out: Any, table: Any, sizes: Any, divisor: float, start: int, stop: int) -> None:
    """Add each gradient, divided, at all places of its window. An item is a plane of the input."""
    n0, n1, n2, o0, o1, o2 = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]
    k0, k1, k2 = sizes[6], sizes[7], sizes[8]
    t1, t2 = k0 * o0, k0 * o0 + k1 * o1
    for item in range(start, stop):
        base = item * n0 * n1 * n2
        plane = out[base : base + n0 * n1 * n2]
        for i in range(plane.size):
            plane[i] = 0
        for a in range(o0):
            for b in range(o1):
                row = ((item * o0 + a) * o1 + b) * o2
                y = g[row : row + o2]
                for c0 in range(k0):
                    for c1 in range(k1):
                        z, r = table[c0 * o0 + a], table[t1 + c1 * o1 + b]
                        if (z < 0) | (r < 0):
                            continue
                        target = out[base + (z * n1 + r) * n2 : base + (z * n1 + r) * n2 + n2]
                        if (o2 == 1) & (k2 == n2):
                            value = y[0] / divisor
                            for i in range(target.size):
                                target[i] += value
                            continue
                        for c2 in range(k2):
                            places = table[t2 + c2 * o2 : t2 + c2 * o2 + o2]
                            for i in range(y.size):
                                place = places[i]
                                if place >= 0:
                                    target[place] += y[i] / divisor


def _avg_pool_pairs(
    x: Any, out: Any, divisor: float, width: int, rows: int, height: int, start: int, stop: int
) -> None:
    """`avg_pool` for windows of 2 x 2 side by side. An item is a row of the output."""
    for item in range(start, stop):
        place = (item // rows * height + item % rows * 2) * width
        r0, r1 = x[place : place + width], x[place + width : place + 2 * width]
        y = out[item * (width // 2) : (item + 1) * (width // 2)]
        for i in range(y.size):
            y[i] = ((r0[2 * i] + r1[2 * i]) + (r0[2 * i + 1] + r1[2 * i + 1])) / divisor


def _avg_pool_grad_pairs(
    g: Any, out: Any, divisor: float, width: int, rows: int, height: int, start: int, stop: int
) -> None:
    """`avg_pool_grad` for windows of 2 x 2 side by side. An item is a row of windows; the rest of ``out`` is 0."""
    for item in range(start, stop):
        place = (item // rows * height + item % rows * 2) * width
        y = g[item * (width // 2) : (item + 1) * (width // 2)]
        r0, r1 = out[place : place + width], out[place + width : place + 2 * width]
        for i in range(y.size):
            value = y[i] / divisor
            r0[2 * i] = value
            r0[2 * i + 1] = value
        for i in range(width):
            r1[i] = r0[i] if i < 2 * y.size else T(0.0)


MAX_POOL = {
    "uint8": Kernel(_max_pool, "T[] T[] u1[] i4[] i8[]"),
    "int32": Kernel(_max_pool, "T[] T[] i4[] i4[] i8[]", name="max_pool_long"),
}
MAX_POOL_ROWS = Kernel(_max_pool_rows, "T[] T[] u1[] i8[]")
ADD_TO_PLACE = {
    "uint8": Kernel(_add_to_place, "T[] u1[] T[] i4[] i8[]", name="max_pool_grad"),
    "int32": Kernel(_add_to_place, "T[] i4[] T[] i4[] i8[]", name="max_pool_grad_long"),
}
TAKE_FROM_PLACE = {
    "uint8": Kernel(_take_from_place, "T[] u1[] T[] i4[] i8[]", name="max_pool_gather"),
    "int32": Kernel(_take_from_place, "T[] i4[] T[] i4[] i8[]", name="max_pool_gather_long"),
}
AVG_POOL = Kernel(_avg_pool, "T[] T[] i4[] i8[] T", sums=True)
AVG_POOL_GRAD = Kernel(_avg_pool_grad, "T[] T[] i4[] i8[] T")
MAX_POOL_PAIRS = Kernel(_max_pool_pairs, "T[] T[] u1[] int int int")
MAX_POOL_GRAD_PAIRS = Kernel(_max_pool_grad_pairs, "T[] u1[] T[] int int int")
AVG_POOL_PAIRS = Kernel(_avg_pool_pairs, "T[] T[] T int int int")
AVG_POOL_GRAD_PAIRS = Kernel(_avg_pool_grad_pairs, "T[] T[] T int int int")

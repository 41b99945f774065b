"""Compiled pooling is that of the plain version, with the same numbers of maxima: ties, nan, padding, bins."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import pooling as plain
from rustorch.backends.kernels.pooling import Window
from rustorch.backends.numba import pooling
from rustorch.backends.numpy.namespace import full_namespace
from tests.backends.kernel_cases import CASES, draw
from tests.support.compiled import check

_same, _near = partial(check, bound=0), partial(check, bound=64, scale=1 / 8)
INF, NAN = numpy.inf, numpy.nan
#: The axes before the windows, and the windows.
SHAPES: dict[str, tuple[tuple[int, ...], tuple[Window, ...]]] = {
    "pairs": ((2, 3), (Window(8, 4, 2, 2), Window(70, 35, 2, 2))),
    "pairs, a rest": ((2, 3), (Window(9, 4, 2, 2), Window(37, 18, 2, 2))),
    "pairs along 1 axis": ((2, 3), (Window(40, 20, 2, 2),)),
    "pairs along 3 axes": ((2,), (Window(4, 2, 2, 2), Window(6, 3, 2, 2), Window(8, 4, 2, 2))),
    "stride 1": ((2, 3), (Window(9, 9, 3, 1, 1), Window(33, 33, 3, 1, 1))),
    "stride 2": ((2, 3), (Window(9, 5, 3, 2, 1), Window(33, 17, 3, 2, 1))),
    "stride 3": ((2, 3), (Window(9, 4, 4, 3, 2), Window(33, 11, 2, 3))),
    "dilation": ((2, 3), (Window(9, 6, 3, 1, 1, 2), Window(33, 15, 3, 2, 2, 3))),
    "beyond the end": ((2, 3), (Window(9, 5, 2, 2), Window(34, 17, 3, 2))),
    "wide padding": ((2,), (Window(3, 3, 4, 1, 2), Window(2, 2, 5, 2, 2))),
    "one window": ((5, 3), (Window(7, 1, 7, 7), Window(9, 1, 9, 9))),
    "more than 256 values": ((5, 3), (Window(17, 1, 17, 17), Window(18, 1, 18, 18))),
    "bins": ((2, 3), (Window(9, 4, 3), Window(33, 7, 6))),
    "bins and windows": ((2, 3), (Window(9, 3, 3, 3), Window(33, 7, 6))),
    "no axis before": ((), (Window(9, 4, 2, 2), Window(37, 18, 2, 2))),
    "3 axes": ((2, 2), (Window(5, 3, 3, 2, 1), Window(4, 4, 3, 1, 1), Window(7, 3, 2, 2))),
}  # fmt: skip
REGULAR = [name for name, (_, windows) in SHAPES.items() if all(window.stride for window in windows)]
DTYPES = ["float32", "float64"]


@pytest.fixture(autouse=True)
def every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooling, "LEAST", 0)


def _input(case: str, dtype: str, special: bool = False) -> tuple[numpy.ndarray, tuple[Window, ...]]:
    """Numbers with many ties, or with infinities and nan among them."""
    lead, windows = SHAPES[case]
    x = numpy.round(draw(*lead, *[window.size for window in windows])).astype(dtype)
    if special:
        flat = x.reshape(-1)
        flat[::3], flat[1::5], flat[4::11], flat[7::13] = -INF, INF, NAN, -0.0
    return x, windows


def _plain(name: str, *arguments: Any) -> Any:
    with numpy.errstate(all="ignore"):
        return getattr(plain, name)(full_namespace(), *arguments)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SHAPES)
def test_max_pool(case: str, dtype: str, special: bool) -> None:
    x, windows = _input(case, dtype, special)
    _same(pooling.max_pool(x, windows), _plain("max_pool", x, windows))


@pytest.mark.parametrize("value", [-INF, NAN, INF])
@pytest.mark.parametrize("case", SHAPES)
def test_max_pool_of_one_value(case: str, value: float) -> None:
    """Padding is never chosen, not even where all values are -inf."""
    x, windows = _input(case, "float32")
    x[...] = value
    _same(pooling.max_pool(x, windows), _plain("max_pool", x, windows))


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", REGULAR)
def test_gather_and_gradient_of_maxima(case: str, dtype: str, special: bool) -> None:
    x, windows = _input(case, dtype, special)
    best, which = _plain("max_pool", x, windows)
    _same(pooling.max_pool_gather(x, which, windows), best)
    g = numpy.round(8 * draw(*best.shape)).astype(dtype)  # sums are exact in every order
    if special:
        g.reshape(-1)[::5] = INF
    with numpy.errstate(invalid="ignore"):
        _same(pooling.max_pool_grad(g, which, windows), _plain("max_pool_grad", g, which, windows))


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for case in REGULAR if case != "dilation"])  # sums have none
def test_avg_pool(case: str, dtype: str, special: bool) -> None:
    x, windows = _input(case, dtype, special)
    expected = _plain("avg_pool", x, windows, 7.0)
    _near(pooling.avg_pool(x, windows, 7.0), expected)
    g = draw(*expected.shape).astype(dtype)
    if special:
        g.reshape(-1)[::3], g.reshape(-1)[1::5] = INF, NAN
    _near(pooling.avg_pool_grad(g, windows, 7.0), _plain("avg_pool_grad", g, windows, 7.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["max_pool", "max_pool_gather", "max_pool_grad", "avg_pool", "avg_pool_grad"])
def test_cases_of_all_backends(name: str, dtype: str) -> None:
    served = 0
    for case in CASES[name]:
        arguments = [a.astype(dtype) if getattr(a, "dtype", None) == "float64" else a for a in case]
        out, expected = getattr(pooling, name)(*arguments), _plain(name, *arguments)
        if out is not NotImplemented:
            served += 1
            for one, two in zip(out, expected, strict=True) if type(out) is tuple else [(out, expected)]:
                _near(one, two) if one.dtype == dtype else _same(one, two)
    assert served >= len(CASES[name]) - 2  # bins of different lengths are NumPy's


@pytest.mark.parametrize("case", ["pairs", "stride 2", "stride 3"])
def test_layouts(case: str) -> None:
    """Arguments with steps between their elements, that may not be written, of the other order of bytes."""
    x, windows = _input(case, "float64")
    best, which = _plain("max_pool", x, windows)
    x = numpy.repeat(x, 2, -1)[..., ::2]
    x.flags.writeable = False
    transposed = which.T.copy().T
    _same(pooling.max_pool(x, windows), (best, which))
    _same(pooling.max_pool_gather(x, transposed, windows), best)
    _same(pooling.max_pool_grad(best.T.copy().T, transposed, windows), _plain("max_pool_grad", best, which, windows))
    _near(pooling.avg_pool(x, windows, 3.0), _plain("avg_pool", x, windows, 3.0))
    _near(pooling.avg_pool_grad(best.T.copy().T, windows, 3.0), _plain("avg_pool_grad", best, windows, 3.0))
    swapped = x.astype(x.dtype.newbyteorder())
    assert pooling.max_pool(swapped, windows) is NotImplemented
    assert pooling.avg_pool(swapped, windows, 3.0) is NotImplemented


def test_other_dtypes_are_numpys() -> None:
    x, windows = _input("pairs", "float16")
    assert pooling.max_pool(x, windows) is NotImplemented
    assert pooling.avg_pool(x, windows, 2.0) is NotImplemented


def test_empty_arrays() -> None:
    _, windows = SHAPES["stride 2"]
    x = numpy.zeros((0, 9, 33), "float32")
    _same(pooling.max_pool(x, windows), _plain("max_pool", x, windows))
    _same(pooling.avg_pool(x, windows, 2.0), _plain("avg_pool", x, windows, 2.0))

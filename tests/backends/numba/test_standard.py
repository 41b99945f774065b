"""Functions of the standard as compiled loops against NumPy: special values, layouts, other dtypes, and no warnings."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.backends.numba import standard
from rustorch.backends.numba.standard import OVERRIDES
from tests.support.compiled import call, check

DTYPES = ["float32", "float64"]
INF, NAN = numpy.inf, numpy.nan
#: Functions that round nothing, or as NumPy does.
EXACT = {
    "abs", "add", "ceil", "clip", "copysign", "divide", "floor", "floor_divide", "maximum", "minimum", "multiply",
    "negative", "reciprocal", "remainder", "round", "sign", "sqrt", "square", "subtract", "trunc", "where",
}  # fmt: skip
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 7.0, -7.3, 1e-30, -1e-30, 3e30, -3e30, INF, -INF, NAN]
UNARY = [name for name in OVERRIDES if name not in standard._TWO and name not in ("clip", "where")]


@pytest.fixture(autouse=True)
def _serve_small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in OVERRIDES.values():
        monkeypatch.setattr(function, "least", 0)


def _numpy(name: str) -> Any:
    names = {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan"}
    return getattr(numpy, {**names, "atanh": "arctanh"}.get(name, name))


def _compare(name: str, *arguments: Any) -> None:
    with numpy.errstate(all="ignore"):
        expected = _numpy(name)(*arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = call(OVERRIDES, name, *arguments)
    if name in EXACT:
        check(result, expected, bound=0)
        signs = ~numpy.isnan(expected)  # of zeros, too, where NumPy's own versions agree on them
        if name not in ("maximum", "minimum", "clip"):
            numpy.testing.assert_array_equal(numpy.signbit(result[signs]), numpy.signbit(expected[signs]))
    else:
        check(result, expected, bound=8, scale=1.0 if name in ("sin", "cos", "tan") else 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_array(name: str, dtype: str) -> None:
    x = numpy.asarray(EDGES, dtype)
    if name in ("sin", "cos", "tan"):
        x = x[abs(numpy.nan_to_num(x)) < 1e6]  # test_mathematics has the others
    _compare(name, x)
    base = numpy.random.default_rng(0).standard_normal((6, 10)).astype(dtype)
    base.flags.writeable = False
    for view in (base, base.T, base[::2, ::-1], base[:0], base[:1, :1]):
        _compare(name, view)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(standard._TWO))
def test_functions_of_two_arrays(name: str, dtype: str) -> None:
    edges = numpy.asarray(EDGES, dtype)
    usual = edges[numpy.isfinite(edges)]
    if name in ("remainder", "floor_divide"):
        usual = usual[(abs(usual) < 1e6) & ((usual == 0) | (abs(usual) > 1e-6))]  # quotients are exact beyond
    x, y = numpy.meshgrid(usual if name in ("remainder", "floor_divide") else edges, edges)
    x, y = numpy.ascontiguousarray(x), numpy.ascontiguousarray(y)
    if name == "logaddexp":
        _compare(name, x[abs(x) < 100], y[abs(x) < 100])
    else:
        _compare(name, x, y)
    _compare(name, x, y[:, :1])
    _compare(name, x[:1], y.T[: x.shape[1], :1].T[:, :1])
    _compare(name, x, 2.0)
    _compare(name, 3.0, y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_and_clip(dtype: str) -> None:
    x, y = numpy.asarray(EDGES, dtype), numpy.asarray(EDGES[::-1], dtype)
    condition = numpy.arange(len(EDGES)) % 3 == 0
    for first, second in ((x, y), (x, 0.0), (2, y), (x[:1], y), (x[::2].repeat(2), y[::-1])):
        _compare("where", condition, first, second)
    _compare("where", condition[:, None], x, y[:, None])
    for low, high in ((-1.0, 1.0), (None, 0.5), (-0.5, None), (1, -1), (y, None), (x[3:4], y), (NAN, 1.0)):
        _compare("clip", x, low, high)


def test_numpy_serves_other_dtypes() -> None:
    for dtype in ("int64", "complex64", "float16", "bool", ">f4"):
        x = numpy.ones((4, 5), dtype)
        for name in UNARY:
            assert OVERRIDES[name](x) is NotImplemented, name
        for name in standard._TWO:
            assert OVERRIDES[name](x, x) is NotImplemented, name
        assert OVERRIDES["where"](x == x, x, x) is NotImplemented
        assert OVERRIDES["clip"](x, x, x) is NotImplemented
    x = numpy.ones((4, 5), "float32")
    assert OVERRIDES["where"](x > 0, x, x.astype("float64")) is NotImplemented
    assert OVERRIDES["copysign"](x, x.astype("float64")) is NotImplemented


@pytest.mark.parametrize("shape", [(300, 400), (1 << 20,)])
def test_gradients_of_where_and_clip(shape: tuple[int, ...]) -> None:
    """At sizes for which the rules are compiled."""
    draw = numpy.random.default_rng(0).standard_normal
    x, y, g = (rustorch.tensor(draw(shape).astype("float32"), requires_grad=True) for _ in range(3))
    condition, slopes = draw(shape) > 0, g.data
    rustorch.where(rustorch.asarray(condition), x, y).backward(slopes)
    numpy.testing.assert_array_equal(x.grad, numpy.where(condition, slopes, 0))
    numpy.testing.assert_array_equal(y.grad, numpy.where(condition, 0, slopes))
    for low, high in ((-1.0, 0.5), (None, 0.5), (-1.0, None)):
        x.grad = None
        out = rustorch.clip(x, low, high)
        numpy.testing.assert_array_equal(out.data, numpy.clip(x.data, low, high))
        out.backward(slopes)
        inside = numpy.ones(shape, bool) if low is None else x.data >= low
        inside &= True if high is None else x.data <= high
        numpy.testing.assert_array_equal(x.grad, numpy.where(inside, slopes, 0))


# -- how the loops are compiled ----------------------------------------------------------------------------------------
def test_bodies_get_the_functions_of_mathematics() -> None:
    from rustorch.backends.numba import bodies, mathematics

    for name, function in vars(mathematics).items():
        if type(function).__name__ == "_Intrinsic":
            assert bodies._offered(name) is function
    assert bodies._offered("intrinsic") is None  # what a module imports is not offered


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*standard._SLOW, "hypot", "remainder"])
def test_loops_work_on_vectors_and_call_nothing(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from rustorch.backends.numba import bodies, compiler, kernel

    texts: list[str] = []

    class Reader:
        def emit_object(self, module: Any) -> bytes:
            texts.append(str(module))
            return b""

    kernel.STATE.find_out()
    monkeypatch.setattr(compiler, "target_machine", Reader)
    function = OVERRIDES[name]
    variant = function.variant("v" * function.arity, [], False)
    loop, short, flags = variant.kernel, "f4" if dtype == "float32" else "f8", frozenset({"contract"})
    body = bodies.complete(loop.body, flags, short, kernel.STATE.offset)
    compiler.compile_object(body, loop.tokens, short, "loop", kernel.STATE.offset, flags)
    assert re.search(r"= f\w+ .*<\d+ x (float|double)>", texts[0])
    assert not re.search(rf"call .*@(llvm\.)?{name}f?[.(]", texts[0])

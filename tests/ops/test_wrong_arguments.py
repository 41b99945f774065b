"""Arguments that are not arrays: every function says its name, what it got, and what to write instead.

The check comes before any array is touched, so it does not depend on the backend: the many cases run once, with NumPy's
arrays. Operators run on every backend, because each library's arrays have operators of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy
import pytest

import rustorch
import rustorch.nn.functional as F
from tests.support.target import Target

#: Functions whose first argument is not an array, or may be a number, a list or a string.
OTHERS = {
    "arange", "asarray", "broadcast_shapes", "can_cast", "empty", "eye", "finfo", "from_dlpack", "full", "iinfo",
    "isdtype", "linspace", "ones", "isin", "result_type", "tensor", "zeros", "fftfreq", "rfftfreq", "stack", "concat",
}  # fmt: skip
#: Functions of layers that check another argument first, or whose errors have another name.
CELLS = ("lstm", "gru", "rnn", "multi_head", "upsample", "lp_pool", "threshold")
WRONG = {"an integer": 10, "a float": 2.5, "a list": [1.0, 2.0], "None": None, "a text": "text"}


def _functions() -> dict[str, Callable]:
    found = {name: getattr(rustorch, name) for name in rustorch.ops.__all__}
    found |= {f"linalg.{name}": getattr(rustorch.linalg, name) for name in rustorch.linalg.__all__}
    found |= {f"fft.{name}": getattr(rustorch.fft, name) for name in rustorch.fft.__all__}
    found |= {f"F.{name}": getattr(F, name) for name in F.__all__ if not name.startswith(CELLS)}
    return {
        name: function
        for name, function in found.items()
        if inspect.isfunction(function) and name.rpartition(".")[2] not in OTHERS
    }


FUNCTIONS = _functions()


def _arguments(function: Callable, wrong: Any) -> list:
    needed = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    numbers = len(needed) == 2 and needed[1].name == "x2"  # one of the two may be a number, so both get the wrong value
    x = rustorch.ones((2, 2))
    return [wrong, *([wrong if numbers else x] * (len(needed) - 1))]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_got(name: str, wrong: str) -> None:
    value = WRONG[wrong]
    with pytest.raises(TypeError) as raised:
        FUNCTIONS[name](*_arguments(FUNCTIONS[name], value))
    text = str(raised.value)
    assert name.rpartition(".")[2].removesuffix("_") in text
    assert repr(value) in text or type(value).__name__ in text
    assert {"a text": "is text", "None": "None is what a function without return gives"}.get(
        wrong, "rustorch.asarray("
    ) in text


def test_most_functions_are_tested() -> None:
    assert len(FUNCTIONS) > 250


MESSAGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a number": (
        lambda x: rustorch.sin(10),
        r"^sin needs a Variable or an array here, not the Python number 10; write rustorch\.asarray\(10\)$",
    ),
    "numbers in stack": (
        lambda x: rustorch.stack([x[0], 0.5]),
        r"^stack needs a Variable or an array here, not the Python number 0\.5; write rustorch\.asarray\(0\.5\)$",
    ),
    "numbers in concat": (
        lambda x: rustorch.concat([x, 1]),
        r"^concat needs .* not the Python number 1; write rustorch\.asarray\(1\)$",
    ),
    "no list in stack": (lambda x: rustorch.stack(10), "^stack takes a list or tuple of arrays, not 10 of type int$"),
    "a generator in concat": (
        lambda x: rustorch.concat(v for v in [x]),
        "^concat takes a list or tuple of arrays, not <generator",
    ),
    "two numbers": (
        lambda x: rustorch.add(2, 3),
        r"^add needs at least one array; got the Python numbers 2 and 3; write rustorch\.asarray\(2\)",
    ),
    "a list": (
        lambda x: rustorch.add(x, [1, 2]),
        r"^add takes .* not list; make it a Variable with rustorch\.asarray\(\[1, 2\]\)$",
    ),
    "a long list": (
        lambda x: rustorch.sin([0.0] * 99),
        r"^sin takes .* not list; make it a Variable with rustorch\.asarray\(\.\.\.\)$",
    ),
    "a function": (
        lambda x: rustorch.sin(rustorch.cos),
        "^sin takes .* not function; call the function to get its result$",
    ),
    "a generator": (
        lambda x: rustorch.sin(v for v in [1.0]),
        r"^sin takes .* not generator; .*rustorch\.asarray\(list\(\.\.\.\)\)",
    ),
    "a fraction": (
        lambda x: rustorch.sin(Fraction(1, 2)),
        r"^sin takes .* not Fraction; write float\(\.\.\.\) around it$",
    ),
    "an object": (
        lambda x: rustorch.sin(object()),
        "^sin takes .* not object; rustorch.from_dlpack takes arrays of other libraries$",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_message_says_what_to_write(name: str) -> None:
    call, message = MESSAGES[name]
    with pytest.raises(TypeError, match=message):
        call(rustorch.tensor([1.0, 2.0]))


LISTS: dict[str, Callable[[Any, Any], Any]] = {
    "x * y": lambda x, y: x * y, "y * x": lambda x, y: y * x, "x + y": lambda x, y: x + y, "y - x": lambda x, y: y - x,
    "x < y": lambda x, y: x < y, "x @ y": lambda x, y: x @ y, "x / y": lambda x, y: x / y, "x ** y": lambda x, y: x**y,
}  # fmt: skip


@pytest.mark.parametrize("y", [[1.0, 2.0], (1, 2), range(2)], ids=["list", "tuple", "range"])
@pytest.mark.parametrize("name", LISTS)
def test_operators_refuse_lists(name: str, y: Any, backend: Target) -> None:
    for dtype in ("float64", "int64"):
        x = backend.variable([1, 2], dtype)
        with pytest.raises(TypeError, match=rf"not {type(y).__name__}; make it a Variable with rustorch\.asarray\("):
            LISTS[name](x, y)
        with pytest.raises(TypeError, match=rf"not {type(y).__name__}; make it a Variable with rustorch\.asarray\("):
            x += y
        assert backend.numpy(x).tolist() == [1, 2]


def test_python_still_repeats_and_compares_lists() -> None:
    x, n = rustorch.tensor([1.0, 2.0]), rustorch.asarray(3)
    assert [0] * n == n * [0] == [0, 0, 0]
    assert "ab" * n == "ababab"
    assert (x == [1.0, 2.0]) is False
    assert (x != "text") is True
    with pytest.raises(TypeError, match=r"multiply takes .* not str; 'ab' is text"):
        x * "ab"
    assert (x * numpy.asarray([2.0, 3.0], "float32")).tolist() == [2.0, 6.0]

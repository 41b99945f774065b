"""Elementwise functions and rules that a backend may compute in one loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy

from rustorch.autograd.fusable import fusable

X = numpy.arange(4.0)


def _namespace(answer: Any) -> tuple[Any, list[Any]]:
    """A namespace whose loops return an answer for arrays of at least 3 elements; and what was asked."""
    asked: list[Any] = []

    def fuse(function: Any) -> Any:
        return lambda *values: asked.append((function, values)) or answer

    return SimpleNamespace(fuse=fuse, fuse_least=3), asked


def _scaled(xp: Any, x: Any, /, factor: float = 2.0) -> Any:
    return factor * x


def test_the_loop_gets_what_the_function_takes() -> None:
    xp, asked = _namespace("from the loop")
    function = fusable(_scaled)
    assert function(xp, X, 5.0) == "from the loop"
    ((inner, (x, factor)),) = asked
    assert inner is _scaled
    assert x is X
    assert factor == 5.0


def test_the_function_itself_serves_small_arrays_and_where_there_is_no_loop() -> None:
    xp, asked = _namespace(NotImplemented)
    function = fusable(_scaled)
    numpy.testing.assert_array_equal(function(xp, X[:2], 5.0), 5 * X[:2])
    assert not asked
    numpy.testing.assert_array_equal(function(xp, X, 5.0), 5 * X)
    assert len(asked) == 1
    numpy.testing.assert_array_equal(function(SimpleNamespace(fuse=None), X, 5.0), 5 * X)


def test_names_parameters_and_defaults_stay() -> None:
    function = fusable(_scaled)
    assert function.__name__ == "_scaled"
    assert function.__code__.co_varnames[:3] == ("xp", "x", "factor")
    assert function.__code__.co_posonlyargcount == 2
    numpy.testing.assert_array_equal(function(SimpleNamespace(fuse=None), X), 2 * X)
    assert fusable(lambda xp, g: g, "identity_rule").__name__ == "identity_rule"

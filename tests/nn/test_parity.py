"""Every layer equals PyTorch's: output, gradients, state and repr.

The cases are the tables of ``cases/``. Without PyTorch, the tests compare with its committed numbers.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy
import pytest

from rustorch import backends, nn
from tests.nn.case import Case, Ours, Result, digest, evaluate, evaluate_by_pytorch
from tests.nn.cases import EVERYWHERE, FAMILIES, TABLE
from tests.reference import load
from tests.support.target import Target

RTOL, ATOL = 1e-6, 1e-9
#: Public classes that are not layers.
NOT_LAYERS = {"Module": "the class that layers derive from"}

_ids = "/".join
_theirs: dict[tuple[str, str], Result] = {}


def _evaluated_by_pytorch(key: tuple[str, str], case: Case) -> Result:
    if key not in _theirs:
        _theirs[key] = evaluate_by_pytorch(case)
    return _theirs[key]


def _assert_same(actual: Any, expected: Any, what: str) -> None:
    if expected is None or actual is None:
        assert actual is expected, f"{what}: {actual} instead of {expected}"
        return
    assert actual.shape == expected.shape, what
    assert actual.dtype.kind == expected.dtype.kind, what
    numpy.testing.assert_allclose(actual, expected, RTOL, ATOL, err_msg=what)


def _assert_digest(actual: dict[str, Any], expected: dict[str, Any]) -> None:
    """Compare with the committed numbers: the shape of each array, its norm and its product with fixed weights.

    The error of the product is proportional to the norm.
    """
    assert list(actual["values"]) == list(expected["values"])
    for name, right in expected["values"].items():
        left = actual["values"][name]
        assert left[2:] == right[2:], name
        if right:
            size = max(1, numpy.prod(right[2:])) ** 0.5
            numpy.testing.assert_allclose(left[:2], right[:2], RTOL, max(ATOL, RTOL * right[1]) * size, err_msg=name)


def _check(key: tuple[str, str], case: Case, target: Target) -> None:
    library = Ours(target)
    reference = load(f"nn_{key[0]}")[key[1]]
    theirs = _evaluated_by_pytorch(key, case) if find_spec("torch") else None
    ours = evaluate(case, library, None if theirs is None else theirs.start)
    assert ours.repr == reference["repr"]
    assert list(ours.state.items()) == list(reference["state"].items())
    if theirs is not None:
        assert list(ours.values) == list(theirs.values)
        for name, value in theirs.values.items():
            _assert_same(ours.values[name], value, name)
        return
    numbers = digest(case, ours)
    if numbers["drawn"] != reference["drawn"]:
        pytest.skip("this NumPy draws other random inputs than the NumPy that made the committed numbers")
    _assert_digest(numbers, reference)


@pytest.mark.parametrize("key", TABLE, ids=_ids)
def test_every_case_equals_pytorchs(key: tuple[str, str]) -> None:
    _check(key, TABLE[key], Target(backends.resolve("cpu")))


@pytest.mark.parametrize("key", EVERYWHERE, ids=_ids)
def test_a_case_of_every_class_equals_pytorchs_on_every_backend(key: tuple[str, str], backend: Target) -> None:
    _check(key, EVERYWHERE[key], backend)


def test_all_cases_have_different_names() -> None:
    for family, cases in FAMILIES.items():
        names = [case.name for case in cases]
        assert sorted(set(names)) == sorted(names), family


def test_every_public_class_is_in_the_table() -> None:
    layers = {
        name for name in nn.__all__ if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    assert layers - set(NOT_LAYERS) == {case.cls for case in TABLE.values()}

"""Every layer equals PyTorch's: output, gradients, state and repr.

The cases are the tables of ``cases/``. Without PyTorch, the tests compare with its committed numbers.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
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
#: Public layers that PyTorch lacks, each with the file in tests/nn that compares it with its formula.
OWN_LAYERS: dict[str, str] = {}

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


def _committed(key: tuple[str, str]) -> dict[str, Any]:
    """PyTorch's numbers for a case, as `tests.reference.make` wrote them."""
    family, name = key
    command = f"python -m tests.reference.make nn_{family}"
    try:
        return load(f"nn_{family}")[name]
    except (KeyError, FileNotFoundError):
        pytest.fail(f"PyTorch's numbers for {name} are missing; with PyTorch installed, write them: {command}")


def _check(key: tuple[str, str], case: Case, target: Target) -> None:
    library = Ours(target)
    reference = _committed(key)
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
    assert layers - set(NOT_LAYERS) - set(OWN_LAYERS) == {case.cls for case in TABLE.values()}
    assert set(OWN_LAYERS) <= layers


def test_layers_that_pytorch_lacks_have_tests_of_their_own() -> None:
    for name, file in OWN_LAYERS.items():
        assert name in (Path(__file__).parent / file).read_text(encoding="utf-8"), f"{file} has no test of {name}"
    if find_spec("torch"):
        torch = import_module("torch")
        assert [name for name in OWN_LAYERS if hasattr(torch.nn, name)] == []


@pytest.mark.parametrize("key", [("activation", "NoSuchLayer()"), ("no_such_family", "ReLU()")], ids=_ids)
def test_an_error_about_missing_numbers_says_how_to_write_them(key: tuple[str, str]) -> None:
    with pytest.raises(pytest.fail.Exception, match=rf"{key[0]}$") as caught:
        _committed(key)
    assert key[1] in str(caught.value) and "python -m tests.reference.make nn_" in str(caught.value)

"""Every layer is PyTorch's: output, gradients, state and text; against PyTorch where it is installed, else against its
numbers.

The tables of ``cases/`` drive it all.
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
#: Public classes that are no layers.
NO_LAYERS = {"Module": "the class that layers derive from"}

_ids = "/".join
_theirs: dict[tuple[str, str], Result] = {}


def _evaluated_by_pytorch(key: tuple[str, str], case: Case) -> Result:
    if key not in _theirs:
        _theirs[key] = evaluate_by_pytorch(case)
    return _theirs[key]


def _assert_same(found: Any, expected: Any, what: str) -> None:
    if expected is None or found is None:
        assert found is expected, f"{what}: {found} instead of {expected}"
        return
    assert found.shape == expected.shape, what
    assert found.dtype.kind == expected.dtype.kind, what
    numpy.testing.assert_allclose(found, expected, RTOL, ATOL, err_msg=what)


def _assert_digest(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The committed numbers: of every array its shape, its norm and its product with fixed weights, which errs by the
    norm's share.
    """
    assert list(found["values"]) == list(expected["values"])
    for name, want in expected["values"].items():
        have = found["values"][name]
        assert have[2:] == want[2:], name
        if want:
            size = max(1, numpy.prod(want[2:])) ** 0.5
            numpy.testing.assert_allclose(have[:2], want[:2], RTOL, max(ATOL, RTOL * want[1]) * size, err_msg=name)


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
    found = digest(case, ours)
    if found["drawn"] != reference["drawn"]:
        pytest.skip("this NumPy draws other numbers than the one with which PyTorch's were computed")
    _assert_digest(found, reference)


@pytest.mark.parametrize("key", TABLE, ids=_ids)
def test_every_case_is_pytorchs(key: tuple[str, str]) -> None:
    _check(key, TABLE[key], Target(backends.resolve("cpu")))


@pytest.mark.parametrize("key", EVERYWHERE, ids=_ids)
def test_a_case_of_every_class_is_pytorchs_on_every_backend(key: tuple[str, str], backend: Target) -> None:
    _check(key, EVERYWHERE[key], backend)


def test_no_two_cases_have_one_name() -> None:
    for family, cases in FAMILIES.items():
        names = [case.name for case in cases]
        assert sorted(set(names)) == sorted(names), family


def test_every_public_class_is_in_the_table() -> None:
    layers = {
        name for name in nn.__all__ if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    assert layers - set(NO_LAYERS) == {case.cls for case in TABLE.values()}

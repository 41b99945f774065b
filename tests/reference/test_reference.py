"""The committed numbers are those that the installed PyTorch computes, and every case has one."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from tests.nn.cases import FAMILIES
from tests.reference import cases, load, optim_cases


def _compare(committed: Any, computed: Any, path: str) -> None:
    if isinstance(committed, dict):
        assert list(committed) == list(computed), path
        for key in committed:
            _compare(committed[key], computed[key], f"{path}/{key}")
    elif isinstance(committed, str):
        assert committed == computed, path
    else:
        # Another processor or release of PyTorch may sum in another order: after 50 steps of Adafactor, numbers from an
        # AMD and from an Intel processor differ by 4e-11.
        numpy.testing.assert_allclose(
            numpy.asarray(committed), numpy.asarray(computed), rtol=1e-10, atol=1e-11, err_msg=path
        )


def test_the_committed_numbers_are_those_of_pytorch() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from tests.reference import make

    for name, computed in make.everything().items():
        _compare(load(name), computed, name)


def test_every_case_has_a_committed_number() -> None:
    assert list(load("functional")) == list(cases.functional())
    assert list(load("cross_entropy")) == list(cases.cross_entropy())
    assert list(load("architectures")) == list(cases.ARCHITECTURES)
    assert list(load("sgd")) == [*cases.sgd(), "groups"]
    assert list(load("optim")) == list(optim_cases.table())
    assert len(load("training")["losses"]) == cases.TRAIN_STEPS
    for name, family in FAMILIES.items():
        assert list(load(f"nn_{name}")) == [case.name for case in family]


def test_the_committed_training_reduces_the_loss() -> None:
    losses = load("training")["losses"]
    assert losses[-1] < 0.1 * losses[0]

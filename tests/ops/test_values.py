"""Values on every backend. Functions without derivatives have NumPy's values, all others those of "cpu"."""

from __future__ import annotations

import itertools

import numpy
import pytest

import rustorch
from tests.specs import INTERNAL, SPECS, Spec
from tests.support.target import Target
from tests.support.values import assert_cpus_value, assert_numpys_value
from tests.values import VALUES, Value

CASES = [pytest.param(spec, dtype, id=f"{spec.id}-{dtype}") for spec in [*SPECS, *INTERNAL] for dtype in spec.dtypes]


@pytest.mark.parametrize("value", [pytest.param(value, id=value.name) for value in VALUES])
def test_the_value_is_numpys(value: Value, backend: Target) -> None:
    assert_numpys_value(value, backend)


@pytest.mark.parametrize(("spec", "dtype"), CASES)
def test_the_value_is_that_of_cpu(spec: Spec, dtype: str, backend: Target, rng: numpy.random.Generator) -> None:
    if backend.device in spec.skip:
        pytest.skip(spec.skip[backend.device])
    if backend.device == "cpu":
        pytest.skip("cpu: tests/ops/test_against_torch.py")
    assert_cpus_value(spec, spec.arrays(dtype, rng), backend)


def test_a_wrong_value_is_noticed() -> None:
    wrong = Value("equal", "", lambda xp, new, device: xp.equal(new([1.0]), new([1.0 if xp is rustorch else 2.0])))
    with pytest.raises(AssertionError):
        assert_numpys_value(wrong, Target("cpu"))
    other = itertools.count()
    spec = Spec("add", lambda x: x + next(other), ())
    with pytest.raises(AssertionError):
        assert_cpus_value(spec, [numpy.ones(2)], Target("cpu"))

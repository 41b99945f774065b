"""Every backend's kernels against the plain versions, at ordinary numbers, infinities, nan and empty arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy
import pytest

from rustorch.backends.kernels import KERNELS
from tests.backends.kernel_cases import CASES, IN_PLACE, call, converted
from tests.support.target import Target

PARAMS = [pytest.param(name, case, id=f"{name}-{i}") for name, cases in CASES.items() for i, case in enumerate(cases)]


def test_every_kernel_has_cases() -> None:
    assert set(CASES) == set(KERNELS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities and nan in the plain version on NumPy
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "case"), PARAMS)
def test_a_kernel_returns_the_results_of_its_plain_version(name: str, case: tuple, dtype: str, backend: Target) -> None:
    def native(a: numpy.ndarray) -> Any:
        return backend.array(a, dtype if a.dtype.kind == "f" else a.dtype)

    xp = backend.library.xp
    # If arrays cannot be written, the plain versions run on NumPy: the plain `put` writes into a copy, and JAX would
    # compile each of the steps.
    reference = backend if backend.library.mutable else Target("cpu")
    plain_arguments = [
        converted(value, lambda a: reference.array(a, dtype if a.dtype.kind == "f" else a.dtype)) for value in case
    ]
    plain = call(name, partial(KERNELS[name], reference.library.xp), *plain_arguments)
    arguments = [converted(value, native) for value in case]
    fast = call(name, getattr(xp, name), *arguments)
    assert len(plain) == len(fast)
    if name == "attention" and fast[1].ndim < plain[1].ndim:  # what a backend keeps for the gradient may be less
        del plain[1], fast[1]
    tolerance = {"float64": 1e-12, "float32": 1e-5}[dtype]
    for expected, result in zip(plain, fast, strict=True):
        if expected is None or isinstance(expected, int):
            assert result == expected
            continue
        expected, result = backend.numpy(expected), backend.numpy(result)
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        largest = abs(expected[numpy.isfinite(expected)]).max(initial=1)  # the scale of rounding errors in sums
        numpy.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * largest)
    if name not in IN_PLACE:
        for before, after in zip(case, arguments, strict=True):
            if isinstance(before, numpy.ndarray):
                numpy.testing.assert_array_equal(backend.numpy(after), before.astype(backend.numpy(after).dtype))

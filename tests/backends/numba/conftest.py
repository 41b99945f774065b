"""Every test here needs compiled kernels. They serve arrays of any size, and calls wait until they are compiled."""

from __future__ import annotations

from collections.abc import Iterator

import numpy
import pytest

from rustorch.backends.numba import availability, kernel

pytest.register_assert_rewrite("tests.support.compiled")  # it has the assertions of most tests here


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where nothing is compiled."""
    try:
        availability.check()
    except availability.Unavailable as error:
        for item in items:
            if "backends/numba" in item.path.as_posix() and "without_numba" not in item.name:
                item.add_marker(pytest.mark.skip(reason=f"no compiled kernels: {error}"))


@pytest.fixture(autouse=True)
def compiled_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compiled kernels serve arrays of every size, and no call is served by NumPy meanwhile."""
    monkeypatch.setattr(kernel, "LEAST", 0)
    monkeypatch.setattr(kernel, "PATIENT", 0)
    yield
    assert kernel.STATE.problem is None


@pytest.fixture
def quiet() -> Iterator[None]:
    """NumPy does not warn of special values."""
    with numpy.errstate(all="ignore"):
        yield


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the kernels that the test has asked for."""
    names: set[str] = set()
    of = kernel.Kernel.of
    monkeypatch.setattr(kernel.Kernel, "of", lambda self, dtype, size: names.add(self.name) or of(self, dtype, size))
    return names

"""Every test here needs compiled kernels. They serve arrays of any size, and calls wait until they are compiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rustorch.backends.numba import availability, kernel


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

"""A new backend is one class and one line: here, for a second copy of array-api-strict under another name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator

import numpy
import pytest

import rustorch
from rustorch import backends, nn
from rustorch.backends import StandardBackend, register, registry
from tests.support.target import Target


class ToyBackend(StandardBackend):
    name = "toy"

    def __init__(self) -> None:
        import toy_arrays

        super().__init__(toy_arrays, type(toy_arrays.zeros(0)))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """The backend, registered for one test."""
    pytest.importorskip("array_api_strict")
    found = importlib.util.find_spec("array_api_strict")
    spec = importlib.util.spec_from_file_location(
        "toy_arrays", found.origin, submodule_search_locations=found.submodule_search_locations
    )
    library = importlib.util.module_from_spec(spec)
    for name in ("_ENTRIES", "_ROOTS", "_LOADED", "_BY_DEVICE", "_CANONICAL"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    types = set(backends.BY_TYPE)
    sys.modules["toy_arrays"] = library
    spec.loader.exec_module(library)
    register("toy", ToyBackend, "toy_arrays", "toy_arrays is not installed")
    yield Target("toy")
    for added in set(backends.BY_TYPE) - types:
        del backends.BY_TYPE[added]
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_arrays"]:
        del sys.modules[name]


def test_its_device_and_its_arrays_are_known(toy: Target) -> None:
    x = rustorch.ones(3, device="toy")
    assert x.device == "toy" and type(x.data).__module__.startswith("toy_arrays")
    assert rustorch.Variable(sys.modules["toy_arrays"].zeros(2)).device == "toy"
    assert backends.of(x.data) is backends.get("toy")
    assert dict(backends.status())["toy"].startswith("usable: toy_arrays ")
    numpy.testing.assert_array_equal(x.cpu().numpy(), [1.0, 1.0, 1.0])
    assert x.cpu().to("toy").device == "toy"


def test_it_has_every_kernel_and_dtype(toy: Target) -> None:
    xp = toy.library.xp
    x = toy.array([[1.0, -2.0], [3.0, 0.5]])
    numpy.testing.assert_allclose(toy.numpy(xp.softmax(x, 1)).sum(1), [1.0, 1.0])
    numpy.testing.assert_allclose(
        toy.numpy(xp.index_add(x, toy.array([1, 1], "int64"), (3, 2), 0)), [[0, 0], [4, -1.5], [0, 0]]
    )
    for dtype in backends.dtypes.ALL:
        assert rustorch.ones(2, dtype=dtype, device="toy").dtype == dtype


def test_a_model_trains_as_on_the_cpu(toy: Target) -> None:
    data = numpy.random.default_rng(0).standard_normal((4, 1, 6, 6)).astype("float32")

    def losses(device: str) -> list[float]:
        rustorch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)).to(device)
        optimizer = rustorch.Adam(model.parameters(), lr=0.01)
        x, target = rustorch.asarray(data, device=device), rustorch.asarray([0, 1, 2, 0], device=device)
        values = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), target)
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        return values

    found = losses("toy")
    numpy.testing.assert_allclose(found, losses("cpu"), rtol=1e-5)
    assert found[2] < found[0]


def test_errors_name_its_device(toy: Target) -> None:
    with pytest.raises(ValueError, match="unknown device 'toy:1'; this backend has only 'toy'"):
        rustorch.ones(2, device="toy:1")
    with pytest.raises(ValueError, match=r"unknown device 'toys'; rustorch knows 'cpu', .* and 'toy'"):
        rustorch.ones(2, device="toys")
    with pytest.raises(RuntimeError, match="operands are on different devices, 'toy' and 'cpu'"):
        rustorch.ones(2, device="toy") + rustorch.ones(2)


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_ENTRIES", "_ROOTS"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    register("absent", ToyBackend, "no_such_library", "pip install no-such-library")
    with pytest.raises(RuntimeError, match="device 'absent' cannot be used: pip install no-such-library"):
        rustorch.ones(2, device="absent")

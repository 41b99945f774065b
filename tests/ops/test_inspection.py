"""``__array_namespace_info__``: the namespace can do what it says."""

from __future__ import annotations

import pytest

import rustorch
from tests.support.target import Target


def test_defaults_are_those_of_new_arrays() -> None:
    info = rustorch.__array_namespace_info__()
    assert info.default_device() == rustorch.zeros(1).device
    found = info.default_dtypes()
    assert set(found) == {"real floating", "complex floating", "integral", "indexing"}
    assert found["real floating"] == rustorch.zeros(1).dtype
    assert found["complex floating"] == rustorch.asarray(1j).dtype
    assert found["integral"] == rustorch.arange(1).dtype
    assert found["indexing"] == rustorch.argmax(rustorch.zeros(1)).dtype


def test_the_default_device_is_the_one_that_was_set(backend: Target) -> None:
    info = rustorch.__array_namespace_info__()
    with rustorch.set_default_device(backend.device):
        assert info.default_device() == backend.device


def test_devices_are_those_in_use(backend: Target) -> None:
    info = rustorch.__array_namespace_info__()
    assert isinstance(info.devices(), tuple)
    assert "cpu" in info.devices()
    assert backend.device in info.devices()
    assert info.default_dtypes(device=backend.device) == info.default_dtypes()


def test_arrays_of_every_dtype_can_be_made(backend: Target) -> None:
    info = rustorch.__array_namespace_info__()
    found = info.dtypes(device=backend.device)
    assert {"bool", "int64", "uint8", "float32", "float64", "complex128"} <= set(found)
    for name, dtype in found.items():
        assert dtype == getattr(rustorch, name)
        assert rustorch.zeros(2, dtype=dtype, device=backend.device).dtype == dtype


def test_dtypes_by_kind() -> None:
    info = rustorch.__array_namespace_info__()
    assert set(info.dtypes(kind="bool")) == {"bool"}
    assert set(info.dtypes(kind="signed integer")) == {"int8", "int16", "int32", "int64"}
    assert set(info.dtypes(kind=("real floating", "complex floating"))) == {
        "float32",
        "float64",
        "complex64",
        "complex128",
    }
    assert set(info.dtypes()) == set(info.dtypes(kind=("numeric", "bool")))
    assert info.dtypes(kind=()) == {}


def test_capabilities_hold(backend: Target) -> None:
    found = rustorch.__array_namespace_info__().capabilities()
    assert set(found) == {"boolean indexing", "data-dependent shapes", "max dimensions"}
    x = backend.variable([1.0, -1.0])
    assert x[x > 0].shape == (1,)
    assert rustorch.unique_values(x * x).shape == (1,)
    assert rustorch.zeros((1,) * 32, device=backend.device).ndim == 32 <= found["max dimensions"]


def test_unknown_kinds_and_devices_raise() -> None:
    info = rustorch.__array_namespace_info__()
    with pytest.raises(ValueError, match=r"^unknown kind 'float'; the standard has 'bool', "):
        info.dtypes(kind="float")
    for ask in (info.dtypes, info.default_dtypes):
        with pytest.raises(ValueError, match=r"^unknown device 'gpu'; rustorch knows 'cpu'"):
            ask(device="gpu")

"""A kernel has one name: its plain version and its overrides have the same name, file name and parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import Parameter, isfunction, signature, unwrap
from typing import Any

from rustorch.backends import kernels
from rustorch.backends.kernels import FAMILIES, KERNELS
from tests.support.target import Target

FAMILY = {name: family for family, names in FAMILIES.items() for name in names}


def _definition(override: Callable[..., Any]) -> Callable[..., Any]:
    """The function that an override is, without decorators, ``jax.jit`` and `functools.partial`."""
    function = unwrap(override)
    return function.func if isinstance(function, partial) else function


def _parameters(function: Callable[..., Any]) -> list[tuple[str, bool, Any]]:
    """Names, whether each is passed by name, and defaults, without the namespace."""
    parameters = signature(function).parameters.values()
    return [(p.name, p.kind is Parameter.KEYWORD_ONLY, p.default) for p in parameters if p.name != "xp"]


def _place(backend: Target, name: str) -> set[str]:
    """The modules in which an override may stand: a backend with one file has everything in it."""
    own = type(backend.library).__module__
    folder, _, file = own.rpartition(".")
    if file != "backend":
        return {own}
    if name not in FAMILY:
        return {f"{folder}.standard", f"{folder}.linear"}
    return {f"{folder}.{FAMILY[name]}"}


def test_the_table_names_every_plain_version_once() -> None:
    assert len(FAMILY) == sum(map(len, FAMILIES.values())) == len(KERNELS)
    for name, plain in KERNELS.items():
        assert (plain.__name__, plain.__module__) == (name, f"{kernels.__name__}.{FAMILY[name]}")
        assert next(iter(signature(plain).parameters)) == "xp"


def test_an_override_has_the_name_and_the_file_of_its_kernel(backend: Target) -> None:
    for name, override in backend.library.overrides.items():
        function = _definition(override)
        if function is KERNELS.get(name) or not isfunction(function):  # a compiled plain version, or a namespace
            continue
        assert function.__name__ == name
        assert function.__module__ in _place(backend, name), f"{name} stands in {function.__module__}"


def test_an_override_takes_the_parameters_of_its_kernel(backend: Target) -> None:
    for name, override in backend.library.overrides.items():
        if name in KERNELS:
            assert _parameters(_definition(override)) == _parameters(KERNELS[name]), name

"""Every public function, class, method and property has a docstring."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

import rustorch
from rustorch import autograd, data, func, nn, optim

#: Modules whose public names are documented. A module without ``__all__`` offers all its names without underscore.
MODULES: list[ModuleType] = [
    rustorch,
    autograd,
    rustorch.cuda,
    data,
    rustorch.fft,
    func,
    rustorch.linalg,
    nn,
    nn.functional,
    nn.init,
    nn.utils,
    nn.utils.parametrize,
    nn.utils.rnn,
    optim,
    optim.lr_scheduler,
    optim.swa_utils,
    rustorch.pytree,
    rustorch.random,
    rustorch.serialization,
]


def _public_names(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]))


def _is_ours(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "").startswith("rustorch")


OBJECTS = {f"{module.__name__}.{name}": getattr(module, name) for module in MODULES for name in _public_names(module)}
FUNCTIONS = {name: value for name, value in OBJECTS.items() if callable(value) and not inspect.isclass(value)}
CLASSES = {value.__qualname__: value for value in OBJECTS.values() if inspect.isclass(value) and _is_ours(value)}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_module_has_a_docstring(module: ModuleType) -> None:
    assert inspect.getdoc(module)


@pytest.mark.parametrize("name", [name for name, value in FUNCTIONS.items() if _is_ours(value)])
def test_every_public_function_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(FUNCTIONS[name])


def _undocumented(cls: type, package: str = "rustorch") -> list[str]:
    """The public methods and properties that a class or its bases in the package define without a docstring.

    A method without a docstring may inherit that of the method which it overrides.
    """
    missing = []
    for base in cls.__mro__:
        if base.__module__.startswith(package):
            for name, member in vars(base).items():
                is_member = inspect.isroutine(member) or isinstance(member, property)
                if is_member and not name.startswith("_") and not inspect.getdoc(getattr(cls, name)):
                    missing.append(name)
    return missing


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_every_public_class_and_each_of_its_members_has_a_docstring(cls: type) -> None:
    assert cls.__doc__
    assert not _undocumented(cls)


class _Base:
    def inherited(self) -> None:
        """Documented in the base."""


class _Example(_Base):
    @property
    def size(self) -> int:
        return 0

    @staticmethod
    def make() -> None:
        pass

    def inherited(self) -> None:
        pass


def test_a_member_without_docstring_is_noticed() -> None:
    assert _undocumented(_Example, __name__) == ["size", "make"]


def test_the_walk_finds_the_classes_that_users_know() -> None:
    assert {"Variable", "Linear", "Module", "Adam", "DataLoader", "StepLR", "Function"} <= set(CLASSES)

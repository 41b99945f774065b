"""Parametrizations: parameters that are computed from other parameters at each use.

They work as in PyTorch and have the same names in the state. A parametrized module gets a class of its own, which is
derived from its former class. There the parameter is a property. ``module.parametrizations.<name>`` holds what the
parameter is computed from: ``original``, or ``original0``, ``original1``, ... if there are several.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...autograd.modes import no_grad
from ...variable import Variable
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = ["ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations"]


class ParametrizationList(ModuleList):
    """The parametrizations of one parameter, in the order of their calls, and the original values.

    Parameters
    ----------
    modules : sequence of Module
    original : Parameter or Variable
        The value to compute. Each ``right_inverse`` computes the original values from it.
    """

    def __init__(self, modules: Sequence[Module], original: Variable):
        super().__init__(modules)
        with no_grad():
            start: Any = original.detach()
            for module in reversed(list(modules)):
                if hasattr(module, "right_inverse"):
                    start = module.right_inverse(start)
        self.is_tensor = isinstance(start, Variable)
        parts = [start] if self.is_tensor else list(start)
        self.names = ["original"] if self.is_tensor else [f"original{i}" for i in range(len(parts))]
        for name, part in zip(self.names, parts, strict=True):
            if isinstance(original, Parameter):
                self.register_parameter(name, Parameter(part.detach(), original.requires_grad))
            else:
                self.register_buffer(name, part.detach())

    def _originals(self) -> list[Any]:
        """The original values, in order."""
        return [getattr(self, name) for name in self.names]

    def forward(self) -> Any:
        """the original values -> the value that the parametrizations compute."""
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value

    def right_inverse(self, value: Any) -> None:
        """Set the original values so that the parametrizations compute this value."""
        with no_grad():
            start: Any = Variable(value)
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"{type(module).__name__} has no right_inverse, so the parameter cannot be assigned"
                    )
                start = module.right_inverse(start)
            for original, part in zip(self._originals(), [start] if self.is_tensor else start, strict=True):
                original[...] = part


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has parametrizations, or whether the parameter of this name has.

    Parameters
    ----------
    module : Module
    tensor_name : str, optional
    """
    parametrizations = module._modules.get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def lists_of(module: Module) -> Any:
    """The ParametrizationLists of a parametrized module, by parameter name."""
    return module._modules["parametrizations"]


def _derived(cls: Any) -> type:
    """A new class for one parametrized module. A copy of the module gets another new class."""

    def assign(self: Any, name: str, value: Any) -> None:
        if is_parametrized(self, name):
            lists_of(self)[name].right_inverse(value)
        else:
            cls.__setattr__(self, name, value)

    def reduce(self: Any, protocol: Any) -> tuple[Any, ...]:
        return _rebuilt, (cls, list(lists_of(self))), self.__dict__

    return type(
        f"Parametrized{cls.__name__}", (cls,), {"__setattr__": assign, "__reduce_ex__": reduce, "__doc__": cls.__doc__}
    )


def _compute(module: Module, name: str) -> None:
    """Make an attribute a property that calls its parametrizations."""
    setattr(type(module), name, property(lambda self: lists_of(self)[name]()))


def _rebuilt(cls: Any, names: Sequence[str]) -> Module:
    """A parametrized module without contents. Copying and unpickling fill it."""
    derived: Any = _derived(cls)
    module: Module = derived.__new__(derived)
    for name in names:
        _compute(module, name)
    return module


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Compute a parameter or buffer by a parametrization at each use.

    Parameters
    ----------
    module : Module
    tensor_name : str
        The name of the parameter or buffer. If it has parametrizations already, the new one is called after them.
    parametrization : Module
        Takes the original and returns the value. It may have a method ``right_inverse`` that takes a value and returns
        the original. If it returns a tuple, ``forward`` takes several originals.
    unsafe : bool
        Whether the value may have another shape or dtype than the parameter.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If the parameter does not exist, or the value has another shape or dtype. Nothing changes then.

    Examples
    --------
    >>> import rustorch
    >>> class Symmetric(rustorch.Module):
    ...     def forward(self, x):
    ...         return rustorch.triu(x) + rustorch.triu(x, k=1).T
    >>> layer = rustorch.nn.utils.parametrize.register_parametrization(rustorch.Linear(3, 3), "weight", Symmetric())
    >>> rustorch.all(layer.weight == layer.weight.T).item()
    True
    """
    if is_parametrized(module, tensor_name):
        before = getattr(module, tensor_name)
        _check(tensor_name, before, parametrization(before), unsafe)
        lists_of(module)[tensor_name].append(parametrization)
        return module
    before = module._parameters.get(tensor_name, module._buffers.get(tensor_name))
    if before is None:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    parametrizations = ParametrizationList([parametrization], before)
    with no_grad():
        _check(tensor_name, before, parametrizations(), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        object.__setattr__(module, "__class__", _derived(type(module)))
        module.add_module("parametrizations", ModuleDict())
    _compute(module, tensor_name)
    lists_of(module)[tensor_name] = parametrizations
    return module


def _check(name: str, before: Variable, value: Any, unsafe: bool) -> None:
    """Raise ValueError if a parametrization changes the shape or the dtype, unless that is allowed."""
    if not unsafe and (value.shape != before.shape or value.dtype != before.dtype):
        raise ValueError(
            f"register_parametrization: {name!r} is {before.dtype} {before.shape}, its parametrization computes "
            f"{value.dtype} {value.shape}; unsafe=True allows that"
        )


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parametrized parameter an ordinary parameter again.

    Parameters
    ----------
    module : Module
    tensor_name : str
    leave_parametrized : bool
        Whether the parameter keeps its computed value. Otherwise it becomes the original.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If it has no parametrization, or if it should become the original and there are several originals.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name!r} of {type(module).__name__} has no parametrization")
    parametrizations = lists_of(module)[tensor_name]
    if not leave_parametrized and not parametrizations.is_tensor:
        raise ValueError(
            f"remove_parametrizations: {tensor_name!r} is computed from several originals; "
            f"leave_parametrized=False has no meaning"
        )
    original = parametrizations._originals()[0]
    with no_grad():
        value = (parametrizations() if leave_parametrized else original).detach().clone()
    del lists_of(module)[tensor_name]
    delattr(type(module), tensor_name)
    if not len(lists_of(module)):
        object.__setattr__(module, "__class__", type(module).__mro__[1])
        delattr(module, "parametrizations")
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, Parameter(value, original.requires_grad))
    else:
        module.register_buffer(tensor_name, value)
    return module

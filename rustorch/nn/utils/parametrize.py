"""Parameters that are computed from others at each use; PyTorch's scheme and state_dict keys.

A parametrized module has a class of its own, derived from the one it had, in which the parameter is a property. What it
is computed from is in ``module.parametrizations.<name>``: ``original``, or ``original0``, ``original1``, ... of
several.
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
    """The parametrizations of one parameter, in the order in which they are applied, and what they are applied to.

    Parameters
    ----------
    modules : sequence of Module
    original : Parameter or Variable
        The value that they shall compute; their ``right_inverse`` says from what.
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
        return [getattr(self, name) for name in self.names]

    def forward(self) -> Any:
        """The value that the parametrizations make of the original."""
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value

    def right_inverse(self, value: Any) -> None:
        """Let the originals be those from which the value is computed."""
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
    """Whether a module has parametrizations, or one of the parameter of this name.

    Parameters
    ----------
    module : Module
    tensor_name : str, optional
    """
    found = module._modules.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def lists_of(module: Module) -> Any:
    """The parametrizations of a module that has some, by the names of its parameters."""
    return module._modules["parametrizations"]


def _derived(cls: Any) -> type:
    """A class for one module with parametrizations; its copies get classes of their own."""

    def assign(self: Any, name: str, value: Any) -> None:
        if is_parametrized(self, name):
            lists_of(self)[name].right_inverse(value)
        else:
            cls.__setattr__(self, name, value)

    def reduce(self: Any, protocol: Any) -> tuple:
        return _rebuilt, (cls, list(lists_of(self))), self.__dict__

    return type(
        f"Parametrized{cls.__name__}", (cls,), {"__setattr__": assign, "__reduce_ex__": reduce, "__doc__": cls.__doc__}
    )


def _compute(module: Module, name: str) -> None:
    """Let the attribute be what its parametrizations compute."""
    setattr(type(module), name, property(lambda self: lists_of(self)[name]()))


def _rebuilt(cls: Any, names: Sequence[str]) -> Module:
    """A module without contents, for copies and pickles."""
    derived: Any = _derived(cls)
    module = derived.__new__(derived)
    for name in names:
        _compute(module, name)
    return module


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let a parameter or buffer be computed by ``parametrization`` at each use.

    Parameters
    ----------
    module : Module
    tensor_name : str
        Of one of its parameters or buffers; if it has parametrizations, this one is applied after them.
    parametrization : Module
        Takes the original and returns the value. Its method ``right_inverse``, if there is one, takes a value and
        returns the original, or a tuple of several, which ``forward`` takes then.
    unsafe : bool
        Whether the value may have another shape or dtype.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such parameter, or the value has another shape or dtype; nothing was changed.

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
    listed = ParametrizationList([parametrization], before)
    with no_grad():
        _check(tensor_name, before, listed(), unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        object.__setattr__(module, "__class__", _derived(type(module)))
        module.add_module("parametrizations", ModuleDict())
    _compute(module, tensor_name)
    lists_of(module)[tensor_name] = listed
    return module


def _check(name: str, before: Variable, value: Any, unsafe: bool) -> None:
    if not unsafe and (value.shape != before.shape or value.dtype != before.dtype):
        raise ValueError(
            f"register_parametrization: {name!r} is {before.dtype} {before.shape}, its parametrization computes "
            f"{value.dtype} "
            f"{value.shape}; unsafe=True allows that"
        )


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Let a parameter be an ordinary one again.

    Parameters
    ----------
    module : Module
    tensor_name : str
    leave_parametrized : bool
        Whether it keeps the value that was computed; otherwise it becomes the original.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If it has no parametrization, or there are several originals to become.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name!r} of {type(module).__name__} has no parametrization")
    listed = lists_of(module)[tensor_name]
    if not leave_parametrized and not listed.is_tensor:
        raise ValueError(
            f"remove_parametrizations: {tensor_name!r} is computed from several; leave_parametrized=False has no "
            f"meaning"
        )
    original = listed._originals()[0]
    with no_grad():
        value = (listed() if leave_parametrized else original).detach().clone()
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

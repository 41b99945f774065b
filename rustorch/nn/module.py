"""The base class of layers and models, with PyTorch's names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from .. import ops
from ..autograd.modes import no_grad
from ..backends import dtypes
from ..ops.inspection import resolved_device
from ..variable import Variable
from .module_state import Stateful
from .parameter import Buffer, Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike

__all__ = ["Module"]


class Module(Stateful):
    """The base of all layers and models.

    A subclass calls ``super().__init__()``, assigns Parameters, Buffers and Modules to attributes, and defines
    ``forward``.

    Attributes
    ----------
    training : bool
        Whether the module is in training. Dropout and batch norm, for example, compute otherwise in evaluation. `train`
        and `eval` set it.

    Examples
    --------
    >>> import rustorch
    >>> class Net(rustorch.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = rustorch.Linear(2, 3)
    ...         self.out = rustorch.Linear(3, 1)
    ...
    ...     def forward(self, x):
    ...         return self.out(rustorch.tanh(self.hidden(x)))
    >>> Net()
    Net(
      (hidden): Linear(in_features=2, out_features=3, bias=True)
      (out): Linear(in_features=3, out_features=1, bias=True)
    )
    """

    training: bool

    def __init__(self) -> None:
        set_attribute = object.__setattr__
        set_attribute(self, "training", True)
        set_attribute(self, "_parameters", {})
        set_attribute(self, "_buffers", {})
        set_attribute(self, "_modules", {})
        set_attribute(self, "_non_persistent_buffers", set())

    # -- attributes ----------------------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"call super().__init__() in {type(self).__name__} before assigning {name!r}")
        else:
            tables: Any = ((self._parameters, Parameter), (self._modules, Module))
            for table, cls in tables:
                if isinstance(value, cls):
                    if name not in table:
                        self._unregister(name)
                    table[name] = value
                elif name in table:
                    if value is not None:
                        raise TypeError(
                            f"{name!r} holds a {cls.__name__}; assign one or None, not {type(value).__name__}"
                        )
                    table[name] = None
            if isinstance(value, Buffer):
                if name not in self._buffers:
                    self.__dict__.pop(name, None)
                self._non_persistent_buffers.discard(name)
                self.register_buffer(name, value, value.persistent)
            elif name in self._buffers:
                value = value if value is None or isinstance(value, Variable) else Variable(value)
                self._buffers[name] = value
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._unregister(name)
        object.__delattr__(self, name)

    def _unregister(self, name: str) -> None:
        """Remove a name from all tables."""
        for table in (self._parameters, self._buffers, self._modules):
            table.pop(name, None)
        self._non_persistent_buffers.discard(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under a name. It is None where a layer has no such parameter, as a Linear without bias."""
        self._check_name(name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"parameter {name!r} is a Parameter or None, not {type(param).__name__}")
        self._parameters[name] = param
        object.__setattr__(self, name, param)

    def register_buffer(self, name: str, tensor: ArrayLike | None, persistent: bool = True) -> None:
        """Add a buffer under a name: state that is not trained, such as a running mean.

        Parameters
        ----------
        name : str
        tensor : Variable, array or None
        persistent : bool
            Whether the buffer is part of `state_dict`.
        """
        self._check_name(name, self._buffers)
        self._buffers[name] = tensor if tensor is None or isinstance(tensor, Variable) else Variable(tensor)
        if not persistent:
            self._non_persistent_buffers.add(name)
        object.__setattr__(self, name, self._buffers[name])

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child under a name."""
        self._check_name(name, self._modules)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"module {name!r} is a Module or None, not {type(module).__name__}")
        self._modules[name] = module
        object.__setattr__(self, name, module)

    register_module = add_module

    def _check_name(self, name: str, table: Mapping[str, Any]) -> None:
        """Raise KeyError if a name has a dot in it, or belongs to an attribute that is not in this table."""
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"a name is a string with no dot in it, not {name!r}")
        if hasattr(self, name) and name not in table:
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")

    # -- the tree -----------------------------------------------------------------------------------------------------
    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The children with their names. A child with several names comes once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The children, each once."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all modules below it, with their dotted names.

        Parameters
        ----------
        memo : set of int, optional
            The ids of modules to leave out. The modules that come are added to it.
        prefix : str
            The name of this module.
        remove_duplicate : bool
            Whether a module with several names comes once. Otherwise it comes under each of its names.

        Yields
        ------
        (name, module)
        """
        memo = set() if memo is None else memo
        if id(self) not in memo:
            if remove_duplicate:
                memo.add(id(self))
            yield prefix, self
            for name, module in self._modules.items():
                if module is not None:
                    yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all modules below it; see `named_modules`."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def _named(self, table: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        """The entries of one table, of this module alone or of all modules below it too."""
        seen: set[int] = set()
        for path, module in self.named_modules(None, prefix, once) if recurse else [(prefix, self)]:
            for name, value in getattr(module, table).items():
                if value is not None and not (once and id(value) in seen):
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names. ``recurse=False`` leaves out those of modules below this one."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Variable]]:
        """All buffers with their dotted names. ``recurse=False`` leaves out those of modules below this one."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Variable]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function on every module below this one, then on this one. Returns this module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; this module for "".

        Raises
        ------
        AttributeError
            If no module has this name.
        """
        module: Module = self
        for name in target.split(".") if target else []:
            child = module._modules.get(name)
            if child is None:
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (of the name {target!r})")
            module = child
        return module

    def _get(self, table: str, what: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if getattr(owner, table).get(name) is None:
            raise AttributeError(f"{type(owner).__name__} has no {what} {name!r} (of the name {target!r})")
        return getattr(owner, table)[name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name. Raises AttributeError if no parameter has this name."""
        parameter: Parameter = self._get("_parameters", "parameter", target)
        return parameter

    def get_buffer(self, target: str) -> Variable:
        """The buffer of a dotted name. Raises AttributeError if no buffer has this name."""
        buffer: Variable = self._get("_buffers", "buffer", target)
        return buffer

    # -- modes and devices --------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Self:
        """Set ``training`` of this module and of all modules below it. Returns this module."""
        for module in self.modules():
            object.__setattr__(module, "training", bool(mode))
        return self

    def eval(self) -> Self:
        """Switch to evaluation, as ``train(False)``. Returns this module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set ``requires_grad`` of all parameters. Returns this module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients of all parameters to None, or with ``set_to_none=False`` to zeros."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.zero_grad()
            else:
                parameter.grad = ops.zeros_like(parameter)

    def to(self, target: DTypeLike = None, *, device: str | None = None, dtype: DTypeLike = None) -> Self:
        """Move all parameters and buffers to a device, or convert the floating-point ones to a dtype.

        The Parameters stay the same objects, so that an optimizer can continue with them.

        Parameters
        ----------
        target : str or dtype, optional
            The device or the dtype.
        device : str, optional
        dtype : dtype, optional

        Returns
        -------
        Module
            This module.
        """
        if target is not None:
            if isinstance(target, str) and not dtypes.is_name(target):
                device = target
            else:
                dtype = target
        device = None if device is None else resolved_device(device)
        dtype = None if dtype is None else dtypes.as_dtype(dtype)
        if dtype is not None:
            dtypes.trainable(dtype)
        if dtype is not None and not dtypes.is_floating(dtype):
            raise TypeError(f"Module.to converts parameters to floating-point dtypes, not to {dtype}")
        moved: list[tuple[Variable, Any, Any]] = []
        with no_grad():
            for value in [*self.parameters(), *self.buffers()]:
                convert = dtype if dtype is not None and dtypes.is_floating(value.dtype) else None
                gradient = None if value.grad is None else Variable(value.grad).to(device=device, dtype=convert).data
                moved.append((value, value.detach().to(device=device, dtype=convert).data, gradient))
        for value, native, gradient in moved:
            value.zero_grad()
            value.data = native
            value.grad = gradient
        return self

    def cpu(self) -> Self:
        """Move all parameters and buffers to "cpu". Returns this module."""
        return self.to(device="cpu")

    def cuda(self, device: int | None = None) -> Self:
        """Move all parameters and buffers to the GPU of this number. Returns this module."""
        return self.to(device="cuda" if device is None else f"cuda:{device}")

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32. Returns this module."""
        return self.to(dtype=dtypes.float32)

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64. Returns this module."""
        return self.to(dtype=dtypes.float64)

    # -- text ----------------------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """The settings that the repr shows in parentheses. Subclasses define it."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        extra = self.extra_repr()
        name = type(self).__name__
        if not lines and "\n" not in extra:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join([*extra.split("\n")] * bool(extra) + lines) + "\n)"


class Stateless(Module):
    """A layer without parameters. It computes on the device of its input.

    Like all layers it takes ``device`` and ``dtype``, so that a model can pass them to every layer. It checks them
    only.
    """

    def __init__(self, *, device: str | None = None, dtype: DTypeLike = None):
        super().__init__()
        if device is not None:
            resolved_device(device)
        if dtype is not None:
            dtypes.trainable(dtypes.as_dtype(dtype))

"""Module: a function with parameters, made of other Modules; PyTorch's, with its names and its state_dict keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .. import ops
from ..autograd.graph import no_grad
from ..backends import dtypes, resolve
from ..variable import Variable
from .hooks import Hooked
from .parameter import Buffer, Parameter

__all__ = ["Module"]


class _Keys(NamedTuple):
    """What `Module.load_state_dict` returns."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(Hooked):
    """The base of all layers and models.

    A subclass calls ``super().__init__()``, assigns Parameters, buffers and Modules to attributes, and defines
    ``forward``.

    Attributes
    ----------
    training : bool
        Whether layers that behave differently in training and in use are in training; set by `train` and `eval`.

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
    # name -> value, in the order of assignment; the values are attributes too, so that reading them costs nothing extra
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Variable | None]
    _modules: dict[str, Module | None]
    _temporary: set[str]  # buffers that are not part of the state

    def __init__(self) -> None:
        put = object.__setattr__
        put(self, "training", True)
        put(self, "_parameters", {})
        put(self, "_buffers", {})
        put(self, "_modules", {})
        put(self, "_temporary", set())

    # -- attributes ----------------------------------------------------------------------------------------------------
    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"call super().__init__() in {type(self).__name__} before assigning {name!r}")
        else:
            tables: Any = ((self._parameters, Parameter), (self._modules, Module))
            for table, kind in tables:
                if isinstance(value, kind):
                    if name not in table:
                        self._forget(name)
                    table[name] = value
                elif name in table:
                    if value is not None:
                        raise TypeError(
                            f"{name!r} holds a {kind.__name__}; assign one or None, not {type(value).__name__}"
                        )
                    table[name] = None
            if isinstance(value, Buffer):
                if name not in self._buffers:
                    self.__dict__.pop(name, None)
                self._temporary.discard(name)
                self.register_buffer(name, value, value.persistent)
            elif name in self._buffers:
                value = value if value is None or isinstance(value, Variable) else Variable(value)
                self._buffers[name] = value
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._forget(name)
        object.__delattr__(self, name)

    def _forget(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            table.pop(name, None)
        self._temporary.discard(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make an attribute a parameter, also one that is None for now."""
        self._new_name(name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"parameter {name!r} is a Parameter or None, not {type(param).__name__}")
        self._parameters[name] = param
        object.__setattr__(self, name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make an attribute a buffer: state that is not trained, such as a running mean.

        Parameters
        ----------
        name : str
        tensor : Variable, array or None
        persistent : bool
            Whether it is part of `state_dict`.
        """
        self._new_name(name, self._buffers)
        self._buffers[name] = tensor if tensor is None or isinstance(tensor, Variable) else Variable(tensor)
        if not persistent:
            self._temporary.add(name)
        object.__setattr__(self, name, self._buffers[name])

    def add_module(self, name: str, module: Module | None) -> None:
        """Make an attribute a child, by its name."""
        self._new_name(name, self._modules)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"module {name!r} is a Module or None, not {type(module).__name__}")
        self._modules[name] = module
        object.__setattr__(self, name, module)

    register_module = add_module

    def _new_name(self, name: str, table: Mapping) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"a name is a string with no dot in it, not {name!r}")
        if hasattr(self, name) and name not in table:
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")

    # -- walking -------------------------------------------------------------------------------------------------------
    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules one level down, each once, with their names."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules one level down, each once."""
        for _, module in self.named_children():
            yield module

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names; each once, or with ``remove_duplicate=False`` under
        all its names.
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
        """This module and all below it; as `named_modules`."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def _named(self, table: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(None, prefix, once) if recurse else [(prefix, self)]:
            for name, value in getattr(module, table).items():
                if value is not None and not (once and id(value) in seen):
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters, with their dotted names; each once, as `named_modules`."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Variable]]:
        """All buffers, with their dotted names; each once, as `named_modules`."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Variable]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call a function on every module below, then on this one; returns the Module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; the Module itself for "".

        Raises
        ------
        AttributeError
            If there is none of this name.
        """
        module = self
        for name in target.split(".") if target else []:
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (of the name {target!r})")
            module = found
        return module

    def _get(self, table: str, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if getattr(owner, table).get(name) is None:
            raise AttributeError(f"{type(owner).__name__} has no {kind} {name!r} (of the name {target!r})")
        return getattr(owner, table)[name]

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name. Raises AttributeError if there is none."""
        return self._get("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> Variable:
        """The buffer of a dotted name. Raises AttributeError if there is none."""
        return self._get("_buffers", "buffer", target)

    # -- state ---------------------------------------------------------------------------------------------------------
    def _state(self, prefix: str = "") -> Iterator[tuple[str, Variable]]:
        """Everything that is saved, shared parameters under each of their names."""
        for name, value in self._parameters.items():
            if value is not None:
                yield prefix + name, value
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._temporary:
                yield prefix + name, buffer
        for name, module in self._modules.items():
            if module is not None:
                yield from module._state(f"{prefix}{name}.")

    def state_dict(self, prefix: str = "", keep_vars: bool = False) -> dict[str, Variable]:
        """Parameters and buffers by their dotted names, outside the graph, or with ``keep_vars`` themselves; memory is
        shared.
        """
        return {name: value if keep_vars else value.detach() for name, value in self._state(prefix)}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> _Keys:
        """Copy values into the parameters and buffers, by name; each keeps its device and dtype.

        Parameters
        ----------
        state_dict : mapping of str to Variable or array
            As from `state_dict`, from PyTorch's ``state_dict()``, or of NumPy arrays.
        strict : bool
            Whether the names must be just the module's.

        Returns
        -------
        (missing_keys, unexpected_keys)

        Raises
        ------
        RuntimeError
            If shapes differ, names do with ``strict``, or values are no arrays: lists all that is wrong, and nothing
            was loaded.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict takes a dict of arrays by name, not {type(state_dict).__name__}")
        own = dict(self._state())
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        wrong = []
        values: dict[str, Variable] = {}
        for name, target in own.items():
            if name in state_dict:
                try:
                    value = Variable(state_dict[name])
                except (TypeError, ValueError) as error:
                    wrong.append(f"value of {name}: {error}")
                    continue
                if value.shape != target.shape:
                    wrong.append(f"shape of {name}: {value.shape} given, {target.shape} needed")
                elif value.dtype.kind == "c" != target.dtype.kind:
                    wrong.append(f"dtype of {name}: {value.dtype} given, {target.dtype} needed")
                else:
                    values[name] = value
        if strict:
            wrong = [f"missing: {name}" for name in missing] + [f"unexpected: {name}" for name in unexpected] + wrong
        if wrong:
            raise RuntimeError(
                f"load_state_dict: nothing was loaded into {type(self).__name__}:\n  " + "\n  ".join(wrong)
            )
        with no_grad():
            for name, value in values.items():
                target = own[name]
                target[...] = ops.astype(value, target.dtype, copy=False).to(target.device)
        return _Keys(missing, unexpected)

    # -- modes and places ----------------------------------------------------------------------------------------------
    def train(self, mode: bool = True) -> Module:
        """Set ``training`` here and below; returns the Module."""
        for module in self.modules():
            object.__setattr__(module, "training", bool(mode))
        return self

    def eval(self) -> Module:
        """``train(False)``: as in use."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Switch tracking of all parameters; returns the Module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False``, fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.zero_grad()
            else:
                parameter.grad = ops.zeros_like(parameter)

    def to(self, target: Any = None, *, device: str | None = None, dtype: Any = None) -> Module:
        """Move parameters and buffers to a device, or convert the floating-point ones to a dtype; returns the Module.

        The Parameters stay the same objects, so an optimizer that has them goes on.
        """
        if target is not None:
            if isinstance(target, str) and not dtypes.is_name(target):
                device = target
            else:
                dtype = target
        device = None if device is None else resolve(device)
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

    def cpu(self) -> Module:
        """Move to "cpu"; returns the Module."""
        return self.to(device="cpu")

    def cuda(self, device: int | None = None) -> Module:
        """Move to a GPU, by its number; returns the Module."""
        return self.to(device="cuda" if device is None else f"cuda:{device}")

    def float(self) -> Module:
        """Convert to float32; returns the Module."""
        return self.to(dtype=dtypes.float32)

    def double(self) -> Module:
        """Convert to float64; returns the Module."""
        return self.to(dtype=dtypes.float64)

    # -- text ----------------------------------------------------------------------------------------------------------
    def extra_repr(self) -> str:
        """What stands in the parentheses of the repr; subclasses define it."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): " + repr(module).replace("\n", "\n  ") for name, module in self._modules.items()]
        extra = self.extra_repr()
        name = type(self).__name__
        if not lines and "\n" not in extra:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join([*extra.split("\n")] * bool(extra) + lines) + "\n)"


class Stateless(Module):
    """A layer without parameters: it works where its input is. It takes ``device`` and ``dtype`` as all layers do, and
    only checks them, so that a model can pass the same ones to everything.
    """

    def __init__(self, *, device: str | None = None, dtype: Any = None):
        super().__init__()
        if device is not None:
            resolve(device)
        if dtype is not None:
            dtypes.trainable(dtypes.as_dtype(dtype))

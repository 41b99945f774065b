"""fully_shard: parameters, gradients and the state of optimizers are spread over the ranks, a piece for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from ... import distributed as dist
from ...backends import of
from ...distributed.group import resolved
from ..module import Module
from ..parameter import Parameter
from .buckets import broadcast_together
from .fully_shard_unit import Unit

__all__ = ["FSDPModule", "fully_shard"]

_AnyModule = TypeVar("_AnyModule", bound=Module)


class FSDPModule(Module):
    """What `fully_shard` makes of a module's class: calls gather the parameters, and there are a few more methods."""

    _unit: Unit

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module with whole parameters."""
        return self._unit.run(super().__call__, args, kwargs)

    def _units(self, recurse: bool) -> list[Unit]:
        modules = self.modules() if recurse else iter([self])
        return [module._unit for module in modules if isinstance(module, FSDPModule)]

    def set_requires_gradient_sync(self, requires_gradient_sync: bool, *, recurse: bool = True) -> None:
        """Set whether backward averages the gradients over the ranks.

        Without it, each rank keeps whole gradients, and the next backward that averages adds them. This accumulates the
        gradients of several batches.

        Parameters
        ----------
        requires_gradient_sync : bool
        recurse : bool
            Whether to set it for the units below this module, too.
        """
        for unit in self._units(recurse):
            unit.sync = bool(requires_gradient_sync)

    def set_reshard_after_forward(self, reshard_after_forward: bool, recurse: bool = True) -> None:
        """Set ``reshard_after_forward`` of `fully_shard`, with ``recurse`` for the units below, too."""
        for unit in self._units(recurse):
            unit.reshard = bool(reshard_after_forward)

    def unshard(self) -> None:
        """Show the whole parameters of this unit until `reshard`. Units below are not changed.

        All ranks call it. Changes of the whole parameters are lost; see `summon_full_params`.
        """
        self._unit.summon()

    def reshard(self) -> None:
        """End `unshard`. Without an earlier `unshard` it does nothing."""
        if self._unit.is_summoned:
            self._unit.dismiss(False)

    @contextmanager
    def summon_full_params(self, recurse: bool = True, writeback: bool = True) -> Iterator[None]:
        """Whole parameters in a context: ``with model.summon_full_params():``. All ranks enter it together.

        Inside, ``p.data`` is the whole array, ``p.grad`` is None, and `state_dict` and `load_state_dict` work with
        whole arrays. The module may be called under `no_grad`, without an exchange for each call.

        Parameters
        ----------
        recurse : bool
            Whether to do so for the units below this module, too. They need memory for all parameters then.
        writeback : bool
            Whether changes of the parameters stay. Each rank keeps its own piece, so make equal changes on all ranks.

        Raises
        ------
        RuntimeError
            If it is called during forward, or if a context is open already.
        ValueError
            At the end, if a parameter was given an array of another shape.
        """
        opened: list[Unit] = []
        done = False
        try:
            for unit in self._units(recurse):
                unit.summon()
                opened.append(unit)
            yield
            done = True
        finally:
            errors = []
            for unit in opened:
                try:
                    unit.dismiss(writeback and done)
                except ValueError as error:
                    errors.append(error)
            if errors and done:
                raise errors[0]

    def __deepcopy__(self, memo: Any) -> NoReturn:
        """Refused: a copy of pieces would not know its group."""
        raise TypeError(
            f"{type(self).__name__} is spread over the ranks and cannot be copied; copy the module before fully_shard, "
            f"or copy whole parameters inside of summon_full_params()"
        )

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refused: save the state."""
        raise TypeError(
            f"{type(self).__name__} is spread over the ranks and cannot be pickled or copied; save its state_dict()"
        )


#: Class of a module -> the class that fully_shard gives it.
_classes: dict[type, type] = {}


def fully_shard(
    module: _AnyModule, process_group: dist.ProcessGroup | None = None, reshard_after_forward: bool | None = None
) -> _AnyModule:
    """Spread the parameters of a module over the ranks, with their gradients and the state of the optimizer (ZeRO-3).

    The module becomes a unit. Between its uses, each rank has an equal piece of the unit's parameters: ``p.data`` and
    ``p.grad`` are arrays of one dimension, and ``p._sharding`` says which elements they are. A call of the module
    gathers the whole parameters, computes, and frees them again. Backward gathers them once more, and averages the
    gradients over the ranks, of which each rank gets its piece. The parameters of the next unit are gathered ahead of
    use. Optimizers then work on pieces.

    Call it for the layers first, from the inside out, and for the whole model last. A unit has the parameters of the
    module that no unit inside of it has.

    Parameters
    ----------
    module : Module
        It is changed: the parameters stay the same objects, and its class becomes a subclass, which is also an
        `FSDPModule`. All ranks start with the values of the group's first rank.
    process_group : ProcessGroup, optional
        The ranks. Default: all.
    reshard_after_forward : bool, optional
        Whether the whole parameters are freed between forward and backward. False keeps them, which saves an exchange
        and costs their memory. Default: they are freed, except those of the outermost module, because its backward
        begins at once.

    Returns
    -------
    Module
        The same module.

    Raises
    ------
    TypeError
        If ``module`` is not a Module, or its arrays cannot be changed in place.
    RuntimeError
        If there is no process group; if the module is a unit already; if a parameter also belongs to another unit, or
        has a gradient; if the parameters differ between the ranks (with the differences, on every rank).
    ValueError
        If this rank is not in the group.

    Notes
    -----
    - Parameters are whole only while forward of their unit runs. If other layers use a layer's parameters, as with tied
      weights, put all of these layers into one unit.
    - A parameter that no rank uses keeps its gradient. All ranks call the same units in the same order.
    - `state_dict` has a `Shard` for each parameter, and `load_state_dict` takes such pieces or whole arrays.
    - Elementwise optimizers (SGD, Adam, AdamW, ...) do the same as on whole parameters. Adafactor, Muon and LBFGS need
      whole parameters, and refuse pieces.

    Examples
    --------
    >>> import rustorch, rustorch.distributed as dist
    >>> from rustorch.nn.parallel import fully_shard
    >>> dist.init_process_group()
    >>> model = rustorch.nn.Sequential(rustorch.Linear(3, 4), rustorch.nn.Tanh(), rustorch.Linear(4, 1))
    >>> for layer in (model[0], model[2], model):
    ...     _ = fully_shard(layer)
    >>> optimizer = rustorch.optim.AdamW(model.parameters(), lr=0.1)
    >>> model(rustorch.ones((2, 3))).sum().backward()
    >>> optimizer.step()
    >>> model[0].weight.shape == (12 // dist.get_world_size(),)
    True
    >>> with model.summon_full_params():
    ...     model[0].weight.shape
    (4, 3)
    >>> dist.destroy_process_group()
    """
    if not isinstance(module, Module):
        raise TypeError(f"fully_shard: module is a Module, not {type(module).__name__}")
    group = resolved(process_group, "fully_shard")
    if group.rank < 0:
        raise ValueError(f"fully_shard: rank {dist.get_rank()} is not in the group {group.ranks}")
    if isinstance(module, FSDPModule):
        raise RuntimeError(f"fully_shard: {type(module).__name__} is a unit already")
    parameters = _own_parameters(module)
    _check(module, parameters, group)
    if group.size > 1:
        broadcast_together(list(module.buffers()), group.ranks[0], group)
    unit = Unit(type(module).__name__, parameters, group, reshard_after_forward)
    base = type(module)
    if base not in _classes:
        _classes[base] = type(f"FSDP{base.__name__}", (FSDPModule, base), {"__module__": base.__module__})
    object.__setattr__(module, "_unit", unit)
    object.__setattr__(module, "__class__", _classes[base])
    return module


def _own_parameters(module: Module) -> list[tuple[str, Parameter]]:
    """The parameters that no inner unit has, with their names. Each comes once."""
    found: dict[int, tuple[str, Parameter]] = {}

    def visit(part: Module, prefix: str) -> None:
        for name, p in part._parameters.items():
            if p is not None:
                found.setdefault(id(p), (prefix + name, p))
        for name, child in part._modules.items():
            if child is not None and not isinstance(child, FSDPModule):
                visit(child, f"{prefix}{name}.")

    visit(module, "")
    return list(found.values())


def _check(module: Module, parameters: list[tuple[str, Parameter]], group: dist.ProcessGroup) -> None:
    """Raise an error, on all ranks, if the parameters cannot be spread."""
    name_of_module = type(module).__name__
    for name, p in parameters:
        if p._sharding is not None:
            raise RuntimeError(
                f"fully_shard: {name} of {name_of_module} belongs to another unit, too; call fully_shard for a module "
                f"that contains all layers with this parameter, before or instead of that unit"
            )
        if p.grad is not None:
            raise RuntimeError(f"fully_shard: {name} of {name_of_module} has a gradient; call zero_grad() first")
        backend = of(p._native)
        if backend is None or not backend.mutable:
            raise TypeError(
                f"fully_shard: {name} is on {p.device!r}, whose arrays cannot be changed in place; move the module "
                f"first, as in module.to('cpu')"
            )
    if group.size > 1:
        lists = dist.all_gather_object(
            [[name, list(p.shape), str(p.dtype), p.requires_grad] for name, p in parameters], group
        )
        for rank, other in enumerate(lists):
            if other != lists[0]:
                raise RuntimeError(
                    f"fully_shard: {name_of_module} has other parameters on some ranks (name, shape, dtype, "
                    f"requires_grad):\n  rank {group.ranks[0]}: {lists[0]}\n  rank {group.ranks[rank]}: {other}"
                )

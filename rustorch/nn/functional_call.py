"""Call a Module with other values for its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..variable import Variable
from .module import Module


def _entries(module: Module, prefix: str = "") -> Iterator[tuple[str, Module, str, str]]:
    """Dotted name, owner, table and attribute of every parameter and buffer, under each of its names."""
    for table in ("_parameters", "_buffers"):
        for name, value in getattr(module, table).items():
            if value is not None:
                yield prefix + name, module, table, name
    for name, child in module._modules.items():
        if child is not None:
            yield from _entries(child, f"{prefix}{name}.")


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Variable] | Sequence[Mapping[str, Variable]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a Module with other values for its parameters and buffers.

    Afterwards the Module has its own values again, also after an exception.

    Parameters
    ----------
    module : Module
    parameter_and_buffer_dicts : mapping of str to Variable, or sequence of mappings
        By dotted names, as in ``dict(module.named_parameters())``.
    args : Variable, tuple or other object, optional
        The positional arguments of the call: a tuple of arguments, or a single one.
    kwargs : mapping, optional
        The keyword arguments of the call.
    tie_weights : bool
        Whether a parameter that the module has under several names is replaced under all of them.
    strict : bool
        Whether every parameter and buffer must be given.

    Returns
    -------
    The output of the Module.

    Raises
    ------
    KeyError
        If the module has no such parameter or buffer, or with ``strict`` if one is missing.
    ValueError
        If a name is given twice, or two values are given for one tied parameter.
    TypeError
        If a value is not a Variable.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Linear(2, 1)
    >>> loss = lambda p: rustorch.func.functional_call(layer, p, rustorch.ones((1, 2))).sum()
    >>> rustorch.func.grad(loss)(dict(layer.named_parameters()))["weight"].tolist()
    [[1.0, 1.0]]
    """
    given: dict[str, Variable] = {}
    dicts = parameter_and_buffer_dicts
    for mapping in [dicts] if isinstance(dicts, Mapping) else dicts:
        for name, value in mapping.items():
            if name in given:
                raise ValueError(f"functional_call: {name!r} is given twice")
            if not isinstance(value, Variable):
                raise TypeError(f"functional_call: {name!r} is a {type(value).__name__}, not a Variable")
            given[name] = value
    entries = list(_entries(module))
    names = [name for name, *_ in entries]
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise KeyError(f"functional_call: {type(module).__name__} has no parameter or buffer {unknown}; it has {names}")
    replacements: dict[int, Variable] = {}  # id of a value of the module -> the value to use instead
    own = {name: getattr(owner, table)[attribute] for name, owner, table, attribute in entries}
    for name, value in given.items():
        if tie_weights and replacements.setdefault(id(own[name]), value) is not value:
            raise ValueError(
                f"functional_call: {name!r} is tied to another name that has another value; pass tie_weights=False"
            )
    replaced: list[tuple[Module, str, str, Any, Variable]] = []
    missing = []
    for name, owner, table, attribute in entries:
        replacement = given[name] if name in given else replacements.get(id(own[name]))
        if replacement is None:
            missing.append(name)
        else:
            replaced.append((owner, table, attribute, own[name], replacement))
    if strict and missing:
        raise KeyError(
            f"functional_call: with strict=True, every name needs a value, but no value is given for {missing}"
        )
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        for owner, table, attribute, _, value in replaced:
            _set(owner, table, attribute, value)
        return module(*arguments, **(kwargs or {}))
    finally:
        for owner, table, attribute, value, _ in reversed(replaced):
            _set(owner, table, attribute, value)


def _set(owner: Module, table: str, attribute: str, value: Any) -> None:
    getattr(owner, table)[attribute] = value
    object.__setattr__(owner, attribute, value)  # Module.__setattr__ would refuse a Variable that is not a Parameter

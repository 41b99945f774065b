"""The state of optimizers: how it is shown, checked and taken over, and how complex parameters become pairs of real
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from ..backends import BY_TYPE, Namespace
from ..variable import Variable

if TYPE_CHECKING:
    from .optimizer import Optimizer

#: Entries that are numbers of Python here and arrays without axes in PyTorch.
NUMBERS = frozenset({"step", "mu_product", "eta", "mu"})


def public(value: Any) -> Any:
    """An entry as a state_dict has it: arrays become Variables, which share their memory."""
    if type(value) in BY_TYPE:
        return Variable(value)
    return [public(v) for v in value] if type(value) is list else value


def kept(xp: Namespace, state: dict[str, Any], name: str, p: Any) -> Any:
    """An entry that `start` made; zeros where an option asks for it that was switched on later."""
    return state[name] if name in state else xp.zeros_like(p)


# -- complex parameters ------------------------------------------------------------------------------------------------
def update_as_pairs(
    update: Callable[..., Any], xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
) -> Any:
    """The update of a complex parameter: of real and imaginary parts, as if they were parameters of their own, as in
    PyTorch.
    """
    real = {name: _pairs(xp, value) if type(value) in BY_TYPE else value for name, value in state.items()}
    new = update(xp, _pairs(xp, p), _pairs(xp, g), real, options)
    state.update(
        {name: _complex(xp, value, p.dtype) if type(value) in BY_TYPE else value for name, value in real.items()}
    )
    return _complex(xp, new, p.dtype)


def _pairs(xp: Namespace, z: Any) -> Any:
    return xp.stack([xp.real(z), xp.imag(z)], axis=-1)


def _complex(xp: Namespace, pairs: Any, dtype: Any) -> Any:
    return xp.astype(pairs[..., 0] + 1j * pairs[..., 1], dtype)


# -- loading -----------------------------------------------------------------------------------------------------------
def load(
    optimizer: Optimizer, state_dict: Mapping[str, Any], options: set[str]
) -> tuple[list[dict[str, Any]], dict[Variable, dict[str, Any]]]:
    """What a state_dict says to this optimizer: options of each group, and the state of each parameter.

    A group may have entries of a schedule or of a user, but none that is among the ``options`` of other optimizers
    alone.

    Raises
    ------
    ValueError
        If it speaks of other parameters or another optimizer.
    """
    name = type(optimizer).__name__
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
        raise ValueError(
            f"{name}.load_state_dict: a state_dict has 'state' and 'param_groups', this is {_short(state_dict)}"
        )
    groups, given = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, (list, tuple)) or not all(map(_is_group, groups)) or not _is_state(given):
        raise ValueError(
            f"{name}.load_state_dict: 'param_groups' is a list of dicts, each with a list of 'params', and 'state' a "
            f"dict of dicts; "
            f"nothing was loaded"
        )
    differ: list[str] = []
    loaded_options = _groups(optimizer, groups, options, differ)
    _refuse(name, differ)
    owners: dict[Any, tuple[Variable, dict[str, Any]]] = {}
    for mine, theirs, new in zip(optimizer.param_groups, groups, loaded_options, strict=True):
        owners.update({key: (p, new) for key, p in zip(theirs["params"], mine["params"], strict=True)})
    loaded: dict[Variable, dict[str, Any]] = {}
    for key, entries in given.items():
        if key not in owners:
            differ.append(f"state of a parameter {key!r}, which no group has")
            continue
        wrong: list[str] = []
        p, new = owners[key]
        loaded[p] = optimizer.load_entry(p, entries, new, wrong)
        differ += [f"parameter {key}: {what}" for what in wrong]
    _refuse(name, differ)
    return loaded_options, loaded


def _refuse(name: str, differ: list[str]) -> None:
    if differ:
        told = "\n  ".join(differ)
        raise ValueError(
            f"{name}.load_state_dict: the state of other parameters or another optimizer; nothing was loaded:\n  {told}"
        )


def _is_group(group: Any) -> bool:
    return isinstance(group, Mapping) and isinstance(group.get("params"), (list, tuple))


def _is_state(state: Any) -> bool:
    return isinstance(state, Mapping) and all(isinstance(entries, Mapping) for entries in state.values())


def _short(value: Any) -> str:
    return f"a dict of {', '.join(map(repr, value))}" if isinstance(value, Mapping) else f"{type(value).__name__}"


def _groups(optimizer: Optimizer, groups: Any, known: set[str], differ: list[str]) -> list[dict[str, Any]]:
    """The options of each group; what does not fit is added to ``differ``."""
    if len(groups) != len(optimizer.param_groups):
        differ.append(f"{len(groups)} groups, here {len(optimizer.param_groups)}")
        return []
    options = []
    for i, (mine, theirs) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        if len(theirs["params"]) != len(mine["params"]):
            differ.append(f"group {i}: {len(theirs['params'])} parameters, here {len(mine['params'])}")
        given = {**optimizer.young, **theirs}
        missing = [f"no {option}" for option in optimizer.defaults if option not in given]
        foreign = [f"{option}, which is unknown here" for option in theirs if option not in mine and option in known]
        if missing or foreign:
            differ += [f"group {i}: {what}" for what in missing + foreign]
            continue
        new = {k: v for k, v in given.items() if k in theirs or k in mine}
        del new["params"]
        try:
            optimizer.check(new)
        except ValueError as error:
            differ.append(f"group {i}: {error}")
        options.append(new)
    return options


def options_of(cls: type) -> set[str]:
    """The names of the options of an optimizer and of all that are derived from it."""
    return set(signature(cls.__init__).parameters).union(*map(options_of, cls.__subclasses__()))  # type: ignore[misc]


def entry(p: Variable, entries: Mapping[str, Any], expected: Mapping[str, Any], differ: list[str]) -> dict[str, Any]:
    """The state of a parameter as its optimizer keeps it: copies, of the dtypes and on the devices of ``expected``.

    If that is empty, the optimizer is one of a user's, who did not say what it keeps.
    """
    if not expected:
        return {
            name: value if _simple(value) else _copy(name, value, None, p, differ) for name, value in entries.items()
        }
    unknown = [name for name in entries if name not in expected]
    missing = [name for name in expected if name not in entries and expected[name] is not None]
    if unknown or missing:
        differ += [f"no {name}" for name in missing] + [f"{name}, which is unknown here" for name in unknown]
        return {}
    return {name: _copy(name, entries.get(name), start, p, differ) for name, start in expected.items()}


def _simple(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _copy(name: str, value: Any, start: Any, p: Variable, differ: list[str]) -> Any:
    """An entry as `Optimizer.start` made it: a number under one of their names, an array, None until there is one, or a
    user's own.
    """
    try:
        if name in NUMBERS:
            return number(name, value)
        if type(start) in BY_TYPE:
            return array(name, value, tuple(start.shape), p.device, BY_TYPE[type(start)].dtype_of(start))
        if value is None or (start is not None and _simple(value)):
            return value
        return array(name, value, p.shape, p.device, p.dtype)
    except ValueError as error:
        differ.append(str(error))
        return None


def number(name: str, value: Any) -> float:
    """An entry that is a number, of Python or an array of one. Raises ValueError for others."""
    try:
        found = value if isinstance(value, (int, float)) else Variable(value).item()
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, (int, float)):
        raise ValueError(f"{name} is {value!r:.50}, here a number")
    return found


def array(name: str, value: Any, shape: tuple[int, ...], device: str, dtype: Any = None) -> Any:
    """A copy of an entry that is an array, as a native one of a device. Raises ValueError for another shape, or if it
    is none.
    """
    try:
        given = Variable(value).detach()
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r:.50}, here an array of shape {shape}") from None
    if given.shape != shape:
        raise ValueError(f"{name} has shape {given.shape}, here {shape}")
    try:
        return given.to(dtype=dtype, device=device).clone().data
    except TypeError as error:  # complex numbers for real ones
        raise ValueError(f"{name}: {error}") from None

"""The state of optimizers: how it is shown and loaded, and how complex parameters become pairs of real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any

from ..backends import BY_TYPE
from ..variable import Variable

if TYPE_CHECKING:
    from ..typing import Array, Namespace, Shape
    from .optimizer import Optimizer

#: Entries that are Python numbers here and 0-d arrays in PyTorch.
NUMBERS = frozenset({"step", "mu_product", "eta", "mu"})


def public(value: Any, p: Variable | None = None) -> Any:
    """An entry of a parameter's state as a state_dict shows it: an array becomes a Variable that shares its memory, and
    a Shard where the parameter is a piece (see `nn.parallel.fully_shard`).
    """
    if type(value) in BY_TYPE:
        if p is not None and p._sharding is not None and tuple(value.shape) == p.shape:
            from ..distributed.shard import Shard  # most programs have no pieces

            return Shard(value, p._sharding.shape, p._sharding.start)
        return Variable(value)
    return [public(v, p) for v in value] if type(value) is list else value


def entry_or_zeros(xp: Namespace, state: dict[str, Any], name: str, p: Array) -> Array:
    """An entry of a state; zeros of the shape of ``p`` if the option that needs it was off in all steps before."""
    return state[name] if name in state else xp.zeros_like(p)


# -- complex parameters ------------------------------------------------------------------------------------------------
def update_as_pairs(
    update: Callable[..., Array], xp: Namespace, p: Array, g: Array, state: dict[str, Any], options: dict[str, Any]
) -> Array:
    """Update a complex parameter: its real and imaginary parts are updated as if they were parameters of their own, as
    in PyTorch.
    """
    real = {name: _pairs(xp, value) if type(value) in BY_TYPE else value for name, value in state.items()}
    new = update(xp, _pairs(xp, p), _pairs(xp, g), real, options)
    state.update(
        {name: _complex(xp, value, p.dtype) if type(value) in BY_TYPE else value for name, value in real.items()}
    )
    return _complex(xp, new, p.dtype)


def _pairs(xp: Namespace, z: Array) -> Array:
    """A complex array as a real one with an additional last dimension of size 2."""
    return xp.stack([xp.real(z), xp.imag(z)], axis=-1)


def _complex(xp: Namespace, pairs: Array, dtype: Any) -> Array:
    """The inverse of `_pairs`."""
    return xp.astype(BY_TYPE[type(pairs)].as_array(pairs[..., 0] + 1j * pairs[..., 1]), dtype)


# -- loading -----------------------------------------------------------------------------------------------------------
def load(
    optimizer: Optimizer, state_dict: Mapping[str, Any], known_options: set[str]
) -> tuple[list[dict[str, Any]], dict[Variable, dict[str, Any]]]:
    """What a state_dict contains for this optimizer: the options of each group, and the state of each parameter.

    A group may contain entries of a schedule or of a user. It must not contain options that only other optimizers have;
    ``known_options`` are the options of all optimizers.

    Raises
    ------
    ValueError
        If the state_dict belongs to other parameters or to another optimizer.
    """
    name = type(optimizer).__name__
    if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
        raise ValueError(
            f"{name}.load_state_dict: a state_dict has 'state' and 'param_groups', this is {_short(state_dict)}"
        )
    groups, state = state_dict["param_groups"], state_dict["state"]
    if not isinstance(groups, (list, tuple)) or not all(map(_is_group, groups)) or not _is_state(state):
        raise ValueError(
            f"{name}.load_state_dict: 'param_groups' is a list of dicts, each with a list of 'params', and 'state' a "
            f"dict of dicts; nothing was loaded"
        )
    differences: list[str] = []
    loaded_options = _groups(optimizer, groups, known_options, differences)
    _refuse(name, differences)
    owners: dict[Any, tuple[Variable, dict[str, Any]]] = {}
    for group, loaded_group, options in zip(optimizer.param_groups, groups, loaded_options, strict=True):
        owners.update({key: (p, options) for key, p in zip(loaded_group["params"], group["params"], strict=True)})
    loaded: dict[Variable, dict[str, Any]] = {}
    for key, entries in state.items():
        if key not in owners:
            differences.append(f"state of a parameter {key!r}, which no group has")
            continue
        wrong: list[str] = []
        p, options = owners[key]
        loaded[p] = optimizer.load_entry(p, entries, options, wrong)
        differences += [f"parameter {key}: {what}" for what in wrong]
    _refuse(name, differences)
    return loaded_options, loaded


def _refuse(name: str, differences: list[str]) -> None:
    """Raise ValueError if there are differences."""
    if differences:
        lines = "\n  ".join(differences)
        raise ValueError(
            f"{name}.load_state_dict: the state of other parameters or another optimizer; nothing was loaded:\n  "
            f"{lines}"
        )


def _is_group(group: Any) -> bool:
    return isinstance(group, Mapping) and isinstance(group.get("params"), (list, tuple))


def _is_state(state: Any) -> bool:
    return isinstance(state, Mapping) and all(isinstance(entries, Mapping) for entries in state.values())


def _short(value: Any) -> str:
    return f"a dict of {', '.join(map(repr, value))}" if isinstance(value, Mapping) else f"{type(value).__name__}"


def _groups(optimizer: Optimizer, groups: Any, known_options: set[str], differences: list[str]) -> list[dict[str, Any]]:
    """The options of each group of a state_dict. Appends what does not fit to ``differences``."""
    if len(groups) != len(optimizer.param_groups):
        differences.append(f"{len(groups)} groups, here {len(optimizer.param_groups)}")
        return []
    all_options = []
    for i, (own, loaded) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        if len(loaded["params"]) != len(own["params"]):
            differences.append(f"group {i}: {len(loaded['params'])} parameters, here {len(own['params'])}")
        completed = {**optimizer.added_options, **loaded}
        missing = [f"no {option}" for option in optimizer.defaults if option not in completed]
        foreign = [
            f"{option}, which is unknown here" for option in loaded if option not in own and option in known_options
        ]
        if missing or foreign:
            differences += [f"group {i}: {what}" for what in missing + foreign]
            continue
        options = {k: v for k, v in completed.items() if k in loaded or k in own}
        del options["params"]
        try:
            optimizer.check(options)
        except ValueError as error:
            differences.append(f"group {i}: {error}")
        all_options.append(options)
    return all_options


def options_of(cls: type) -> set[str]:
    """The names of the options of an optimizer class and of all its subclasses."""
    return set(signature(cls.__init__).parameters).union(*map(options_of, cls.__subclasses__()))  # type: ignore[misc]


def entry(
    p: Variable, entries: Mapping[str, Any], expected: Mapping[str, Any], differences: list[str]
) -> dict[str, Any]:
    """The state of a parameter from the entries of a state_dict: copies with the dtypes and devices of ``expected``,
    the state that `Optimizer.start` makes. Appends what does not fit to ``differences``.

    An empty ``expected`` belongs to an optimizer of a user that defines no `start`. All entries are then loaded.
    """
    if not expected:
        return {
            name: value if _is_simple(value) else _copy(name, value, None, p, differences)
            for name, value in entries.items()
        }
    unknown = [name for name in entries if name not in expected]
    missing = [name for name in expected if name not in entries and expected[name] is not None]
    if unknown or missing:
        differences += [f"no {name}" for name in missing] + [f"{name}, which is unknown here" for name in unknown]
        return {}
    return {name: _copy(name, entries.get(name), start, p, differences) for name, start in expected.items()}


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _copy(name: str, value: Any, start: Any, p: Variable, differences: list[str]) -> Any:
    """An entry of the same kind as ``start``, the entry that `Optimizer.start` makes: a number, an array, None before
    the first array, or a value of a user's optimizer.
    """
    try:
        if name in NUMBERS:
            return number(name, value)
        if (
            p._sharding is not None
            and value is not None
            and (start is None or getattr(start, "shape", None) == p.shape)
        ):
            from ..distributed.shard import piece_of

            value = piece_of(value, p._sharding)
        if type(start) in BY_TYPE:
            return array(name, value, tuple(start.shape), p.device, BY_TYPE[type(start)].dtype_of(start))
        if value is None or (start is not None and _is_simple(value)):
            return value
        return array(name, value, p.shape, p.device, p.dtype)
    except ValueError as error:
        differences.append(str(error))
        return None


def number(name: str, value: Any) -> float:
    """An entry as a Python number; it may be an array of one element. Raises ValueError for anything else."""
    try:
        converted = value if isinstance(value, (int, float)) else Variable(value).item()
    except (TypeError, ValueError):
        converted = None
    if not isinstance(converted, (int, float)):
        raise ValueError(f"{name} is {value!r:.50}, here a number")
    return converted


def array(name: str, value: Any, shape: Shape, device: str, dtype: Any = None) -> Array:
    """A copy of an entry, as a native array of a device. Raises ValueError if the entry is not an array or has another
    shape.
    """
    try:
        variable = Variable(value).detach()
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {value!r:.50}, here an array of shape {shape}") from None
    if variable.shape != shape:
        raise ValueError(f"{name} has shape {variable.shape}, here {shape}")
    try:
        return variable.to(dtype=dtype, device=device).clone().data
    except TypeError as error:  # complex values for a real parameter
        raise ValueError(f"{name}: {error}") from None

"""What all optimizers share: groups of parameters, their state, the loop over them. A subclass writes its state and one update."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from ..autograd.graph import Value, enable_grad, writes
from ..backends import BY_TYPE, Namespace, device_of
from ..variable import Variable

__all__ = ["Optimizer"]


class Optimizer:
    """The base of all optimizers.

    Parameters
    ----------
    params : iterable of Variables, or of dicts
        Leaves to optimize; or groups: dicts with "params" and options of their own.
    defaults : dict
        Options of groups that name none.

    Attributes
    ----------
    param_groups : list of dict
        Each with "params" and its options; may be changed between steps.
    state : dict
        Variable -> its state, by name.

    Raises
    ------
    ValueError
        If there are no parameters, one is listed twice or is no leaf, or an option is out of range.
    TypeError
        If a parameter is no Variable.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Variable, dict[str, Any]] = {}
        if isinstance(params, (Value, Mapping)):
            raise TypeError(f"{self._name}: params is an iterable of Variables or of dicts, not one {type(params).__name__}")
        params = list(params)
        if not params:
            raise ValueError(f"{self._name} got no parameters; pass model.parameters() or a list of Variables")
        groups = params if isinstance(params[0], Mapping) else [{"params": params}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group: a dict with "params" and any options. Nothing is added if something is wrong with it."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{self._name}: a group is a dict with 'params'")
        given = param_group["params"]
        params = [given] if isinstance(given, Value) else list(given)
        if not params:
            raise ValueError(f"{self._name} got a group without parameters")
        seen = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Value):
                raise TypeError(f"{self._name} optimizes Variables; parameter {i} is {type(p).__name__}")
            if p._node is not None:
                raise ValueError(f"{self._name}: parameter {i} was computed ({p!r}); only leaves can be optimized")
            if id(p) in seen:
                raise ValueError(f"{self._name}: parameter {i} (shape {tuple(p._native.shape)}) is listed twice")
            seen.add(id(p))
        options = {**self.defaults, **{k: v for k, v in param_group.items() if k != "params"}}
        self.check(options)
        self.param_groups.append({"params": params, **options})

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options out of range; subclasses say which are."""

    def _not_negative(self, options: dict[str, Any], *names: str) -> None:
        """Raise ValueError for an option that is no such number; one of NumPy's becomes Python's, which promotes weakly."""
        for name in names:
            value = options[name]
            if isinstance(value, bool) or not isinstance(value, Real) or not (0 <= float(value) < math.inf):
                raise ValueError(f"{self._name}: {name} is a finite number that is not negative, not {value!r}")
            if type(value) not in (int, float):
                options[name] = float(value)

    # -- the step --------------------------------------------------------------------------------------------------------
    def update(self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        """The new value of one parameter, from native arrays; may be ``p``, written in place. Keeps its state in ``state``."""
        raise NotImplementedError

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss again and calls backward; its value is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        update, states = self.update, self.state
        written = []
        for group in self.param_groups:
            # a schedule may have set a number of NumPy's, which would promote the parameters
            if type(lr := group.get("lr", 0.0)) is not float:
                group["lr"] = float(lr)
            for p in group["params"]:
                g = p._grad
                if g is None:
                    continue
                native = p._native
                if type(g) is not type(native):
                    self._mismatch(p, g)
                backend = BY_TYPE[type(native)]
                state = states.get(p)
                if state is None:
                    state = states[p] = {}
                if backend.multi_device:
                    with backend.guard(native):
                        new = update(backend.xp, native, g, state, group)
                else:
                    new = update(backend.xp, native, g, state, group)
                if new is not native:
                    if backend.writable(native):
                        native[...] = new
                    else:
                        p._native = new
                        continue
                written.append(native)
        if written:
            writes.note_all(written)
        return loss

    def _mismatch(self, p: Variable, g: Any) -> None:
        raise RuntimeError(
            f"{self._name}: a parameter on {device_of(p._native)!r} has its gradient on {device_of(g)!r}; move the model before "
            f"computing gradients"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False``, fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p._grad is None:
                    p._grad = None
                else:
                    p._grad = BY_TYPE[type(p._grad)].xp.zeros_like(p._grad)

    # -- the learning rate -------------------------------------------------------------------------------------------------
    @property
    def lr(self) -> float:
        """The learning rate (of the first group)."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, lr: float) -> None:
        self.set_lr(lr)

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of every group.

        Raises
        ------
        ValueError
            If it is negative, infinite or nan; it is then unchanged.
        """
        self._not_negative(new := {"lr": lr}, "lr")
        for group in self.param_groups:
            group.update(new)

    # -- state -------------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Options and state in PyTorch's layout: parameters are numbered in order."""
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number[id(p)] = len(number)
            groups.append({**group, "params": [number[id(p)] for p in group["params"]]})
        state = {
            number[id(p)]: {name: Variable(v) if type(v) in BY_TYPE else v for name, v in entries.items()}
            for p, entries in self.state.items()
            if entries
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and state; arrays are copied to their parameters' devices and dtypes.

        Raises
        ------
        ValueError
            If the groups or shapes are those of other parameters: says where, and nothing was loaded.
        """
        groups, state = state_dict["param_groups"], state_dict["state"]
        have, given = ([len(group["params"]) for group in g] for g in (self.param_groups, groups))
        if have != given:
            raise ValueError(
                f"{self._name}.load_state_dict: groups of {given} parameters given, {have} needed; nothing was loaded"
            )
        params: dict[int, Variable] = {}
        for mine, theirs in zip(self.param_groups, groups, strict=True):
            params.update(zip(theirs["params"], mine["params"], strict=True))
        loaded: dict[Variable, dict[str, Any]] = {}
        for key, entries in state.items():
            if key not in params:
                raise ValueError(
                    f"{self._name}.load_state_dict: state of a parameter {key!r} that no group has; nothing was loaded"
                )
            p = params[key]
            loaded[p] = {name: self._loaded(p, key, name, value) for name, value in entries.items()}
        options = [{**mine, **{k: v for k, v in theirs.items() if k != "params"}}
                   for mine, theirs in zip(self.param_groups, groups, strict=True)]  # fmt: skip
        for group in options:
            self.check(group)
        self.state = loaded
        for mine, new in zip(self.param_groups, options, strict=True):
            mine.update(new)

    def _loaded(self, p: Variable, key: Any, name: str, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        array = Variable(value).detach()
        if array.shape not in ((), p.shape):
            raise ValueError(
                f"{self._name}.load_state_dict: {name} of parameter {key} has shape {array.shape}, the parameter {p.shape}; nothing was "
                f"loaded"
            )
        if array.shape == p.shape:
            array = array.to(dtype=p.dtype)
        return array.to(device=p.device).clone().data

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

"""The base class of all schedules: the count of steps, the learning rates of the groups, and the state."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

from .. import checks
from ..optimizer import Optimizer
from .settings import each, plain, whole

__all__ = ["LRScheduler"]

#: Entries that a state may lack: they have no effect, or other versions leave them out.
_OPTIONAL = frozenset({"kind", "verbose", "_get_lr_called_within_step", "_is_initial", "_step_count", "_scale_fn_ref"})
#: Entries that are lists with a value for each group.
_PER_GROUP = ("base_lrs", "_last_lr", "max_lrs", "min_lrs", "base_momentums", "max_momentums", "lr_lambdas")


class LRScheduler:
    """The base of all schedules, which set the learning rates of an optimizer's groups at every step.

    A subclass defines ``get_lr``, which returns a learning rate for each group from ``self.last_epoch``,
    ``self.base_lrs`` and ``self.optimizer.param_groups``. It may define ``_get_closed_form_lr``, which does the same
    without the current learning rates of the groups. ``step(epoch)`` then uses it.

    Parameters
    ----------
    optimizer : Optimizer
        The schedule stores the learning rate of each group under "initial_lr", and sets the first one of its own.
    last_epoch : int
        The last epoch of a run to continue; -1 starts a new one.

    Attributes
    ----------
    optimizer : Optimizer
    base_lrs : list of float
        The learning rate of each group that the schedule starts from.
    last_epoch : int
        How many steps the schedule has made; 0 after construction.

    Raises
    ------
    TypeError
        If the optimizer is not one of rustorch.
    ValueError
        If a setting is out of range. The optimizer does not change then.
    KeyError
        If ``last_epoch`` is not -1, and the groups lack the entries that an earlier run stores in them.

    Warns
    -----
    UserWarning
        If the schedule's first step comes before the optimizer's, so that the first learning rate is never used.

    Examples
    --------
    >>> import rustorch
    >>> from rustorch.optim.lr_scheduler import LRScheduler
    >>> class Halved(LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> optimizer = rustorch.SGD([rustorch.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = Halved(optimizer)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr(), optimizer.lr
    ([0.125], 0.125)
    """

    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int
    _last_lr: list[float]
    _step_count: int
    _get_lr_called_within_step = False
    _is_initial = False
    #: Attributes that are functions or lists of functions. A state contains the ``__dict__`` of a callable object only.
    _functions: tuple[str, ...] = ()

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = self._checked_optimizer(optimizer)
        whole(self._name, checked := {"last_epoch": last_epoch}, -1, "last_epoch")
        groups = optimizer.param_groups
        with _AllOrNothing(self):
            self._prepare(resumed=checked["last_epoch"] != -1)
            for i, group in enumerate(groups):
                if checked["last_epoch"] == -1:
                    group.setdefault("initial_lr", float(group["lr"]))
                elif missing := [key for key in self._left_in_groups() if key not in group]:
                    raise KeyError(
                        f"{self._name}: last_epoch={last_epoch} goes on with a run, but param_groups[{i}] has no "
                        f"{' and no '.join(map(repr, missing))}; call optimizer.load_state_dict first, or leave "
                        f"last_epoch out to start anew"
                    )
            self.base_lrs = [float(group["initial_lr"]) for group in groups]
            self.last_epoch = checked["last_epoch"]
            self._initial_step()
        vars(optimizer).setdefault("_scheduled", (optimizer.steps, vars(optimizer).get("step")))

    # -- what a subclass defines ---------------------------------------------------------------------------------------
    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError if a setting is out of range. A subclass that has settings defines it."""

    def _prepare(self, resumed: bool) -> None:
        """Store what the first step needs in the groups."""

    def _left_in_groups(self) -> tuple[str, ...]:
        """The entries of the groups that a run needs to be continued."""
        return ("initial_lr",)

    def _next(self) -> list[float]:
        """The learning rates in ``last_epoch``, one for each group."""
        raise NotImplementedError(f"{self._name} defines no get_lr, which returns a learning rate for each group")

    def get_lr(self) -> list[float]:
        """The learning rates of this step, one for each group. `step` calls it; users call `get_last_lr`."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        return self._next()

    # -- the step ------------------------------------------------------------------------------------------------------
    def step(self, epoch: float | None = None) -> None:
        """Set the next learning rates; call it after the optimizer's step.

        Parameters
        ----------
        epoch : float, optional
            Jump to this epoch, by the closed form if there is one. PyTorch discourages it, and a warning says so.

        Raises
        ------
        ValueError
            If groups were added to the optimizer after the schedule was made, or a learning rate is infinite or nan.
            Nothing changes then.
        """
        if self._step_count == 1:
            self._warn_if_early()
        if epoch is not None:
            epoch = self._checked_epoch(epoch)
            warnings.warn(
                "The epoch parameter in `scheduler.step()` is discouraged: it jumps to the closed form of the "
                "schedule, where there is one. Call `scheduler.step()` once after every epoch instead.",
                UserWarning,
                stacklevel=2,
            )
        self._check_groups()
        with _AllOrNothing(self):
            self._step_count += 1
            self._update_lr(epoch)

    def get_last_lr(self) -> list[float]:
        """The learning rates that this schedule set last, one for each group."""
        return list(self._last_lr)

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _update_lr(self, epoch: float | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                lrs = self.get_lr()
            else:
                self.last_epoch = epoch  # type: ignore[assignment]
                lrs = getattr(self, "_get_closed_form_lr", self.get_lr)()
        finally:
            self._get_lr_called_within_step = False
        self._write(lrs)

    def _write(self, lrs: list[float]) -> None:
        """Set the learning rates of the groups, as Python floats."""
        groups = self.optimizer.param_groups
        if len(lrs) != len(groups):
            raise ValueError(f"{self._name}.get_lr returned {len(lrs)} learning rates for {len(groups)} groups")
        for i, (group, lr) in enumerate(zip(groups, lrs, strict=True)):
            if not math.isfinite(lr):
                raise ValueError(
                    f"{self._name}: the learning rate of group {i} in epoch {self.last_epoch} would be {lr!r}"
                )
            group["lr"] = float(lr)
        self._last_lr = [group["lr"] for group in groups]

    def _restart(self) -> None:
        """Begin again at epoch 0. SequentialLR calls it for the schedule that begins."""
        self._update_lr(0)

    def _all(self) -> Iterator[LRScheduler]:
        """This schedule and the schedules inside of it."""
        yield self

    # -- checks --------------------------------------------------------------------------------------------------------
    @property
    def _name(self) -> str:
        return type(self).__name__

    def _set(self, **settings: Any) -> None:
        """Check settings, and store them as attributes."""
        self.check(settings)
        vars(self).update(settings)

    def _checked_optimizer(self, optimizer: Any) -> Optimizer:
        if not isinstance(optimizer, Optimizer):
            cls = type(optimizer)
            raise TypeError(
                f"{self._name} schedules an Optimizer of rustorch, such as rustorch.optim.SGD(model.parameters(), "
                f"lr=0.1), not {cls.__module__}.{cls.__qualname__}"
            )
        return optimizer

    def _checked_epoch(self, epoch: Any) -> float:
        if isinstance(epoch, bool) or not isinstance(epoch, Real):
            raise TypeError(f"{self._name}.step: epoch is a number, not {type(epoch).__name__}; call step() without it")
        checked: dict[str, Any] = {"epoch": epoch}
        checks.not_negative(f"{self._name}.step", checked, "epoch")
        number: float = checked["epoch"]
        return number

    def _check_groups(self) -> None:
        """Raise ValueError if the optimizer has more or fewer groups than when the schedule was made."""
        count, expected = len(self.optimizer.param_groups), len(self.base_lrs)
        if count != expected:
            raise ValueError(
                f"{self._name} was made for {expected} group{'s' * (expected != 1)} of parameters, and the optimizer "
                f"has {count} now; make a new schedule after add_param_group"
            )

    def _warn_if_early(self) -> None:
        """Warn if the optimizer has made no step since its first schedule was made, or if that cannot be known."""
        optimizer = self.optimizer
        steps, replaced = vars(optimizer)["_scheduled"]
        if vars(optimizer).get("step") is not replaced:
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after the scheduler was made. Please make sure to "
                "call `optimizer.step()` before `lr_scheduler.step()`.",
                UserWarning,
                stacklevel=3,
            )
            return
        # a `step` that a user defines may not count its steps
        counts_steps = type(optimizer).step.__module__.startswith("rustorch.")
        if counts_steps and optimizer.steps == steps:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order, or "
                "the first learning rate of the schedule is skipped. If another optimizer makes the steps, make the "
                "scheduler with that one.",
                UserWarning,
                stacklevel=3,
            )

    # -- state ---------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """The state in PyTorch's layout, without the optimizer, and with the name of the class under "kind".

        It consists of the types of JSON. It does not contain functions; of a callable object it contains the
        attributes.
        """
        state: dict[str, Any] = {"kind": self._name}
        for name, value in vars(self).items():
            if name in self._functions:
                state[name] = [_attributes(f) for f in value] if isinstance(value, list) else _attributes(value)
            elif name != "optimizer":
                state[name] = plain(value)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state of rustorch or PyTorch. The optimizer's own state contains its learning rates.

        Parameters
        ----------
        state_dict : mapping
            The result of `state_dict`, which may have been written to JSON and read again.

        Raises
        ------
        ValueError
            If the state belongs to another kind of schedule or to other groups, or a value is out of range. The message
            lists the differences, and nothing is loaded.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{self._name}.load_state_dict takes a dict, not {type(state_dict).__name__}")
        wrong, values = self._compare(state_dict)
        if wrong:
            raise ValueError(f"{self._name}.load_state_dict: nothing was loaded, because of\n  " + "\n  ".join(wrong))
        self._load(values)

    def _compare(self, state: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """The differences that forbid to load a state, and the values to load."""
        wrong = []
        own = self.state_dict()
        if (cls_name := state.get("kind", self._name)) not in [base.__name__ for base in type(self).__mro__]:
            wrong.append(f"kind: {cls_name} given, {self._name} needed")
        wrong += [f"missing: {name}" for name in own if name not in state and name not in _OPTIONAL]
        wrong += [f"unexpected: {name}" for name in state if name not in own and name not in _OPTIONAL]
        values = {name: plain(state[name]) for name in own if name in state and name not in _OPTIONAL - {"_step_count"}}
        for name in _PER_GROUP:
            if name in values and (not isinstance(values[name], list) or len(values[name]) != len(own[name])):
                wrong.append(f"{name}: {values[name]!r} given, a list of {len(own[name])} needed")
        for name in self._functions:
            if name in values:
                current, loaded = (v if isinstance(v, list) else [v] for v in (own[name], values[name]))
                if any(
                    new is not None and not (old is not None and isinstance(new, dict))
                    for old, new in zip(current, loaded, strict=False)
                ):
                    wrong.append(f"{name}: attributes {values[name]!r} given, for a function that has none")
        if not wrong:
            try:
                self._check_common(values)
                self.check(values)
            except ValueError as error:
                wrong.append(str(error).removeprefix(f"{self._name}: "))
        return wrong, values

    def _check_common(self, values: dict[str, Any]) -> None:
        """Raise ValueError if an entry that all schedules have is out of range."""
        each(checks.finite, self._name, values, *(name for name in ("base_lrs", "_last_lr") if name in values))
        if "_step_count" in values:
            whole(self._name, values, 0, "_step_count")
        if "last_epoch" in values:
            checks.finite(self._name, values, "last_epoch")

    def _load(self, values: dict[str, Any]) -> None:
        """Store checked values as attributes, and in callable objects."""
        for name in self._functions:
            current, loaded = (v if isinstance(v, list) else [v] for v in (getattr(self, name), values.pop(name)))
            for function, attributes in zip(current, loaded, strict=True):
                if attributes is not None:
                    vars(function).update(attributes)
        vars(self).update(values)


def _attributes(function: Any) -> dict[str, Any] | None:
    """The attributes of a callable object; None for a function, a method or a type."""
    if type(function).__module__ in ("builtins", "functools", "types") or isinstance(function, type):
        return None
    attributes = getattr(function, "__dict__", None)
    return None if attributes is None else plain(attributes)


class _AllOrNothing:
    """A block whose changes to a schedule, the schedules inside of it and the groups are undone if it raises."""

    __slots__ = ("before",)

    def __init__(self, scheduler: LRScheduler) -> None:
        dicts = [vars(one) for one in scheduler._all()] + scheduler.optimizer.param_groups
        self.before = [(current, current.copy()) for current in dicts]

    def __enter__(self) -> None:
        pass

    def __exit__(self, error_type: Any, error: Any, traceback: Any) -> None:
        if error_type is not None:
            for current, before in self.before:
                current.clear()
                current.update(before)

"""What all schedules share: the count of steps, the learning rates of the groups, the state."""

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

#: What a state need not have, because it says nothing or other versions leave it out.
_OPTIONAL = frozenset({"kind", "verbose", "_get_lr_called_within_step", "_is_initial", "_step_count", "_scale_fn_ref"})
#: Lists with a value for each group.
_PER_GROUP = ("base_lrs", "_last_lr", "max_lrs", "min_lrs", "base_momentums", "max_momentums", "lr_lambdas")


class LRScheduler:
    """The base of all schedules: sets the learning rates of an optimizer's groups, from step to step.

    A subclass defines ``get_lr``, which returns a learning rate for each group from ``self.last_epoch``,
    ``self.base_lrs`` and ``self.optimizer.param_groups``. It may define ``_get_closed_form_lr``, which does the same
    without looking at the groups' present rates; ``step(epoch)`` then uses it.

    Parameters
    ----------
    optimizer : Optimizer
        Its groups get ``initial_lr``, the learning rate that they had, and the schedule's first learning rate.
    last_epoch : int
        The last epoch of a run to go on with; -1 starts anew.

    Attributes
    ----------
    optimizer : Optimizer
    base_lrs : list of float
        What the schedule starts from, for each group.
    last_epoch : int
        How many steps there were; 0 after construction.

    Raises
    ------
    TypeError
        If the optimizer is none of rustorch's.
    ValueError
        If a setting makes no sense; the optimizer is as it was then.
    KeyError
        If ``last_epoch`` is given and the groups do not have what such a run has left in them.

    Warns
    -----
    UserWarning
        If the first step comes before the optimizer's, which then never sees the first learning rate.

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
    #: Attributes that hold functions, or lists of them: of their state only what callable objects have in their
    #: ``__dict__`` is kept.
    _functions: tuple[str, ...] = ()

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        self.optimizer = self._checked_optimizer(optimizer)
        whole(self._name, given := {"last_epoch": last_epoch}, -1, "last_epoch")
        groups = optimizer.param_groups
        with _AllOrNothing(self):
            self._prepare(resumed=given["last_epoch"] != -1)
            for i, group in enumerate(groups):
                if given["last_epoch"] == -1:
                    group.setdefault("initial_lr", float(group["lr"]))
                elif missing := [key for key in self._left_in_groups() if key not in group]:
                    raise KeyError(
                        f"{self._name}: last_epoch={last_epoch} goes on with a run, but param_groups[{i}] has no "
                        f"{' and no '.join(map(repr, missing))}; call optimizer.load_state_dict first, or leave "
                        f"last_epoch out to "
                        f"start anew"
                    )
            self.base_lrs = [float(group["initial_lr"]) for group in groups]
            self.last_epoch = given["last_epoch"]
            self._initial_step()
        vars(optimizer).setdefault("_scheduled", (optimizer.steps, vars(optimizer).get("step")))

    # -- what a kind of schedule says ----------------------------------------------------------------------------------
    def check(self, settings: dict[str, Any]) -> None:
        """Raise ValueError for settings that make no sense; subclasses say which."""

    def _prepare(self, resumed: bool) -> None:
        """Write into the groups what the first step needs."""

    def _left_in_groups(self) -> tuple[str, ...]:
        """What a run has left in the groups, for the next one to go on."""
        return ("initial_lr",)

    def _next(self) -> list[float]:
        """The learning rates of ``last_epoch``."""
        raise NotImplementedError(f"{self._name} defines no get_lr, which returns a learning rate for each group")

    def get_lr(self) -> list[float]:
        """The learning rates of this step, one for each group: what `step` asks for. Others ask `get_last_lr`."""
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
            Jump to this epoch, by the closed form where there is one; PyTorch discourages it, and a warning says so.

        Raises
        ------
        ValueError
            If groups were added to the optimizer since, or a learning rate is infinite or nan; nothing has changed
            then.
        """
        if self._step_count == 1:
            self._warn_if_early()
        if epoch is not None:
            epoch = self._checked_epoch(epoch)
            warnings.warn(
                "The epoch parameter in `scheduler.step()` is discouraged: it jumps to the closed form of the "
                "schedule, where there is "
                "one. Call `scheduler.step()` once after every epoch instead.",
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
        """Set the groups' learning rates, as Python's numbers."""
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
        """Begin again at epoch 0: what SequentialLR does with the schedule whose turn it is."""
        self._update_lr(0)

    def _all(self) -> Iterator[LRScheduler]:
        """This schedule and those within it."""
        yield self

    # -- checks --------------------------------------------------------------------------------------------------------
    @property
    def _name(self) -> str:
        return type(self).__name__

    def _set(self, **settings: Any) -> None:
        """Make settings attributes, once they make sense."""
        self.check(settings)
        vars(self).update(settings)

    def _checked_optimizer(self, optimizer: Any) -> Optimizer:
        if not isinstance(optimizer, Optimizer):
            kind = type(optimizer)
            raise TypeError(
                f"{self._name} schedules an Optimizer of rustorch, such as rustorch.optim.SGD(model.parameters(), "
                f"lr=0.1), not "
                f"{kind.__module__}.{kind.__qualname__}"
            )
        return optimizer

    def _checked_epoch(self, epoch: Any) -> float:
        if isinstance(epoch, bool) or not isinstance(epoch, Real):
            raise TypeError(f"{self._name}.step: epoch is a number, not {type(epoch).__name__}; call step() without it")
        given: dict[str, Any] = {"epoch": epoch}
        checks.not_negative(f"{self._name}.step", given, "epoch")
        return given["epoch"]

    def _check_groups(self) -> None:
        have, made_for = len(self.optimizer.param_groups), len(self.base_lrs)
        if have != made_for:
            raise ValueError(
                f"{self._name} was made for {made_for} group{'s' * (made_for != 1)} of parameters, and the optimizer "
                f"has {have} now; make "
                f"a new schedule after add_param_group"
            )

    def _warn_if_early(self) -> None:
        """Say so if the optimizer has made no step since it got its first schedule, or nobody can know."""
        optimizer = self.optimizer
        steps, replaced = vars(optimizer)["_scheduled"]
        if vars(optimizer).get("step") is not replaced:
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after the scheduler was made. Please make sure to "
                "call "
                "`optimizer.step()` before `lr_scheduler.step()`.",
                UserWarning,
                stacklevel=3,
            )
        elif optimizer.steps == steps and type(optimizer).step.__module__.startswith(
            "rustorch."
        ):  # one of a user's may not count
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite order, or "
                "the first learning "
                "rate of the schedule is skipped. If another optimizer makes the steps, make the scheduler with that "
                "one.",
                UserWarning,
                stacklevel=3,
            )

    # -- state ---------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, in PyTorch's layout and as JSON has it, and the schedule's kind.

        Functions are not in it; of callable objects it has the attributes.
        """
        state: dict[str, Any] = {"kind": self._name}
        for name, value in vars(self).items():
            if name in self._functions:
                state[name] = [_kept(f) for f in value] if isinstance(value, list) else _kept(value)
            elif name != "optimizer":
                state[name] = plain(value)
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state, of rustorch or PyTorch. The optimizer's learning rates come with the optimizer's own
        state.

        Parameters
        ----------
        state_dict : mapping
            As from `state_dict`, also through JSON.

        Raises
        ------
        ValueError
            If it is the state of another kind of schedule or of other groups, or has values that make no sense: lists
            what differs, and nothing was loaded.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{self._name}.load_state_dict takes a dict, not {type(state_dict).__name__}")
        wrong, values = self._compare(state_dict)
        if wrong:
            raise ValueError(f"{self._name}.load_state_dict: nothing was loaded, because of\n  " + "\n  ".join(wrong))
        self._take(values)

    def _compare(self, state: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
        """What is wrong with a state, and what to take from it."""
        wrong = []
        own = self.state_dict()
        if (kind := state.get("kind", self._name)) not in [base.__name__ for base in type(self).__mro__]:
            wrong.append(f"kind: {kind} given, {self._name} needed")
        wrong += [f"missing: {name}" for name in own if name not in state and name not in _OPTIONAL]
        wrong += [f"unexpected: {name}" for name in state if name not in own and name not in _OPTIONAL]
        values = {name: plain(state[name]) for name in own if name in state and name not in _OPTIONAL - {"_step_count"}}
        for name in _PER_GROUP:
            if name in values and (not isinstance(values[name], list) or len(values[name]) != len(own[name])):
                wrong.append(f"{name}: {values[name]!r} given, a list of {len(own[name])} needed")
        for name in self._functions:
            if name in values:
                mine, given = (v if isinstance(v, list) else [v] for v in (own[name], values[name]))
                if any(
                    g is not None and not (m is not None and isinstance(g, dict))
                    for m, g in zip(mine, given, strict=False)
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
        each(checks.finite, self._name, values, *(name for name in ("base_lrs", "_last_lr") if name in values))
        if "_step_count" in values:
            whole(self._name, values, 0, "_step_count")
        if "last_epoch" in values:
            checks.finite(self._name, values, "last_epoch")

    def _take(self, values: dict[str, Any]) -> None:
        for name in self._functions:
            mine, given = (v if isinstance(v, list) else [v] for v in (getattr(self, name), values.pop(name)))
            for function, attributes in zip(mine, given, strict=True):
                if attributes is not None:
                    vars(function).update(attributes)
        vars(self).update(values)


def _kept(function: Any) -> dict[str, Any] | None:
    """The attributes of a callable object; None for functions, methods and types, which are code."""
    if type(function).__module__ in ("builtins", "functools", "types") or isinstance(function, type):
        return None
    attributes = getattr(function, "__dict__", None)
    return None if attributes is None else plain(attributes)


class _AllOrNothing:
    """Puts a schedule, those within it and the groups back as they were when an error leaves the block."""

    __slots__ = ("before",)

    def __init__(self, scheduler: LRScheduler):
        dicts = [vars(one) for one in scheduler._all()] + scheduler.optimizer.param_groups
        self.before = [(now, now.copy()) for now in dicts]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            for now, before in self.before:
                now.clear()
                now.update(before)

"""What all optimizers share: groups of parameters, their state, the loop over them. A subclass writes its state and one
update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..autograd.graph import Value, enable_grad, writes
from ..backends import BY_TYPE, Backend, Namespace, device_of, dtypes
from ..rustorch_names import OptimizerNames
from ..variable import Variable
from . import checks, states

__all__ = ["Optimizer"]

#: What PyTorch's optimizers ask for beside the mathematics: how to compute, which is each backend's business here.
HINTS = ("foreach", "fused", "capturable", "differentiable")


class Optimizer(OptimizerNames):
    """The base of all optimizers.

    A subclass passes its options to ``__init__``, says in `check` which values make sense, in `start` what it keeps for
    a parameter, and in `update` what a step does with it. Where a kernel of ``backends/kernels/optim.py`` computes the
    step, the subclass names it in `kernel` and says in `arguments` how it is called; then all parameters of a device
    are updated together, which takes few launches.

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        Leaves to optimize; or groups: dicts with "params" and options of their own.
    defaults : dict
        Options of groups that name none.
    hints : dict, optional
        ``foreach``, ``fused`` and ``capturable``, by which PyTorch's users choose among its implementations: taken, and
        without effect.

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
        If a parameter is no Variable or of bfloat16, or an option is unknown.

    Examples
    --------
    An optimizer of one's own:

    >>> import rustorch
    >>> class SignDescent(rustorch.Optimizer):
    ...     def __init__(self, params, lr=1e-2):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     def update(self, xp, p, g, state, options):
    ...         return p - options["lr"] * xp.sign(g)
    >>> x = rustorch.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SignDescent([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> optimizer.step()
    >>> x
    Variable([ 0.5, -1.5], requires_grad=True)
    """

    #: The kernel that computes a step, and the names in the state of its results after the parameter (those that are
    #: not None).
    kernel: str | None = None
    keeps: tuple[str, ...] = ()
    #: Complex parameters are pairs of real ones to an update that is not linear in the gradient.
    complex_as_pairs = True
    #: Options that state_dicts of older versions do not have, with what they meant.
    young: Mapping[str, Any] = {"maximize": False, "decoupled_weight_decay": False}

    def __init__(self, params: Any, defaults: dict[str, Any], hints: Mapping[str, Any] | None = None):
        for name, value in (hints or {}).items():
            if name not in HINTS:
                raise TypeError(f"{self._name} has no option {name!r}; it has {', '.join(defaults)}")
            if name == "differentiable" and value:
                raise ValueError(
                    f"{self._name}: steps are not differentiable; write the update with "
                    f"rustorch.grad(create_graph=True)"
                )
        self.check(defaults)
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Variable, dict[str, Any]] = {}
        #: how many steps there were; learning-rate schedules look at it
        self.steps = 0
        if isinstance(params, (Value, Mapping)) or not hasattr(params, "__iter__"):
            raise TypeError(
                f"{self._name}: params is an iterable of Variables or of dicts, not one {type(params).__name__}; "
                f"model.parameters() is one"
            )
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
        params: list[Any] = [given] if isinstance(given, Value) else list(given)
        if not params:
            raise ValueError(f"{self._name} got a group without parameters")
        names = [p[0] for p in params if isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str)]
        if len(names) == len(params):
            params = [p for _, p in params]
        seen = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Value):
                raise TypeError(f"{self._name} optimizes Variables; parameter {i} is {type(p).__name__}")
            if p._node is not None:
                raise ValueError(f"{self._name}: parameter {i} was computed ({p!r}); only leaves can be optimized")
            if id(p) in seen:
                raise ValueError(f"{self._name}: parameter {i} (shape {tuple(p._native.shape)}) is listed twice")
            dtypes.trainable(p.dtype)
            self.check_parameter(p, i)  # type: ignore[arg-type]
            seen.add(id(p))
        options = {**self.defaults, **{k: v for k, v in param_group.items() if k != "params"}}
        self.check(options)
        named = {"param_names": names} if names and len(names) == len(params) else {}
        self.param_groups.append({"params": params, **named, **options})

    # -- what a subclass says ------------------------------------------------------------------------------------------
    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options out of range; subclasses say which are (see ``optim/checks.py``)."""
        if "lr" in options:
            checks.not_negative(self._name, options, "lr")

    def check_parameter(self, p: Variable, number: int) -> None:
        """Raise ValueError for a parameter that this optimizer cannot train."""

    def start(self, xp: Namespace, p: Any, options: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step: native arrays, and numbers under names in
        ``states.NUMBERS``.
        """
        return {}

    def update(self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]) -> Any:
        """The new value of one parameter, from native arrays; may be ``p``, written in place. Keeps its state in
        ``state``.
        """
        if self.kernel is None:
            raise NotImplementedError(f"{self._name} says nowhere what a step does: write its method update")
        new, *results = getattr(xp, self.kernel)(*self.arguments(xp, p, g, state, options))
        self._keep(state, results)
        return new

    def _keep(self, state: dict[str, Any], results: list[Any]) -> None:
        for name, value in zip(self.keeps, results, strict=True):
            if value is not None:
                state[name] = value

    def arguments(
        self, xp: Namespace, p: Any, g: Any, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Any, ...]:
        """What `kernel` is called with, ``p`` and ``g`` first. Counts the step in ``state``, whose arrays stay as they
        are.
        """
        raise NotImplementedError

    # -- the step ------------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss again and calls backward; its value is returned.

        Raises
        ------
        RuntimeError
            If a gradient has another shape, dtype or device than its parameter; nothing was updated then.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        work, together = self._gather()
        # an update that is not the one above knows nothing of other parameters
        kernel = self.kernel if getattr(self.update, "__func__", None) is Optimizer.update else None
        if together and kernel is not None:
            written = self._by_device(kernel, work)
        else:
            written = self._in_turn(kernel, work)
        if written:
            writes.note_all(written)
        self.steps += 1
        return loss

    def _in_turn(self, name: str | None, work: list[tuple]) -> list[Any]:
        """Update one parameter after the other, by this kernel or with None by `update`; returns the arrays written in
        place.
        """
        arguments, keeps, states_, pairs = self.arguments, self.keeps, self.state, self.complex_as_pairs
        backend: Any = None
        written: list[Any] = []
        for p, native, g, of_array, options in work:
            if of_array is not backend:
                backend, xp = of_array, of_array.xp
                kernel = None if name is None else getattr(xp, name)
            state = states_.get(p)
            if (
                kernel is None
                or state is None
                or backend.multi_device
                or (pairs and backend.dtype_of(native).kind == "c")
            ):
                with backend.guard(native):
                    new = self._updated(xp, p, native, g, options)
            else:  # `update`, without its frame
                new, *results = kernel(*arguments(xp, native, g, state, options))
                for entry, value in zip(keeps, results, strict=True):
                    if value is not None:
                        state[entry] = value
            if new is native or self._write(p, native, new):
                written.append(native)
        return written

    def _by_device(self, kernel: str, work: list[tuple]) -> list[Any]:
        """Update all parameters of a device in one go, where its backend can; returns the arrays written in place."""
        devices: dict[str, list[tuple]] = {}
        for entry in work:
            devices.setdefault(device_of(entry[1]), []).append(entry)
        written: list[Any] = []
        for entries in devices.values():
            first, backend = entries[0][1], entries[0][3]
            with backend.guard(first):
                written += (
                    self._together(kernel, backend, entries) if backend.together else self._in_turn(kernel, entries)
                )
        return written

    def _together(self, kernel: str, backend: Backend, entries: list[tuple]) -> list[Any]:
        xp = backend.xp
        complex_ones: list[tuple] = []
        real: list[tuple] = []
        for entry in entries:
            is_complex = self.complex_as_pairs and backend.dtype_of(entry[1]).kind == "c"
            (complex_ones if is_complex else real).append(entry)
        written = self._in_turn(kernel, complex_ones)
        for p, native, _, _, options in real:
            if p not in self.state:
                self.state[p] = self.start(xp, native, options)
        calls = [self.arguments(xp, native, g, self.state[p], options) for p, native, g, _, options in real]
        for (p, native, *_), (new, *results) in zip(real, backend.steps(kernel, calls), strict=True):
            self._keep(self.state[p], results)
            if new is native or self._write(p, native, new):
                written.append(native)
        return written

    @staticmethod
    def _write(p: Variable, native: Any, new: Any) -> bool:
        """Put a new value into a parameter; returns whether that was in place."""
        if BY_TYPE[type(native)].writable(native):
            native[...] = new
            return True
        p._native = new
        return False

    def _updated(self, xp: Namespace, p: Variable, native: Any, g: Any, options: dict[str, Any]) -> Any:
        """The new value of one parameter, by `update`; makes its state before its first step."""
        if (state := self.state.get(p)) is None:
            state = self.state[p] = self.start(xp, native, options)
        if self.complex_as_pairs and BY_TYPE[type(native)].dtype_of(native).kind == "c":
            return states.update_as_pairs(self.update, xp, native, g, state, options)
        return self.update(xp, native, g, state, options)

    def _gather(self) -> tuple[list[tuple], bool]:
        """Each parameter with its array, gradient, backend and options, looked at before the first one changes; and
        whether there is a backend that does several of them together.
        """
        work, together = [], False
        for group in self.param_groups:
            # a schedule may have set a number of NumPy's, which would promote the parameters
            if type(lr := group.get("lr", 0.0)) is not float:
                group["lr"] = float(lr)
            for p in group["params"]:
                g = p._grad
                if g is None:
                    continue
                native = p._native
                kind = type(native)
                if type(g) is not kind or g.dtype != native.dtype or g.shape != native.shape:
                    self._mismatch(p, g)
                backend = BY_TYPE[kind]
                if backend.multi_device and device_of(g) != device_of(native):
                    self._mismatch(p, g)
                together = together or backend.together
                work.append((p, native, g, backend, group))
        return work, together

    def _mismatch(self, p: Variable, g: Any) -> None:
        def told(array: Any) -> str:
            return f"{tuple(array.shape)} {BY_TYPE[type(array)].dtype_of(array)} on {device_of(array)!r}"

        raise RuntimeError(
            f"{self._name}: a parameter {told(p._native)} has a gradient {told(g)}; convert and move the model before "
            f"computing "
            f"gradients. No parameter was updated"
        )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False``, fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p._grad is None:
                    p._grad = None
                else:
                    p._grad = BY_TYPE[type(p._grad)].xp.zeros_like(p._grad)

    # -- the learning rate ---------------------------------------------------------------------------------------------
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
        checks.not_negative(self._name, new := {"lr": lr}, "lr")
        for group in self.param_groups:
            group.update(new)

    # -- state ---------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """Options and state in PyTorch's layout: parameters are numbered in order. Shares the memory of the state's
        arrays.
        """
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        groups = [{**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups]
        state = {
            numbers[id(p)]: kept
            for p, entries in self.state.items()
            if (kept := {name: states.public(value) for name, value in entries.items() if value is not None})
        }
        return {"state": state, "param_groups": groups}

    def _parameters(self) -> list[Variable]:
        return [p for group in self.param_groups for p in group["params"]]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and state, of rustorch or PyTorch; arrays are copied to their parameters' devices and
        dtypes.

        Raises
        ------
        ValueError
            If it is the state of other parameters or of another optimizer: lists what differs; nothing was loaded.
        """
        groups, state = states.load(self, state_dict, states.options_of(Optimizer))
        self.state = state
        for mine, new in zip(self.param_groups, groups, strict=True):
            mine.update(new)

    def load_entry(
        self, p: Variable, entries: Mapping[str, Any], options: dict[str, Any], differ: list[str]
    ) -> dict[str, Any]:
        """The state of one parameter as it is kept here; what is wrong with ``entries`` is added to ``differ``."""
        native = p._native
        expected = self.start(BY_TYPE[type(native)].xp, native, options)
        return states.entry(p, entries, expected, differ)

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "param_names")]
        return "\n".join([*lines, ")"])

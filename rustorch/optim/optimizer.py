"""The base class of all optimizers: groups of parameters, their state, and the loop over them in a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..autograd.graph import Value
from ..autograd.modes import enable_grad
from ..autograd.writes import writes
from ..backends import BY_TYPE, dtypes
from ..rustorch_names import OptimizerNames
from ..variable import Variable
from . import checks, states, stepping

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from ..typing import Array, Namespace

    #: Parameters, pairs of a name and a parameter, or groups.
    Params: TypeAlias = Iterable[Variable | tuple[str, Variable] | Mapping[str, Any]]

__all__ = ["Optimizer"]

#: Options of PyTorch's optimizers that say how to compute a step. Here each backend decides that.
HINTS = ("foreach", "fused", "capturable", "differentiable")


class Optimizer(OptimizerNames):
    """The base of all optimizers.

    A subclass passes its options to ``__init__``, checks them in `check`, makes the state of a parameter in `start`,
    and computes a step in `update`.

    A subclass whose step is a kernel of ``backends/kernels`` names it in `kernel`, and calls it in
    `call_kernel`. All parameters on a device are then updated together, which takes few launches.

    Parameters
    ----------
    params : iterable of Variables, of (name, Variable) pairs, or of dicts
        Leaves to optimize; or groups: dicts with "params" and options of their own.
    defaults : dict
        The options of a group that does not set them.
    hints : dict, optional
        ``foreach``, ``fused`` and ``capturable``, which choose among PyTorch's implementations. They have no
        effect.

    Attributes
    ----------
    param_groups : list of dict
        Each has "params" and its options, which may be changed between steps.
    state : dict
        Variable -> its state, a dict of arrays and numbers by name.
    steps : int
        How many steps this optimizer has made. Learning-rate schedules read it.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter is listed twice or is not a leaf, or an option is out of range.
    TypeError
        If a parameter is not a Variable or has the dtype bfloat16, or an option is unknown.

    Examples
    --------
    Write an optimizer:

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

    #: The name of the kernel that computes a step, or None.
    kernel: str | None = None
    #: The names, in the state, of what the kernel returns after the new parameter.
    state_names: tuple[str, ...] = ()
    #: Whether a complex parameter is updated as a real one with an additional dimension of size 2. An update that is
    #: linear in the gradient does not need that.
    complex_as_pairs = True
    #: Whether the step of each element depends on this element alone. Only then can the parameters be pieces, as
    #: `nn.parallel.fully_shard` makes them.
    elementwise = True
    #: Options that a state_dict of an older version may lack, with the values that they had then.
    added_options: Mapping[str, Any] = {"maximize": False, "decoupled_weight_decay": False}

    def __init__(self, params: Params, defaults: dict[str, Any], hints: Mapping[str, Any] | None = None) -> None:
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
        self.steps = 0
        if isinstance(params, (Value, Mapping)) or not hasattr(params, "__iter__"):
            raise TypeError(
                f"{self._name}: params is an iterable of Variables or of dicts, not one {type(params).__name__}; "
                f"model.parameters() is one"
            )
        listed: list[Any] = list(params)
        if not listed:
            raise ValueError(f"{self._name} got no parameters; pass model.parameters() or a list of Variables")
        groups = listed if isinstance(listed[0], Mapping) else [{"params": listed}]
        for group in groups:
            self.add_param_group(group)
        for backend in {BY_TYPE[type(p._native)] for group in self.param_groups for p in group["params"]}:
            backend.prepare_training()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add a group of parameters.

        Parameters
        ----------
        param_group : dict
            "params", a Variable or an iterable of them or of (name, Variable) pairs, and any options.

        Raises
        ------
        ValueError, TypeError
            As the class. No group is added then.
        """
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(f"{self._name}: a group is a dict with 'params'")
        value = param_group["params"]
        params: list[Any] = [value] if isinstance(value, Value) else list(value)
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
            self.check_whole(p, f"parameter {i}")  # type: ignore[arg-type]
            self.check_parameter(p, i)  # type: ignore[arg-type]
            seen.add(id(p))
        options = {**self.defaults, **{k: v for k, v in param_group.items() if k != "params"}}
        self.check(options)
        named = {"param_names": names} if names and len(names) == len(params) else {}
        self.param_groups.append({"params": params, **named, **options})

    # -- what a subclass defines ---------------------------------------------------------------------------------------
    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if an option of a group is out of range; see ``optim/checks.py``."""
        if "lr" in options:
            checks.not_negative(self._name, options, "lr")

    def check_parameter(self, p: Variable, number: int) -> None:
        """Raise ValueError if this optimizer cannot train a parameter, the one with this number in its group."""

    def check_whole(self, p: Variable, name: str) -> None:
        """Raise ValueError if a parameter is a piece, and this optimizer needs whole parameters."""
        if p._sharding is not None and not self.elementwise:
            raise ValueError(
                f"{self._name}: {name}, of shape {p._sharding.shape}, is spread over the ranks by fully_shard, and "
                f"{self._name} needs whole parameters; take an elementwise optimizer such as AdamW, or "
                f"ZeroRedundancyOptimizer without fully_shard"
            )

    def start(self, xp: Namespace, p: Array, options: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step: native arrays, and numbers under the names in
        ``states.NUMBERS``.
        """
        return {}

    def update(self, xp: Namespace, p: Array, g: Array, state: dict[str, Any], options: dict[str, Any]) -> Array:
        """Compute a step of one parameter from native arrays, and change its state.

        Parameters
        ----------
        xp : namespace
            Of the arrays.
        p, g : array
            The parameter and its gradient, of one shape. The gradient must not be written to.
        state : dict
            The state of the parameter, from `start` or from the step before.
        options : dict
            The parameter's group.

        Returns
        -------
        array
            The new value of the parameter. It may be ``p``, written in place.
        """
        if self.kernel is None:
            raise NotImplementedError(f"{self._name} does not define a step: write its method update")
        new, *results = self.call_kernel(getattr(xp, self.kernel), xp, p, g, state, options)
        self._store(state, results)
        return new

    def _store(self, state: dict[str, Any], results: list[Array | None]) -> None:
        for name, value in zip(self.state_names, results, strict=True):
            if value is not None:
                state[name] = value

    def call_kernel(
        self,
        kernel: Callable[..., Any],
        xp: Namespace,
        p: Array,
        g: Array,
        state: dict[str, Any],
        options: dict[str, Any],
    ) -> Any:
        """Call a kernel for a step of one parameter, and return its result.

        It counts the step in ``state``, and passes the arrays by position and the numbers by keyword. The other
        arguments are those of `update`. A subclass whose numbers are the same for all parameters of a group defines
        `group_numbers` instead.
        """
        return kernel(p, g, *[state[name] for name in self.state_names], **self.group_numbers(options))

    def group_numbers(self, options: dict[str, Any]) -> dict[str, Any]:
        """The numbers of the kernel, by name, for all parameters of a group."""
        raise NotImplementedError

    # -- the step ------------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss again, calls backward and returns the loss.

        Returns
        -------
        Variable or None
            What the closure returned.

        Raises
        ------
        RuntimeError
            If the shape, dtype or device of a gradient is not that of its parameter. No parameter is updated then.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        entries, backends = stepping.gather(self)
        # an update that a subclass or an instance overrides takes one parameter at a time
        kernel = self.kernel if getattr(self.update, "__func__", None) is Optimizer.update else None
        if kernel is not None and any(backend.together for backend in backends):
            shared = getattr(self.call_kernel, "__func__", None) is Optimizer.call_kernel
            numbers_of = self.group_numbers if shared else None
            written = stepping.update_by_device(self, kernel, entries, backends, numbers_of)
        else:
            written = stepping.update_in_turn(self, kernel, entries)
        if written:
            writes.note_all(written)
        self.steps += 1
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Delete all gradients; with ``set_to_none=False``, set them to zeros instead."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p._grad is None:
                    p._grad = None
                else:
                    p._grad = BY_TYPE[type(p._grad)].xp.zeros_like(p._grad)

    # -- the learning rate ---------------------------------------------------------------------------------------------
    @property
    def lr(self) -> float:
        """The learning rate of the first group. Setting it sets that of every group."""
        lr: float = self.param_groups[0]["lr"]
        return lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self.set_lr(lr)

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of every group.

        Raises
        ------
        ValueError
            If it is negative, infinite or nan. No learning rate changes then.
        """
        checks.not_negative(self._name, new := {"lr": lr}, "lr")
        for group in self.param_groups:
            group.update(new)

    # -- state ---------------------------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, Any]:
        """The options and the state in PyTorch's layout, where a parameter is named by its number.

        The arrays of the state are Variables that share the memory of this optimizer's own.
        """
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        groups = [{**group, "params": [numbers[id(p)] for p in group["params"]]} for group in self.param_groups]
        state = {
            numbers[id(p)]: public
            for p, entries in self.state.items()
            if (public := {name: states.public(value, p) for name, value in entries.items() if value is not None})
        }
        return {"state": state, "param_groups": groups}

    def _parameters(self) -> list[Variable]:
        return [p for group in self.param_groups for p in group["params"]]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Replace the options and the state by those of a state_dict, from rustorch or PyTorch.

        Parameters
        ----------
        state_dict : mapping
            Its arrays are copied to the devices and dtypes of their parameters.

        Raises
        ------
        ValueError
            If the state belongs to other parameters or to another optimizer. The message lists the differences, and
            nothing is loaded.
        """
        groups, state = states.load(self, state_dict, states.options_of(Optimizer))
        self.state = state
        for group, loaded in zip(self.param_groups, groups, strict=True):
            group.update(loaded)

    def load_entry(
        self, p: Variable, entries: Mapping[str, Any], options: dict[str, Any], differences: list[str]
    ) -> dict[str, Any]:
        """The state of one parameter, from the entries of a state_dict. Appends what is wrong with them to
        ``differences``.
        """
        native = p._native
        expected = self.start(BY_TYPE[type(native)].xp, native, options)
        return states.entry(p, entries, expected, differences)

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name not in ("params", "param_names")]
        return "\n".join([*lines, ")"])

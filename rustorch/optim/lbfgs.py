"""L-BFGS: a quasi-Newton method that estimates the curvature from the last steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..autograd.modes import enable_grad, no_grad
from ..autograd.writes import writes
from ..backends import BY_TYPE, device_of
from ..variable import Variable
from . import checks, states, stepping
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Params

__all__ = ["LBFGS"]

#: The entries of the state, under PyTorch's names: numbers, flat arrays, and lists of flat arrays.
_NUMBERS, _ARRAYS, _LISTS = (
    ("func_evals", "n_iter", "t", "H_diag", "prev_loss"),
    ("d", "prev_flat_grad"),
    ("old_dirs", "old_stps"),
)


class LBFGS(Optimizer):
    """L-BFGS: steps along ``-H g``, where the inverse Hessian ``H`` is estimated from the last steps.

    With the last steps ``s[i]``, the changes of the gradient ``y[i]`` and ``r[i] = 1 / dot(y[i], s[i])``, ``H g`` is::

        q = g
        for i from the newest to the oldest:
            a[i] = r[i] * dot(s[i], q)
            q = q - a[i] * y[i]
        q = q * dot(s, y) / dot(y, y)               # of the newest step
        for i from the oldest to the newest:
            q = q + (a[i] - r[i] * dot(y[i], q)) * s[i]

    One call of `step` computes the loss many times, by a closure. Use it for smooth losses of the whole data set.

    Parameters
    ----------
    params : iterable of Variables
        Real parameters on one device, in one group.
    lr : float
        Factor of ``-H g``, at which a line search begins.
    max_iter : int
        The most iterations in one call of `step`.
    max_eval : int, optional
        The most evaluations of the loss in one call of `step`. Default: ``max_iter * 5 // 4``.
    tolerance_grad : float
        `step` ends where no component of the gradient is larger than this.
    tolerance_change : float
        `step` ends where the loss or all parameters change by less than this.
    history_size : int
        How many steps are stored. Each one needs two arrays as large as all parameters.
    line_search_fn : str, optional
        "strong_wolfe", or None for steps of fixed length.

    Raises
    ------
    ValueError
        If there are no parameters, several groups, complex parameters or parameters on several devices, or an option
        is out of range.

    Notes
    -----
    Source: Nocedal, "Updating Quasi-Newton Matrices with Limited Storage", 1980; as algorithms 7.4 and 7.5 of Nocedal
    and Wright, "Numerical Optimization", 2006. Line search: algorithms 3.5 and 3.6 there.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([-1.5, 2.0], requires_grad=True, dtype=rustorch.float64)
    >>> optimizer = rustorch.LBFGS([x], line_search_fn="strong_wolfe", max_iter=100)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> [round(value, 4) for value in x.tolist()]
    [1.0, 1.0]
    """

    elementwise = False

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        checks.at_least_one(self._name, {"max_iter": max_iter}, "max_iter")
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )

    def check(self, options: dict[str, Any]) -> None:
        checks.not_negative(self._name, options, "lr", "tolerance_grad", "tolerance_change")
        checks.at_least_one(self._name, options, "max_iter", "max_eval", "history_size")
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn is 'strong_wolfe' or None, not {options['line_search_fn']!r}")

    def check_parameter(self, p: Variable, number: int) -> None:
        if p.dtype.kind == "c":
            raise ValueError(f"LBFGS has no steps for complex parameters; parameter {number} is {p.dtype}")

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add the only group.

        Raises
        ------
        ValueError
            If the optimizer has a group already, or the parameters are on several devices.
        """
        if self.param_groups:
            raise ValueError("LBFGS has one group of parameters: all of them make one step together")
        super().add_param_group(param_group)
        devices = sorted({device_of(p._native) for p in self.param_groups[0]["params"]})
        if len(devices) > 1:
            self.param_groups.clear()
            raise ValueError(f"LBFGS: parameters on {' and '.join(devices)}; move all of them to one device")

    # -- flat arrays ---------------------------------------------------------------------------------------------------
    def _flat_gradient(self, xp: Namespace) -> Array:
        """The gradients of all parameters, one after the other, in one vector; or this optimizer's piece of it."""
        gradients = {id(p): g for p, _, g, *_ in stepping.gather(self)[0]}
        natives = [(id(p), p._native) for p in self._parameters()]
        flat = xp.concat([xp.reshape(gradients.get(key, xp.zeros_like(native)), (-1,)) for key, native in natives])
        return self._piece(flat)

    def _put(self, values: Iterable[Array]) -> None:
        """Give all parameters new values."""
        written = []
        for p, new in zip(self._parameters(), values, strict=True):
            if stepping.write(p, native := p._native, new):
                written.append(native)
        writes.note_all(written)

    def _move(self, xp: Namespace, start: list[Array], t: float, d: Array) -> None:
        """Set the parameters to ``start + t * d``, where ``d`` is a flat vector."""
        stops = list(accumulate(math.prod(old.shape) for old in start))
        parts = [d[stop - math.prod(old.shape) : stop] for stop, old in zip(stops, start, strict=True)]
        self._put(
            [
                old + t * xp.astype(xp.reshape(part, old.shape), old.dtype, copy=False)
                for part, old in zip(parts, start, strict=True)
            ]
        )

    # -- numbers of flat arrays: a subclass may have a piece of each one -----------------------------------------------
    def _piece(self, flat: Array) -> Array:
        """What this optimizer keeps of a flat array of all parameters."""
        return flat

    def _dot(self, xp: Namespace, a: Array, b: Array) -> float:
        return float(xp.vecdot(a, b))

    def _total(self, xp: Namespace, x: Array) -> float:
        """The sum of the absolute values."""
        return float(xp.sum(xp.abs(x)))

    def _largest(self, xp: Namespace, x: Array) -> float:
        """The largest absolute value."""
        return float(xp.max(xp.abs(x)))

    def _loss(self, xp: Namespace, loss: float) -> float:
        """The loss that decides about the next iteration."""
        return loss

    # -- the step ------------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to ``max_iter`` iterations.

        Parameters
        ----------
        closure : callable
            Deletes the gradients, computes the loss, calls backward and returns the loss.

        Returns
        -------
        Variable
            What the first call of the closure returned.

        Raises
        ------
        TypeError
            If there is no closure, or the closure returns None. After this and any other error, parameters and state
            are those before the step.
        """
        if closure is None:
            raise TypeError(
                "LBFGS.step needs a closure, because it computes the loss several times: def closure(): "
                "optimizer.zero_grad(); loss = ...; loss.backward(); return loss"
            )
        params = self._parameters()
        native = params[0]._native
        backend = BY_TYPE[type(native)]
        with backend.guard(native):
            xp = backend.xp
            before = [xp.asarray(p._native, copy=True) for p in params]
            state = self._state(params[0])
            try:
                result = self._iterate(xp, closure, state)
            except BaseException:
                self._put(before)
                raise
            self.state[params[0]] = state
        self.steps += 1
        return result

    def _state(self, first: Variable) -> dict[str, Any]:
        """A copy of the state for one step to change. If the step fails, the state itself has not changed."""
        old = self.state.get(first) or {"func_evals": 0, "n_iter": 0}
        return {name: list(value) if type(value) is list else value for name, value in old.items()}

    def _iterate(self, xp: Namespace, closure: Callable[[], Any], state: dict[str, Any]) -> Any:
        """Make the iterations of one step; returns what the first call of the closure returned."""
        group = self.param_groups[0]
        lr, tolerance = float(group["lr"]), group["tolerance_change"]

        def evaluate() -> tuple[Any, float, Array]:
            with enable_grad():
                result = closure()
            if result is None:
                raise TypeError("LBFGS: the closure returned None; it returns the loss")
            state["func_evals"] += 1
            with no_grad():  # the closure has computed the gradients already
                return result, self._loss(xp, float(result)), self._flat_gradient(xp)

        evaluated = state["func_evals"]
        result, loss, gradient = evaluate()
        if self._largest(xp, gradient) <= group["tolerance_grad"]:
            return result
        for iteration in range(1, group["max_iter"] + 1):
            d = self._direction(xp, gradient, state, group["history_size"])
            first = state["n_iter"] == 1
            t = min(1.0, 1.0 / self._total(xp, gradient)) * lr if first else lr
            slope = self._dot(xp, gradient, d)
            state.update(d=d, t=t, prev_flat_grad=gradient, prev_loss=loss)
            if slope > -tolerance:
                break
            before = loss
            start = [xp.asarray(p._native, copy=True) for p in self._parameters()]
            if group["line_search_fn"]:

                def point_at(t: float, start: list[Array] = start, d: Array = d) -> Point:
                    self._move(xp, start, t, d)
                    _, loss, gradient = evaluate()
                    return Point(t, loss, gradient, self._dot(xp, gradient, d))

                max_points = group["max_eval"] - (state["func_evals"] - evaluated)
                first_point = Point(0.0, loss, gradient, slope)
                best = strong_wolfe(
                    point_at, first_point, t, size=self._largest(xp, d), tolerance=1e-9, max_points=max_points
                )
                t, loss, gradient = best.t, best.loss, best.gradient
                self._move(xp, start, t, d)
            else:
                self._move(xp, start, t, d)
                if iteration < group["max_iter"]:  # the next call of step evaluates the last point
                    _, loss, gradient = evaluate()
            state["t"] = t
            if (
                state["func_evals"] - evaluated >= group["max_eval"]
                or self._largest(xp, gradient) <= group["tolerance_grad"]
                or self._largest(xp, t * d) <= tolerance
                or abs(loss - before) < tolerance
            ):
                break
        return result

    def _direction(self, xp: Namespace, gradient: Array, state: dict[str, Any], history_size: int) -> Array:
        """``-H g``. Adds the last step to the history first."""
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = gradient - state["prev_flat_grad"], state["t"] * state["d"]
        ys = self._dot(xp, y, s)
        if ys > 1e-10:  # a step without positive curvature does not enter the history
            if len(changes) == history_size:
                for history in (changes, steps, ro):
                    del history[0]
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / self._dot(xp, y, y)
        q, factors = -gradient, []
        for y, s, r in zip(reversed(changes), reversed(steps), reversed(ro), strict=True):
            factors.append(a := r * self._dot(xp, s, q))
            q = q - a * y
        q = state["H_diag"] * q
        for y, s, r, a in zip(changes, steps, ro, reversed(factors), strict=True):
            q = q + (a - r * self._dot(xp, y, q)) * s
        return q

    # -- state ---------------------------------------------------------------------------------------------------------
    def load_entry(
        self, p: Variable, entries: Mapping[str, Any], options: dict[str, Any], differences: list[str]
    ) -> dict[str, Any]:
        """The state from the entries of a state_dict. Appends what is wrong with them to ``differences``."""
        size = sum(q.size for q in self._parameters())
        # "al" is a scratch buffer of PyTorch
        entries = {name: value for name, value in entries.items() if name != "al" and value is not None}
        known, lists = (*_NUMBERS, *_ARRAYS, *_LISTS, "ro"), (*_LISTS, "ro")
        differences += [f"{name}, which is unknown here" for name in entries if name not in known]
        differences += [f"no {name}" for name in ("func_evals", "n_iter") if name not in entries]
        if entries.get("n_iter"):
            differences += [f"no {name}" for name in known if name not in entries]

        def read(name: str, value: Any) -> Any:
            try:
                if name in _NUMBERS or name == "ro":
                    return states.number(name, value)
                return self._piece(states.array(name, value, (size,), p.device))
            except ValueError as error:
                differences.append(str(error))

        state: dict[str, Any] = {name: read(name, entries[name]) for name in (*_NUMBERS, *_ARRAYS) if name in entries}
        for name in (name for name in lists if name in entries):
            if isinstance(entry := entries[name], (list, tuple)):
                state[name] = [read(name, value) for value in entry]
            else:
                differences.append(f"{name} is {entry!r:.50}, here a list")
        if len({len(state[name]) for name in lists if name in state}) > 1:
            differences.append("old_dirs, old_stps and ro of different lengths")
        return state

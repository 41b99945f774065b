"""L-BFGS: Newton's method with a curvature that is learned from the last steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any

from ..autograd.modes import enable_grad, no_grad
from ..autograd.writes import writes
from ..backends import BY_TYPE, Namespace, device_of
from ..variable import Variable
from . import checks, states, stepping
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer

__all__ = ["LBFGS"]

#: What is kept, under PyTorch's names: numbers, flat arrays, and lists of them.
_NUMBERS, _ARRAYS, _LISTS = (
    ("func_evals", "n_iter", "t", "H_diag", "prev_loss"),
    ("d", "prev_flat_grad"),
    ("old_dirs", "old_stps"),
)


class LBFGS(Optimizer):
    """L-BFGS: steps along ``-H g``, where ``H``, the inverse of the curvature, is built from the last steps and changes
    of the gradient.

    One step computes the loss many times, by a closure. For smooth losses of whole data sets.

    Parameters
    ----------
    params : iterable of Variables
        Real ones on one device, in one group.
    lr : float
        Length of a step, in units of Newton's; where a line search begins.
    max_iter : int
        Iterations of one `step`.
    max_eval : int, optional
        Evaluations of the loss in one `step`. Default: ``max_iter * 5 // 4``.
    tolerance_grad : float
        Ends a step where no component of the gradient is above.
    tolerance_change : float
        Ends a step where neither the loss nor any parameter changes by more.
    history_size : int
        How many steps are remembered; each costs two arrays as large as all parameters.
    line_search_fn : str, optional
        "strong_wolfe", or None for steps of fixed length.

    Raises
    ------
    ValueError
        If there are no parameters, several groups, complex parameters or parameters on several devices, or an option
        makes no sense.

    Notes
    -----
    Source: Nocedal, "Updating Quasi-Newton Matrices with Limited Storage", 1980; Liu and Nocedal, 1989; line search:
    see ``rustorch/optim/line_search.py``.

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

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ):
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
        if self.param_groups:
            raise ValueError("LBFGS has one group of parameters: all of them make one step together")
        super().add_param_group(param_group)
        devices = sorted({device_of(p._native) for p in self.param_groups[0]["params"]})
        if len(devices) > 1:
            self.param_groups.clear()
            raise ValueError(f"LBFGS: parameters on {' and '.join(devices)}; move all of them to one device")

    # -- flat arrays ---------------------------------------------------------------------------------------------------
    def _flat_gradient(self, xp: Namespace) -> Any:
        gradients = {id(p): g for p, _, g, *_ in stepping.gather(self)[0]}
        natives = [(id(p), p._native) for p in self._parameters()]
        return xp.concat([xp.reshape(gradients.get(key, xp.zeros_like(native)), (-1,)) for key, native in natives])

    def _put(self, values: Iterable[Any]) -> None:
        written = []
        for p, new in zip(self._parameters(), values, strict=True):
            if stepping.write(p, native := p._native, new):
                written.append(native)
        writes.note_all(written)

    def _move(self, xp: Namespace, start: list[Any], t: float, d: Any) -> None:
        """Let the parameters be ``start + t * d``."""
        stops = list(accumulate(math.prod(old.shape) for old in start))
        parts = [d[stop - math.prod(old.shape) : stop] for stop, old in zip(stops, start, strict=True)]
        self._put(
            [
                old + t * xp.astype(xp.reshape(part, old.shape), old.dtype, copy=False)
                for part, old in zip(parts, start, strict=True)
            ]
        )

    # -- the step ------------------------------------------------------------------------------------------------------
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to ``max_iter`` iterations.

        Parameters
        ----------
        closure : callable
            Forgets the gradients, computes the loss, calls backward and returns the loss.

        Returns
        -------
        Variable
            What the closure returned at first.

        Raises
        ------
        TypeError
            Without a closure, or if it does not return a loss. Whatever it raises itself is passed on; parameters and
            state are as they were before.
        """
        if closure is None:
            raise TypeError(
                "LBFGS.step needs a closure, for it computes the loss several times: def closure(): "
                "optimizer.zero_grad(); "
                "loss = ...; loss.backward(); return loss"
            )
        params = self._parameters()
        native = params[0]._native
        backend = BY_TYPE[type(native)]
        with backend.guard(native):
            xp = backend.xp
            kept = [xp.asarray(p._native, copy=True) for p in params]
            state = self._state(params[0])
            try:
                result = self._iterate(xp, closure, state)
            except BaseException:
                self._put(kept)
                raise
            self.state[params[0]] = state
        self.steps += 1
        return result

    def _state(self, first: Variable) -> dict[str, Any]:
        """A copy that an iteration may change; where the last step failed, the old one is still whole."""
        old = self.state.get(first) or {"func_evals": 0, "n_iter": 0}
        return {name: list(value) if type(value) is list else value for name, value in old.items()}

    def _iterate(self, xp: Namespace, closure: Callable[[], Any], state: dict[str, Any]) -> Any:
        group = self.param_groups[0]
        lr, tolerance = float(group["lr"]), group["tolerance_change"]

        def evaluate() -> tuple[Any, float, Any]:
            with enable_grad():
                result = closure()
            if result is None:
                raise TypeError("LBFGS: the closure returned None; it returns the loss")
            state["func_evals"] += 1
            with no_grad():  # its gradients are there, if they are needed
                return result, float(result), self._flat_gradient(xp)

        def largest(x: Any) -> float:
            return float(xp.max(xp.abs(x)))

        evaluated = state["func_evals"]
        result, loss, gradient = evaluate()
        if largest(gradient) <= group["tolerance_grad"]:
            return result
        for iteration in range(1, group["max_iter"] + 1):
            d = self._direction(xp, gradient, state, group["history_size"])
            first = state["n_iter"] == 1
            t = min(1.0, 1.0 / float(xp.sum(xp.abs(gradient)))) * lr if first else lr
            slope = float(xp.vecdot(gradient, d))
            state.update(d=d, t=t, prev_flat_grad=gradient, prev_loss=loss)
            if slope > -tolerance:
                break
            before = loss
            start = [xp.asarray(p._native, copy=True) for p in self._parameters()]
            if group["line_search_fn"]:

                def at(t: float, start: list[Any] = start, d: Any = d) -> Point:
                    self._move(xp, start, t, d)
                    _, loss, gradient = evaluate()
                    return Point(t, loss, gradient, float(xp.vecdot(gradient, d)))

                most = group["max_eval"] - (state["func_evals"] - evaluated)
                found = strong_wolfe(
                    at, Point(0.0, loss, gradient, slope), t, size=largest(d), tolerance=1e-9, most=most
                )
                t, loss, gradient = found.t, found.loss, found.gradient
                self._move(xp, start, t, d)
            else:
                self._move(xp, start, t, d)
                if iteration < group["max_iter"]:  # the last point is looked at by the next step
                    _, loss, gradient = evaluate()
            state["t"] = t
            if (
                state["func_evals"] - evaluated >= group["max_eval"]
                or largest(gradient) <= group["tolerance_grad"]
                or largest(t * d) <= tolerance
                or abs(loss - before) < tolerance
            ):
                break
        return result

    def _direction(self, xp: Namespace, gradient: Any, state: dict[str, Any], history_size: int) -> Any:
        """``-H g``, with the last step taken into the history."""
        state["n_iter"] += 1
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -gradient
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = gradient - state["prev_flat_grad"], state["t"] * state["d"]
        ys = float(xp.vecdot(y, s))
        if ys > 1e-10:  # without curvature, the history stays as it is
            if len(changes) == history_size:
                for kept in (changes, steps, ro):
                    del kept[0]
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / float(xp.vecdot(y, y))
        q, along = -gradient, []
        for y, s, r in zip(reversed(changes), reversed(steps), reversed(ro), strict=True):
            along.append(a := r * float(xp.vecdot(s, q)))
            q = q - a * y
        q = state["H_diag"] * q
        for y, s, r, a in zip(changes, steps, ro, reversed(along), strict=True):
            q = q + (a - r * float(xp.vecdot(y, q))) * s
        return q

    # -- state ---------------------------------------------------------------------------------------------------------
    def load_entry(
        self, p: Variable, entries: Mapping[str, Any], options: dict[str, Any], differ: list[str]
    ) -> dict[str, Any]:
        size = sum(q.size for q in self._parameters())
        entries = {
            name: value for name, value in entries.items() if name != "al" and value is not None
        }  # al: PyTorch's scratch
        known, lists = (*_NUMBERS, *_ARRAYS, *_LISTS, "ro"), (*_LISTS, "ro")
        differ += [f"{name}, which is unknown here" for name in entries if name not in known]
        differ += [f"no {name}" for name in ("func_evals", "n_iter") if name not in entries]
        if entries.get("n_iter"):
            differ += [f"no {name}" for name in known if name not in entries]

        def read(name: str, value: Any) -> Any:
            try:
                if name in _NUMBERS or name == "ro":
                    return states.number(name, value)
                return states.array(name, value, (size,), p.device)
            except ValueError as error:
                differ.append(str(error))

        state: dict[str, Any] = {name: read(name, entries[name]) for name in (*_NUMBERS, *_ARRAYS) if name in entries}
        for name in (name for name in lists if name in entries):
            if isinstance(given := entries[name], (list, tuple)):
                state[name] = [read(name, value) for value in given]
            else:
                differ.append(f"{name} is {given!r:.50}, here a list")
        if len({len(state[name]) for name in lists if name in state}) > 1:
            differ.append("old_dirs, old_stps and ro of different lengths")
        return state

"""gradcheck and gradgradcheck: compare the gradients of a function with central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..backends import BY_TYPE, Array, device_of, get
from .grad import grad
from .graph import Value, make, track
from .modes import set_grad_enabled
from .recording import floating

#: Dtypes that are precise enough for differences of nearly equal numbers.
_PRECISE = {"float64", "complex128"}


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of a function agree with central differences, element by element.

    Parameters
    ----------
    func : callable
        Takes Variables; returns a Variable or a tuple or list of them. It is called many times, and must return the
        same for the same inputs.
    inputs : Variable or sequence of Variables
        Those that require grad are checked; they must be float64 or complex128. They are not changed.
    eps : float
        The step of the differences.
    atol, rtol : float
        The tolerance: ``abs(gradient - difference) <= atol + rtol * abs(difference)``.
    raise_exception : bool
        Raise RuntimeError if they differ, instead of returning False.

    Returns
    -------
    bool

    Raises
    ------
    RuntimeError
        If they differ. It names the output, the input, the element of the greatest difference, and both numbers.
    TypeError
        If an input that requires grad has too little precision, or what ``func`` returns is no Variable.
    ValueError
        If no input requires grad.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([0.5, 2.0], dtype=rustorch.float64, requires_grad=True)
    >>> rustorch.gradcheck(lambda x: rustorch.log(x) * x, x)
    True
    """
    complaint = _compare("gradcheck", func, _inputs("gradcheck", inputs), eps, atol, rtol)
    if complaint is not None and raise_exception:
        raise RuntimeError(complaint)
    return complaint is None


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether second derivatives agree with central differences of first derivatives; the rest is as in `gradcheck`.

    Parameters
    ----------
    func : callable
    inputs : Variable or sequence of Variables
    grad_outputs : Variable or sequence of Variables, optional
        The gradients that the first derivatives start from. Default: different numbers between 0.5 and 1.5.
    eps, atol, rtol, raise_exception
        As in `gradcheck`.

    Returns
    -------
    bool

    Raises
    ------
    RuntimeError, TypeError, ValueError
        As `gradcheck`.

    Examples
    --------
    >>> import rustorch
    >>> x = rustorch.tensor([0.5, 2.0], dtype=rustorch.float64, requires_grad=True)
    >>> rustorch.gradgradcheck(lambda x: x**3, x)
    True
    """
    given = _inputs("gradgradcheck", inputs)
    outs = [out for out in _outputs("gradgradcheck", func(*_copies(given))) if _differentiable(out)]
    if grad_outputs is None:
        starts = [_varied(out._native) for out in outs]
    else:
        starts = _inputs("gradgradcheck", grad_outputs, needed=False)
    if len(starts) != len(outs):
        raise ValueError(f"gradgradcheck: {len(starts)} grad_outputs for {len(outs)} outputs")
    count = len(given)

    def first(*both: Any) -> tuple[Any, ...]:
        xs = [x for x in both[:count] if x._tracked]
        pairs = [
            (out, start)
            for out, start in zip(
                filter(_differentiable, _outputs("gradgradcheck", func(*both[:count]))), both[count:], strict=True
            )
            if out._tracked
        ]
        if not pairs:
            return ()
        gradients = grad(
            [out for out, _ in pairs], xs, [start for _, start in pairs], create_graph=True, allow_unused=True
        )
        return tuple([g for g in gradients if g is not None])

    for start in starts:
        track(start)
    complaint = _compare("gradgradcheck", first, [*given, *starts], eps, atol, rtol)
    if complaint is not None and raise_exception:
        raise RuntimeError(complaint)
    return complaint is None


# -- arguments and results ---------------------------------------------------------------------------------------------
def _inputs(name: str, inputs: Any, needed: bool = True) -> list[Any]:
    """Copies of the inputs as leaves, so that the caller's inputs do not change."""
    listed = [inputs] if isinstance(inputs, Value) or not isinstance(inputs, Sequence) else list(inputs)
    for i, x in enumerate(listed):
        if not isinstance(x, Value):
            raise TypeError(f"{name}: input {i} is a {type(x).__name__}, not a Variable")
        if x._tracked and str(x.dtype) not in _PRECISE:
            raise TypeError(
                f"{name}: input {i} is {x.dtype}, whose precision is too low for differences; convert it with double()"
            )
    if needed and not any(x._tracked for x in listed):
        raise ValueError(f"{name}: none of the {len(listed)} inputs requires grad; make one with requires_grad=True")
    return _copies(listed)


def _copies(values: Sequence[Any]) -> list[Any]:
    return [_leaf(BY_TYPE[type(x._native)].xp.asarray(x._native, copy=True), x._tracked) for x in values]


def _leaf(native: Array, tracked: bool) -> Any:
    out = make(native)
    if tracked:
        track(out)
    return out


def _outputs(name: str, result: Any) -> list[Any]:
    outs = list(result) if isinstance(result, (tuple, list)) else [result]
    for i, out in enumerate(outs):
        if not isinstance(out, Value):
            raise TypeError(f"{name}: the function returned a {type(out).__name__} as output {i}, not a Variable")
    return outs


def _differentiable(out: Any) -> bool:
    return floating(BY_TYPE[type(out._native)], out._native)


def _host(native: Array) -> Array:
    return BY_TYPE[type(native)].to_numpy(native)


def _varied(native: Array) -> Any:
    """A leaf with different numbers between 0.5 and 1.5."""
    backend, xp = BY_TYPE[type(native)], get("cpu").xp
    values = xp.reshape(0.5 + (xp.arange(prod(native.shape)) * 0.6180339887) % 1.0, tuple(native.shape))
    if backend.dtype_of(native).kind == "c":
        values = values + 0.5j
    return _leaf(backend.from_numpy(xp.astype(values, backend.dtype_of(native)), device_of(native)), False)


# -- the comparison ----------------------------------------------------------------------------------------------------
def _compare(
    name: str, func: Callable[..., Any], inputs: list[Any], eps: float, atol: float, rtol: float
) -> str | None:
    """The text of an error if a gradient is wrong; None if all agree."""
    with set_grad_enabled(True):
        outs = [out for out in _outputs(name, func(*inputs)) if _differentiable(out)]
        for i, x in enumerate(inputs):
            if not x._tracked:
                continue
            columns = _differences(name, func, inputs, i, len(outs), eps)
            for k, out in enumerate(outs):
                complaint = _compare_one(name, out, k, x, i, [column[k] for column in columns], atol, rtol)
                if complaint is not None:
                    return complaint
    return None


def _differences(
    name: str, func: Callable[..., Any], inputs: list[Any], which: int, count: int, eps: float
) -> list[list[Array]]:
    """The differences in each element of an input; a complex element has a real and an imaginary direction.

    Returns
    -------
    list
        For each element and direction, the derivatives of all outputs, each flat and on the host.
    """
    x = inputs[which]
    xp, backend = get("cpu").xp, BY_TYPE[type(x._native)]
    device = device_of(x._native)
    values = _host(x._native)
    columns = []
    for element in range(x.size):
        for direction in (1, 1j) if x.dtype.kind == "c" else (1,):
            ends = []
            for sign in (1, -1):
                moved = xp.reshape(xp.asarray(values, copy=True), (-1,))
                moved[element] += sign * direction * eps
                leaf = _leaf(backend.from_numpy(xp.reshape(moved, values.shape), device), True)
                outs = [
                    out
                    for out in _outputs(name, func(*inputs[:which], leaf, *inputs[which + 1 :]))
                    if _differentiable(out)
                ]
                if len(outs) != count:
                    raise RuntimeError(
                        f"{name}: the function returned {count} outputs first, and {len(outs)} when called again"
                    )
                ends.append([xp.reshape(_host(out._native), (-1,)) for out in outs])
            columns.append([(above - below) / (2 * eps) for above, below in zip(*ends, strict=True)])
    return columns


def _compare_one(
    name: str, out: Any, k: int, x: Any, i: int, columns: list[Array], atol: float, rtol: float
) -> str | None:
    """Compare the gradients of one output in one input.

    Each is the gradient of a real number, ``Re(conj(unit) * out[element])``.
    """
    xp = get("cpu").xp
    backend, device = BY_TYPE[type(out._native)], device_of(out._native)
    directions = (1, 1j) if x.dtype.kind == "c" else (1,)
    for element in range(out.size):
        for unit in (1, 1j) if out.dtype.kind == "c" else (1,):
            start = xp.zeros((out.size,), dtype=out.dtype)
            start[element] = unit
            analytic = xp.zeros((x.size,), dtype=x.dtype)
            if out._tracked:
                native = backend.from_numpy(xp.reshape(start, out.shape), device)
                (gradient,) = grad(out, x, make(native), retain_graph=True, allow_unused=True)
                if gradient is not None:
                    analytic = xp.reshape(_host(gradient._native), (-1,))
            numeric = xp.zeros((x.size,), dtype=x.dtype)
            for place in range(x.size):
                for d, direction in enumerate(directions):
                    slope = complex(columns[place * len(directions) + d][element])
                    numeric[place] += direction * (complex(unit).conjugate() * slope).real
            difference = xp.abs(analytic - numeric)
            wrong = ~(difference <= atol + rtol * xp.abs(numeric))  # the negation, so that a NaN is wrong, too
            if bool(xp.any(wrong)):
                at = int(xp.argmax(xp.where(wrong & ~(difference < float("inf")), float("inf"), difference * wrong)))
                return (
                    f"{name}: the gradient of output {k} (shape {out.shape}, element {element}) in input {i} (shape "
                    f"{x.shape}) is wrong at element {at}: the rules say {analytic[at].item()}, central differences "
                    f"{numeric[at].item()}"
                )
    return None

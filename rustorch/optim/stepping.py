"""How a step of an optimizer updates its parameters: one after the other, or all on a device in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ..backends import BY_TYPE, Backend, device_of
from ..variable import Variable
from . import states

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Optimizer

#: A parameter to update: itself, its array, its gradient, their backend, and its group.
Entry: TypeAlias = tuple[Variable, "Array", "Array", Backend, dict[str, Any]]


def gather(optimizer: Optimizer) -> tuple[list[Entry], list[Backend]]:
    """The parameters that have a gradient, checked before the first one changes, and their backends.

    Raises
    ------
    RuntimeError
        If the shape, dtype or device of a gradient is not that of its parameter.
    """
    entries: list[Entry] = []
    backends: list[Backend] = []
    array_type: Any = None
    backend: Any = None
    several_devices = False
    for group in optimizer.param_groups:
        # a user may have set a NumPy scalar, which would promote the parameters
        if type(lr := group.get("lr", 0.0)) is not float:
            group["lr"] = float(lr)
        for p in group["params"]:
            g = p._grad
            if g is None:
                continue
            native = p._native
            if type(native) is not array_type:
                array_type = type(native)
                backend = BY_TYPE[array_type]
                several_devices = backend.multi_device
                if backend not in backends:
                    backends.append(backend)
            if (
                type(g) is not array_type
                or (g.dtype is not native.dtype and g.dtype != native.dtype)  # comparing dtypes takes longest
                or g.shape != native.shape
                or (several_devices and device_of(g) != device_of(native))
            ):
                _mismatch(optimizer, p, g)
            entries.append((p, native, g, backend, group))
    return entries, backends


def _mismatch(optimizer: Optimizer, p: Variable, g: Array) -> NoReturn:
    def described(array: Array) -> str:
        return f"{tuple(array.shape)} {BY_TYPE[type(array)].dtype_of(array)} on {device_of(array)!r}"

    raise RuntimeError(
        f"{optimizer._name}: a parameter {described(p._native)} has a gradient {described(g)}; convert and move the "
        f"model before computing gradients. No parameter was updated"
    )


def update_in_turn(optimizer: Optimizer, kernel_name: str | None, entries: list[Entry]) -> list[Array]:
    """Update one parameter after the other, by a kernel or, with None, by `Optimizer.update`. Returns the arrays that
    were written in place.
    """
    call_kernel, names = optimizer.call_kernel, optimizer.state_names
    state_of, as_pairs = optimizer.state, optimizer.complex_as_pairs
    backend: Any = None
    written: list[Array] = []
    for p, native, g, backend_of_p, options in entries:
        if backend_of_p is not backend:
            backend, xp = backend_of_p, backend_of_p.xp
            kernel = None if kernel_name is None else getattr(xp, kernel_name)
        state = state_of.get(p)
        if (
            kernel is None
            or state is None
            or backend.multi_device
            or (as_pairs and backend.dtype_of(native).kind == "c")
        ):
            with backend.guard(native):
                new = _updated(optimizer, xp, p, native, g, options)
        else:  # the body of Optimizer.update, without its calls
            new, *results = call_kernel(kernel, xp, native, g, state, options)
            for name, value in zip(names, results, strict=True):
                if value is not None:
                    state[name] = value
        if new is native or write(p, native, new):
            written.append(native)
    return written


def _updated(
    optimizer: Optimizer, xp: Namespace, p: Variable, native: Array, g: Array, options: dict[str, Any]
) -> Array:
    """The new value of one parameter, computed by `Optimizer.update`. Makes the state before the first step."""
    if (state := optimizer.state.get(p)) is None:
        optimizer.check_whole(p, "a parameter")
        state = optimizer.state[p] = optimizer.start(xp, native, options)
    if optimizer.complex_as_pairs and BY_TYPE[type(native)].dtype_of(native).kind == "c":
        return states.update_as_pairs(optimizer.update, xp, native, g, state, options)
    return optimizer.update(xp, native, g, state, options)


def update_by_device(
    optimizer: Optimizer,
    kernel_name: str,
    entries: list[Entry],
    backends: list[Backend],
    numbers_of: Callable[[dict[str, Any]], dict[str, Any]] | None,
) -> list[Array]:
    """Update all parameters on a device in one call, where its backend can. Returns the arrays that were written in
    place.

    Parameters
    ----------
    optimizer, kernel_name, entries, backends
        The backends are those of the entries.
    numbers_of : callable or None
        The kernel's numbers for all parameters of a group; None if each parameter may have numbers of its own.
    """
    if len(backends) == 1 and not backends[0].multi_device:
        return _update_together(optimizer, kernel_name, backends[0], entries, numbers_of)
    devices: dict[str, list[Entry]] = {}
    for entry in entries:
        devices.setdefault(device_of(entry[1]), []).append(entry)
    written: list[Array] = []
    for on_device in devices.values():
        first, backend = on_device[0][1], on_device[0][3]
        with backend.guard(first):
            if backend.together:
                written += _update_together(optimizer, kernel_name, backend, on_device, numbers_of)
            else:
                written += update_in_turn(optimizer, kernel_name, on_device)
    return written


def _arguments(*arrays: Array | None, **numbers: Any) -> tuple[tuple[Array | None, ...], dict[str, Any]]:
    """Called in place of a kernel: returns the arguments of the call."""
    return arrays, numbers


def _update_together(
    optimizer: Optimizer,
    kernel_name: str,
    backend: Backend,
    entries: list[Entry],
    numbers_of: Callable[[dict[str, Any]], dict[str, Any]] | None,
) -> list[Array]:
    """Update all parameters of a device in one call. A complex parameter that becomes pairs has a call of its own."""
    xp, state_of, names = backend.xp, optimizer.state, optimizer.state_names
    written: list[Array] = []
    if optimizer.complex_as_pairs:
        entries, complex_entries = _without_complex(backend, entries)
        if complex_entries:
            written = update_in_turn(optimizer, kernel_name, complex_entries)
    calls: list[tuple[tuple[Array | None, ...], dict[str, Any]]] = []
    states_of_calls: list[dict[str, Any]] = []
    group: Any = None
    numbers: dict[str, Any] = {}
    single = names[0] if len(names) == 1 else None
    for p, native, g, _, options in entries:
        state = state_of.get(p)
        if state is None:
            optimizer.check_whole(p, "a parameter")
            state = state_of[p] = optimizer.start(xp, native, options)
        states_of_calls.append(state)
        if numbers_of is None:
            calls.append(optimizer.call_kernel(_arguments, xp, native, g, state, options))
            continue
        if options is not group:
            group, numbers = options, numbers_of(options)
        arrays = (native, g, state[single]) if single else (native, g, *[state[name] for name in names])
        calls.append((arrays, numbers))
    outcomes = backend.steps(kernel_name, calls)
    for (p, native, _, _, _), state, outcome in zip(entries, states_of_calls, outcomes, strict=True):
        if outcome is None:
            written.append(native)
            continue
        new, *results = outcome
        for name, value in zip(names, results, strict=True):
            if value is not None:
                state[name] = value
        if new is native or write(p, native, new):
            written.append(native)
    return written


def _without_complex(backend: Backend, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The entries of real and of complex parameters."""
    real: list[Entry] = []
    complex_: list[Entry] = []
    dtype: Any = None
    chosen = real
    for entry in entries:
        if entry[1].dtype is not dtype:
            dtype = entry[1].dtype
            chosen = complex_ if backend.dtype_of(entry[1]).kind == "c" else real
        chosen.append(entry)
    return real, complex_


def write(p: Variable, native: Array, new: Array) -> bool:
    """Give a parameter its new value. Returns whether its array was written in place."""
    if BY_TYPE[type(native)].writable(native):
        native[...] = new
        return True
    p._native = new
    return False

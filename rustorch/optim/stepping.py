"""How a step of an optimizer updates its parameters: one after the other, or all on a device in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from ..backends import BY_TYPE, Backend, device_of
from ..variable import Variable
from . import states

if TYPE_CHECKING:
    from ..typing import Array, Namespace
    from .optimizer import Optimizer

#: A parameter to update: itself, its array, its gradient, their backend, and its group.
Entry: TypeAlias = tuple[Variable, "Array", "Array", Backend, dict[str, Any]]


def gather(optimizer: Optimizer) -> tuple[list[Entry], bool]:
    """The parameters that have a gradient, checked before the first one changes; and whether one of their backends
    updates several parameters in one call.

    Raises
    ------
    RuntimeError
        If the shape, dtype or device of a gradient is not that of its parameter.
    """
    entries: list[Entry] = []
    together = False
    for group in optimizer.param_groups:
        # a user may have set a NumPy scalar, which would promote the parameters
        if type(lr := group.get("lr", 0.0)) is not float:
            group["lr"] = float(lr)
        for p in group["params"]:
            g = p._grad
            if g is None:
                continue
            native = p._native
            array_type = type(native)
            if type(g) is not array_type or g.dtype != native.dtype or g.shape != native.shape:
                _mismatch(optimizer, p, g)
            backend = BY_TYPE[array_type]
            if backend.multi_device and device_of(g) != device_of(native):
                _mismatch(optimizer, p, g)
            together = together or backend.together
            entries.append((p, native, g, backend, group))
    return entries, together


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


def update_by_device(optimizer: Optimizer, kernel_name: str, entries: list[Entry]) -> list[Array]:
    """Update all parameters on a device in one call, where its backend can. Returns the arrays that were written in
    place.
    """
    devices: dict[str, list[Entry]] = {}
    for entry in entries:
        devices.setdefault(device_of(entry[1]), []).append(entry)
    written: list[Array] = []
    for on_device in devices.values():
        first, backend = on_device[0][1], on_device[0][3]
        with backend.guard(first):
            if backend.together:
                written += _update_together(optimizer, kernel_name, backend, on_device)
            else:
                written += update_in_turn(optimizer, kernel_name, on_device)
    return written


def _arguments(*arrays: Array | None, **numbers: Any) -> tuple[tuple[Array | None, ...], dict[str, Any]]:
    """Called in place of a kernel: returns the arguments of the call."""
    return arrays, numbers


def _update_together(optimizer: Optimizer, kernel_name: str, backend: Backend, entries: list[Entry]) -> list[Array]:
    """Update all parameters of a device in one call. A complex parameter that becomes pairs has a call of its own."""
    xp = backend.xp
    complex_entries: list[Entry] = []
    real_entries: list[Entry] = []
    for entry in entries:
        is_complex = optimizer.complex_as_pairs and backend.dtype_of(entry[1]).kind == "c"
        (complex_entries if is_complex else real_entries).append(entry)
    written = update_in_turn(optimizer, kernel_name, complex_entries)
    calls: list[tuple[tuple[Array | None, ...], dict[str, Any]]] = []
    for p, native, g, _, options in real_entries:
        if (state := optimizer.state.get(p)) is None:
            optimizer.check_whole(p, "a parameter")
            state = optimizer.state[p] = optimizer.start(xp, native, options)
        calls.append(optimizer.call_kernel(_arguments, xp, native, g, state, options))
    for (p, native, *_), (new, *results) in zip(real_entries, backend.steps(kernel_name, calls), strict=True):
        optimizer._store(optimizer.state[p], results)
        if new is native or write(p, native, new):
            written.append(native)
    return written


def write(p: Variable, native: Array, new: Array) -> bool:
    """Give a parameter its new value. Returns whether its array was written in place."""
    if BY_TYPE[type(native)].writable(native):
        native[...] = new
        return True
    p._native = new
    return False

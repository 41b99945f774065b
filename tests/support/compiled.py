"""Compares compiled functions with plain ones, and calls them with several numbers of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy

import rustorch
from rustorch.backends.kernels import KERNELS
from rustorch.backends.numba import kernel

from .plain_namespace import PLAIN

Functions = Mapping[str, Callable[..., Any]]


# -- arrays ------------------------------------------------------------------------------------------------------------
def draw(shape: tuple[int, ...], dtype: Any, seed: int = 0, scale: float = 1.0) -> Any:
    """Normal random numbers of a standard deviation of ``scale``, in complex arrays that of both parts."""
    rng = numpy.random.default_rng(seed)
    numbers = scale * rng.standard_normal(shape)
    if numpy.dtype(dtype).kind == "c":
        numbers = numbers + 1j * scale * rng.standard_normal(shape)
    return numbers.astype(dtype)


def odd_copies(array: Any) -> tuple[Any, Any]:
    """A copy that may not be written, and one whose elements are not aligned in memory."""
    locked = array.copy()
    locked.flags.writeable = False
    unaligned = numpy.empty(array.nbytes + 1, "uint8")[1:].view(array.dtype).reshape(array.shape)
    unaligned[:] = array
    assert not unaligned.flags.aligned
    return locked, unaligned


# -- calls and comparisons ---------------------------------------------------------------------------------------------
def call(functions: Functions, name: str, *arguments: Any, **options: Any) -> Any:
    """The result of a compiled function, which must not leave the call to NumPy, nor change its arguments."""
    before = [a.copy() if isinstance(a, numpy.ndarray) else a for a in arguments]
    result = functions[name](*arguments, **options)
    assert result is not NotImplemented, f"{name}: {kernel.STATE.problem} {kernel.STATE.failures}"
    for argument, value in zip(arguments, before, strict=True):
        numpy.testing.assert_array_equal(argument, value)
    return result


def check(result: Any, expected: Any, bound: float = 40, scale: float | None = None) -> None:
    """Assert that a result has the shape, the dtype and, up to rounding, the numbers that are expected.

    Parameters
    ----------
    result, expected : array, int, None or tuple of them
        Both are of the same kind. Integers are equal.
    bound : float
        The largest error, in units of rounding. Of 0, arrays are equal.
    scale : float or None
        The size of the numbers that were rounded, beside the expected number itself. None: the largest one of the
        array that is finite.
    """
    assert result is not NotImplemented, f"{kernel.STATE.problem} {kernel.STATE.failures}"
    if isinstance(expected, tuple):
        assert isinstance(result, tuple)
        for one, other in zip(result, expected, strict=True):
            check(one, other, bound, scale)
    elif expected is None or isinstance(expected, int):
        assert type(result) is type(expected)
        assert result == expected
    else:
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        if not bound:
            numpy.testing.assert_array_equal(result, expected)
            return
        size = abs(expected[numpy.isfinite(expected)]).max(initial=0) if scale is None else scale
        bound *= float(numpy.finfo(expected.dtype).eps)
        numpy.testing.assert_allclose(result, expected, rtol=bound, atol=bound * size)


def compare(overrides: Functions, name: str, *arguments: Any, bound: float = 40, scale: float | None = None) -> Any:
    """The result of a kernel's plain version, after a comparison with the compiled one. `check` has the bounds."""
    expected = KERNELS[name](PLAIN, *arguments)
    check(call(overrides, name, *arguments), expected, bound, scale)
    return expected


def check_layer(layer: Any, plain: Any, shape: tuple[int, ...], loss: Callable[[Any], Any]) -> None:
    """Assert that a layer in float32 has the output and the gradients of another one in float64, on another library.

    Parameters
    ----------
    layer, plain : Module
        Layers with the same parameters. The second one is moved.
    shape : tuple of int
        The shape of the input.
    loss : callable
        It makes the number that is differentiated of the output, or of the first output of several.
    """
    results = []
    moved = plain.to("strict").to(rustorch.float64)
    for model, device, dtype in ((layer, "cpu", "float32"), (moved, "strict", "float64")):
        x = rustorch.tensor(draw(shape, dtype), requires_grad=True, device=device)
        out = model(x)
        out = out[0] if isinstance(out, tuple) else out
        loss(out).backward()
        grads = [x.grad, *[p.grad for p in model.parameters()]]
        results.append([rustorch.asarray(a).to("cpu").data for a in (out.detach(), *grads)])
    for result, expected in zip(*results, strict=True):
        numpy.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


# -- threads -----------------------------------------------------------------------------------------------------------
@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with this number of threads, which the machine need not have."""
    before = rustorch.get_num_threads()
    rustorch.set_num_threads(count)
    try:
        yield
    finally:
        rustorch.set_num_threads(before)


def same_with_threads(function: Callable[[], Any], counts: tuple[int, ...] = (1, 3)) -> None:
    """Assert that a function returns the same numbers, to the last bit, with each of these numbers of threads."""
    results = []
    for count in counts:
        with threads(count):
            results.append(function())
    for other in results[1:]:
        check(other, results[0], bound=0)

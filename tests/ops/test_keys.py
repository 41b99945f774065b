"""``x[key]`` and ``x[key] = value`` for all forms of keys: values against NumPy's, gradients against PyTorch's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rustorch
from tests.support.target import Target

#: How many keys are tried: JAX compiles for each of them anew.
EXAMPLES = {"jax": 30}


def every(backend: Target, *strategies: Any) -> Callable:
    """Run a test for many values, and for fewer values if a run is slow."""
    options = settings(max_examples=EXAMPLES.get(backend.device, 250), deadline=None, derandomize=True, database=None)
    return lambda test: options(given(*strategies)(test))()


@st.composite
def arrays_and_keys(draw: Any) -> tuple[numpy.ndarray, Any]:
    """An array of distinct numbers, and a key for it, which sometimes does not fit."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    together = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    parts: list[Any] = []
    axis = 0
    while axis < len(shape):
        kinds = ["integer", "slice", "slice", "array", "array", "mask", "new axis", "0-d mask", "..."]
        kind = draw(st.sampled_from(kinds))
        size, taken = shape[axis], 1
        if kind == "integer":
            parts.append(draw(st.integers(-size, size - 1)) if size else slice(None))
        elif kind == "slice":
            ends = st.none() | st.integers(-size - 2, size + 2)
            parts.append(slice(draw(ends), draw(ends), draw(st.none() | st.sampled_from([1, 2, -1, -3]))))
        elif kind == "array":
            form = tuple(draw(st.sampled_from([n, 1])) for n in together)[draw(st.integers(0, len(together))) :]
            if not size and 0 not in form:
                parts.append(slice(None))
            else:
                count = int(numpy.prod(form))
                values = draw(
                    st.lists(st.integers(-size, size - 1) if size else st.just(0), min_size=count, max_size=count)
                )
                dtype = draw(st.sampled_from(["int64", "int32", "uint8"]))
                parts.append(numpy.array([v % size if dtype == "uint8" else v for v in values], dtype).reshape(form))
        elif kind == "mask":
            taken = draw(st.integers(1, min(2, len(shape) - axis)))
            mask = numpy.zeros(shape[axis : axis + taken], bool)
            if not mask.size and Ellipsis in [part for part in parts if not isinstance(part, numpy.ndarray)]:
                continue  # at other axes the mask would not fit, and NumPy alone does not notice it
            count = min(mask.size, draw(st.sampled_from([together[-1] if together else 1, 1])))
            mask.reshape(-1)[draw(st.permutations(range(mask.size)))[:count]] = True
            parts.append(mask)
        else:
            taken = 0
            parts.append({"new axis": None, "0-d mask": draw(st.booleans()), "...": Ellipsis}[kind])
            if kind == "..." and sum(part is Ellipsis for part in parts) > 1:
                parts.pop()
            if len(parts) > 6:
                break
        axis += taken
        if not draw(st.integers(0, 4)):
            break
    if len(parts) == 1 and draw(st.booleans()):
        return _numbers(shape), parts[0]
    return _numbers(shape), tuple(parts)


def _numbers(shape: tuple[int, ...]) -> numpy.ndarray:
    return numpy.arange(1.0, 1 + numpy.prod(shape)).reshape(shape)


def _wanted(call: Callable[[], Any]) -> Any:
    """NumPy's result, or None if NumPy raises an error."""
    try:
        return call()
    except (IndexError, ValueError, TypeError):
        return None


def _on(backend: Target, key: Any) -> Any:
    """The key with the backend's arrays."""
    if isinstance(key, tuple):
        return tuple([_on(backend, part) for part in key])
    return backend.array(key, key.dtype) if isinstance(key, numpy.ndarray) else key


def test_reading(backend: Target) -> None:
    @every(backend, arrays_and_keys())
    def check(pair: tuple) -> None:
        a, key = pair
        x = backend.variable(a, requires_grad=True)
        want = _wanted(lambda: a[key])
        if want is None:
            with pytest.raises((IndexError, ValueError)):
                x[_on(backend, key)]
            return
        out = x[_on(backend, key)]
        assert (out.shape, out.dtype, out.device) == (want.shape, x.dtype, x.device)
        numpy.testing.assert_array_equal(backend.numpy(out), want)
        g = numpy.cos(_numbers(want.shape))
        out.backward(backend.variable(g))
        transposed = numpy.zeros(a.shape)
        numpy.add.at(transposed, key, g)
        numpy.testing.assert_allclose(backend.numpy(x.grad), transposed, rtol=1e-13, atol=1e-13)


def check_any_of_several(
    backend: Target, a: numpy.ndarray, key: Any, value: numpy.ndarray, want: numpy.ndarray, times_written: numpy.ndarray
) -> None:
    """A GPU may write any of several values last. Every element must hold one of them, and have its gradient."""
    x, v = backend.variable(a, requires_grad=True), backend.variable(value, requires_grad=True)
    y = x * 1.0
    y[_on(backend, key)] = v
    plain = backend.variable(a)
    plain[_on(backend, key)] = backend.variable(value)
    for out in (backend.numpy(plain), backend.numpy(y)):
        numpy.testing.assert_array_equal(out[times_written < 2], want[times_written < 2])
        assert numpy.isin(out[times_written > 0], value).all()
    y.sum().backward()
    numpy.testing.assert_array_equal(backend.numpy(x.grad), (times_written == 0) * 1.0)
    assert backend.numpy(v.grad).sum() == (times_written > 0).sum()


def test_writing(backend: Target) -> None:
    @every(backend, arrays_and_keys(), st.data())
    def check(pair: tuple, data: st.DataObject) -> None:
        a, key = pair
        shape = getattr(_wanted(lambda: a[key]), "shape", None)
        if shape is None:
            value = numpy.array(-1.0)
        else:
            short = tuple(data.draw(st.sampled_from([n, 1])) for n in shape)
            cut = data.draw(st.integers(0, len(shape)))
            value = -_numbers((1, *shape) if shape and data.draw(st.booleans()) else short[cut:])
        want = a.copy()
        if shape is not None and _wanted(lambda: want.__setitem__(key, value) or True) is None:
            return  # NumPy wants a value of one dimension for a mask, and none for no dimensions
        if shape is None:
            x = backend.variable(a)
            with pytest.raises((IndexError, ValueError)):
                x[_on(backend, key)] = backend.variable(value)
            numpy.testing.assert_array_equal(backend.numpy(x), a)
            return
        times_written = numpy.zeros(a.shape)
        numpy.add.at(times_written, key, 1)
        if backend.device == "cuda" and times_written.max(initial=0) > 1:
            check_any_of_several(backend, a, key, value, want, times_written)
            return
        x = backend.variable(a)
        memory = x.data
        x[_on(backend, key)] = backend.variable(value)
        numpy.testing.assert_array_equal(backend.numpy(x), want)
        assert x.is_leaf
        if backend.library.mutable:
            assert x.data is memory
        x = backend.variable(a)
        x[_on(backend, key)] = -5.0
        number = a.copy()
        number[key] = -5.0
        numpy.testing.assert_array_equal(backend.numpy(x), number)
        # recorded: if several values went to one place, the last one has the gradient
        leaf, v = backend.variable(a, requires_grad=True), backend.variable(value, requires_grad=True)
        y = leaf * 1.0
        y[_on(backend, key)] = v
        numpy.testing.assert_array_equal(backend.numpy(y), want)
        g = numpy.cos(_numbers(a.shape))
        y.backward(backend.variable(g))
        written = numpy.full(a.shape, -1)
        written[key] = numpy.arange(int(numpy.prod(shape))).reshape(shape)
        numpy.testing.assert_array_equal(backend.numpy(leaf.grad), numpy.where(written < 0, g, 0.0))
        stayed = numpy.zeros(int(numpy.prod(shape)))
        stayed[written[written >= 0]] = g[written >= 0]
        of_value = stayed.reshape(shape)
        lead = len(shape) - len(value.shape)
        of_value = of_value.sum(axis=tuple(range(max(lead, 0)))).reshape((1,) * max(-lead, 0) + shape[max(lead, 0) :])
        stretched = tuple(i for i, (n, m) in enumerate(zip(value.shape, of_value.shape, strict=True)) if n != m)
        numpy.testing.assert_allclose(
            backend.numpy(v.grad), of_value.sum(axis=stretched, keepdims=True), rtol=1e-13, atol=1e-13
        )


def test_gradients_are_pytorchs(backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    @every(backend, arrays_and_keys())
    def check(pair: tuple) -> None:
        a, key = pair
        want = _wanted(lambda: a[key])
        parts = key if isinstance(key, tuple) else (key,)
        if want is None or any(isinstance(part, slice) and (part.step or 1) < 0 for part in parts):
            return  # PyTorch has no slices with negative steps
        theirs = tuple(
            torch.tensor(p.astype("int64") if p.dtype != bool else p) if isinstance(p, numpy.ndarray) else p
            for p in parts
        )
        t = torch.tensor(a, requires_grad=True)
        out = t[theirs]
        if out.shape != want.shape:
            return  # PyTorch does not broadcast an integer with the arrays beside it, so its axes have another order
        out.backward(torch.cos(torch.tensor(_numbers(want.shape))))
        x = backend.variable(a, requires_grad=True)
        x[_on(backend, key)].backward(backend.variable(numpy.cos(_numbers(want.shape))))
        numpy.testing.assert_allclose(backend.numpy(x.grad), t.grad.numpy(), rtol=1e-13, atol=1e-13)


I = numpy.array  # noqa: E741 - indices
MIXTURES: dict[str, Any] = {
    "apart": (I([0, 1]), slice(None), I([2, 0])), "beside": (slice(None), I([[0], [1]]), I([2, 0, 2])),
    "an integer apart": (0, slice(None), I([2, 0, 2])), "a new axis between": (I([1, 0]), None, I([0, 2])),
    "mask and array": (I([True, True]), I([0, 2]), slice(None, None, -1)),
    "mask of two axes": (I([[True, False, True], [False, True, False]]), ..., 1),
    "mask at the end": (..., I([True, False, False, True])), "nothing": (I([], dtype="int64"), ..., slice(1, None)),
    "repeats": (I([1, 1, 1]), ..., I([0, 3, 0])), "switched off": (False, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXTURES)
def test_derivatives_of_derivatives(name: str, backend: Target) -> None:
    key = _on(backend, MIXTURES[name])
    x = backend.variable(_numbers((2, 3, 4)) / 24, requires_grad=True)
    v = backend.variable(numpy.sin(_numbers(_numbers((2, 3, 4))[MIXTURES[name]].shape)), requires_grad=True)

    def write(x: Any, v: Any) -> Any:
        y = x * x
        y[key] = v**3
        return y * x

    assert rustorch.gradgradcheck(lambda x: x[key] ** 3, x)
    assert rustorch.gradcheck(write, (x, v))
    assert rustorch.gradgradcheck(write, (x, v))


def test_keys_that_do_not_fit_raise(backend: Target) -> None:
    x = backend.variable(_numbers((2, 3)))
    outside = backend.device != "cuda"  # where CuPy wraps
    for key, message in (
        ((0, 0, 0), "too many|key is for 3 axes"),
        ((..., ...), "ellipsis|Ellipsis"),
        ((slice(None), 3), "out of (bounds|range)|out of range for axis 1 of size 3"),
        *(
            [((slice(None), I([0, 3])), "out of (bounds|range)"), (([0, -3],), "out of (bounds|range)")]
            if outside
            else []
        ),
        ((slice(None), I([True, False])), "bool|mask|boolean"),
        ((I([0, 1]), I([0, 1, 2])), "broadcast"),
    ):
        with pytest.raises((IndexError, ValueError), match=message):
            x[_on(backend, key)]
        with pytest.raises((IndexError, ValueError), match=message):
            x[_on(backend, key)] = 1.0
        numpy.testing.assert_array_equal(backend.numpy(x), _numbers((2, 3)))
    with pytest.raises(ValueError, match=r"x\[key\] = value|put of float64"):
        x[_on(backend, (slice(None), I([0, 1])))] = backend.variable([1.0, 2.0, 3.0])

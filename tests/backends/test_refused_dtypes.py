"""Dtypes that are refused: float16 and all others that the standard lacks. bfloat16 is accepted from the libraries that
sum it in float32.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from tests.support.target import Target

HALF = r"float16.*65504.*astype\('float32'\)"


def foreign(device: str, dtype: str) -> Any:
    """An array of another library in a dtype that NumPy may not have. Without the library, the test is skipped."""
    library = pytest.importorskip("jax.numpy" if device == "jax" else "torch")
    rustorch.backends.resolve(device)
    return library.asarray([1.0, 2.0, 3.0], dtype=getattr(library, dtype))


# -- float16 -----------------------------------------------------------------------------------------------------------
#: The functions that take a user's array.
WAYS_IN: dict[str, Callable[[numpy.ndarray], Any]] = {
    "Variable": lambda h: rustorch.Variable(h),
    "asarray": lambda h: rustorch.asarray(h),
    "asarray of a list": lambda h: rustorch.asarray([numpy.float16(1), numpy.float16(2)]),
    "asarray of a scalar": lambda h: rustorch.asarray(numpy.float16(1)),
    "tensor": lambda h: rustorch.tensor(h),
    "from_dlpack": lambda h: rustorch.from_dlpack(h),
    "function": lambda h: rustorch.sin(h),
    "operand": lambda h: rustorch.ones(2) * h,
    "layer's input": lambda h: rustorch.Linear(2, 2)(h),
    "data": lambda h: setattr(rustorch.ones(2), "data", h),
    "grad": lambda h: setattr(rustorch.ones(2, ), "grad", h),
    "gradient": lambda h: rustorch.ones(2, ).requires_grad_().clone().backward(h),
    "parameter": lambda h: rustorch.nn.Parameter(h),
    "save": lambda h: rustorch.save({"weight": h}, "never_written.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_function_refuses_float16_arrays(way: str) -> None:
    with pytest.raises(TypeError, match=HALF):
        WAYS_IN[way](numpy.ones(2, "float16"))


#: The functions that take a dtype.
NAMED: dict[str, Callable[[Any, str], Any]] = {
    "zeros": lambda t, d: rustorch.zeros(2, dtype=t, device=d),
    "full": lambda t, d: rustorch.full(2, 1.0, dtype=t, device=d),
    "arange": lambda t, d: rustorch.arange(3.0, dtype=t, device=d),
    "rand": lambda t, d: rustorch.rand(2, dtype=t, device=d),
    "tensor": lambda t, d: rustorch.tensor([1.0], dtype=t, device=d),
    "Variable": lambda t, d: rustorch.Variable([1.0], dtype=t, device=d),
    "astype": lambda t, d: rustorch.ones(2, device=d).astype(t),
    "to": lambda t, d: rustorch.ones(2, device=d).to(t),
    "to dtype": lambda t, d: rustorch.ones(2, device=d).to(dtype=t),
    "sum": lambda t, d: rustorch.sum(rustorch.ones(2, device=d), dtype=t),
    "layer": lambda t, d: rustorch.Linear(2, 2, dtype=t, device=d),
    "module": lambda t, d: rustorch.Linear(2, 2, device=d).to(t),
}


@pytest.mark.parametrize("way", NAMED)
def test_every_function_refuses_float16_as_a_dtype(way: str, backend: Target) -> None:
    for dtype in ("float16", numpy.float16, numpy.dtype("float16")):
        with pytest.raises(TypeError, match=HALF):
            NAMED[way](dtype, backend.device)


@pytest.mark.parametrize("device", ["jax", "torch"])
def test_float16_of_another_library_is_refused(device: str) -> None:
    half = foreign(device, "float16")
    for function in (rustorch.Variable, rustorch.asarray, rustorch.from_dlpack, rustorch.sum, rustorch.nn.Parameter):
        with pytest.raises(TypeError, match=HALF):
            function(half)
    with pytest.raises(TypeError, match=HALF):
        rustorch.zeros(2, dtype=half.dtype)


def test_cupys_float16_is_refused(cuda: Target) -> None:
    half = cuda.array(numpy.ones(2, "float32")).astype("float16")
    for function in (rustorch.Variable, rustorch.asarray, rustorch.sum):
        with pytest.raises(TypeError, match=HALF):
            function(half)


def test_a_failed_change_of_dtype_does_not_change_the_module() -> None:
    model = rustorch.Linear(2, 2)
    before = [p.data for p in model.parameters()]
    with pytest.raises(TypeError, match=HALF):
        model.to("float16")
    assert all(p.data is a for p, a in zip(model.parameters(), before, strict=True))


def test_numpy_scalars_of_other_dtypes_are_refused() -> None:
    x = rustorch.ones(2)
    with pytest.raises(TypeError, match=HALF):
        rustorch.where(x > 0.0, numpy.float16(1), numpy.float16(2))
    if numpy.dtype("longdouble") != numpy.dtype("float64"):
        with pytest.raises(TypeError, match=r"no floats of more than 64 bits"):
            rustorch.where(x > 0.0, numpy.longdouble(1), numpy.longdouble(2))
    assert (x * numpy.float64(2)).tolist() == [2.0, 2.0]
    assert (
        rustorch.result_type(x, numpy.float64) == rustorch.result_type(numpy.float32, numpy.float64) == rustorch.float64
    )
    assert rustorch.can_cast(numpy.float32, numpy.float64)


# -- other dtypes that the standard lacks ------------------------------------------------------------------------------
OTHERS = {
    "longdouble": (numpy.ones(2, numpy.longdouble), r"no floats of more than 64 bits.*astype\('float64'\)"),
    "clongdouble": (numpy.ones(2, numpy.clongdouble), r"of more than 128 bits.*astype\('complex128'\)"),
    "object": (numpy.array([object(), 1]), r"object.*Python objects.*astype\('float64'\)"),
    "text": (numpy.array(["a"]), r"<U1.*text is no number.*numpy\.unique"),
    "bytes": (numpy.array([b"a"]), r"\|S1.*text is no number"),
    "dates": (numpy.array(["2020-01-01"], "M8[D]"), r"datetime64\[D\].*Count from a first one"),
    "durations": (numpy.array([1], "m8[s]"), r"timedelta64\[s\].*Divide by a unit"),
    "fields": (numpy.zeros(1, "i4,f4"), r"have fields.*x\['f0'\]"),
    "raw": (numpy.zeros(1, "V2"), r"V2.*the standard has no such dtype"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_errors_about_other_dtypes_name_the_dtype_and_a_remedy(kind: str) -> None:
    array, message = OTHERS[kind]
    if array.dtype in (numpy.dtype("float64"), numpy.dtype("complex128")):
        pytest.skip("NumPy's longdouble is double on this platform")
    for function in (rustorch.Variable, rustorch.asarray, rustorch.from_dlpack, rustorch.negative):
        with pytest.raises(TypeError, match=rf"hold no numbers that rustorch computes with: .*|{message}") as raised:
            function(array)
        assert raised.match(message)


# -- bfloat16 ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("device", ["jax", "torch"])
def test_bfloat16_computes_and_prints(device: str) -> None:
    pytest.importorskip("ml_dtypes")
    x = rustorch.asarray(foreign(device, "bfloat16"))
    assert repr(x) == f"{x}" == f"Variable([1, 2, 3], dtype=bfloat16, device={device!r})"
    assert x.dtype == "bfloat16"
    assert repr(x / 2) == f"Variable([0.5, 1, 1.5], dtype=bfloat16, device={device!r})"
    for y, expected in (
        (x * x, [1.0, 4.0, 9.0]),
        (2.0 * x, [2.0, 4.0, 6.0]),
        (x @ x, 14.0),
        (x.sum(), 6.0),
        (rustorch.mean(x), 2.0),
        (rustorch.exp(x - x), [1.0, 1.0, 1.0]),
        (x**2, [1.0, 4.0, 9.0]),
        (rustorch.zeros_like(x), [0.0, 0.0, 0.0]),
        (rustorch.where(x > 1.0, x, 0.0), [0.0, 2.0, 3.0]),
        (rustorch.max(x), 3.0),
    ):
        assert y.dtype == "bfloat16"
        assert y.tolist() == expected
    wide = x.astype(rustorch.float32)
    assert (wide.dtype, wide.tolist()) == (rustorch.float32, [1.0, 2.0, 3.0])
    assert wide.astype("bfloat16").dtype == wide.to("bfloat16").dtype == x.dtype
    assert (x + wide).dtype == rustorch.float32
    assert x[0].item() == float(x[0]) == 1.0
    assert rustorch.finfo(x.dtype).bits == 16


@pytest.mark.parametrize("device", ["jax", "torch"])
def test_bfloat16_has_gradients(device: str) -> None:
    pytest.importorskip("ml_dtypes")
    x = rustorch.asarray(foreign(device, "bfloat16")).requires_grad_()
    (first,) = rustorch.grad((x**3).sum(), x, create_graph=True)
    (second,) = rustorch.grad(first.sum(), x)
    assert (first.tolist(), second.tolist()) == ([3.0, 12.0, 27.0], [6.0, 12.0, 18.0])
    assert first.dtype == second.dtype == x.dtype
    (x.astype(rustorch.float32) * 2.0).sum().backward()
    assert x.grad.dtype == x.data.dtype


@pytest.mark.parametrize("device", ["jax", "torch"])
def test_numpy_and_layers_refuse_bfloat16(device: str) -> None:
    pytest.importorskip("ml_dtypes")
    x = rustorch.asarray(foreign(device, "bfloat16"))
    with pytest.raises(TypeError, match=r"'cpu' have no bfloat16.*x\.astype\(rustorch\.float32\)"):
        x.to("cpu")
    with pytest.raises(TypeError, match=r"'strict' have no bfloat16"):
        x.to("strict")
    message = r"layers and optimizers have no bfloat16.*vanish.*x\.astype\(rustorch\.float32\)"
    for trained in (
        lambda: rustorch.nn.Parameter(x),
        lambda: rustorch.SGD([x.clone().requires_grad_()], lr=0.1),
        lambda: rustorch.Linear(3, 1, device=device, dtype="bfloat16"),
        lambda: rustorch.Linear(3, 1, device=device).to("bfloat16"),
    ):
        with pytest.raises(TypeError, match=message):
            trained()


def test_numpy_has_no_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    with pytest.raises(TypeError, match=r"arrays of dtype bfloat16 hold no numbers.*sums lose their digits"):
        rustorch.asarray(numpy.ones(2, ml_dtypes.bfloat16))
    for make in (lambda: rustorch.zeros(2, dtype="bfloat16"), lambda: rustorch.ones(2).astype("bfloat16")):
        with pytest.raises(TypeError, match=r"arrays on 'cpu' have no bfloat16"):
            make()


def test_a_sparse_tensor_is_refused() -> None:
    torch = pytest.importorskip("torch")
    rustorch.backends.resolve("torch")
    with pytest.raises(TypeError, match=r"torch\.sparse_coo.*to_dense"):
        rustorch.asarray(torch.eye(2).to_sparse())


# -- byte order --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", ">i2", ">c8", "<f8", "<i8"])
def test_every_function_takes_either_byte_order(dtype: str, backend: Target) -> None:
    array = numpy.arange(4).astype(dtype)
    x = rustorch.asarray(array, device=backend.device)
    assert x.dtype == numpy.dtype(dtype).newbyteorder("=")
    for y in (
        x,
        x + x - x,
        rustorch.reshape(x, (2, 2)).reshape(4),
        x.clone(),
        rustorch.from_dlpack(array, device=backend.device),
    ):
        assert y.dtype == x.dtype
        assert y.dtype.isnative
        assert y.tolist() == array.tolist()
    assert rustorch.zeros(2, dtype=dtype).dtype.isnative


def test_an_array_in_the_other_byte_order_is_copied() -> None:
    other = numpy.arange(3.0).astype(numpy.dtype("float64").newbyteorder("S"))
    assert not numpy.shares_memory(rustorch.asarray(other).data, other)
    for call in (rustorch.asarray, rustorch.from_dlpack):
        with pytest.raises(ValueError, match=r"copy=False, but bytes of .f8 are in another order"):
            call(other, copy=False)
    x = rustorch.asarray(other).requires_grad_()
    (x * x).sum().backward()
    assert x.grad.dtype == numpy.dtype("float64")


def test_files_of_half_precision_become_float32() -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    written = safetensors.save({"h": torch.tensor([1.0, 65504.0]).half(), "b": torch.tensor([1.0, 3e38]).bfloat16()})
    found = rustorch.load(io.BytesIO(written))
    assert found["h"].dtype == found["b"].dtype == rustorch.float32
    assert found["h"].tolist() == [1.0, 65504.0]

"""The stand-in for CuPy refuses what CuPy refuses, computes as CuPy does, and logs launches, waits and copies."""

from __future__ import annotations

import ast
import copy
import inspect
import operator
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

from tests.support.launches import counted

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "support" / "cuda"

#: Calls that CuPy refuses: the error, a pattern of its message, and the call.
REFUSED: dict[str, tuple[type[Exception], str, Callable[[Any], Any]]] = {
    "an array of the host as operand": (TypeError, "Unsupported type", lambda cp: cp.ones(2) + numpy.ones(2)),
    "an array of the host on the left": (TypeError, "Unsupported type", lambda cp: numpy.ones(2) + cp.ones(2)),
    "a 0-d array of the host": (
        TypeError,
        "Unsupported type",
        lambda cp: cp.add(cp.ones(2), numpy.array(1.0)),
    ),
    "an array of the host in a function": (
        TypeError,
        "Unsupported type",
        lambda cp: cp.where(cp.ones(2) > 0, numpy.ones(2), 1.0),
    ),
    "an array of the host in a list": (
        TypeError,
        "Unsupported type",
        lambda cp: cp.vstack([cp.ones(2), numpy.ones(2)]),
    ),
    "arrays of the host to join": (TypeError, "Only cupy arrays", lambda cp: cp.concatenate([numpy.ones(2)])),
    "an array of the host as condition": (
        AttributeError,
        "astype",
        lambda cp: cp.where(numpy.ones(2) > 0, cp.ones(2), 1.0),
    ),
    "an array of the host as indices": (TypeError, "host", lambda cp: cp.take(cp.ones(2), numpy.array([0]))),
    "an array of the host as value": (
        ValueError,
        "non-scalar",
        lambda cp: cp.ones(2).__setitem__(slice(None), numpy.ones(2)),
    ),
    "an array of the host to fill with": (ValueError, "non-scalar", lambda cp: cp.ones(2).fill(numpy.ones(2))),
    "an array of the host to multiply": (
        TypeError,
        "Unsupported type",
        lambda cp: cp.matmul(cp.ones((2, 2)), numpy.ones((2, 2))),
    ),
    "an array of the host to make contiguous": (
        TypeError,
        "incorrect type",
        lambda cp: cp.ascontiguousarray(numpy.ones(2)),
    ),
    "an array of the host in linalg": (
        numpy.linalg.LinAlgError,
        "only supports cupy",
        lambda cp: cp.linalg.inv(numpy.eye(2)),
    ),
    "an array of objects": (ValueError, "Unsupported dtype", lambda cp: cp.asarray([None])),
    "a list as operand": (TypeError, "unsupported operand", lambda cp: operator.add(cp.ones(2), [1, 2])),
    "a list as value": (ValueError, "lists cannot be assigned", lambda cp: cp.ones(2).__setitem__(slice(None), [1, 2])),
    "numpy.asarray": (TypeError, "Implicit conversion", lambda cp: numpy.asarray(cp.ones(2))),
    "an unknown keyword": (
        TypeError,
        r"unexpected keyword argument 'where'; CuPy 14.2 has cupy.sum\(a, axis",
        lambda cp: cp.sum(cp.ones(2), where=True),
    ),
    "too few arguments": (TypeError, "missing a required argument: 'a_max'", lambda cp: cp.clip(cp.ones(2), 0)),
    "a keyword of NumPy's ufuncs": (
        TypeError,
        "unexpected keyword argument 'where'",
        lambda cp: cp.add(cp.ones(2), 1, where=True),
    ),
    "an unknown function": (AttributeError, "matvec", lambda cp: cp.matvec),
    "an unknown attribute": (AttributeError, "ctypes", lambda cp: cp.ones(2).ctypes),
    "an unknown flag": (AttributeError, "writeable", lambda cp: cp.ones(2).flags.writeable),
    "no loop: the floor of complex numbers": (TypeError, "Wrong type", lambda cp: cp.floor(cp.ones(2, "complex64"))),
    "no loop: bits of floats": (TypeError, "Wrong type", lambda cp: cp.bitwise_and(cp.ones(2), 1)),
    "no loop: the remainder of complex numbers": (TypeError, "Wrong type", lambda cp: cp.ones(2, "complex64") % 2),
    "no loop: clip of complex numbers": (TypeError, "Wrong type", lambda cp: cp.clip(cp.ones(2, "complex64"), 0, 1)),
    "an output of another shape": (ValueError, "Out shape", lambda cp: cp.add(cp.ones((2, 2)), 1, cp.ones((2, 1)))),
    "an output of another kind": (TypeError, "cannot cast", lambda cp: cp.add(cp.ones(2), 1, cp.ones(2, int))),
    "an output of the host": (TypeError, "Unsupported type", lambda cp: cp.add(cp.ones(2), 1, numpy.ones(2))),
    "an array of floats as key": (IndexError, "integer or boolean", lambda cp: cp.ones(2)[cp.ones(1)]),
    "a float as key": (IndexError, "only integers", lambda cp: cp.ones(2)[1.0]),
    "take of nothing": (IndexError, "non-empty take", lambda cp: cp.take(cp.ones(0), cp.asarray([0]))),
    "complex numbers in add.at": (
        TypeError,
        "only supports",
        lambda cp: cp.add.at(cp.ones(2, "complex64"), cp.asarray([0]), 1.0),
    ),
    "small integers in add.at": (
        TypeError,
        "only supports",
        lambda cp: cp.add.at(cp.ones(2, "int8"), cp.asarray([0]), 1),
    ),
    "floats in subtract.at": (TypeError, "only supports", lambda cp: cp.subtract.at(cp.ones(2), cp.asarray([0]), 1.0)),
    "multiply.at": (NotImplementedError, "not supported", lambda cp: cp.multiply.at(cp.ones(2), cp.asarray([0]), 1.0)),
    "the truth of several elements": (ValueError, "ambiguous", lambda cp: bool(cp.ones(2))),
    "astype with casting": (TypeError, "not supported", lambda cp: cp.ones(2).astype(int, casting="safe")),
    "a kind of sort that is not stable": (ValueError, "stable", lambda cp: cp.sort(cp.ones(2), kind="quicksort")),
    "copy=False where a copy is needed": (
        ValueError,
        "Unable to avoid copy",
        lambda cp: cp.asarray(cp.ones(2), "float32", copy=False),
    ),
    "an array of the host by DLPack": (BufferError, "CPU arrays", lambda cp: cp.from_dlpack(numpy.ones(2))),
    "float16 in linalg": (TypeError, "float16", lambda cp: cp.linalg.inv(cp.ones((2, 2), "float16"))),
    "shapes that solve does not take": (
        ValueError,
        "must have",
        lambda cp: cp.linalg.solve(cp.ones((3, 2, 2)), cp.ones((2, 1))),
    ),
    "a matrix that is not square": (numpy.linalg.LinAlgError, "square", lambda cp: cp.linalg.inv(cp.ones((2, 3)))),
    "a GPU that does not exist": (RuntimeError, "invalid device ordinal", lambda cp: cp.cuda.Device(7).use()),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_stand_in_refuses_what_cupy_refuses(what: str, stand_in: ModuleType) -> None:
    error, message, call = REFUSED[what]
    with pytest.raises(error, match=message):
        call(stand_in)


def test_the_stand_in_gives_cupys_warnings(stand_in: ModuleType) -> None:
    with pytest.warns(DeprecationWarning, match=r"Please use `cupy.add.at`"):
        stand_in.ones(2).scatter_add(0, 1.0)
    with pytest.warns(numpy.exceptions.ComplexWarning):
        stand_in.ones(2, "complex64").astype("float32")
    with pytest.warns(DeprecationWarning, match="empty array is ambiguous"):
        assert not stand_in.ones(0)


def test_every_function_has_cupys_signature(stand_in: ModuleType) -> None:
    signatures = sys.modules["cupy._functions"].signatures
    for module, name in (("", ""), ("linalg", "linalg."), ("fft", "fft.")):
        for function, signature in signatures(module).items():
            actual = getattr(getattr(stand_in, module) if module else stand_in, function)
            assert inspect.signature(actual) == signature, name + function
    assert len(signatures()) > 150


def test_an_array_has_no_attributes_beyond_cupys(stand_in: ModuleType) -> None:
    text = (STAND_IN / "cupy" / "signatures.pyi").read_text()
    (listed,) = [ast.literal_eval(part.value) for part in ast.parse(text).body if isinstance(part, ast.Assign)]
    actual = {name for name in dir(stand_in.ndarray) if not name.startswith("_")}
    assert actual <= set(listed)
    assert len(actual) > 50


# -- calls whose result differs from NumPy's ---------------------------------------------------------------
def test_cupys_rule_chooses_dtypes(stand_in: ModuleType) -> None:
    cp = stand_in
    small = cp.ones(2, "float32")
    assert (small + 1.0).dtype == (small * numpy.float32(2)).dtype == "float32"
    assert (small + numpy.float64(1)).dtype == "float64"
    assert (cp.ones(2, "int8") + 1).dtype == "int8"
    assert (cp.ones(2, "int8") + 1.0).dtype == "float64"
    assert cp.true_divide(cp.ones(2, "int8"), 2).dtype == "float64"
    assert cp.abs(cp.ones(2, "complex64")).dtype == "float32"
    assert cp.sum(cp.ones(2, "int32")).dtype == "int64"
    with pytest.raises(OverflowError):
        cp.ones(2, "int8") + 300


def test_results_are_contiguous(stand_in: ModuleType) -> None:
    x = stand_in.ones((2, 3)).T
    assert not x.flags.c_contiguous
    assert (x + 1).flags.c_contiguous
    assert not x.astype("float32").flags.c_contiguous  # astype keeps the layout
    assert x.copy().flags.c_contiguous
    assert stand_in.ascontiguousarray(stand_in.ones(())).shape == (1,)


def test_uninitialised_memory_reads_as_nan(stand_in: ModuleType) -> None:
    cp = stand_in
    for made in (cp.empty((2, 3), "float32"), cp.ndarray((2, 3), "float32"), cp.empty_like(cp.ones((2, 3), "float32"))):
        assert made.shape == (2, 3)
        assert numpy.isnan(made.get()).all()
    assert numpy.isnan(cp.empty_like(cp.ones((3, 2)).T).get()).all()
    assert cp.empty(2, "int32").tolist() == [-1, -1]
    assert cp.empty(2, bool).tolist() == [True, True]


def test_indices_out_of_range_wrap_around(stand_in: ModuleType) -> None:
    x = stand_in.arange(3)
    assert x[stand_in.asarray([3, -4, 7])].tolist() == [0, 2, 1]
    assert stand_in.take(x, stand_in.asarray([5])).tolist() == [2]
    x[stand_in.asarray([4])] = 9
    assert x.tolist() == [0, 9, 2]
    with pytest.raises(IndexError):
        x[3]  # a Python integer is checked


def test_of_values_written_to_one_place_the_last_does_not_win(stand_in: ModuleType) -> None:
    x = stand_in.zeros(2)
    x[stand_in.asarray([0, 0])] = stand_in.asarray([1.0, 2.0])
    assert x.tolist() == [1, 0]


def test_subnormal_float32_numbers_count_as_0(stand_in: ModuleType) -> None:
    cp = stand_in
    for dtype, expected in (("float32", [0.0, 0.0]), ("float64", [2e-40, 2e-40])):
        x = cp.asarray([1e-40, 1e-40], dtype)
        double = cp.ElementwiseKernel("T x", "T y", "y = 2 * x", "twice")
        assert (x * 2).tolist() == pytest.approx(expected, abs=0)
        assert double(x).tolist() == pytest.approx(expected, abs=0)
        assert cp.log(x).tolist() == ([-numpy.inf] * 2 if dtype == "float32" else pytest.approx([-92.1034037] * 2))
    assert numpy.float32(1e-40) * numpy.float32(1) != 0  # NumPy's own numbers stay subnormal
    assert cp.asarray([1e-40], "float32").tolist() != [0]  # numbers that are only copied stay subnormal
    assert cp.asarray([1e-40]).astype("float32").tolist() == [0]


def test_linear_algebra_without_a_result_gives_nan_or_raises(stand_in: ModuleType) -> None:
    import cupyx

    cp = stand_in
    with counted() as counts:
        actual = cp.linalg.inv(cp.zeros((2, 2)))
    assert not counts.syncs
    assert numpy.isnan(actual.get()).all()
    assert [part.shape for part in cp.linalg.svd(cp.full((3, 2), numpy.nan))] == [(3, 3), (2,), (2, 2)]
    with cupyx.errstate(linalg="raise"), counted() as counts, pytest.raises(numpy.linalg.LinAlgError):
        cp.linalg.inv(cp.zeros((2, 2)))
    assert counts.syncs == {"linalg.inv": 1}


def test_integer_powers_are_cupys(stand_in: ModuleType) -> None:
    x = stand_in.asarray([-2, -1, 0, 1, 2])
    assert (x**-1).tolist() == [0, -1, 0, 1, 0]
    assert (x**3).tolist() == [-8, -1, 0, 1, 8]


# -- the log -----------------------------------------------------------------------------------------------------------
#: The numbers of launches, waits and copies from the host, and the call that makes them.
COUNTED: dict[str, tuple[tuple[int, int, int], Callable[[Any, Any, Any], Any]]] = {
    "an operation": ((1, 0, 0), lambda cp, x, i: x + 1),
    "an operation over nothing": ((0, 0, 0), lambda cp, x, i: x[:0] + 1),
    "a view": ((0, 0, 0), lambda cp, x, i: x[1:, None].T.reshape(-1)),
    "a reshape that copies": ((1, 0, 0), lambda cp, x, i: cp.broadcast_to(x, (2, 3)).reshape(-1)),
    "an operand that overlaps the output": ((2, 0, 0), lambda cp, x, i: cp.add(x, x[::-1], x)),
    "an operation in place": ((1, 0, 0), lambda cp, x, i: x.__iadd__(x)),
    "a number": ((1, 0, 0), lambda cp, x, i: cp.asarray(2.0)),
    "an array of the host": ((0, 0, 1), lambda cp, x, i: cp.asarray(numpy.ones(2))),
    "a list": ((0, 0, 1), lambda cp, x, i: cp.asarray([1, 2])),
    "a key of integers": ((1, 0, 0), lambda cp, x, i: x[i]),
    "a key that is a list": ((1, 0, 1), lambda cp, x, i: x[[0, 1]]),
    "a mask": ((2, 1, 0), lambda cp, x, i: x[x > 0]),
    "writing at a mask": ((2, 1, 0), lambda cp, x, i: x.__setitem__(x > 0, 1.0)),
    "a slice whose end is on the GPU": ((0, 1, 0), lambda cp, x, i: x[: i[0]]),
    "item": ((0, 1, 0), lambda cp, x, i: x[0].item()),
    "float": ((0, 1, 0), lambda cp, x, i: float(x[0])),
    "bool": ((1, 1, 0), lambda cp, x, i: bool(x[0] > 5)),
    "tolist": ((0, 1, 0), lambda cp, x, i: x.tolist()),
    "get": ((0, 1, 0), lambda cp, x, i: x.get()),
    "repr": ((0, 1, 0), lambda cp, x, i: repr(x)),
    "nonzero": ((1, 1, 0), lambda cp, x, i: cp.nonzero(x)),
    "repeat": ((1, 0, 0), lambda cp, x, i: cp.repeat(x, 2)),
    "repeat by an array": ((1, 1, 0), lambda cp, x, i: cp.repeat(x, i[:1])),
    "synchronize": ((0, 1, 0), lambda cp, x, i: cp.cuda.Device().synchronize()),
    "deepcopy": ((1, 0, 0), lambda cp, x, i: copy.deepcopy(x)),
}  # fmt: skip


@pytest.mark.parametrize("what", COUNTED)
def test_the_log_counts_launches_waits_and_copies(what: str, stand_in: ModuleType) -> None:
    expected, call = COUNTED[what]
    x, indices = stand_in.asarray([1.0, 2.0, 3.0]), stand_in.ones(2, int)
    with counted() as counts:
        call(stand_in, x, indices)
    assert (counts.launches.total(), counts.syncs.total(), counts.copies.total()) == expected, counts


def test_the_log_names_the_lines_that_wait_or_copy(stand_in: ModuleType) -> None:
    x = stand_in.ones(2)
    with counted() as counts:
        x.tolist()
        stand_in.asarray([1.0])
    assert [line.split()[:2] for line in counts.waiting] == [["sync", "tolist"], ["h2d", "array"]]
    assert all(Path(__file__).name in line for line in counts.waiting)
    assert [tuple(event) for event in stand_in.LOG] == [("sync", "tolist"), ("h2d", "array")]


# -- random numbers ----------------------------------------------------------------------------------------------------
def test_the_state_decides_the_random_numbers(stand_in: ModuleType) -> None:
    draw = stand_in.random.default_rng(3)
    again = stand_in.random.Generator(stand_in.random.XORWOW(3))
    first = draw.random(4)
    assert first.tolist() == again.random(4).tolist()
    assert first.tolist() != draw.random(4).tolist()
    state = draw.bit_generator._state.copy()
    numbers = draw.standard_normal((2, 3), dtype="float32")
    draw.bit_generator._state[...] = state
    assert draw.standard_normal((2, 3), dtype="float32").tolist() == numbers.tolist()
    assert set(
        stand_in.random.Generator(stand_in.random.Philox4x3210(1)).integers(-1, 2, 50, dtype="int8").tolist()
    ) == {
        -1,
        0,
        1,
    }
    with pytest.raises(ValueError, match="out of bounds"):
        draw.integers(0, 300, dtype="int8")


# -- several GPUs, or none ---------------------------------------------------------------------------------------------
def _program(text: str, **environment: str) -> str:
    """The output of a program that runs in a new process with the stand-in on its path."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(STAND_IN), str(ROOT)])} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


TWO_GPUS = """
import cupy, numpy
x = cupy.ones(3, "float32")
kernel = cupy.RawModule(code='extern "C" __global__ void f(float* x) {}').get_function("f")
table = cupy.RawModule(code='struct T { float* x; }; extern "C" __global__ void f(T t) {}').get_function("f")
add = cupy.ElementwiseKernel("T x", "T y", "y = x", "same")
handle = cupy.cuda.device.get_cublas_handle()
calls = dict(
    operation=lambda: x + 1,
    function=lambda: cupy.sum(x),
    join=lambda: cupy.concatenate([x]),
    key=lambda: cupy.ones(3)[x.astype(int)],
    value=lambda: cupy.ones(3).__setitem__(..., x),
    write=lambda: x.__setitem__(0, cupy.ones(())),
    add_at=lambda: cupy.add.at(x, [0], 1.0),
    where=lambda: cupy.where(cupy.ones(3) > 0, x, 0.0),
    kernel=lambda: kernel((1,), (1,), (x,)),
    elementwise=lambda: add(x),
    table=lambda: table((1,), (1,), (numpy.array([x.data.ptr]).view("V8"),)),
    matmul=lambda: cupy.matmul(x, x),
    astype=lambda: x.astype(int),
    linalg=lambda: cupy.linalg.inv(x.reshape(1, 3)[:, :1]),
)
with cupy.cuda.Device(1):
    for name, call in calls.items():
        try:
            print(name, "was not refused", call())
        except (ValueError, AssertionError) as error:
            assert "device" in str(error) or "GPU" in str(error), error
    assert x[1:].device.id == x.T.device.id == 0
    assert cupy.ones(1).device.id == cupy.asarray(x).device.id == x.copy().device.id == 1
    assert x.tolist() == [1, 1, 1] and cupy.cuda.device.get_cublas_handle() != handle
assert cupy.cuda.runtime.getDevice() == 0 and cupy.cuda.runtime.getDeviceCount() == 2
print("done")
"""


def test_an_array_of_another_gpu_is_refused(stand_in: ModuleType) -> None:
    assert _program(TWO_GPUS, CUPY_STAND_IN_GPUS="2").split() == ["done"]


def test_a_machine_without_a_gpu_has_no_cuda_device(stand_in: ModuleType) -> None:
    program = """
import rustorch
print(rustorch.cuda.is_available(), rustorch.cuda.device_count())
try:
    rustorch.zeros(2, device="cuda")
except RuntimeError as error:
    print(error)
"""
    printed = _program(program, CUPY_STAND_IN_GPUS="0")
    assert printed.startswith("False 0")
    assert "finds no usable GPU (cudaErrorNoDevice: no CUDA-capable device is detected)" in printed


def test_stand_in_is_refused_if_the_real_cupy_is_imported_already(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("")
    options = ["-q", "-p", "no:cacheprovider", "--stand-in", "tests/test_smoke.py"]
    text = f"import cupy, sys, pytest; sys.exit(pytest.main({options!r}))"
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--stand-in: the real CuPy is imported already, from " in done.stderr


def test_stand_in_without_a_compiler_says_what_is_missing() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--stand-in", "tests/test_smoke.py"]
    environment = {key: value for key, value in os.environ.items() if key not in ("CXX", "PYTHONPATH")} | {"PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT, env=environment)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "--stand-in: there is no C++ compiler" in done.stderr

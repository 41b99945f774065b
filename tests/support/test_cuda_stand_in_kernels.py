"""Kernels and cuBLAS on the stand-in for CuPy: they run, and mistakes that a GPU would not report are errors."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy
import pytest

from tests.support.launches import counted

# -- kernels -----------------------------------------------------------------------------------------------------------
SOURCE = """
extern "C" __global__ void some(int n) { if ((int)threadIdx.x < n) __syncthreads(); }
extern "C" __global__ void unguarded(float* x) {
    __shared__ float shared[4];
    shared[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = shared[3 - threadIdx.x];
}
extern "C" __global__ void guarded(float* x) {
    __shared__ float shared[4];
    shared[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = shared[3 - threadIdx.x];
}
extern "C" __global__ void race(float* x) { x[0] = (float)(blockIdx.x * blockDim.x + threadIdx.x); }
extern "C" __global__ void beyond(const float* x, float* out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = x[threadIdx.x];
}
extern "C" __launch_bounds__(64) __global__ void few(float* x) {}
struct Big { long long x[512]; };
extern "C" __global__ void big(Big b) {}
struct Table { float* arrays[2]; };
extern "C" __global__ void table(Table t, int n) { t.arrays[1][n + threadIdx.x] = t.arrays[0][threadIdx.x]; }
"""


def _run(cp: ModuleType, name: str, *args: Any, blocks: int = 1, threads: int = 4) -> None:
    cp.RawModule(code=SOURCE).get_function(name)((blocks,), (threads,), args)


def test_a_barrier_that_some_threads_miss_is_an_error(stand_in: ModuleType) -> None:
    _run(stand_in, "some", numpy.int32(4))
    with pytest.raises(AssertionError, match="not all threads reach a barrier"):
        _run(stand_in, "some", numpy.int32(3))
    x = stand_in.asarray([1, 2, 3, 4], "float32")  # the next launch works again
    _run(stand_in, "guarded", x)
    assert x.tolist() == [4, 3, 2, 1]


def test_without_a_barrier_threads_read_values_that_are_not_written_yet(stand_in: ModuleType) -> None:
    x = stand_in.asarray([1, 2, 3, 4], "float32")
    _run(stand_in, "unguarded", x)
    assert x.tolist() != [4, 3, 2, 1]


@pytest.mark.parametrize(("blocks", "threads"), [(1, 8), (8, 1)])
def test_the_opposite_order_changes_results_that_depend_on_the_order(
    blocks: int, threads: int, stand_in: ModuleType
) -> None:
    x = stand_in.zeros(1, "float32")
    _run(stand_in, "race", x, blocks=blocks, threads=threads)
    first = x.tolist()
    with stand_in.backwards():
        _run(stand_in, "race", x, blocks=blocks, threads=threads)
    assert (first, x.tolist()) == ([7], [0])


#: Wrong arguments: the function, its arguments, and a pattern of the message.
WRONG: dict[str, tuple[str, Callable[[Any], tuple], str]] = {
    "an integer of another size": (
        "some",
        lambda cp: (numpy.int64(4),),
        "argument 1 does not fit its parameter: it is int64, 8 bytes",
    ),
    "a float for an integer": (
        "some",
        lambda cp: (numpy.float32(4),),
        "argument 1 does not fit its parameter: it is float32",
    ),
    "an array for an integer": (
        "some",
        lambda cp: (cp.ones(4),),
        "argument 1 does not fit its parameter: it is an array of float64",
    ),
    "an integer for an array": (
        "race",
        lambda cp: (numpy.int32(0),),
        "argument 1 does not fit its parameter: it is int32",
    ),
    "an array of another dtype": (
        "race",
        lambda cp: (cp.ones(4, "float64"),),
        "argument 1 does not fit its parameter: it is an array of float64",
    ),
    "an array of integers": (
        "race",
        lambda cp: (cp.ones(4, "int32"),),
        "argument 1 does not fit its parameter: it is an array of int32",
    ),
    "too many arguments": ("some", lambda cp: (numpy.int32(4),) * 2, "2 arguments for 1 parameters"),
    "too few arguments": ("beyond", lambda cp: (cp.ones(4, "float32"),), "1 arguments for 2 parameters"),
    "a Python number": ("some", lambda cp: (4,), "whose size in C is not known"),
    "an array that is not contiguous": ("race", lambda cp: (cp.ones((4, 2), "float32")[:, 0],), "not contiguous"),
    "more than 4096 bytes": ("big", lambda cp: (numpy.zeros(513, "int64").view("V4104"),), "4104 bytes of arguments"),
    "a struct of another size": ("big", lambda cp: (numpy.zeros(16, "int64").view("V128"),), "argument 1 does not fit"),
}


@pytest.mark.parametrize("what", WRONG)
def test_arguments_that_do_not_fit_their_parameters_are_refused(what: str, stand_in: ModuleType) -> None:
    name, args, message = WRONG[what]
    with pytest.raises(AssertionError, match=message):
        _run(stand_in, name, *args(stand_in))


def test_a_kernel_refuses_an_array_of_the_host(stand_in: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"You are trying to pass a numpy.ndarray of"):
        _run(stand_in, "race", numpy.zeros(4, "float32"))


def test_a_launch_beyond_cudas_limits_is_refused(stand_in: ModuleType) -> None:
    x = stand_in.zeros(1, "float32")
    for blocks, threads, message in (
        (0, 4, "0 blocks"),
        (2**31, 4, "blocks"),
        (1, 0, "0 threads"),
        (1, 1025, "at most 1024 are allowed"),
    ):
        with pytest.raises(AssertionError, match=message):
            _run(stand_in, "race", x, blocks=blocks, threads=threads)
    with pytest.raises(AssertionError, match="at most 64 are allowed"):
        _run(stand_in, "few", x, threads=65)
    with pytest.raises(AssertionError, match="no function nothing"):
        stand_in.RawModule(code=SOURCE).get_function("nothing")


def test_a_write_outside_of_an_array_is_found(stand_in: ModuleType) -> None:
    x, out = stand_in.ones(4, "float32"), stand_in.empty(4, "float32")
    _run(stand_in, "beyond", x, out)
    with pytest.raises(AssertionError, match="beyond wrote outside of an array of 16 bytes"):
        _run(stand_in, "beyond", x, out, blocks=2)
    addresses = numpy.array([x.data.ptr, out.data.ptr], "int64").view("V16")
    _run(stand_in, "table", addresses, numpy.int32(0))
    with pytest.raises(AssertionError, match="table wrote outside of an array"):
        _run(stand_in, "table", addresses, numpy.int32(1))


def test_a_read_outside_of_an_array_gives_nan(stand_in: ModuleType) -> None:
    out = stand_in.zeros(8, "float32")
    _run(stand_in, "beyond", stand_in.ones(4, "float32"), out, threads=8)
    assert numpy.isnan(out.get()).tolist() == [False] * 4 + [True] * 4


def test_the_error_of_a_source_that_does_not_compile_says_why(stand_in: ModuleType) -> None:
    wrong = stand_in.RawModule(code='extern "C" __global__ void wrong() { no_such_name(); }').get_function("wrong")
    with pytest.raises(Exception, match="no_such_name"):
        wrong((1,), (1,), ())


# -- elementwise kernels -----------------------------------------------------------------------------------------------
def test_elementwise_kernels_broadcast_and_write_outputs(stand_in: ModuleType) -> None:
    cp = stand_in
    x = cp.arange(6, dtype="float32").reshape(2, 3)
    axpy = cp.ElementwiseKernel("T x, float64 a, T y", "T out", "out = (T)a * x + y", "axpy")
    with counted() as counts:
        out = axpy(x, 2.0, x[0])
    assert counts.launches == {"axpy": 1}
    numpy.testing.assert_array_equal(out.get(), 2 * x.get() + x.get()[0])
    assert axpy(x, 2.0, 1.0, x) is x  # in place; the Python number takes the arrays' dtype
    assert axpy(x[:0], 2.0, 1.0).shape == (0, 3)
    view = cp.zeros((3, 2), "float32").T
    assert axpy(x, 0.0, 1.0, view) is view
    assert view.tolist() == [[1, 1, 1], [1, 1, 1]]
    both = cp.ElementwiseKernel("T x", "T a, int32 b", "a = -x; b = (int)x", "both")
    assert [part.dtype.name for part in both(x)] == ["float32", "int32"]
    raw = cp.ElementwiseKernel("raw T x, int64 n", "raw T out", "out[i] = x[n - 1 - i]", "reverse")
    out = cp.empty(3)
    raw(cp.asarray([1.0, 2.0, 3.0]), 3, out, size=3)
    assert out.tolist() == [3, 2, 1]


def test_elementwise_kernels_refuse_wrong_arguments(stand_in: ModuleType) -> None:
    cp = stand_in
    x = cp.ones(4)
    add = cp.ElementwiseKernel("T x, T y", "T out", "out = x + y", "add_both")
    for error, message, call in (
        (TypeError, "Type is mismatched", lambda: add(x, x.astype("float32"))),
        (TypeError, "Type is mismatched", lambda: add(x, x, x.astype("float32"))),
        (TypeError, "Unsupported type", lambda: add(x, numpy.ones(4))),
        (TypeError, "Wrong number of arguments", lambda: add(x)),
        (ValueError, "Loop size is undecided", lambda: add(1.0, 2.0)),
        (ValueError, "Out shape is mismatched", lambda: add(x, x, cp.ones((2, 4)).T[:, :1])),
        (ValueError, "can be used only if", lambda: add(x, x, size=4)),
        (ValueError, "Can not use 'i'", lambda: cp.ElementwiseKernel("T i", "T out", "out = i")),
        (ValueError, "Invalid kernel name", lambda: cp.ElementwiseKernel("T x", "T out", "out = x", "a b")),
        (
            Exception,
            "read-only|const",
            lambda: cp.ElementwiseKernel("T x", "T out", "x = 1; out = x", "writes_inputs")(x),
        ),
        (AssertionError, "its arrays overlap", lambda: add(x[1:], x[:-1], x[1:])),
    ):
        with pytest.raises(error, match=message):
            call()


# -- cuBLAS ------------------------------------------------------------------------------------------------------------
def _gemm(cp: Any, a: Any, b: Any, c: Any, single: bool = False, **changed: Any) -> None:
    """``c = 2 * a @ b + c`` of stacks of column-major matrices, each given as its transpose."""
    (count, k, m), n, real = a.shape, b.shape[1], c.dtype.type
    alpha, beta = real(changed.pop("alpha", 2)), real(changed.pop("beta", 1))
    factors = numpy.array([alpha, beta])
    given = {
        "m": m,
        "n": n,
        "k": k,
        "lda": m,
        "ldb": k,
        "ldc": m,
        "count": count,
        "handle": cp.cuda.device.get_cublas_handle(),
    } | changed
    address = factors.ctypes.data
    letter = "s" if c.itemsize == 4 else "d"
    if single:
        getattr(cp.cuda.cublas, f"{letter}gemm")(
            given["handle"],
            0,
            0,
            given["m"],
            given["n"],
            given["k"],
            address,
            a.data.ptr,
            given["lda"],
            b.data.ptr,
            given["ldb"],
            address + c.itemsize,
            c.data.ptr,
            given["ldc"],
        )
        return
    getattr(cp.cuda.cublas, f"{letter}gemmStridedBatched")(
        given["handle"],
        0,
        0,
        given["m"],
        given["n"],
        given["k"],
        address,
        a.data.ptr,
        given["lda"],
        k * m,
        b.data.ptr,
        given["ldb"],
        n * k,
        address + c.itemsize,
        c.data.ptr,
        given["ldc"],
        n * m,
        given["count"],
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cublas_multiplies_stacks_of_matrices(dtype: str, stand_in: ModuleType) -> None:
    rng = numpy.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 3, 4), (2, 5, 3), (2, 5, 4)))
    on_gpu = [stand_in.asarray(x) for x in (a, b, c)]
    with counted() as counts:
        _gemm(stand_in, *on_gpu)
    assert counts.launches == {"gemm": 1}
    numpy.testing.assert_allclose(on_gpu[2].get(), 2 * (b @ a) + c, rtol=1e-5)
    out = stand_in.empty((1, 5, 4), dtype)
    _gemm(stand_in, on_gpu[0][:1], on_gpu[1][:1], out, single=True, beta=0)  # out is not read
    numpy.testing.assert_allclose(out.get(), 2 * (b @ a)[:1], rtol=1e-5)


def test_cublas_refuses_wrong_products(stand_in: ModuleType) -> None:
    a, b, c = (stand_in.ones(shape, "float32") for shape in ((2, 3, 4), (2, 5, 3), (2, 5, 4)))
    for message, call in (
        ("leading dimension is 3, fewer than its 4 rows", lambda: _gemm(stand_in, a, b, c, lda=3)),
        ("B: the product goes beyond the end", lambda: _gemm(stand_in, a, b, c, ldb=7)),
        ("beyond the end", lambda: _gemm(stand_in, a, b, c, count=3)),
        (
            "A is an array of float32, this product takes float64",
            lambda: _gemm(stand_in, a, b, _claiming(c, "float64")),
        ),
        ("C overlaps an operand", lambda: _gemm(stand_in, a, b, a.reshape(-1)[:20].reshape(1, 5, 4), count=1)),
        ("belongs to another GPU", lambda: _gemm(stand_in, a, b, c, handle=7)),
        ("counts in 32 bits", lambda: _gemm(stand_in, a, b, c, m=2**31)),
    ):
        with pytest.raises(AssertionError, match=message):
            call()


class _claiming:
    """An array that claims another dtype, so that it goes to the function for that dtype."""

    def __init__(self, array: Any, dtype: str):
        self.shape, self.data, self.dtype = array.shape, array.data, numpy.dtype(dtype)
        self.itemsize = self.dtype.itemsize

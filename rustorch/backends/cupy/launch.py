"""Launches of CUDA functions and of cuBLAS products, which all CuPy kernels share.

The CUDA sources are plain enough for every C++ compiler, so the tests can also run them on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from inspect import signature
from math import prod
from typing import Any

import cupy
import numpy

from ..base import Array, Namespace
from ..kernels import KERNELS
from ..registry import of

#: Threads of a block.
THREADS = 256
#: Arrays of fewer elements are counted with int32, which is several times as fast on a GPU as int64.
INT32_LIMIT = 1 << 30
#: The dtypes that sources are compiled for, with their names in C.
REAL = {numpy.dtype("float32"): "float", numpy.dtype("float64"): "double"}
INTEGER = {numpy.dtype("int32"): "int", numpy.dtype("int64"): "long long"}


def typed_source(dtype: Any, index: Any, text: str) -> str:
    """Define the types that every source uses: T is the arrays' dtype, I is the integer that counts their elements."""
    return f"typedef {REAL[dtype]} T;\ntypedef {INTEGER[index]} I;\n{text}"


class Source:
    """CUDA functions. A function is compiled when it is first called on arrays of a dtype.

    An argument for an array may be None: the function gets a null pointer. A tuple is passed as a struct of integers.
    """

    def __init__(self, *parts: str):
        self.text = "".join(parts)
        self._functions: dict[tuple[Any, ...], Callable[..., None]] = {}

    def launch_threads(self, n: int, name: str, *args: Any) -> None:
        """Call a function in at least ``n`` threads. Its first argument is ``n``."""
        self.launch_blocks(name, -(-n // THREADS), THREADS, n, *args)

    def launch_blocks(self, name: str, blocks: int, threads: int, *args: Any) -> None:
        """Call a function in ``blocks`` blocks of ``threads`` threads.

        Arrays that the function writes to must be contiguous. Other arrays are copied where they are not.
        """
        arrays = [a for a in args if isinstance(a, cupy.ndarray)]
        dtype = next((a.dtype for a in arrays if a.dtype in REAL), numpy.dtype("float32"))
        index = numpy.dtype("int32" if max([a.size for a in arrays]) < INT32_LIMIT else "int64")
        function = self._functions.get((name, dtype, index))
        if function is None:
            function = cupy.RawModule(code=typed_source(dtype, index, self.text)).get_function(name)
            self._functions[name, dtype, index] = function
        function((blocks,), (threads,), tuple([_argument(a, dtype, index) for a in args]))


def _argument(value: Any, dtype: Any, index: Any) -> Any:
    """Convert an argument for CuPy. Python's floats become ``dtype``, and its integers become ``index``."""
    if isinstance(value, cupy.ndarray):
        return value if value.flags.c_contiguous else cupy.ascontiguousarray(value)
    if isinstance(value, tuple):
        return _struct(value, index)
    if value is None:
        return numpy.uint64(0)
    if isinstance(value, numpy.generic):
        return value
    return (dtype if isinstance(value, float) else index).type(value)


@lru_cache(maxsize=1024)
def _struct(values: tuple[Any, ...], index: Any) -> Array:
    """Pack integers into a struct. CuPy takes a struct as one element of a void dtype."""
    fields = numpy.array(values, index).reshape(-1)
    return fields.view(f"V{fields.nbytes}")


def call_plain(name: str, *args: Any) -> Any:
    """Call the plain version of a kernel."""
    return KERNELS[name](namespace(next(a for a in args if isinstance(a, cupy.ndarray))), *args)


def namespace(x: Array) -> Namespace:
    """The functions of the standard and all kernels, for the arrays of CuPy."""
    library = of(x)
    assert library is not None
    return library.xp


#: Parameters whose arrays may hold integers, such as class numbers.
INDEX_PARAMETERS = {"target", "which"}


def with_fallback(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an override that calls the plain version for arguments it cannot take.

    An override takes arrays that are not empty and that all are float32 or all are float64, and windows over at most
    three axes.
    """
    names = tuple(signature(function).parameters)

    @wraps(function)
    def run(*args: Any) -> Any:
        dtypes = set()
        for name, a in zip(names, args, strict=True):
            if isinstance(a, cupy.ndarray):
                if name not in INDEX_PARAMETERS or a.dtype.kind not in "iu":
                    dtypes.add(a.dtype)
                if not a.size:
                    return call_plain(function.__name__, *args)
            elif isinstance(a, tuple) and len(a) > 3:
                return call_plain(function.__name__, *args)
        if len(dtypes) != 1 or not dtypes <= REAL.keys():
            return call_plain(function.__name__, *args)
        return function(*args)

    run.__doc__ = function.__doc__ or KERNELS[function.__name__].__doc__
    return run


def overrides(*functions: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Make overrides of these functions by name. Each falls back to the plain version, see `with_fallback`."""
    return {function.__name__: with_fallback(function) for function in functions}


def product(a: Array, b: Array, out: Array | None = None, scale: float = 1.0, keep: float = 0.0) -> Array:
    """``scale * a @ b + keep * out`` in one call of cuBLAS, for stacks of matrices that broadcast.

    The result is written into ``out`` if it is given. ``out`` must be contiguous and must not overlap an operand.
    ``cupy.matmul`` would copy transposed stacks, and would compute the address of every matrix that is broadcast.
    """
    stack = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    if out is None:
        out = cupy.empty((*stack, rows, columns), a.dtype)
    a, *layout_a = _operand(a, stack)
    b, *layout_b = _operand(b, stack)
    gemm = cupy.cuda.cublas.sgemmStridedBatched if a.dtype.itemsize == 4 else cupy.cuda.cublas.dgemmStridedBatched
    alpha, beta = numpy.array(scale, a.dtype), numpy.array(keep, a.dtype)
    # cuBLAS reads matrices column by column, so it sees the transpose of each. (a @ b).T is b.T @ a.T.
    gemm(
        cupy.cuda.device.get_cublas_handle(),
        layout_b[0],
        layout_a[0],
        columns,
        rows,
        inner,
        alpha.ctypes.data,
        b.data.ptr,
        *layout_b[1:],
        a.data.ptr,
        *layout_a[1:],
        beta.ctypes.data,
        out.data.ptr,
        columns,
        rows * columns,
        prod(stack),
    )
    return out


def _operand(x: Array, stack: tuple[int, ...]) -> tuple[Array, int, int, int]:
    """Describe a stack of matrices for cuBLAS.

    Returns
    -------
    (array, 1 if its matrices are transposed else 0, step from line to line, step from matrix to matrix)
    """
    is_single = prod(x.shape[:-2]) == 1
    if not is_single:
        x = cupy.broadcast_to(x, (*stack, *x.shape[-2:]))
    x = x.reshape(-1, *x.shape[-2:])
    for transposed, line, along in ((0, 1, 2), (1, 2, 1)):
        step = x.strides[line] // x.itemsize
        is_dense = x.strides[along] == x.itemsize or x.shape[along] == 1
        if is_dense and (step >= x.shape[along] or x.shape[line] == 1) and x.strides[0] >= 0:
            return x, transposed, max(step, x.shape[along]), 0 if is_single else x.strides[0] // x.itemsize
    x = cupy.ascontiguousarray(x)
    return x, 0, x.shape[2], 0 if is_single else x.shape[1] * x.shape[2]


_COPIES = Source("""
// Up to four arrays of up to four axes: the number of elements of each, its last three sizes, the steps along its axes.
struct Views { I count[4], size[4][3], step[4][4]; };

// `which` must be known at compile time. A parameter that is indexed by a variable is copied for each thread.
__device__ void copy(const Views& views, int which, I i, const T* from, T* to) {
    I offset = 0, rest = i;
    for (int axis = 2; axis >= 0; axis--) {
        offset += rest % views.size[which][axis] * views.step[which][axis + 1];
        rest /= views.size[which][axis];
    }
    to[i] = from[offset + rest * views.step[which][0]];
}

extern "C" __global__ void
gather(I n, Views views, const T* a, const T* b, const T* c, const T* d, T* to_a, T* to_b, T* to_c, T* to_d) {
    I i = (I)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    if (i < views.count[0]) return copy(views, 0, i, a, to_a);
    i -= views.count[0];
    if (i < views.count[1]) return copy(views, 1, i, b, to_b);
    i -= views.count[1];
    if (i < views.count[2]) return copy(views, 2, i, c, to_c);
    copy(views, 3, i - views.count[2], d, to_d);
}
""")


def contiguous(*arrays: Array) -> list[Array]:
    """Return up to four arrays as contiguous arrays. All copies that are needed are made in one launch."""
    views = {id(a): a for a in arrays if not a.flags.c_contiguous}  # copies an array once if it is given twice
    if len(views) < 2 or not can_gather(*views.values()):
        copies = {key: cupy.ascontiguousarray(a) for key, a in views.items()}
    else:
        copies = {key: cupy.empty(a.shape, a.dtype) for key, a in views.items()}
        gather(list(views.values()), list(copies.values()))
    return [copies.get(id(a), a) for a in arrays]


def can_gather(*arrays: Array) -> bool:
    """Whether `gather` takes these arrays: up to four, of up to four axes and one dtype, with int32 offsets."""
    first = arrays[0]
    if len(arrays) > 4 or first.dtype not in REAL or any(a.ndim > 4 or a.dtype != first.dtype for a in arrays):
        return False
    reach: int = max([sum((n - 1) * abs(step) for n, step in zip(a.shape, a.strides, strict=True)) for a in arrays])
    total: int = sum([a.size for a in arrays])
    return max(reach, total) < INT32_LIMIT


def gather(arrays: Sequence[Array], copies: Sequence[Array]) -> None:
    """Copy arrays of any strides into as many contiguous arrays, in one launch."""
    missing = 4 - len(arrays)
    sizes = [((1,) * 4 + a.shape)[-3:] for a in arrays] + [(1, 1, 1)] * missing
    steps = [((0,) * 4 + a.strides)[-4:] for a in arrays] + [(0,) * 4] * missing
    views = (
        (*[a.size for a in arrays], *[0] * missing),
        tuple(sizes),
        tuple([tuple([s // arrays[0].itemsize for s in row]) for row in steps]),
    )
    # addresses, since an array as an argument would be made contiguous
    sources = [numpy.uint64(a.data.ptr) for a in arrays] + [None] * missing
    count = sum([a.size for a in arrays])
    _COPIES.launch_threads(count, "gather", _flat(views), *sources, *copies, *[None] * missing)


def _flat(values: tuple[Any, ...]) -> tuple[int, ...]:
    """The integers of nested tuples."""
    return tuple([n for value in values for n in (_flat(value) if isinstance(value, tuple) else (value,))])

"""What all families share: CUDA sources and their launches, matrix products that copy nothing, and the way back to the
plain version.

The sources are plain enough for every C++ compiler: the tests run them on the host, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from inspect import signature
from math import prod
from typing import Any

import cupy
import numpy

from .. import of
from ..kernels import KERNELS

Array = Any

#: Threads of a block.
THREADS = 256
#: Arrays of so many elements need integers of 64 bits to count them; on a GPU those of 32 bits are several times as
#: fast.
MANY = 1 << 30
#: The dtypes that sources are compiled for, as C has them.
REAL = {numpy.dtype("float32"): "float", numpy.dtype("float64"): "double"}
INTEGER = {numpy.dtype("int32"): "int", numpy.dtype("int64"): "long long"}


def _contents(dtype: Any, index: Any, text: str) -> str:
    """In a source, T is the arrays' dtype, and I the integer that counts their elements."""
    return f"typedef {REAL[dtype]} T;\ntypedef {INTEGER[index]} I;\n{text}"


class Source:
    """CUDA functions, compiled when one of them is first called on arrays of some dtype.

    Where a function's parameter is an array, an argument may be None, a null pointer; a tuple is passed as a struct of
    integers.
    """

    def __init__(self, *parts: str):
        self.text = "".join(parts)
        self._functions: dict[tuple, Callable] = {}

    def over(self, n: int, name: str, *args: Any) -> None:
        """Call a function in ``n`` threads, the number of which is its first argument."""
        self.run(name, -(-n // THREADS), THREADS, n, *args)

    def run(self, name: str, blocks: int, threads: int, *args: Any) -> None:
        """Call a function in so many blocks of so many threads. Arrays that it writes to have to be contiguous; others
        are made so.
        """
        arrays = [a for a in args if isinstance(a, cupy.ndarray)]
        dtype = next((a.dtype for a in arrays if a.dtype in REAL), numpy.dtype("float32"))
        index = numpy.dtype("int32" if max([a.size for a in arrays]) < MANY else "int64")
        function = self._functions.get((name, dtype, index))
        if function is None:
            function = cupy.RawModule(code=_contents(dtype, index, self.text)).get_function(name)
            self._functions[name, dtype, index] = function
        function((blocks,), (threads,), tuple([_argument(a, dtype, index) for a in args]))


def _argument(value: Any, dtype: Any, index: Any) -> Any:
    """As CuPy takes it: what has no type yet gets that of the function's parameter."""
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
def _struct(values: tuple, index: Any) -> Array:
    """A struct of integers: to CuPy, one element of a type of its own."""
    fields = numpy.array(values, index).reshape(-1)
    return fields.view(f"V{fields.nbytes}")


def plain(name: str, *args: Any) -> Any:
    """The plain version of a kernel."""
    return KERNELS[name](of(next(a for a in args if isinstance(a, cupy.ndarray))).xp, *args)  # type: ignore[union-attr]


#: Parameters that may be integers: they choose among numbers.
CHOOSING = {"target", "which"}


def fused(function: Callable) -> Callable:
    """The override where it applies, else the plain version: it is for arrays that hold something, all of float32 or
    all of float64, and for at most three axes with windows.
    """
    names = tuple(signature(function).parameters)

    @wraps(function)
    def run(*args: Any) -> Any:
        kinds = set()
        for name, a in zip(names, args, strict=True):
            if isinstance(a, cupy.ndarray):
                if name not in CHOOSING or a.dtype.kind not in "iu":
                    kinds.add(a.dtype)
                if not a.size:
                    return plain(function.__name__, *args)
            elif isinstance(a, tuple) and len(a) > 3:
                return plain(function.__name__, *args)
        if len(kinds) != 1 or not kinds <= REAL.keys():
            return plain(function.__name__, *args)
        return function(*args)

    return run


def overrides(*functions: Callable) -> dict[str, Callable]:
    """The functions, each with its way back to the plain version, by name."""
    return {function.__name__: fused(function) for function in functions}


def product(a: Array, b: Array, out: Array | None = None, scale: float = 1.0, keep: float = 0.0) -> Array:
    """``scale * a @ b + keep * out`` in one call of cuBLAS, for stacks of matrices that broadcast; written into ``out``
    if it is given.

    ``out`` is contiguous, and no operand. ``cupy.matmul`` would copy transposed stacks, and look up where each of
    broadcast matrices lies.
    """
    lead = numpy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (rows, inner), columns = a.shape[-2:], b.shape[-1]
    if out is None:
        out = cupy.empty((*lead, rows, columns), a.dtype)
    a, *how_a = _operand(a, lead)
    b, *how_b = _operand(b, lead)
    gemm = cupy.cuda.cublas.sgemmStridedBatched if a.dtype.itemsize == 4 else cupy.cuda.cublas.dgemmStridedBatched
    factor, kept = numpy.array(scale, a.dtype), numpy.array(keep, a.dtype)
    # cuBLAS goes down the columns: it takes each of these matrices for its transpose, and the transpose of a @ b is b.T
    # @ a.T
    gemm(
        cupy.cuda.device.get_cublas_handle(),
        how_b[0],
        how_a[0],
        columns,
        rows,
        inner,
        factor.ctypes.data,
        b.data.ptr,
        *how_b[1:],
        a.data.ptr,
        *how_a[1:],
        kept.ctypes.data,
        out.data.ptr,
        columns,
        rows * columns,
        prod(lead),
    )
    return out


def _operand(x: Array, lead: tuple[int, ...]) -> tuple[Array, int, int, int]:
    """A stack of matrices as cuBLAS reads it: an array, whether it is transposed, and the steps from line to line and
    matrix to matrix.
    """
    single = prod(x.shape[:-2]) == 1
    if not single:
        x = cupy.broadcast_to(x, (*lead, *x.shape[-2:]))
    x = x.reshape(-1, *x.shape[-2:])
    for transposed, line, along in ((0, 1, 2), (1, 2, 1)):
        step = x.strides[line] // x.itemsize
        together = x.strides[along] == x.itemsize or x.shape[along] == 1
        if together and (step >= x.shape[along] or x.shape[line] == 1) and x.strides[0] >= 0:
            return x, transposed, max(step, x.shape[along]), 0 if single else x.strides[0] // x.itemsize
    x = cupy.ascontiguousarray(x)
    return x, 0, x.shape[2], 0 if single else x.shape[1] * x.shape[2]


_COPIES = Source("""
// Up to four arrays of up to four axes: how many elements each has, its last three sizes, and the steps along its axes.
struct Views { I count[4], size[4][3], step[4][4]; };

// Which one is known when this is compiled: what is looked up in a parameter by a number of the thread's own is copied for each thread.
__device__ void copy(const Views& views, int which, I i, const T* from, T* to) {
    I place = 0, rest = i;
    for (int axis = 2; axis >= 0; axis--) {
        place += rest % views.size[which][axis] * views.step[which][axis + 1];
        rest /= views.size[which][axis];
    }
    to[i] = from[place + rest * views.step[which][0]];
}

extern "C" __global__ void gather(I n, Views views, const T* a, const T* b, const T* c, const T* d, T* to_a, T* to_b, T* to_c, T* to_d) {
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
    """Up to four arrays, those that are not contiguous as copies that are: all in one launch."""
    views = {id(a): a for a in arrays if not a.flags.c_contiguous}  # one that is given twice is copied once
    if len(views) < 2 or not can_gather(*views.values()):
        copies = {key: cupy.ascontiguousarray(a) for key, a in views.items()}
    else:
        copies = {key: cupy.empty(a.shape, a.dtype) for key, a in views.items()}
        gather(list(views.values()), list(copies.values()))
    return [copies.get(id(a), a) for a in arrays]


def can_gather(*arrays: Array) -> bool:
    """Whether these are for `gather`: up to four arrays of up to four axes and of one dtype, which 32 bits count the
    elements of.
    """
    first = arrays[0]
    if len(arrays) > 4 or first.dtype not in REAL or any(a.ndim > 4 or a.dtype != first.dtype for a in arrays):
        return False
    reach = max([sum((n - 1) * abs(step) for n, step in zip(a.shape, a.strides, strict=True)) for a in arrays])
    return max(reach, sum([a.size for a in arrays])) < MANY


def gather(arrays: Sequence[Array], copies: Sequence[Array]) -> None:
    """Copy arrays, wherever their elements lie, into as many contiguous ones, in one launch."""
    none = 4 - len(arrays)
    sizes = [((1,) * 4 + a.shape)[-3:] for a in arrays] + [(1, 1, 1)] * none
    steps = [((0,) * 4 + a.strides)[-4:] for a in arrays] + [(0,) * 4] * none
    layout = (
        (*[a.size for a in arrays], *[0] * none),
        tuple(sizes),
        tuple([tuple([s // arrays[0].itemsize for s in row]) for row in steps]),
    )
    given = [numpy.uint64(a.data.ptr) for a in arrays] + [None] * none
    _COPIES.over(sum([a.size for a in arrays]), "gather", _flat(layout), *given, *copies, *[None] * none)


def _flat(values: Any) -> tuple[int, ...]:
    """The integers of nested tuples."""
    return tuple([n for value in values for n in (_flat(value) if isinstance(value, tuple) else (value,))])

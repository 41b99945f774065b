"""A stand-in for CuPy on NumPy's arrays: CUDA sources are compiled with the system's C++ compiler and run thread by thread.

It has what rustorch's kernels use of CuPy. A block's threads take turns: each runs until it comes to a barrier or to its end, so that
reading what another thread has not written yet gives wrong numbers, as it may on a GPU. A barrier that some threads never come to, an
argument whose size is not that of its parameter, and arrays that are not contiguous are errors.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy

#: On Linux, for it takes contexts to switch between a block's threads.
COMPILER = (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")) if sys.platform == "linux" else None

#: What stands around a source: CUDA's words in C++, and for each of its functions, one that runs all blocks.
BEFORE = """
#include <math.h>
#include <ucontext.h>
#include <utility>
#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
static struct { unsigned x; } blockIdx, blockDim, threadIdx;
static ucontext_t scheduler, threads[1024];
static char stacks[1024][1 << 15];
static bool ended[1024];
static void** given;
static void __syncthreads() { swapcontext(&threads[threadIdx.x], &scheduler); }
"""
AFTER = """
template <class... A, size_t... i> void call(void (*f)(A...), std::index_sequence<i...>) { f(*(A*)given[i]...); }
template <class... A, size_t... i> bool fits(const size_t* sizes, void (*)(A...), std::index_sequence<i...>) {
    return ((sizes[i] == sizeof(A)) && ...);
}
template <class... A> auto numbers(void (*)(A...)) { return std::index_sequence_for<A...>(); }
template <auto f> void body() {
    call(f, numbers(f));
    ended[threadIdx.x] = true;
}
// 0; 1 for arguments that do not fit; 2 for a barrier that not all threads come to
template <auto f> int run(unsigned blocks, unsigned size, void** args, const size_t* sizes, size_t count) {
    auto n = numbers(f);
    if (count != n.size() || !fits(sizes, f, n)) return 1;
    given = args;
    blockDim.x = size;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
        if (!BARRIERS) {
            for (threadIdx.x = 0; threadIdx.x < size; threadIdx.x++) body<f>();
            continue;
        }
        for (unsigned t = 0; t < size; t++) {
            getcontext(&threads[t]);
            threads[t].uc_stack = {.ss_sp = stacks[t], .ss_flags = 0, .ss_size = sizeof(stacks[t])};
            threads[t].uc_link = &scheduler;
            makecontext(&threads[t], body<f>, 0);
            ended[t] = false;
        }
        for (unsigned left = size; left;) {
            unsigned before = left;
            for (unsigned t = 0; t < size; t++) {
                threadIdx.x = t;
                swapcontext(&scheduler, &threads[t]);
                left -= ended[t];
            }
            if (left && left != before) return 2;
        }
    }
    return 0;
}
"""


class ndarray(numpy.ndarray):
    """NumPy's array with what CuPy's has."""

    @property
    def data(self) -> Any:
        return SimpleNamespace(ptr=self.ctypes.data)

    def scatter_add(self, key: Any, values: Any) -> None:
        numpy.add.at(self, key, values)


def asarray(values: Any, dtype: Any = None) -> Any:
    return numpy.array(values, dtype, order="C").view(ndarray)


@cache
def _compiled(source: str) -> ctypes.PyDLL:
    names = re.findall(r"__global__ void\s+(\w+)", source)
    entries = [
        f'extern "C" int run_{name}(unsigned b, unsigned t, void** a, const size_t* s, size_t n) {{ return run<{name}>(b, t, a, s, n); }}'
        for name in names
    ]
    barriers = f"#define BARRIERS {int('__syncthreads' in source)}"
    with tempfile.TemporaryDirectory() as folder:
        file, library = Path(folder, "source.cpp"), Path(folder, "source.so")
        file.write_text("\n".join([BEFORE, barriers, source, AFTER, *entries]))
        subprocess.run([str(COMPILER), "-std=c++20", "-w", "-shared", "-fPIC", str(file), "-o", str(library)], check=True)
        return ctypes.PyDLL(str(library))  # one at a time: it has one set of threads


class RawModule:
    #: Names of the functions that ran.
    launched: list[str] = []  # noqa: RUF012

    def __init__(self, *, code: str):
        self.code = code

    def get_function(self, name: str) -> Any:
        function = getattr(_compiled(self.code), f"run_{name}")

        def launch(grid: tuple[int], block: tuple[int], args: tuple) -> None:
            values = [_value(a) for a in args]
            pointers = (ctypes.c_void_p * len(args))(*[v.ctypes.data for v in values])
            sizes = (ctypes.c_size_t * len(args))(*[v.nbytes for v in values])
            self.launched.append(name)
            status = function(grid[0], block[0], pointers, sizes, len(args))
            assert status == 0, f"{name}: {['', 'arguments that do not fit', 'a barrier that not all threads come to'][status]}"

        return launch


def _value(argument: Any) -> numpy.ndarray:
    """An argument's bytes: of an array, its address."""
    if isinstance(argument, ndarray):
        assert argument.flags.c_contiguous
        return numpy.array(argument.ctypes.data, "uint64")
    assert isinstance(argument, numpy.generic) or argument.size == 1, "CuPy takes host arrays of one element only"
    return numpy.asarray(argument)


#: What CuPy's names of types are in C.
_C = {"float64": "double"}


class ElementwiseKernel:
    """One loop over arrays that broadcast, like ``T x, T y -> T out``. All of them are one source: they compile together."""

    functions: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, given: str, made: str, operation: str, name: str):
        self.given, self.made = ([parameter.split() for parameter in part.split(",")] for part in (given, made))
        self.name = name
        self.given, self.made = ([(_C.get(kind, kind), p) for kind, p in part] for part in (self.given, self.made))
        parameters = [f"{'const ' * (i < len(self.given))}{kind}* {p}_" for i, (kind, p) in enumerate(self.given + self.made)]
        values = [f"{kind} {p} = {p}_[i];" for kind, p in self.given] + [f"{kind}& {p} = {p}_[i];" for kind, p in self.made]
        self.functions[name] = f"""
            extern "C" __global__ void {name}(long long n, {", ".join(parameters)}) {{
                long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
                if (i >= n) return;
                {" ".join(values)}
                {operation};
            }}"""

    @classmethod
    def source(cls, kind: str) -> str:
        return "\n".join([f"typedef {kind} T;", *cls.functions.values()])

    def __call__(self, *args: Any) -> Any:
        arrays, outs = args[: len(self.given)], list(args[len(self.given) :])
        dtype = next(a.dtype for a in arrays if isinstance(a, ndarray))
        kinds = [{"T": dtype, "bool": bool, "double": float}[kind] for kind, _ in self.given]
        full = numpy.broadcast_arrays(*[numpy.asarray(a, kind) for a, kind in zip(arrays, kinds, strict=True)])
        outs = outs or [numpy.empty(full[0].shape, dtype).view(ndarray) for _ in self.made]
        function = RawModule(code=self.source({4: "float", 8: "double"}[dtype.itemsize])).get_function(self.name)
        function((outs[0].size // 7 + 1,), (7,), (numpy.int64(outs[0].size), *[asarray(a) for a in full], *outs))
        return outs[0]


class _Blas:
    """cuBLAS's product of stacks, which counts memory by columns."""

    def __init__(self, real: Any):
        self.real = numpy.dtype(real)

    def __call__(self, handle: int, trans_a: int, trans_b: int, m: int, n: int, k: int, alpha: int, a: int, ld_a: int, step_a: int, b: int,
                 ld_b: int, step_b: int, beta: int, c: int, ld_c: int, step_c: int, count: int) -> None:  # fmt: skip
        RawModule.launched.append("gemm")
        x = self._stack(a, *((k, m) if trans_a else (m, k)), ld_a, step_a, count)
        y = self._stack(b, *((n, k) if trans_b else (k, n)), ld_b, step_b, count)
        out = self._stack(c, m, n, ld_c, step_c, count)
        product = numpy.matmul(x.swapaxes(1, 2) if trans_a else x, y.swapaxes(1, 2) if trans_b else y)
        kept = self._at(beta)[0] * out if self._at(beta)[0] else 0
        out[...] = self._at(alpha)[0] * product + kept

    def _at(self, address: int, n: int = 1) -> numpy.ndarray:
        return numpy.frombuffer((ctypes.c_char * (n * self.real.itemsize)).from_address(address), self.real)

    def _stack(self, address: int, rows: int, columns: int, ld: int, step: int, count: int) -> numpy.ndarray:
        assert ld >= max(rows, 1), "cuBLAS refuses columns that overlap"
        flat = self._at(address, (count - 1) * step + (columns - 1) * ld + rows)
        strides = [n * self.real.itemsize for n in (step, 1, ld)]
        return numpy.lib.stride_tricks.as_strided(flat, (count, rows, columns), strides)


def _numpys(name: str) -> Any:
    """NumPy's function, with results in arrays of this module's type."""
    found = getattr(numpy, name)
    if isinstance(found, numpy.ufunc) or not callable(found):
        return found

    def function(*args: Any, **options: Any) -> Any:
        out = found(*args, **options)
        return out.view(ndarray) if isinstance(out, numpy.ndarray) else out

    return function


def load() -> ModuleType:
    """``rustorch.backends.cupy_kernels``, read anew with this stand-in as CuPy."""
    stand_in = ModuleType("cupy")
    stand_in.__dict__.update(
        ndarray=ndarray, RawModule=RawModule, ElementwiseKernel=ElementwiseKernel, __getattr__=_numpys,
        cuda=SimpleNamespace(
            device=SimpleNamespace(get_cublas_handle=itertools.count().__next__),
            cublas=SimpleNamespace(sgemmStridedBatched=_Blas("float32"), dgemmStridedBatched=_Blas("float64")),
        ),
    )  # fmt: skip
    parent, package = sys.modules["rustorch.backends"], "rustorch.backends.cupy_kernels"
    real = parent.__dict__.pop("cupy_kernels", None)
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "cupy" or name.startswith(package)}
    sys.modules["cupy"] = stand_in
    try:
        return import_module(package)
    finally:
        for name in [name for name in sys.modules if name == "cupy" or name.startswith(package)]:
            del sys.modules[name]
        sys.modules.update(aside)
        del parent.cupy_kernels
        if real is not None:
            parent.cupy_kernels = real

"""``cupy.cuda.cublas``: products of matrices that are given by address and stored column by column."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy

from .._array import quiet
from .._log import launch
from .._memory import GUARD, Address, block_of
from .device import get_cublas_handle

#: cuBLAS counts in integers of 32 bits.
LIMIT = 2**31


class _Matrices:
    """A stack of matrices in memory. Element (i, j) of matrix n has the offset ``i + j * ld + n * step``."""

    def __init__(self, name: str, address: int, dtype: numpy.dtype, shape: tuple[int, int, int], ld: int, step: int):
        count, rows, columns = shape
        assert 0 <= rows < LIMIT and 0 <= columns < LIMIT and 0 <= count < LIMIT and ld < LIMIT, (
            f"{name}: cuBLAS counts in 32 bits"
        )
        assert ld >= max(rows, 1), (
            f"{name}: the leading dimension is {ld}, fewer than its {rows} rows: CUBLAS_STATUS_INVALID_VALUE"
        )
        self.bytes = (
            ((count - 1) * step + (columns - 1) * ld + rows) * dtype.itemsize if rows and columns and count else 0
        )
        self.address = address
        if isinstance(address, Address):
            self._check(name, address.array, dtype)
        memory = (ctypes.c_char * self.bytes).from_address(address) if self.bytes else b""
        strides = [n * dtype.itemsize for n in (step, 1, ld)]
        self.values = numpy.ndarray(shape, dtype, memory, 0, strides) if self.bytes else numpy.empty(shape, dtype)

    def _check(self, name: str, array: Any, dtype: numpy.dtype) -> None:
        assert array.dtype == dtype, f"{name} is an array of {array.dtype}, this product takes {dtype}"
        assert array._device + 1 == get_cublas_handle(), (
            f"{name} lies on GPU {array._device}, which is not the current GPU"
        )
        block = block_of(array._values)
        if block is not None and self.bytes:
            end = block.ctypes.data + block.size - GUARD
            assert self.address + self.bytes <= end, f"{name}: the product goes beyond the end of its array"

    def overlaps(self, other: _Matrices) -> bool:
        return self.address < other.address + other.bytes and other.address < self.address + self.bytes


def _product(
    name: str,
    dtype: numpy.dtype,
    handle: int,
    trans: tuple[int, int],
    m: int,
    n: int,
    k: int,
    alpha: int,
    a: tuple,
    b: tuple,
    beta: int,
    c: tuple,
    count: int,
) -> None:
    assert handle == get_cublas_handle(), f"{name}: this handle belongs to another GPU than the current one"
    x, ld_x, step_x = a
    y, ld_y, step_y = b
    z, ld_z, step_z = c
    left = _Matrices(f"{name}: A", x, dtype, (count, *((k, m) if trans[0] else (m, k))), ld_x, step_x)
    right = _Matrices(f"{name}: B", y, dtype, (count, *((n, k) if trans[1] else (k, n))), ld_y, step_y)
    out = _Matrices(f"{name}: C", z, dtype, (count, m, n), ld_z, step_z)
    assert not out.bytes or not (out.overlaps(left) or out.overlaps(right)), f"{name}: C overlaps an operand"
    launch("gemm", m * n * count)
    factor, keep = (ctypes.cast(int(p), ctypes.POINTER(_C[dtype.name])).contents.value for p in (alpha, beta))
    with quiet():
        product = numpy.matmul(
            left.values.swapaxes(1, 2) if trans[0] else left.values,
            right.values.swapaxes(1, 2) if trans[1] else right.values,
        )
        # with beta 0, C is not read, so it may hold nan
        out.values[...] = dtype.type(factor) * product + (dtype.type(keep) * out.values if keep else dtype.type(0))


_C: dict[str, Any] = {"float32": ctypes.c_float, "float64": ctypes.c_double}


def _stacked(name: str, dtype: str) -> Any:
    def gemm(
        handle: int,
        transa: int,
        transb: int,
        m: int,
        n: int,
        k: int,
        alpha: int,
        A: int,
        lda: int,
        strideA: int,
        B: int,
        ldb: int,
        strideB: int,
        beta: int,
        C: int,
        ldc: int,
        strideC: int,
        batchCount: int,
    ) -> None:
        _product(
            name,
            numpy.dtype(dtype),
            handle,
            (transa, transb),
            m,
            n,
            k,
            alpha,
            (A, lda, strideA),
            (B, ldb, strideB),
            beta,
            (C, ldc, strideC),
            batchCount,
        )

    return gemm


def _single(name: str, dtype: str) -> Any:
    def gemm(
        handle: int,
        transa: int,
        transb: int,
        m: int,
        n: int,
        k: int,
        alpha: int,
        A: int,
        lda: int,
        B: int,
        ldb: int,
        beta: int,
        C: int,
        ldc: int,
    ) -> None:
        _product(
            name,
            numpy.dtype(dtype),
            handle,
            (transa, transb),
            m,
            n,
            k,
            alpha,
            (A, lda, 0),
            (B, ldb, 0),
            beta,
            (C, ldc, 0),
            1,
        )

    return gemm


sgemm, dgemm = _single("sgemm", "float32"), _single("dgemm", "float64")
sgemmStridedBatched = _stacked("sgemmStridedBatched", "float32")
dgemmStridedBatched = _stacked("dgemmStridedBatched", "float64")

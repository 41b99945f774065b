"""`RawModule`, `RawKernel` and `ElementwiseKernel`: CUDA sources that run on the host, thread by thread."""

from __future__ import annotations

import ctypes
import functools
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy

from . import _device
from ._array import ndarray, wrap
from ._compiler import compiled, functions
from ._log import launch
from ._memory import BLOCKS, Block, block_of, check_guards, holding, uninitialised

#: CUDA's limits for a launch.
MOST_BLOCKS, MOST_ARGUMENT_BYTES = 2**31 - 1, 4096
#: The status of ``run`` in cuda_on_host.h for a barrier that not all threads of a block reach.
BARRIER = 1 << 20

#: Every source that has run in this process. A test gives them to NVIDIA's compiler.
SOURCES: set[str] = set()

_order = {"backwards": False}


@contextmanager
def backwards() -> Iterator[None]:
    """A context in which threads and blocks run in the opposite order.

    A result that changes depends on an order that a GPU does not promise.
    """
    _order["backwards"] = True
    try:
        yield
    finally:
        _order["backwards"] = False


class _Argument(ctypes.Structure):
    """``Argument`` in cuda_on_host.h."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("kind", ctypes.c_char),
        ("element", ctypes.c_char),
        ("item", ctypes.c_size_t),
    )


class _Given(NamedTuple):
    """An argument of a kernel: its bytes, and the array if it is the address of one."""

    bytes: numpy.ndarray
    array: Any

    def blocks(self) -> Iterator[Block]:
        """The allocations that the kernel can reach: that of the array, or those whose addresses are in a struct."""
        if self.array is not None:
            block = block_of(self.array._values)
            if block is not None:
                yield block
        elif self.bytes.dtype.kind == "V":
            words = numpy.frombuffer(self.bytes.tobytes()[: self.bytes.nbytes // 8 * 8], numpy.uint64)
            for address in words.tolist():
                if (block := BLOCKS.get(address)) is not None:
                    yield block

    def described(self) -> _Argument:
        kind, element, item = (self.bytes.dtype.kind, "V", 0)
        if self.array is not None:
            kind, element, item = "p", self.array.dtype.kind, self.array.itemsize
        return _Argument(self.bytes.ctypes.data, self.bytes.nbytes, kind.encode(), element.encode(), item)


def _given(name: str, argument: Any) -> _Given:
    """An argument for a kernel: an array's address, or the bytes of a NumPy scalar or of an array of one element."""
    if isinstance(argument, ndarray):
        assert argument._device == _device.current(), (
            f"{name}: an array of GPU {argument._device}, which is not the current GPU"
        )
        assert argument._values.flags.c_contiguous, f"{name}: an array of shape {argument.shape} that is not contiguous"
        return _Given(numpy.array(argument._values.ctypes.data if argument.size else 0, numpy.uint64), argument)
    if isinstance(argument, numpy.ndarray):
        if argument.size != 1:
            raise TypeError(
                f"You are trying to pass a numpy.ndarray of shape {argument.shape} as a kernel parameter. "
                f"Only numpy.ndarrays of size one can be passed by value."
            )
        return _Given(argument, None)
    if argument is None:
        return _Given(numpy.zeros((), numpy.uint64), None)
    assert isinstance(argument, numpy.generic), f"{name}: an argument of {type(argument)}, whose size in C is not known"
    return _Given(numpy.asarray(argument), None)


@functools.cache
def _array_of_arguments(count: int) -> type[ctypes.Array[_Argument]]:
    """Kept, because ctypes makes a class, which is a reference cycle."""
    return _Argument * count


def _run(source: str, name: str, blocks: int, threads: int, given: Sequence[_Given], logged: bool = True) -> None:
    """Run a function of a source in ``blocks`` blocks of ``threads`` threads.

    Raises
    ------
    AssertionError
        For a launch that a GPU would refuse, and for mistakes that a GPU would not report.
    """
    most = functions(source)[name]
    assert 0 < blocks <= MOST_BLOCKS, f"{name}: {blocks} blocks"
    assert 0 < threads <= most, f"{name}: {threads} threads in a block, at most {most} are allowed"
    size = sum(-(-value.bytes.nbytes // 8) * 8 for value in given)
    assert size <= MOST_ARGUMENT_BYTES, f"{name}: {size} bytes of arguments, at most {MOST_ARGUMENT_BYTES} are allowed"
    arguments = _array_of_arguments(len(given))(*[value.described() for value in given])
    flush = not any(value.array is not None and value.array.dtype.char in "dD" for value in given)
    memory = [block for value in given for block in value.blocks()]
    for block in memory:
        assert block.device == _device.current(), f"{name}: a struct has the address of an array of GPU {block.device}"
    if logged:
        launch(name)
    SOURCES.add(source)
    status = getattr(compiled(source), f"run_{name}")(
        blocks, threads, arguments, len(given), _order["backwards"], flush
    )
    assert status != BARRIER, f"{name}: not all threads reach a barrier"
    assert status >= 0, f"{name}: {len(given)} arguments for {-1 - status} parameters"
    assert not status, f"{name}: argument {status} does not fit its parameter: it is {_described(given[status - 1])}"
    for block in memory:
        check_guards(block, name)


def _described(value: _Given) -> str:
    if value.array is not None:
        return f"an array of {value.array.dtype}"
    return f"{value.bytes.dtype}, {value.bytes.nbytes} bytes"


# -- raw ---------------------------------------------------------------------------------------------------------------
class RawKernel:
    """One function of a CUDA source."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **more: Any):
        self.code, self.name, self.options, self.backend = code, name, options, backend

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0, stream: Any = None) -> None:
        assert isinstance(grid, tuple) and isinstance(block, tuple), f"{self.name}: grid and block are tuples"
        assert {*grid[1:], *block[1:]} <= {1}, f"{self.name}: the stand-in has grids and blocks of one dimension"
        assert not shared_mem, f"{self.name}: the stand-in has no dynamic shared memory"
        _run(self.code, self.name, int(grid[0]), int(block[0]), [_given(self.name, argument) for argument in args])


class RawModule:
    """A CUDA source."""

    def __init__(self, *, code: str, options: tuple[str, ...] = (), backend: str = "nvrtc", **more: Any):
        self.code, self.options, self.backend = code, options, backend

    def get_function(self, name: str) -> RawKernel:
        assert name in functions(self.code), f"the source has no function {name}: cudaErrorNotFound"
        return RawKernel(self.code, name, self.options, self.backend)


# -- elementwise -------------------------------------------------------------------------------------------------------
_C = {
    "float64": "double",
    "float32": "float",
    "int64": "long long",
    "int32": "int",
    "int16": "short",
    "int8": "signed char",
    "uint64": "unsigned long long",
    "uint32": "unsigned int",
    "uint16": "unsigned short",
    "uint8": "unsigned char",
    "bool": "bool",
}


class _Parameter(NamedTuple):
    """``[raw] type name``. A type of one letter stands for the dtype of the arguments."""

    kind: str
    name: str
    raw: bool

    @classmethod
    def several(cls, text: str) -> list[_Parameter]:
        parameters = []
        for part in filter(None, [part.strip() for part in text.split(",")]):
            *words, kind, name = part.split()
            if set(words) - {"raw"}:
                raise Exception(f'Unknown keyword "{words[0]}"')
            parameters.append(cls(kind if len(kind) == 1 else numpy.dtype(kind).name, name, "raw" in words))
        return parameters


class ElementwiseKernel:
    """One loop over arrays that broadcast, like ``T x, float64 factor`` -> ``T out``."""

    def __init__(
        self,
        in_params: str,
        out_params: str,
        operation: str,
        name: str = "kernel",
        reduce_dims: bool = True,
        preamble: str = "",
        no_return: bool = False,
        return_tuple: bool = False,
        **options: Any,
    ):
        if not re.fullmatch(r"[a-zA-Z_]\w*", name):
            raise ValueError(f'Invalid kernel name: "{name}"')
        self.name, self.operation, self.preamble = name, operation, preamble
        self.no_return, self.return_tuple = no_return, return_tuple
        self.in_params, self.out_params = _Parameter.several(in_params), _Parameter.several(out_params)
        self.params = [*self.in_params, *self.out_params]
        if any(p.name == "i" for p in self.params):
            raise ValueError("Can not use 'i' as a parameter name")

    def __call__(self, *args: Any, size: int | None = None, block_size: int = 128, stream: Any = None) -> Any:
        nin = len(self.in_params)
        if len(args) not in (nin, len(self.params)):
            raise TypeError(
                f"Wrong number of arguments for {self.name!r}. It must be either {nin} or {len(self.params)} (with "
                f"outputs), but given {len(args)}."
            )
        for argument in args:
            if isinstance(argument, ndarray):
                _device.check(argument)
            elif type(argument) not in (bool, int, float, complex) and not isinstance(argument, numpy.generic):
                raise TypeError(f"Unsupported type {type(argument)}")
        ins, outs = list(args[:nin]), list(args[nin:])
        if not all(isinstance(o, ndarray) for o in outs):
            raise TypeError("Output arguments type must be cupy.ndarray")
        shape = self._shape(args, size)
        types = self._types(ins, outs)
        outs = outs or [wrap(uninitialised(shape, types[p.kind])) for p in self.out_params]
        if any(not p.raw and o.shape != shape for p, o in zip(self.out_params, outs, strict=True)):
            raise ValueError("Out shape is mismatched")
        if math.prod(shape):
            launch(self.name)
            self._launch(shape, types, ins, outs, block_size)
        if self.no_return:
            return None
        return outs[0] if len(outs) == 1 and not self.return_tuple else tuple(outs)

    def _shape(self, args: tuple, size: int | None) -> tuple[int, ...]:
        """The shape of the loop."""
        looped = [a for p, a in zip(self.params, args, strict=False) if isinstance(a, ndarray) and not p.raw]
        if size is not None:
            if looped:
                raise ValueError("Specified 'size' can be used only if all of the ndarray are 'raw'.")
            return (size,)
        if not looped:
            raise ValueError("Loop size is undecided.")
        return numpy.broadcast_shapes(*[a.shape for a in looped])

    def _types(self, ins: list, outs: list) -> dict[str, numpy.dtype]:
        """The dtype of each type of parameter. Arrays whose parameters have one type must have one dtype."""
        types = {p.kind: numpy.dtype(p.kind) for p in self.params if len(p.kind) > 1}
        for p, a in [*zip(self.out_params, outs, strict=False), *zip(self.in_params, ins, strict=True)]:
            if isinstance(a, ndarray) and types.setdefault(p.kind, a.dtype) != a.dtype:
                raise TypeError(f"Type is mismatched. {p.name} {a.dtype} {types[p.kind]} {p.kind}")
        for p in self.params:
            if p.kind not in types:
                raise KeyError(p.kind)
            if types[p.kind].name not in _C:
                raise TypeError(f"the stand-in has no ElementwiseKernel of {types[p.kind]}: {self.name}")
        return types

    def _launch(
        self, shape: tuple[int, ...], types: dict[str, numpy.dtype], ins: list, outs: list, block_size: int
    ) -> None:
        looped = [o._values for p, o in zip(self.out_params, outs, strict=True) if not p.raw]
        given, arrays = [], []
        for p, a in zip(self.in_params, ins, strict=True):
            if not isinstance(a, ndarray):
                given.append(_Given(numpy.asarray(a, types[p.kind]), None))
                continue
            if not p.raw:
                self._check_overlap(a._values, looped)
            arrays.append(p.name)
            values = a._values if p.raw else numpy.broadcast_to(a._values, shape)
            given.append(_given(self.name, wrap(holding(values))))
        made = [_given(self.name, o if o._values.flags.c_contiguous else wrap(holding(o._values))) for o in outs]
        source = _loop(self, tuple(sorted((k, _C[t.name]) for k, t in types.items())), tuple(arrays))
        total = math.prod(shape)
        count = _Given(numpy.array(total, numpy.int64), None)
        _run(source, self.name, -(-total // block_size), min(block_size, 1024), [count, *given, *made], logged=False)
        for o, m in zip(outs, made, strict=True):
            if m.array is not o:
                o._values[...] = m.array._values

    def _check_overlap(self, values: numpy.ndarray, outs: list[numpy.ndarray]) -> None:
        """Refuse an input that shares memory with an output, unless both are the same elements in the same order.

        Otherwise a thread would read what another thread has already written.
        """
        for out in outs:
            same = values.ctypes.data == out.ctypes.data and values.shape == out.shape and values.strides == out.strides
            if not same and values.size and out.size:
                assert not numpy.may_share_memory(values, out), (
                    f"{self.name} reads what other threads write: its arrays overlap"
                )


@functools.cache
def _loop(kernel: ElementwiseKernel, types: tuple[tuple[str, str], ...], arrays: tuple[str, ...]) -> str:
    """The CUDA source of a kernel for these dtypes. ``arrays`` names the inputs that are arrays."""
    in_c = dict(types)
    names = "".join(f"typedef {c} {kind};\n" for kind, c in types if len(kind) == 1)
    parameters, values = ["long long _n"], []
    for p in kernel.params:
        is_input = p in kernel.in_params
        const, kind = "const " * is_input, in_c[p.kind]
        if is_input and p.name not in arrays:
            parameters.append(f"const {kind} {p.name}")
        elif p.raw:
            parameters.append(f"{const}{kind}* {p.name}")
        else:
            parameters.append(f"{const}{kind}* _raw_{p.name}")
            values.append(f"{const}{kind}& {p.name} = _raw_{p.name}[i];")
    return f"""{names}{kernel.preamble}
extern "C" __global__ void {kernel.name}({", ".join(parameters)}) {{
    const long long _step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < _n; i += _step) {{
        {" ".join(values)}
        {kernel.operation};
    }}
}}"""

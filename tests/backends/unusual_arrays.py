"""A program for test_unusual_arrays.py: every function that takes arrays, every pair of devices, every kind of array.

It may end in an abort.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import numpy

import rustorch

BASE = numpy.arange(12.0).reshape(3, 4)
READ_ONLY = BASE.copy()
READ_ONLY.flags.writeable = False
KINDS = {
    "negative stride": BASE[::-1],
    "negative stride of two": BASE[:, ::-2],
    "integers in reverse": numpy.arange(6)[::-2],
    "empty": numpy.zeros((0, 3)),
    "read-only": READ_ONLY,
    "read-only bytes": numpy.frombuffer(numpy.arange(3.0).tobytes()),
    "read-only in reverse": READ_ONLY[::-1],
    "0-d": numpy.array(2.5),
    "broadcast": numpy.broadcast_to(numpy.arange(3.0), (2, 3)),
    "one element many times": numpy.lib.stride_tricks.as_strided(numpy.arange(3.0), (2, 3), (0, 8)),
    "transposed": BASE.T,
    "bool": numpy.array([True, False]),
    "complex": numpy.array([1 + 2j, 3j]),
    "complex64": numpy.array([1 + 2j, 3j], "complex64"),
    "other byte order": numpy.arange(3.0).astype(numpy.dtype("float64").newbyteorder("S")),
    "other byte order of integers": numpy.arange(3).astype(numpy.dtype("int32").newbyteorder("S")),
    "unsigned": numpy.arange(3, dtype="uint16"),
    "not aligned": numpy.frombuffer(b"\0" + numpy.arange(3.0).tobytes(), "float64", 3, 1),
}
WAYS = {
    "from_dlpack": lambda array, device: rustorch.from_dlpack(array, device=device),
    "copied": lambda array, device: rustorch.from_dlpack(array, device=device, copy=True),
    "not copied": lambda array, device: rustorch.from_dlpack(array, device=device, copy=False),
    "exporter": lambda array, device: rustorch.from_dlpack(Exporter(array), device=device),
    "asarray": lambda array, device: rustorch.asarray(array, device=device),
    "to": lambda array, device: rustorch.asarray(array).to(device),
}


class Exporter:
    """An object that speaks DLPack and nothing else."""

    def __init__(self, array: Any):
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def check(kind: str, way: str, source: str, target: str) -> None:
    expected = KINDS[kind]
    array = expected if source == "cpu" else rustorch.asarray(expected).to(source).data
    before = expected.copy()
    try:
        x = WAYS[way](array, target)
    except (ValueError, BufferError) as error:  # NumPy does not export arrays in another byte order
        refused = "copy=False" in str(error) if way == "not copied" else "byte order" in kind and way == "exporter"
        refused |= "readonly" in str(error) and way == "exporter"  # NumPy before 2.1 does not export them
        assert refused or "native byte order" in str(error), error
        return
    result = rustorch.asarray(x.data)
    exported = way == "exporter" and source in ("strict", "torch", "jax")  # memory of the host becomes a NumPy array
    assert exported or result.device == x.device == target, (result.device, target)
    assert result.dtype == expected.dtype.newbyteorder("=")
    assert result.tolist() == expected.tolist()
    if x.size and source == "cpu" and not expected.flags.writeable:
        for write in (lambda: x.__setitem__(..., 7.0), lambda: x.data.__setitem__(..., 7.0)):
            with contextlib.suppress(ValueError, TypeError, RuntimeError):
                write()
        assert (expected == before).all(), "the memory of the source was changed"


def main(source: str, *targets: str) -> None:
    for target in targets:
        for kind in KINDS:
            for way in WAYS if source == "cpu" else ("from_dlpack", "not copied", "exporter"):
                print(kind, way, source, target, sep=" | ", flush=True)
                check(kind, way, source, target)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])

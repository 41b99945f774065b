"""Kernels that are compiled for a dtype when they are first used.

A kernel is the body of a loop over items: elements, rows, samples. Compiled, it runs over any part of them, so that
several threads can share the items. `Kernel.of` says whether it is worth it, and gives None where NumPy should serve.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from .. import threads
from . import bodies, store
from .availability import Unavailable, always, check

if TYPE_CHECKING:
    from ..base import Array

#: Elements below which NumPy serves: the call of a compiled kernel would not pay.
LEAST = 1 if always() else 1 << 11
#: Elements from which a call waits until its kernel is compiled. Below, NumPy serves meanwhile.
PATIENT = 0 if always() else 1 << 16
#: Elements of a piece of work that one thread takes at least.
GRAIN = 16 if always() else 1 << 13
#: Seconds after a call that waited for its kernel in which the background compiles nothing.
_PAUSE = 0.5

#: The flags of LLVM that a kernel may use. None assumes that there is no nan and no infinity.
_CONTRACTED, _SUMS = frozenset({"contract"}), frozenset({"contract", "reassoc", "nsz"})
_NAMES = {numpy.dtype("float32"): "f4", numpy.dtype("float64"): "f8"}
_SCRATCH = ctypes.create_string_buffer(64)
_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)


class State:
    """What is known about compiling in this process. It is found out when the first kernel is needed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.problem: str | None = None
        self.folder: Path | None = None
        self.folder_problem: str | None = None
        self.known = False
        self.key = ""
        self.offset = 0
        #: Name of a kernel -> why it could not be compiled.
        self.failures: dict[str, str] = {}
        self.loaded = self.compiled = 0
        #: Whether a thread compiles or loads a kernel right now.
        self.busy = False
        #: Until this time the background does not compile: a call has just waited for a kernel, and the next call will
        #: probably wait for another one.
        self.quiet = 0.0

    def find_out(self) -> None:
        """Find out whether kernels can be compiled, once."""
        if self.known:
            return
        with self.lock:
            if self.known:
                return
            try:
                self._find_out()
            except Unavailable as error:
                self.problem = str(error)
            except Exception as error:
                self.problem = f"{type(error).__name__}: {error}"
            self.known = True

    def _find_out(self) -> None:
        version = check()
        self.offset = _data_offset()
        from . import machine

        self.key = _digest(version, machine.processor(), str(self.offset), *_sources())
        self.folder = store.folder()
        self.folder_problem = store.problem(self.folder)
        if self.folder_problem:
            self.folder = None


STATE = State()


def _sources() -> list[bytes]:
    """The modules that write machine code, and so are part of every kernel: those that use Numba, LLVM or Scalars, and
    the one whose coefficients they use.
    """
    here = Path(__file__).parent
    texts = [file.read_bytes() for file in sorted(here.glob("*.py"))]
    signs = b"import numba", b"from numba", b"llvmlite", b"from .scalar import"
    used = [text for text in texts if any(sign in text for sign in signs)]
    return [*used, (here.parent / "kernels" / "activation.py").read_bytes()]


def _data_offset() -> int:
    """Where an array object holds the address of its elements, in bytes."""
    arrays = [numpy.empty(3), numpy.empty((2, 2), "float32")]
    for offset in range(8, 96, 8):
        if all(ctypes.c_int64.from_address(id(a) + offset).value == a.__array_interface__["data"][0] for a in arrays):
            return offset
    raise Unavailable("this Python lays out its objects in an unknown way")


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(str(len(data)).encode() + b":" + data)
    return digest.hexdigest()


def numpy_raises() -> bool:
    """Whether NumPy should raise errors of floating-point numbers, as in ``numpy.errstate(over="raise")``. Compiled
    loops cannot, so NumPy serves.
    """
    if _ERROR_STATE is not None and _ERROR_STATE.get() is _USUAL_ERROR_STATE:  # in a tenth of the time
        return False
    return "raise" in (states := numpy.geterr().values()) or "call" in states


#: Where NumPy keeps what `numpy.errstate` changes.
_ERROR_STATE: Any = getattr(import_module("numpy._core.umath"), "_extobj_contextvar", None)
_USUAL_ERROR_STATE = None if _ERROR_STATE is None or "raise" in numpy.geterr().values() else _ERROR_STATE.get()


class Kernel:
    """A loop over items, compiled for float32 or float64 when it is first needed.

    Parameters
    ----------
    body : callable
        ``body(*arguments, start, stop)`` works on the items from start to stop, and writes only what belongs to them.
        It may call by name what `bodies` offers, such as the functions of `mathematics`, and plain functions of its own
        module. It is plain Python that Numba compiles: index loops, no allocation, no exceptions. Arrays are flat and
        have no known size: slice them first (``row = x[r * n : (r + 1) * n]``) and loop over ``range(row.size)``.
    tokens : str
        The types of the arguments, separated by spaces: ``T[]`` (an array of the kernel's dtype), ``f8[]``, ``i8[]``,
        ``i4[]``, ``u1[]`` (arrays of these dtypes; bool is u1), the same with ``?`` at the end where None is allowed
        (the body must not touch it then), ``int``, ``T`` and ``f8`` (numbers).
    sums : bool
        Whether the order of additions may change, so that sums use all lanes of the processor.
    exact : bool
        Whether each operation is rounded by itself, as NumPy does: a product and a sum do not become one operation.
    name : str, optional
        A name for messages; by default the body's.
    patience : int
        How many times as many elements as usual a call must have to wait until the kernel is compiled: more than 1
        where that takes seconds.
    """

    def __init__(
        self,
        body: Callable[..., None],
        tokens: str,
        sums: bool = False,
        exact: bool = False,
        name: str | None = None,
        patience: int = 1,
    ):
        self.body: Any = body
        self.name = name or body.__name__.lstrip("_")
        self._optional = [token.endswith("?") for token in tokens.split()]
        self.tokens = [token.rstrip("?") for token in tokens.split()]
        self._flags = _SUMS if sums else frozenset() if exact else _CONTRACTED
        self._patience = patience
        self._launches: dict[Any, Any] = {}  # None where NumPy serves
        self._wanted: set[str] = set()

    def of(self, dtype: Any, size: int) -> Callable[..., None] | None:
        """The compiled kernel for arrays of a dtype and about ``size`` elements, or None where NumPy should serve.

        The result is called as ``launch(items, size, *arguments)``. Arrays must be contiguous, aligned and of the
        dtypes that the tokens say; those that are written must be writable. The items are shared between the threads
        if ``size``, about the number of elements that all items have (or of as much work), is large enough.
        """
        if size < LEAST or numpy_raises():
            return None
        launch: Any = self._launches.get(dtype, self)
        if launch is self:
            launch = self._find(dtype, size)
        return launch  # type: ignore[no-any-return]

    def _find(self, dtype: Any, size: int) -> Callable[..., None] | None:
        """Load or compile the kernel. None if that is impossible, or if it is not worth waiting for."""
        name = _NAMES.get(dtype)
        STATE.find_out()
        if name is None or STATE.problem:
            self._launches[dtype] = None
            return None
        if _in_background():
            return None  # the compiling thread computes nothing itself
        key = self.key(name)
        patient = size >= PATIENT * self._patience
        if not STATE.lock.acquire(blocking=patient):
            return None  # another thread compiles, and small work does not wait for it
        try:
            data = store.read(STATE.folder, key)
            if data is None and not patient:
                if key not in self._wanted:
                    self._wanted.add(key)
                    _compile_later(self, dtype)
                return None
            return self._compile(dtype, data)
        finally:
            STATE.lock.release()

    def key(self, name: str) -> str:
        """What identifies the machine code: everything that it depends on."""
        return _digest(
            STATE.key, bodies.fingerprint(self.body, self.body.__globals__), self.tokens, name, sorted(self._flags)
        )

    def _compile(self, dtype: Any, data: bytes | None = None) -> Callable[..., None] | None:
        with STATE.lock:
            if dtype in self._launches:
                found: Callable[..., None] | None = self._launches[dtype]
                return found
            launch = None
            try:
                launch = self._launch(self.address(_NAMES[dtype], data))
            except Exception as error:  # whatever Numba and LLVM raise: NumPy serves
                STATE.failures[f"{self.name} ({dtype})"] = f"{type(error).__name__}: {error}".split("\n")[0]
            self._launches[dtype] = launch
            return launch

    def address(self, name: str, data: bytes | None = None) -> int:
        """The address of the machine code, from the cache or from Numba. The caller holds ``STATE.lock``."""
        STATE.busy = True
        try:
            from . import machine

            key = self.key(name)
            symbol = f"rustorch_{key}"
            data = store.read(STATE.folder, key) if data is None else data
            if data is not None:
                STATE.loaded += 1
            else:
                from . import compiler

                body = bodies.complete(self.body, self._flags, name, STATE.offset)
                data = compiler.compile_object(body, self.tokens, name, symbol, STATE.offset, self._flags)
                store.write(STATE.folder, key, data)
                STATE.compiled += 1
                if not _in_background():
                    STATE.quiet = time.monotonic() + _PAUSE
            return machine.load(data, symbol)
        finally:
            STATE.busy = False

    def _launch(self, address: int) -> Callable[..., None]:
        """The function that packs the arguments and runs the machine code."""
        parameters = [f"a{i}" for i in range(len(self.tokens))]
        values, arrays, form = [], [], "q"
        for name, token, optional in zip(parameters, self.tokens, self._optional, strict=True):
            is_array = token.endswith("[]")
            values.append((f"0 if {name} is None else id({name})" if optional else f"id({name})") if is_array else name)
            arrays += [name] if is_array else []
            form += "q" if is_array or token == "int" else "d"
        names = {
            "pack": struct.Struct(form).pack, "address": address, "entry": _ENTRY(address), "scratch": _SCRATCH,
            "share": threads.share, "GRAIN": GRAIN,
        }  # fmt: skip
        exec(_LAUNCH.format(", ".join(parameters), ", ".join(values), ", ".join([*arrays, ""])), names)
        launch: Callable[..., None] = names["launch"]  # type: ignore[assignment]
        return launch


#: Small work runs at once. The arrays are passed on to keep them alive.
_LAUNCH = """
def launch(items, size, {0}):
    packed = pack(address, {1})
    if size < 2 * GRAIN or items < 2 or not share(packed, items, size, ({2})):
        entry(scratch, scratch, packed[8:], 0, items)
"""


# -- compiling in the background ---------------------------------------------------------------------------------------
_compiling = threading.local()
_queue: list[tuple[Kernel, Any]] = []
_queue_lock = threading.Lock()
_worker: threading.Thread | None = None


def _in_background() -> bool:
    return getattr(_compiling, "on", False)


def _compile_later(kernel: Kernel, dtype: Any) -> None:
    """Compile a kernel in a thread, while NumPy serves."""
    # Numba imports these, and each of them registers functions for a fork. If that happened in the thread while the
    # program forks, Python would call only those for after the fork, which release locks.
    import concurrent.futures.thread  # noqa: F401
    import logging  # noqa: F401
    import random  # noqa: F401

    global _worker
    with _queue_lock:
        _queue.append((kernel, dtype))
        if _worker is None:
            _worker = threading.Thread(target=_compile_queue, name="rustorch compiler", daemon=True)
            _worker.start()


def _compile_queue() -> None:
    global _worker
    _compiling.on = True
    while True:
        if time.monotonic() < STATE.quiet:
            time.sleep(0.02)
            continue
        with STATE.lock:
            if time.monotonic() < STATE.quiet:
                continue
            with _queue_lock:
                if not _queue or threads.leaving():
                    _worker = None
                    return
                kernel, dtype = _queue.pop(0)
            kernel._compile(dtype)


def wait() -> None:
    """Wait until all kernels that are compiled in the background are there."""
    worker = _worker
    if worker is not None and worker is not threading.current_thread():
        worker.join()


def _wait_at_exit() -> None:
    """Let the compiler finish the kernel it is at: the interpreter must not end below it."""
    with _queue_lock:
        _queue.clear()
    STATE.quiet = 0.0
    wait()


def _forget() -> None:
    """In a forked process, the thread that compiles is missing, and the locks that it held stay locked. If a kernel was
    being compiled or loaded, nothing more is: NumPy serves where no kernel was loaded before.
    """
    global _worker, _queue_lock
    _worker, _queue_lock = None, threading.Lock()
    for kernel, _ in _queue:
        kernel._wanted.clear()
    _queue.clear()
    STATE.quiet = 0.0
    STATE.lock = threading.RLock()
    if STATE.busy:
        STATE.known, STATE.problem = True, "this process was forked while a kernel was compiled"


threads.at_exit(_wait_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def order_in_memory(x: Array) -> list[int] | None:
    """The order of an array's axes in which its elements lie one after another; None if there is none."""
    order = sorted(range(x.ndim), key=x.strides.__getitem__, reverse=True)
    return order if x.transpose(order).flags.c_contiguous else None


def flat(x: Array) -> Array:
    """The array itself if kernels can take it, else a copy whose elements lie one after another."""
    flags = x.flags
    return x if flags.c_contiguous and flags.aligned else numpy.array(x, order="C")

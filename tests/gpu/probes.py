"""Probes that need a GPU: the host time of calls, whether a step can be captured in a CUDA graph, and NCCL."""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Callable
from typing import Any

import cupy

import rustorch
from rustorch import backends, nn
from rustorch.backends.cupy.launch import product
from tests.gpu.checks import DEVICE, NeedsGPU, on_gpu

F = nn.functional


# -- host time of calls -----------------------------------------------------------------------------------------------
def _calls() -> dict[str, Callable[[], object]]:
    a, b = cupy.ones((64, 256), "float32"), cupy.ones((256, 128), "float32")
    xp: Any = backends.get(DEVICE).xp
    x, image = rustorch.Variable(a), rustorch.ones((8, 4, 16, 16), device=DEVICE)
    linear, norm = nn.Linear(256, 128).to(DEVICE), nn.LayerNorm(256).to(DEVICE)
    convolution = nn.Conv2d(4, 4, 3).to(DEVICE)
    return {
        "cupy: a + a": lambda: a + a,
        "cupy: empty": lambda: cupy.empty((64, 256), "float32"),
        "cupy: a @ b": lambda: a @ b,
        "cupy: sum over rows": lambda: a.sum(axis=0),
        "cupy: a.device": lambda: a.device,
        "kernel: relu": lambda: xp.relu(a),
        "kernel: softmax": lambda: xp.softmax(a, 1),
        "kernel: product": lambda: product(a, b),
        "F.relu": lambda: F.relu(x),
        "Linear": lambda: linear(x),
        "LayerNorm": lambda: norm(x),
        "Conv2d": lambda: convolution(image),
    }


def _cost(name: str, n: int = 1000) -> Callable[[], str]:
    """A probe that measures the microseconds until a call returns. It waits for the GPU once, at the end."""

    def measure() -> str:
        call = _calls()[name]
        for _ in range(20):
            call()
        rustorch.cuda.synchronize()
        if not on_gpu():
            raise NeedsGPU
        start = time.perf_counter()
        for _ in range(n):
            call()
        seconds = time.perf_counter() - start
        rustorch.cuda.synchronize()
        return f"{seconds / n * 1e6:.1f} us"

    return measure


# -- CUDA graphs -------------------------------------------------------------------------------------------------------
def _capture(body: Callable[[], Any], stream: Any) -> tuple[Any, Any]:
    """Capture the launches of ``body`` on the current stream. Return the graph and the result of ``body``."""
    for _ in range(2):  # kernels must be compiled and memory allocated before the capture
        body()
    stream.synchronize()
    stream.begin_capture()
    try:
        out = body()
    except BaseException:
        with contextlib.suppress(Exception):
            stream.end_capture()  # it raises too, but the error of the body says more
        raise
    return stream.end_capture(), out


def _own_product(x: Any, w: Any, out: Any, stream: Any) -> Callable[[], None]:
    """A product by cuBLAS without CuPy, with its own handle and workspace."""
    cupy.cuda.device.get_cublas_handle()  # CuPy loads the library
    for name in ("libcublas.so.13", "libcublas.so.12"):
        with contextlib.suppress(OSError):
            blas = ctypes.CDLL(name)
            break
    else:
        raise RuntimeError("cuBLAS cannot be loaded by its name")
    handle, address = ctypes.c_void_p(), ctypes.c_void_p
    workspace = cupy.empty(32 << 20, "uint8")
    one, zero, n = ctypes.c_float(1), ctypes.c_float(0), x.shape[0]

    def done(status: int) -> None:
        if status:
            raise RuntimeError(f"cuBLAS status {status}")

    done(blas.cublasCreate_v2(ctypes.byref(handle)))
    done(blas.cublasSetStream_v2(handle, address(stream.ptr)))
    done(blas.cublasSetWorkspace_v2(handle, address(workspace.data.ptr), ctypes.c_size_t(workspace.nbytes)))

    def call() -> None:
        assert workspace.nbytes  # this reference keeps the workspace alive
        done(
            blas.cublasSgemm_v2(
                handle,
                0,
                0,
                n,
                n,
                n,
                ctypes.byref(one),
                address(w.data.ptr),
                n,
                address(x.data.ptr),
                n,
                ctypes.byref(zero),
                address(out.data.ptr),
                n,
            )
        )

    return call


def _graph(kind: str) -> Callable[[], str]:
    """A probe that captures a doubling, a product of this kind and relu, and replays them on other numbers."""

    def probe() -> str:
        if not on_gpu():
            raise NeedsGPU
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream:
            x, w, out = (cupy.ones((64, 64), "float32") for _ in range(3))
            multiply = {
                "none": lambda: cupy.add(x, 0, out),
                "own": _own_product(x, w, out, stream) if kind == "own" else None,
                "cupy": lambda: product(x, w, out),
            }[kind]

            def body() -> Any:
                cupy.multiply(x, 2, x)
                multiply()
                return F.relu(rustorch.Variable(out))

            graph, captured = _capture(body, stream)
            x.fill(1)
            graph.launch(stream)
            stream.synchronize()
            expected = 2.0 if kind == "none" else 128.0
            replayed = float(captured.data[0, 0])
        assert replayed == expected, f"the replay gives {replayed}, not {expected}"
        return "captured, and replayed on other numbers"

    return probe


def graph_of_a_step() -> str:
    """Capture and replay a whole training step."""
    if not on_gpu():
        raise NeedsGPU
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        network = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).to(DEVICE)
        optimizer = rustorch.SGD(network.parameters(), lr=0.1)
        x, y = rustorch.randn(4, 8, device=DEVICE), rustorch.tensor([0, 1, 2, 3], device=DEVICE)

        def step() -> Any:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            optimizer.step()
            return loss

        graph, loss = _capture(step, stream)
        losses = []
        for _ in range(5):
            graph.launch(stream)
            stream.synchronize()
            losses.append(loss.item())
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1], (
        f"the losses of the replays do not fall: {losses}"
    )
    return f"five replays: the loss falls from {losses[0]:.4f} to {losses[-1]:.4f}"


# -- several GPUs ------------------------------------------------------------------------------------------------------
def nccl() -> str:
    if not on_gpu():
        raise NeedsGPU
    from cupy.cuda import nccl as library

    communicator = library.NcclCommunicator(1, library.get_unique_id(), 0)
    x = cupy.ones(4, "float32")
    stream = cupy.cuda.get_current_stream()
    communicator.allReduce(x.data.ptr, x.data.ptr, 4, library.NCCL_FLOAT32, library.NCCL_SUM, stream.ptr)
    stream.synchronize()
    assert x.tolist() == [1.0] * 4
    return f"version {library.get_version()}"


def probes() -> dict[str, Callable[[], object]]:
    """The probes by name. The answer "no" is not a failure: the answers show what can be built."""
    return {
        **{f"host, {name}": _cost(name) for name in _calls()},
        "graph without a product": _graph("none"),
        "graph, cuBLAS by ctypes": _graph("own"),
        "graph, CuPy's cuBLAS": _graph("cupy"),
        "graph of a training step": graph_of_a_step,
        "NCCL": nccl,
    }

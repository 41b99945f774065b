"""Checks that values and errors on a GPU are those of the CPU. Each check returns a text to print, or None."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cupy
import numpy

import rustorch
import rustorch.distributed
from rustorch import nn

F = nn.functional
DEVICE = "cuda"


class NeedsGPU(Exception):
    """The check needs a GPU and cannot run on the stand-in for CuPy."""


def on_gpu() -> bool:
    """Whether CuPy is the real one with a GPU. The stand-in has a log, CuPy has none."""
    return not hasattr(cupy, "LOG")


# -- comparing with the CPU --------------------------------------------------------------------------------------------
def results(function: Callable[[str], Any], device: str) -> list[numpy.ndarray] | str:
    """The result of a function on a device: arrays, or the type and text of an error."""
    try:
        out = function(device)
        rustorch.cuda.synchronize()  # the errors of launches come late
    except (numpy.linalg.LinAlgError, ValueError, TypeError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    values = out if isinstance(out, tuple | list) else [out]
    return [numpy.asarray(v.detach().to("cpu").data if isinstance(v, rustorch.Variable) else v) for v in values]


def as_on_cpu(function: Callable[[str], Any], tolerance: float = 1e-4) -> list[numpy.ndarray] | str:
    """Compare the results on the GPU with those on the CPU, and return the former."""
    on_cuda, expected = results(function, DEVICE), results(function, "cpu")
    if isinstance(on_cuda, str) or isinstance(expected, str):
        assert on_cuda == expected, f"{on_cuda}, but the CPU gives {expected}"
        return on_cuda
    for one, other in zip(on_cuda, expected, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    return on_cuda


def _all_as_on_cpu(cases: dict[str, Callable[[str], Any]]) -> None:
    """Compare all cases, and name those that differ."""
    wrong = []
    for name, function in cases.items():
        try:
            as_on_cpu(function)
        except AssertionError as error:
            wrong.append(f"{name}: {' '.join(str(error).split())}")
    assert not wrong, "; ".join(wrong)


# -- first steps ------------------------------------------------------------------------------------------------------
def versions() -> str:
    runtime = cupy.cuda.runtime
    card = runtime.getDeviceProperties(0)["name"].decode()
    return (
        f"{card}, driver {runtime.driverGetVersion()}, CUDA {runtime.runtimeGetVersion()}, CuPy {cupy.__version__}, "
        f"NumPy {numpy.__version__}, Python {sys.version.split()[0]}, rustorch {rustorch.__version__}"
    )


def first_array() -> None:
    x = rustorch.ones(3, device=DEVICE) + 1
    assert x.device == DEVICE and isinstance(x.data, cupy.ndarray)
    assert x.tolist() == [2.0, 2.0, 2.0]


def gradients() -> None:
    def both(device: str) -> Any:
        x = rustorch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device, requires_grad=True)
        rustorch.sum(rustorch.tanh(x @ x / 10)).backward()
        return rustorch.Variable(x.grad)

    as_on_cpu(both)


def every_gpu() -> str:
    for i in range(rustorch.cuda.device_count()):
        layer = nn.Linear(3, 2).to(f"cuda:{i}")
        rustorch.sum(F.relu(layer(rustorch.ones((4, 3), device=f"cuda:{i}")))).backward()
        assert isinstance(layer.weight.grad, cupy.ndarray) and layer.weight.grad.device.id == i
    return f"{rustorch.cuda.device_count()} GPUs"


# -- training ----------------------------------------------------------------------------------------------------------
def _training(model: Callable[[], nn.Module], shape: tuple[int, ...], optimizer: str = "Adam") -> Callable[[], str]:
    """A check that trains 20 steps on four samples, on the GPU and on the CPU from the same initial values."""

    def losses(device: str) -> list[float]:
        rustorch.manual_seed(0)
        network = model().to(device)
        descent = getattr(rustorch.optim, optimizer)(network.parameters(), lr=1e-2)
        x = rustorch.Variable(numpy.random.default_rng(0).standard_normal(shape).astype("float32"), device=device)
        y = rustorch.tensor([0, 1, 2, 3], device=device)
        out = []
        for _ in range(20):
            descent.zero_grad()
            loss = F.cross_entropy(network(x), y)
            loss.backward()
            descent.step()
            out.append(loss.item())
        return out

    def run() -> str:
        values = as_on_cpu(losses, tolerance=2e-2)
        assert not isinstance(values, str), values
        first, last = float(values[0]), float(values[-1])
        assert last < first, f"the loss went from {first:.4f} to {last:.4f}"
        return f"the loss falls from {first:.4f} to {last:.4f}, as on the CPU"

    return run


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, stride=2, groups=2),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8, 4),
    )


def _transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(80, 4))


class _LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 4)

    def forward(self, x: Any) -> Any:
        return self.head(self.lstm(x)[0][:, -1])


# -- indices -----------------------------------------------------------------------------------------------------------
def embedding() -> None:
    def both(device: str) -> Any:
        layer = nn.Embedding(5, 3)
        layer.load_state_dict({"weight": numpy.arange(15, dtype="float32").reshape(5, 3)})
        layer = layer.to(device)
        out = layer(rustorch.tensor([0, 3, 3, 1], device=device))
        rustorch.sum(out * out).backward()
        return out, rustorch.Variable(layer.weight.grad)

    as_on_cpu(both)


def complex_take() -> None:
    def both(device: str) -> Any:
        x = rustorch.asarray([1j, 2 + 1j], device=device).requires_grad_()
        out = rustorch.take(x, rustorch.tensor([0, 0, 1], device=device))
        rustorch.sum(rustorch.abs(out)).backward()
        return out, rustorch.Variable(x.grad)

    as_on_cpu(both)


def out_of_range() -> str:
    """PyTorch's GPU code stops the process here. rustorch goes on, and never touches memory outside of the arrays."""
    x = rustorch.zeros((2, 3), device=DEVICE).requires_grad_()
    loss = F.cross_entropy(x, rustorch.tensor([0, 7], device=DEVICE))
    loss.backward()
    layer = nn.Embedding(5, 3).to(DEVICE)
    rustorch.sum(layer(rustorch.tensor([0, 10**6, -(10**6)], device=DEVICE))).backward()
    rustorch.cuda.synchronize()
    assert float(rustorch.sum(rustorch.ones(4, device=DEVICE))) == 4.0
    return f"cross_entropy of class 7 of 3 is {loss.item()}"


# -- numbers -----------------------------------------------------------------------------------------------------------
def subnormals() -> str:
    """CuPy decides whether subnormal numbers are 0. rustorch must not divide by them."""
    doubled = (rustorch.tensor([1e-39], device=DEVICE) * 2).item()
    rustorch.manual_seed(0)
    soft = F.gumbel_softmax(rustorch.zeros((1000, 100), device=DEVICE))
    assert bool(rustorch.all(rustorch.isfinite(soft))), "gumbel_softmax is not finite"
    return f"2 * 1e-39 is {doubled}"


def seeds() -> None:
    def drawn() -> list[float]:
        rustorch.manual_seed(3)
        return rustorch.rand(4, device=DEVICE).tolist() + rustorch.randn(4, device=DEVICE).tolist()

    assert drawn() == drawn(), "the same seed gives different numbers"
    weights = []
    for device in (DEVICE, "cpu"):
        rustorch.manual_seed(3)
        weights.append(nn.Linear(64, 64, device=device).weight.detach().to("cpu").data)
    numpy.testing.assert_array_equal(*weights)


def dropout() -> str:
    x = rustorch.ones((1000, 100), device=DEVICE).requires_grad_()
    out = F.dropout(x, 0.25)
    rustorch.sum(out).backward()
    values = out.detach().to("cpu").data
    numpy.testing.assert_allclose(numpy.unique(values), [0, 4 / 3], rtol=1e-6)
    numpy.testing.assert_array_equal(values, cupy.asnumpy(x.grad))
    share = float((values == 0).mean())
    assert abs(share - 0.25) < 0.01, share
    return f"a share of {share:.4f} is dropped"


def _regular(device: str) -> Any:
    return rustorch.tensor([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]], device=device)


def regular_matrices() -> None:
    linalg: Any = rustorch.linalg
    cases = {name: getattr(linalg, name) for name in ("inv", "det", "slogdet", "cholesky", "eigvalsh", "svdvals")}
    # vectors may have either sign: compare the matrix that they make
    cases["solve"] = lambda a: linalg.solve(a, a[:, 0])
    cases["qr"] = lambda a: linalg.matmul(*linalg.qr(a))
    cases["eigh"] = lambda a: (lambda w, v: (w, (v * w) @ v.mT))(*linalg.eigh(a))
    cases["svd"] = lambda a: (lambda u, s, vh: (s, (u * s) @ vh))(*linalg.svd(a, full_matrices=False))
    _all_as_on_cpu({name: lambda device, f=f: f(_regular(device)) for name, f in cases.items()})


def _linalg(name: str, values: list[list[float]]) -> Callable[[str], Any]:
    """A function of linalg on a matrix of these values."""

    def call(device: str) -> Any:
        a = rustorch.tensor(values, device=device)
        return rustorch.linalg.solve(a, a[0]) if name == "solve" else getattr(rustorch.linalg, name)(a)

    return call


def singular_matrices() -> None:
    names = ("inv", "solve", "det", "slogdet", "cholesky", "eigvalsh", "svdvals", "pinv", "matrix_rank")
    _all_as_on_cpu({name: _linalg(name, [[1.0, 2.0], [2.0, 4.0]]) for name in names})


def matrices_with_nan() -> None:
    """The result must be the CPU's error, or contain nan. No device promises which elements are nan."""
    wrong = []
    for name in ("inv", "solve", "det", "cholesky", "eigvalsh", "eigh", "svdvals", "svd", "pinv", "qr", "eigvals"):
        function = _linalg(name, [[float("nan"), 1.0], [1.0, 2.0]])
        on_cuda, expected = results(function, DEVICE), results(function, "cpu")
        if isinstance(on_cuda, str) or isinstance(expected, str):
            if on_cuda != expected:
                wrong.append(f"{name}: {on_cuda}, but the CPU gives {expected}")
        elif not any(numpy.isnan(x).any() for x in on_cuda):
            wrong.append(f"{name}: {on_cuda} has no nan")
    assert not wrong, "; ".join(wrong)


def fft() -> None:
    x = numpy.random.default_rng(0).standard_normal((3, 10)).astype("float32")

    def transforms(device: str) -> Any:
        v = rustorch.Variable(x, device=device)
        half = rustorch.fft.rfft(v)
        return rustorch.fft.fft(v), half, rustorch.fft.irfft(half, n=10)

    as_on_cpu(transforms)


def dlpack() -> str:
    """Arrays pass both ways without a copy."""
    x = rustorch.arange(3, dtype=rustorch.float32, device=DEVICE)
    back = rustorch.from_dlpack(x)
    back[0] = 5.0
    assert x.tolist() == [5.0, 1.0, 2.0]
    if not on_gpu():
        raise NeedsGPU
    import torch

    if not torch.cuda.is_available():
        return "with rustorch alone: PyTorch has no CUDA"
    theirs = torch.from_dlpack(x)
    theirs[0] = 7
    torch.cuda.synchronize()
    assert x.tolist() == [7.0, 1.0, 2.0]
    assert rustorch.from_dlpack(theirs, device=DEVICE).tolist() == [7.0, 1.0, 2.0]
    return f"with PyTorch {torch.__version__}"


# -- several processes -------------------------------------------------------------------------------------------------
def world_of_one() -> str:
    """NCCL exchanges arrays also in a world of one rank."""
    from rustorch.backends.cupy import nccl

    if reason := nccl.why_not():
        return reason
    dist: Any = rustorch.distributed
    dist.init_process_group("nccl")
    try:
        for dtype in ("float32", "int16", "bool", "complex64"):
            x = rustorch.Variable(numpy.array([0, 1, 2]).astype(dtype), device=DEVICE)
            out = rustorch.zeros_like(x)
            works = [dist.all_reduce(x, async_op=True), dist.broadcast(x, 0, async_op=True)]
            works.append(dist.all_gather_into_tensor(out, x, async_op=True))
            for work in works:
                work.wait()
            dist.all_to_all_single(x, out)
            expected = numpy.array([0, 1, 2]).astype(dtype)
            numpy.testing.assert_array_equal(x.to("cpu").data, expected, err_msg=dtype)
        model = nn.parallel.DistributedDataParallel(_mlp().to(DEVICE))
        rustorch.sum(model(rustorch.ones((2, 8), device=DEVICE))).backward()
        engine = dist.group.world().exchange_for(x.data, "check").name
    finally:
        dist.destroy_process_group()
    assert engine == "nccl", engine
    return "all_reduce, broadcast, all_gather, all_to_all, DistributedDataParallel"


def two_ranks() -> str:
    """Two processes train together, on two GPUs by NCCL or on one GPU through the memory of the host."""
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    found = mpiexec if Path(mpiexec).exists() else shutil.which("mpiexec")
    if found is None or find_spec("mpi4py") is None:
        return "left out: it needs mpi4py and mpiexec, as in pip install 'rustorch[mpi]'"
    command = [found, "-n", "2", sys.executable, "-m", "mpi4py", "-m", "tests.gpu.ranks"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-600:]
    return done.stdout.strip()


CHECKS: dict[str, Callable[[], object]] = {
    "versions": versions,
    "first array": first_array,
    "gradients": gradients,
    "every GPU": every_gpu,
    "MLP, 20 steps": _training(_mlp, (4, 8)),
    "CNN, 20 steps": _training(_cnn, (4, 1, 12, 12)),
    "transformer, 20 steps": _training(_transformer, (4, 5, 16), "AdamW"),
    "LSTM, 20 steps": _training(_LSTM, (4, 7, 6)),
    "embedding": embedding,
    "complex take": complex_take,
    "subnormal numbers": subnormals,
    "seeds": seeds,
    "dropout": dropout,
    "linear algebra": regular_matrices,
    "singular matrices": singular_matrices,
    "matrices with nan": matrices_with_nan,
    "fft": fft,
    "dlpack": dlpack,
    "world of one by NCCL": world_of_one,
    "two ranks": two_ranks,
    "indices out of range": out_of_range,
}

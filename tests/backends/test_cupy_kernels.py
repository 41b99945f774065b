"""CuPy's kernels without a GPU: run on the host, where they are held against the plain versions, and compiled by NVIDIA's compiler."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import backends, nn
from rustorch.backends.kernels import KERNELS, optim
from rustorch.backends.kernels.pooling import Window
from tests.backends import cupy_on_host
from tests.backends.cupy_on_host import ElementwiseKernel, RawModule, asarray
from tests.backends.test_kernels import CASES, _copied, _f, _listed

pytestmark = pytest.mark.skipif(cupy_on_host.COMPILER is None, reason="no C++ compiler, or no Linux, to run CUDA sources with")

I = numpy.array  # noqa: E741 - indices
#: What each launches, at most.
LAUNCHES = {
    "relu": 1, "relu_grad": 1, "sigmoid": 1, "erf": 1, "gelu": 1, "gelu_grad": 1, **dict.fromkeys(optim.ELEMENTWISE, 1),
    "softmax": 1, "softmax_grad": 1, "log_softmax": 1, "log_softmax_grad": 1, "logsumexp": 1, "cross_entropy": 2, "cross_entropy_grad": 1,
    "layer_norm": 1, "layer_norm_grad": 2, "rms_norm": 1, "rms_norm_grad": 2, "batch_norm": 1, "batch_norm_grad": 1,
    "max_pool": 1, "max_pool_indices": 1, "max_pool_gather": 1, "max_pool_grad": 1, "avg_pool": 1, "avg_pool_grad": 1,
    "conv": 2, "conv_grad_input": 2, "conv_grad_weight": 2, "attention": 3, "attention_grad": 5,
}  # fmt: skip
HEADS = [_f(2, 5, 3, 4).transpose(0, 2, 1, 3), _f(2, 6, 3, 4).transpose(0, 2, 1, 3), _f(2, 6, 3, 2).transpose(0, 2, 1, 3)]
#: Beside those of all backends: rows of many threads, threads of many rows, blocks of many threads; views; products without columns.
MORE: dict[str, list[tuple]] = {
    "softmax": [(_f(3, 5000), 1), (_f(2, 700, 5), 1), (_f(40, 3, 70), 0), (_f(3, 4, 5).T, -2)],
    "softmax_grad": [(_f(3, 5000), abs(_f(3, 5000)), 1), (_f(2, 700, 5), abs(_f(2, 700, 5)), 1)],
    "log_softmax": [(_f(3, 5000), 1), (_f(2, 700, 5), 1)],
    "log_softmax_grad": [(_f(3, 5000), -abs(_f(3, 5000)), 1), (numpy.broadcast_to(_f(3, 1), (3, 9)), -abs(_f(3, 9)), 1)],
    "logsumexp": [(_f(3, 5000), -1), (_f(2, 700, 5), 1)],
    "cross_entropy": [
        (_f(3, 5000), I([0, 4999, 1]), I([0.0, 1.0, 2.0]), numpy.array(3.0)), (_f(3, 4), I([0, 3, 1], "int32"), None, 3),
    ],
    "cross_entropy_grad": [(numpy.array(1.5), abs(_f(3, 5000)), abs(_f(3)) + 2, I([0, 4999, 1]), I([0.0, 1.0, 2.0]), numpy.array(3.0))],
    "layer_norm": [(_f(5, 700), _f(700), _f(700), 1, 1e-5), (_f(2, 5000), None, None, 1, 1e-5)],
    "layer_norm_grad": [
        (_f(700, 12), _f(700, 12), _f(700, 1), abs(_f(700, 1)), _f(12), 1), (_f(5000, 2), _f(5000, 2), _f(5000, 1), _f(5000, 1), _f(2), 1),
    ],
    "batch_norm": [(_f(4, 3, 1100), _f(3), _f(3), 1e-5), (_f(700, 3), _f(3), _f(3), 1e-5)],
    "batch_norm_grad": [(_f(4, 3, 1100), _f(4, 3, 1100), _f(3), abs(_f(3)), _f(3)), (_f(700, 3), _f(700, 3), _f(3), abs(_f(3)), _f(3))],
    "max_pool": [
        (_f(2, 3, 5, 4), (Window(3, 2, 2, 1), Window(5, 3, 3, 2, 1), Window(4, 2, 2))), (_f(70_000), (Window(70_000, 40_001, 3),)),
    ],
    "max_pool_grad": [(_f(40_001), numpy.ones(40_001, "uint8"), (Window(70_000, 40_001, 3),))],
    "conv": [
        (_f(2, 4, 3, 3), _f(6, 2, 1, 1), _f(6), (1, 1), ((0, 0),) * 2, (1, 1), 2),
        (_f(3, 2, 4).transpose(1, 2, 0), _f(4, 4, 2)[:, ::2], None, (1,), ((1, 1),), (1,), 2),
    ],
    "conv_grad_input": [
        (_f(2, 6, 3, 3), _f(6, 2, 1, 1), (3, 3), (1, 1), ((0, 0),) * 2, (1, 1), 2),
        (_f(2, 1, 2), _f(1, 3, 2), (6,), (2,), ((0, -1),), (3,), 1),
    ],
    "conv_grad_weight": [(_f(2, 6, 3, 3), _f(2, 4, 3, 3), (1, 1), (1, 1), ((0, 0),) * 2, (1, 1), 2)],
    "attention": [
        (*HEADS, I([0.0, -numpy.inf, 0.0, 1.0, 2.0, 3.0] * 2).reshape(2, 1, 1, 6), None, 0.5),
        (*HEADS, _f(6, 5).T, abs(_f(2, 3, 5, 6)), 0.5), (*[x[None, None] for x in HEADS], None, None, 1.0),
        (_f(3, 4), _f(600, 4), _f(600, 2), None, None, 1.0),
    ],
    "attention_grad": [
        (_f(2, 5, 3, 2).transpose(0, 2, 1, 3), *HEADS, abs(_f(1, 1, 5, 6)), _f(2, 3, 5, 2), _f(2, 3, 5, 6), 0.5),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    return cupy_on_host.load()


@pytest.fixture(autouse=True)
def _nothing_launched() -> None:
    RawModule.launched.clear()


def _same(kernels: ModuleType, name: str, case: tuple, dtype: str) -> None:
    """The override's results are those of the plain version, and it leaves what it was given as it was."""

    def host(a: numpy.ndarray) -> numpy.ndarray:
        return a.astype({"f": dtype, "c": "complex64"}.get(a.dtype.kind, a.dtype))  # a transposed array stays one

    want = _listed(KERNELS[name](backends.get("cpu").xp, *[_copied(value, host) for value in case]))
    arguments = [_copied(value, lambda a: host(a).view(cupy_on_host.ndarray)) for value in case]
    found = _listed(kernels.OVERRIDES[name](*arguments))
    for plain, fast in zip(want, found, strict=True):
        if plain is None:
            assert fast is None
            continue
        assert (fast.shape, fast.dtype) == (plain.shape, plain.dtype)
        tolerance = 1e-12 if plain.dtype == "float64" else 1e-5
        largest = abs(plain[numpy.isfinite(plain)]).max(initial=1)  # sums of many are compared with the largest of them
        numpy.testing.assert_allclose(fast, plain, rtol=tolerance, atol=tolerance * largest)
    if name not in optim.__all__:
        for before, after in zip(case, arguments, strict=True):
            if isinstance(before, numpy.ndarray):
                numpy.testing.assert_array_equal(after, host(before))


def test_every_override_is_listed(kernels: ModuleType) -> None:
    others = {"index_add", "scatter_add", "put_add", "matmul"}  # made of CuPy's own functions
    assert set(LAUNCHES) == set(kernels.OVERRIDES) - others
    assert set(MORE) <= set(LAUNCHES)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities and nan in the plain version on NumPy
@pytest.mark.parametrize(("dtype", "many"), [("float32", 1 << 30), ("float64", 0)], ids=["float32-int32", "float64-int64"])
@pytest.mark.parametrize("name", LAUNCHES)
def test_a_cuda_kernel_is_the_plain_one(
    name: str, dtype: str, many: int, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels.launch, "MANY", many)
    most = 0
    for case in CASES[name] + MORE.get(name, []):
        RawModule.launched.clear()
        _same(kernels, name, case, dtype)
        most = max(most, len(RawModule.launched))
    assert most == LAUNCHES[name]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("softmax", (_f(3, 4) * (1 + 1j), 1)),
        ("layer_norm", (_f(3, 4), _f(4).astype("float16"), None, 1, 1e-5)),
        ("relu", (I([1, -2]),)),
        ("max_pool", (_f(2, 2, 2, 2), (Window(2, 1, 2, 2),) * 4)),
        ("avg_pool", (_f(3, 5), (Window(3, 2, 2), Window(5, 2, 3)), 2.0)),
        ("avg_pool", (_f(2, 300), (Window(300, 1, 300, 300),), 300.0)),
        ("max_pool_indices", (I([[1]], "int32"), (Window(2**16, 1, 2), Window(2**16, 1, 2)))),
        ("attention", (_f(3, 4), _f(5, 4), _f(5, 2), _f(2, 3, 5), None, 1.0)),
        ("attention_grad", (_f(2, 3, 2), _f(3, 4), _f(5, 4), _f(5, 2), None, _f(2, 3, 2), _f(2, 3, 5), 0.5)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_kernel_is_not_made_for_takes_the_plain_version(name: str, case: tuple, kernels: ModuleType) -> None:
    converted = [a.astype("float32") if isinstance(a, numpy.ndarray) and a.dtype == "float64" else a for a in case]
    arguments = [a.view(cupy_on_host.ndarray) if isinstance(a, numpy.ndarray) else a for a in converted]
    want, found = (_listed(function(*given)) for function, given in (
        (lambda *a: KERNELS[name](backends.get("cpu").xp, *a), converted), (kernels.OVERRIDES[name], arguments)))  # fmt: skip
    for plain, fast in zip(want, found, strict=True):
        numpy.testing.assert_array_equal(fast, plain)
    assert RawModule.launched == []


@pytest.mark.parametrize("name", ["conv", "conv_grad_input", "conv_grad_weight"])
def test_a_large_batch_goes_through_the_columns_in_parts(name: str, kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.convolution, "ROOM", 1)
    for case in CASES[name]:
        _same(kernels, name, case, "float64")
    assert RawModule.launched.count("gemm") == sum(len(case[0]) for case in CASES[name])


@pytest.mark.parametrize(
    "shapes", [((4,), (4, 3)), ((2, 4), (4, 3)), ((2, 5, 4), (4, 3)), ((2, 0, 4), (4, 3)), ((2, 5, 4), (2, 4, 3))]
)
def test_many_matrices_times_one(shapes: tuple, kernels: ModuleType) -> None:
    x, y = (_f(*shape) for shape in shapes)
    found = kernels.OVERRIDES["matmul"](asarray(x), asarray(y))
    assert found.shape == (x @ y).shape
    numpy.testing.assert_allclose(found, x @ y, rtol=1e-12)


# -- all together --------------------------------------------------------------------------------------------------------------------
def _trained() -> list[numpy.ndarray]:
    """The parameters of a network with all kinds of layers, after two steps."""
    rustorch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2),
        nn.AvgPool2d(2), nn.Flatten(2), nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True),
        nn.Flatten(), nn.Linear(128, 10),
    ).to(dtype=rustorch.float64)  # fmt: skip
    optimizer = rustorch.Adam(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        output = model(rustorch.tensor(_f(3, 1, 32, 32)))
        nn.functional.cross_entropy(output, rustorch.tensor([0, 9, 4])).backward()
        optimizer.step()
    return [p.detach().numpy() for p in model.parameters()]


def test_a_network_trains_on_these_kernels(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def native(a: Any) -> Any:
        return numpy.asarray(a).view(cupy_on_host.ndarray) if isinstance(a, numpy.ndarray | numpy.floating) else a

    def host(a: Any) -> Any:
        return None if a is None else numpy.asarray(a)

    def on_numpys_arrays(name: str) -> Any:
        def run(*args: Any) -> Any:
            out = kernels.OVERRIDES[name](*[native(a) for a in args])
            return tuple([host(a) for a in out]) if isinstance(out, tuple) else host(out)

        return run

    want = _trained()
    for name in LAUNCHES:
        monkeypatch.setitem(backends.get("cpu").xp.__dict__, name, on_numpys_arrays(name))
    for plain, fast in zip(want, _trained(), strict=True):
        numpy.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-9)
    used = {"unfold", "fold", "standardize_grad", "sums", "max_pool_grad", "attend_grad", "cross_entropy_grad", "rustorch_adam_0"}
    assert used <= set(RawModule.launched)


# -- the compiler of GPUs ------------------------------------------------------------------------------------------------------------
def _sources(kernels: ModuleType) -> Iterator[tuple[str, str]]:
    for name, module in vars(kernels).items():
        for part in vars(module).values() if isinstance(module, ModuleType) else ():
            if isinstance(part, kernels.launch.Source):
                for dtype, index in product(kernels.launch.REAL, kernels.launch.INTEGER):
                    yield f"{name}, {dtype}, {index}", kernels.launch._contents(dtype, index, part.text)
    for kind in ("float", "double"):
        yield f"elementwise, {kind}", ElementwiseKernel.source(kind)


def test_nvidias_compiler_takes_every_source(kernels: ModuleType) -> None:
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"no CuPy with NVRTC, its compiler: {error}")
    for what, source in _sources(kernels):
        program = nvrtc.createProgram(source, f"{what}.cu", (), ())
        try:
            nvrtc.compileProgram(program, ("-std=c++17", "-arch=compute_80", "--device-as-default-execution-space"))
        except Exception:
            pytest.fail(f"{what}: {nvrtc.getProgramLog(program)}")
        assert nvrtc.getProgramLog(program) == "", what


# -- the stand-in finds what would go wrong on a GPU -----------------------------------------------------------------------------------
WRONG = """
extern "C" __global__ void some(int n) { if ((int)threadIdx.x < n) __syncthreads(); }
extern "C" __global__ void unguarded(float* x) {
    __shared__ float shared[4];
    shared[threadIdx.x] = x[threadIdx.x];
    x[threadIdx.x] = shared[3 - threadIdx.x];
}
"""


def _run(name: str, *args: Any) -> None:
    RawModule(code=WRONG).get_function(name)((1,), (4,), args)


def test_a_barrier_that_some_threads_miss_is_an_error() -> None:
    _run("some", numpy.int32(4))
    with pytest.raises(AssertionError, match="a barrier that not all threads come to"):
        _run("some", numpy.int32(3))


def test_an_argument_of_another_size_is_an_error() -> None:
    with pytest.raises(AssertionError, match="arguments that do not fit"):
        _run("some", numpy.int64(4))


def test_without_a_barrier_threads_read_what_is_not_there_yet() -> None:
    x = asarray([1, 2, 3, 4], "float32")
    _run("unguarded", x)
    assert x.tolist() != [4, 3, 2, 1]

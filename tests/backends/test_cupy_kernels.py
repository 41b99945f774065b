"""Compares CuPy's kernels with the plain versions, counts their launches, and compiles their sources with NVRTC.

With ``--stand-in`` the kernels run on the host (see ``tests/support/cuda``). On a GPU, the counts are skipped.
"""

from __future__ import annotations

import ctypes
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from importlib import import_module, util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import backends, nn
from rustorch.backends.kernels import FAMILIES, KERNELS, optim
from rustorch.backends.kernels import padding as plain_padding
from rustorch.backends.kernels.pooling import Window
from rustorch.backends.numpy.namespace import full_namespace
from tests.backends.kernel_cases import CASES, as_list, call, converted, draw
from tests.support.launches import counted, is_stand_in
from tests.support.target import Target

I = numpy.array  # noqa: E741 - indices
#: For each kernel, the most launches of its own CUDA functions and of cuBLAS's products.
LAUNCHES = {
    "apply_mask": 1,
    "relu": 1,
    "relu_grad": 1,
    "sigmoid": 1,
    "erf": 1,
    "gelu": 1,
    "gelu_grad": 1,
    **dict.fromkeys(
        (
            "gaussian",
            "gelu_tanh",
            "gelu_tanh_gate_grad",
            "gelu_tanh_grad",
            "mish",
            "mish_grad",
            "sigmoid_grad",
            "silu",
            "silu_grad",
            "tanh_softplus",
            "tanh_softplus_grad",
            "tanhshrink",
        ),
        1,
    ),
    **dict.fromkeys(optim.ELEMENTWISE, 1),
    "adafactor": 4,
    "muon": 23,
    "total_norm": 2,
    "clip_by_norm": 1,
    "prelu_slope": 1,
    "softmax": 1,
    "softmax_grad": 1,
    "log_softmax": 1,
    "log_softmax_grad": 1,
    "logsumexp": 1,
    "logsumexp_grad": 1,
    "cross_entropy": 2,
    "cross_entropy_grad": 1,
    "layer_norm": 1,
    "layer_norm_grad": 2,
    "rms_norm": 1,
    "rms_norm_grad": 2,
    "batch_norm": 1,
    "batch_norm_grad": 1,
    "max_pool": 1,
    "max_pool_indices": 1,
    "max_pool_gather": 1,
    "max_pool_grad": 1,
    "avg_pool": 1,
    "avg_pool_grad": 1,
    "conv": 2,
    "conv_grad_input": 2,
    "conv_grad_weight": 2,
    "attention": 4,
    "attention_grad": 6,
    "running_moments": 1,
    "tanh_slope": 1,
    "sqrt_one_minus_square": 1,
    "sqrt_one_plus_square": 1,
    "sqrt_square_minus_one": 1,
    "hypot_slope": 1,
    "atan2_slope": 1,
    "logaddexp_slope": 1,
    "small_power": 1,
    "pow_slope": 1,
    "vector_norm": 2,
    "huber": 1,
    "huber_grad": 1,
    "smooth_l1": 1,
    "smooth_l1_grad": 1,
    "binary_cross_entropy": 1,
    "binary_cross_entropy_grad": 1,
    "binary_cross_entropy_grad_target": 1,
    "binary_cross_entropy_with_logits": 1,
    "binary_cross_entropy_with_logits_grad": 1,
    "gaussian_nll_slope": 1,
    "mse_grad": 1,
    "quotient": 1,
    "quotient_or_zero": 1,
}
#: Kernels that may write into their arguments.
IN_PLACE = {*FAMILIES["optim"], "adafactor", "muon", "running_moments"}
#: Kernels that are made of CuPy's functions, or that another file tests.
ELSEWHERE = {
    "index_add", "scatter_add", "put_add", "matmul", "stack", "clip", "sign", "pad_constant",
    *[f"{cell}_steps{grad}" for cell in ("rnn", "lstm", "gru") for grad in ("", "_grad")],
}  # fmt: skip
HEADS = [
    draw(2, 5, 3, 4).transpose(0, 2, 1, 3),
    draw(2, 6, 3, 4).transpose(0, 2, 1, 3),
    draw(2, 6, 3, 2).transpose(0, 2, 1, 3),
]
#: Cases beside those of all backends: many threads for a row, many rows for a block, large blocks, views, and products
#: without columns.
MORE: dict[str, list[tuple]] = {
    "softmax": [(draw(3, 5000), 1), (draw(2, 700, 5), 1), (draw(40, 3, 70), 0), (draw(3, 4, 5).T, -2)],
    "softmax_grad": [(draw(3, 5000), abs(draw(3, 5000)), 1), (draw(2, 700, 5), abs(draw(2, 700, 5)), 1)],
    "log_softmax": [(draw(3, 5000), 1), (draw(2, 700, 5), 1)],
    "log_softmax_grad": [
        (draw(3, 5000), -abs(draw(3, 5000)), 1),
        (numpy.broadcast_to(draw(3, 1), (3, 9)), -abs(draw(3, 9)), 1),
    ],
    "logsumexp": [(draw(3, 5000), -1), (draw(2, 700, 5), 1)],
    "cross_entropy": [
        (draw(3, 5000), I([0, 4999, 1]), abs(draw(5000)), None, "mean"),
        (draw(3, 4), I([0, 3, 1], "int32"), None, None, "sum"),
        (draw(3, 5000), I([0, 4999, 1]), None, 4999, "mean"),
        (draw(3, 5000), abs(draw(3, 5000)), None, None, "none"),
    ],
    "cross_entropy_grad": [
        (
            numpy.array(1.5),
            abs(draw(3, 5000)),
            abs(draw(3)) + 2,
            I([0, 4999, 1]),
            abs(draw(5000)),
            numpy.array(3.0),
            None,
        ),
        (draw(3), abs(draw(3, 5000)), abs(draw(3)) + 2, I([0, 4999, 1], "int32"), None, None, 4999),
    ],
    "layer_norm": [(draw(5, 700), draw(700), draw(700), 1, 1e-5), (draw(2, 5000), None, None, 1, 1e-5)],
    "layer_norm_grad": [
        (draw(700, 12), draw(700, 12), draw(700, 1), abs(draw(700, 1)), draw(12), 1),
        (draw(5000, 2), draw(5000, 2), draw(5000, 1), draw(5000, 1), draw(2), 1),
    ],
    "batch_norm": [(draw(4, 3, 1100), draw(3), draw(3), 1e-5), (draw(700, 3), draw(3), draw(3), 1e-5)],
    "batch_norm_grad": [
        (draw(4, 3, 1100), draw(4, 3, 1100), draw(3), abs(draw(3)), draw(3)),
        (draw(700, 3), draw(700, 3), draw(3), abs(draw(3)), draw(3)),
    ],
    "max_pool": [
        (draw(2, 3, 5, 4), (Window(3, 2, 2, 1), Window(5, 3, 3, 2, 1), Window(4, 2, 2))),
        (draw(70_000), (Window(70_000, 40_001, 3),)),
    ],
    "max_pool_grad": [(draw(40_001), numpy.ones(40_001, "uint8"), (Window(70_000, 40_001, 3),))],
    "conv": [
        (draw(2, 4, 3, 3), draw(6, 2, 1, 1), draw(6), (1, 1), ((0, 0),) * 2, (1, 1), 2),
        (draw(3, 2, 4).transpose(1, 2, 0), draw(4, 4, 2)[:, ::2], None, (1,), ((1, 1),), (1,), 2),
    ],
    "conv_grad_input": [
        (draw(2, 6, 3, 3), draw(6, 2, 1, 1), (3, 3), (1, 1), ((0, 0),) * 2, (1, 1), 2),
        (draw(2, 1, 2), draw(1, 3, 2), (6,), (2,), ((0, -1),), (3,), 1),
    ],
    "conv_grad_weight": [(draw(2, 6, 3, 3), draw(2, 4, 3, 3), (1, 1), (1, 1), ((0, 0),) * 2, (1, 1), 2)],
    "attention": [
        (*HEADS, I([0.0, -numpy.inf, 0.0, 1.0, 2.0, 3.0] * 2).reshape(2, 1, 1, 6), None, 0.5, False, False),
        (*HEADS, draw(6, 5).T, abs(draw(2, 3, 5, 6)), 0.5, True, False),
        (*[x[None, None] for x in HEADS], None, None, 1.0, False, True),
        (draw(3, 4), draw(600, 4), draw(600, 2), None, None, 1.0, False, True),
    ],
    "attention_grad": [
        (
            draw(2, 5, 3, 2).transpose(0, 2, 1, 3),
            *HEADS,
            None,
            abs(draw(1, 1, 5, 6)),
            draw(2, 3, 5, 2),
            draw(2, 3, 5, 6),
            0.5,
            False,
            True,
        ),
    ],
}


def _module(name: str = "") -> ModuleType:
    """A module of ``backends/cupy``."""
    return import_module(f"rustorch.backends.cupy{'.' * bool(name)}{name}")


def _native(cuda: Target, a: numpy.ndarray, dtype: Any) -> Any:
    """An array of the device with the same memory layout as this array: transposed, repeated, or with gaps."""
    xp = cuda.library.xp
    repeated = tuple(
        [slice(0, 1) if stride == 0 and n > 1 else slice(None) for stride, n in zip(a.strides, a.shape, strict=True)]
    )
    if any(part != slice(None) for part in repeated):
        return xp.broadcast_to(_native(cuda, a[repeated], dtype), a.shape)
    order = sorted(range(a.ndim), key=lambda axis: -a.strides[axis])
    sorted_axes = a.transpose(order)
    if sorted_axes.flags.c_contiguous or not a.size:
        on_device = cuda.array(numpy.ascontiguousarray(sorted_axes).reshape(sorted_axes.shape), dtype)
    else:
        on_device = cuda.array(numpy.repeat(sorted_axes, 2, axis=-1), dtype)[..., ::2]
    return on_device.transpose(numpy.argsort(order).tolist()) if a.ndim > 1 else on_device


def _arguments(cuda: Target, case: tuple, dtype: str) -> tuple[list, list]:
    """The arguments of a case as arrays of the device and as NumPy arrays, both of the same dtypes."""

    def kind(a: numpy.ndarray) -> Any:
        return {"f": dtype, "c": "complex64"}.get(a.dtype.kind, a.dtype)

    with numpy.errstate(over="ignore"):  # a thread that compiles may undo a test's filter of warnings
        on_device = [converted(value, lambda a: _native(cuda, a, kind(a))) for value in case]
    return on_device, [converted(value, lambda a: a.astype(kind(a))) for value in case]


def _check(cuda: Target, name: str, case: tuple, dtype: str) -> Counter[str]:
    """Assert that an override returns what the plain version returns, in both orders of threads and blocks.

    An override must not change its arguments, except those in IN_PLACE. Return its launches.
    """
    override = _module().OVERRIDES[name]
    arguments, plain_arguments = _arguments(cuda, case, dtype)
    expected = call(name, partial(KERNELS[name], backends.get("cpu").xp), *plain_arguments)
    launches: Counter[str] = Counter()
    if is_stand_in():
        with counted() as counts:
            results = call(name, override, *arguments)
        launches = counts.launches
        assert not counts.waiting
    else:
        results = call(name, override, *arguments)
    actual = [cuda.numpy(a) if hasattr(a, "dtype") else a for a in results]
    for plain, fast in zip(expected, actual, strict=True):
        if not hasattr(plain, "dtype"):
            assert fast == plain
            continue
        assert (fast.shape, fast.dtype) == (plain.shape, plain.dtype)
        tolerance = 1e-12 if plain.dtype == "float64" else 1e-5
        largest = abs(plain[numpy.isfinite(plain)]).max(initial=1)  # errors of sums grow with the largest term
        numpy.testing.assert_allclose(fast, plain, rtol=tolerance, atol=tolerance * largest)
    if name not in IN_PLACE:
        for before, after in zip(_arguments(cuda, case, dtype)[1], arguments, strict=True):
            if isinstance(before, numpy.ndarray):
                numpy.testing.assert_array_equal(cuda.numpy(after), before)
    if hasattr(sys.modules["cupy"], "backwards"):
        with sys.modules["cupy"].backwards():
            again = call(name, override, *_arguments(cuda, case, dtype)[0])
        for first, second in zip(actual, again, strict=True):
            numpy.testing.assert_array_equal(first, cuda.numpy(second) if hasattr(second, "dtype") else second)
    return launches


def test_every_override_is_listed(cuda: Target) -> None:
    assert set(LAUNCHES) == set(_module().OVERRIDES) - ELSEWHERE
    assert set(MORE) <= set(LAUNCHES)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of infinities and nan in the plain version on NumPy
@pytest.mark.parametrize(
    ("dtype", "many"), [("float32", 1 << 30), ("float64", 0)], ids=["float32-int32", "float64-int64"]
)
@pytest.mark.parametrize("name", LAUNCHES)
def test_a_cuda_kernel_computes_what_the_plain_version_does(
    name: str, dtype: str, many: int, cuda: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_module("launch"), "INT32_LIMIT", many)
    own, most = _functions(), 0
    for case in CASES.get(name, []) + MORE.get(name, []):
        launches = _check(cuda, name, case, dtype)
        most = max(most, sum([count for launched, count in launches.items() if launched in own]))
    if is_stand_in():  # with 64-bit indices, CuPy makes some of the copies
        assert most == LAUNCHES[name] if dtype == "float32" else most <= LAUNCHES[name]


def test_padding_is_two_launches_for_any_number_of_axes(cuda: Target, stand_in: ModuleType) -> None:
    for case in CASES["pad_constant"]:
        x, pairs, value = cuda.array(case[0], "float32"), *case[1:]
        with counted() as counts:
            out = _module().OVERRIDES["pad_constant"](x, pairs, value)
        longer = any(max(pair) > 0 for pair in pairs)
        assert counts.launches.total() <= 1 + longer and not counts.syncs
        expected = plain_padding.pad_constant(full_namespace(), case[0].astype("float32"), pairs, value)
        numpy.testing.assert_array_equal(cuda.numpy(out), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (3,), (40, 30)])
def test_clip_and_sign_are_one_launch(shape: tuple, dtype: str, cuda: Target, stand_in: ModuleType) -> None:
    x, low, high = (
        numpy.array(2 * draw(*shape), dtype),
        numpy.array(draw(*shape) - 1, dtype),
        numpy.array(draw(*shape) + 1, dtype),
    )
    x.flat[0] = numpy.nan
    for name, bounds in (
        ("clip", (low, high)),
        ("clip", (-0.5, None)),
        ("clip", (None, 0.5)),
        ("clip", (low, 0.5)),
        ("sign", ()),
    ):
        arguments = [cuda.array(a, dtype) if isinstance(a, numpy.ndarray) else a for a in (x, *bounds)]
        with counted() as counts:
            actual = cuda.numpy(_module().OVERRIDES[name](*arguments))
        assert counts.launches.total() == 1
        assert counts.syncs == {"get": 1}  # to read the result
        assert actual.dtype == dtype
        numpy.testing.assert_array_equal(actual, getattr(numpy, name)(x, *bounds))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("softmax", (draw(3, 4) * (1 + 1j), 1)),
        ("layer_norm", (draw(3, 4), I([1, 2, 3, 4]), None, 1, 1e-5)),
        ("relu", (I([1, -2]),)),
        ("max_pool", (draw(2, 2, 2, 2), (Window(2, 1, 2, 2),) * 4)),
        ("avg_pool", (draw(3, 5), (Window(3, 2, 2), Window(5, 2, 3)), 2.0)),
        ("avg_pool", (draw(2, 300), (Window(300, 1, 300, 300),), 300.0)),
        ("max_pool_indices", (I([[1]], "int32"), (Window(2**16, 1, 2), Window(2**16, 1, 2)))),
        ("attention", (draw(3, 4), draw(5, 4), draw(5, 2), draw(2, 3, 5), None, 1.0, False, False)),
        (
            "attention_grad",
            (
                draw(2, 3, 2),
                draw(3, 4),
                draw(5, 4),
                draw(5, 2),
                None,
                None,
                draw(2, 3, 2),
                draw(2, 3, 5),
                0.5,
                False,
                True,
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arguments_that_a_kernel_does_not_take_go_to_the_plain_version(
    name: str, case: tuple, cuda: Target, stand_in: ModuleType
) -> None:
    converted = [a.astype("float32") if isinstance(a, numpy.ndarray) and a.dtype == "float64" else a for a in case]
    arguments = [cuda.array(a, a.dtype) if isinstance(a, numpy.ndarray) else a for a in converted]
    expected = as_list(KERNELS[name](cuda.library.xp, *arguments))
    with counted() as counts:
        actual = as_list(_module().OVERRIDES[name](*arguments))
    for plain, fast in zip(expected, actual, strict=True):
        numpy.testing.assert_array_equal(cuda.numpy(fast), cuda.numpy(plain))
    # clip and sign override functions of the standard, so plain versions use them too
    assert not (_functions() - {"rustorch_clip", "rustorch_sign"}) & set(counts.launches)


def _functions() -> set[str]:
    """The names of rustorch's own CUDA functions, and of cuBLAS's product."""
    texts = "".join([part.text for kind in ("Source", "Tables") for _, part in _instances(kind)])
    names = set(re.findall(r"__global__\s+void\s+(\w+)", texts)) | {
        kernel.name for _, kernel in _instances("ElementwiseKernel")
    }
    traced = [name for family in ("activation", "elementwise", "loss") for name in FAMILIES[family]]
    return names | {f"rustorch_{name}" for name in (*optim.ELEMENTWISE, *traced)} | {"gemm"}


@pytest.mark.parametrize("name", ["conv", "conv_grad_input", "conv_grad_weight"])
def test_a_large_batch_is_convolved_in_parts(
    name: str, cuda: Target, stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_module("convolution"), "ROOM", 1)
    products = sum([_check(cuda, name, case, "float64")["gemm"] for case in CASES[name]])
    assert products == sum(len(case[0]) for case in CASES[name])


@pytest.mark.parametrize(
    "shapes", [((4,), (4, 3)), ((2, 4), (4, 3)), ((2, 5, 4), (4, 3)), ((2, 0, 4), (4, 3)), ((2, 5, 4), (2, 4, 3))]
)
def test_matmul_of_a_stack_and_a_matrix(shapes: tuple, cuda: Target) -> None:
    x, y = (draw(*shape) for shape in shapes)
    actual = cuda.numpy(_module().OVERRIDES["matmul"](cuda.array(x), cuda.array(y)))
    assert actual.shape == (x @ y).shape
    numpy.testing.assert_allclose(actual, x @ y, rtol=1e-12)


# -- a whole network --------------------------------------------------------------------------------------------------
def _trained(target: Target) -> list[numpy.ndarray]:
    """The parameters of a network with many kinds of layers after two training steps."""
    rustorch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2),
        nn.AvgPool2d(2),
        nn.Flatten(2),
        nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", batch_first=True, norm_first=True),
        nn.Flatten(),
        nn.Linear(128, 10),
    ).to(target.device, dtype=rustorch.float64)
    optimizer = rustorch.Adam(model.parameters())
    inputs, labels = target.variable(draw(3, 1, 32, 32)), target.variable([0, 9, 4], rustorch.int64)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return [target.numpy(p) for p in model.parameters()]


def test_a_network_trains_as_on_the_cpu(cuda: Target) -> None:
    for plain, fast in zip(_trained(Target("cpu")), _trained(cuda), strict=True):
        numpy.testing.assert_allclose(fast, plain, rtol=1e-9, atol=1e-9)


def test_training_a_network_launches_these_kernels(cuda: Target, stand_in: ModuleType) -> None:
    with counted() as counts:
        _trained(cuda)
    used = {
        "unfold",
        "fold",
        "standardize_grad",
        "sums",
        "max_pool_grad",
        "attend_grad",
        "cross_entropy_grad",
        "rustorch_adam",
        "gemm",
    }
    assert used <= set(counts.launches)


# -- NVIDIA's compiler ------------------------------------------------------------------------------------------------
def _instances(kind: str) -> Iterator[tuple[str, Any]]:
    """All objects of the class ``kind`` in the modules of ``backends/cupy``, with the names of their modules."""
    folder = Path(str(_module().__file__)).parent
    for file in sorted(folder.glob("[!_]*.py")):
        yield from ((file.stem, part) for part in vars(_module(file.stem)).values() if type(part).__name__ == kind)


def _sources() -> Iterator[tuple[str, str]]:
    """Every CUDA source for all dtypes: those in the modules, and those that were generated when kernels ran."""
    launch = _module("launch")
    for name, part in _instances("Source"):
        for dtype, index in itertools.product(launch.REAL, launch.INTEGER):
            yield f"{name}, {dtype}, {index}", launch.typed_source(dtype, index, part.text)
    for i, text in enumerate(sorted(getattr(sys.modules["cupy"], "SOURCES", ()))):
        yield f"source {i}", text


class _Nvrtc:
    """NVIDIA's compiler, from the package ``nvidia-cuda-nvrtc``. It needs no GPU."""

    OPTIONS = ("-std=c++17", "-arch=compute_80", "--device-as-default-execution-space", "-ftz=true")

    def __init__(self, file: str):
        self._library = ctypes.CDLL(file)

    @classmethod
    def installed(cls) -> _Nvrtc | None:
        spec = util.find_spec("nvidia")
        folders = [Path(place) for place in (spec.submodule_search_locations if spec else None) or ()]
        files = [file for folder in folders for file in sorted(folder.glob("**/libnvrtc.so.*"))]
        return cls(str(files[0])) if files else None

    def log_of(self, source: str) -> str:
        """The compiler's log for a source. It is empty if there are no errors or warnings."""
        program = ctypes.c_void_p()
        self._library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"source.cu", 0, None, None)
        options = (ctypes.c_char_p * len(self.OPTIONS))(*[option.encode() for option in self.OPTIONS])
        status = self._library.nvrtcCompileProgram(program, len(options), options)
        size = ctypes.c_size_t()
        self._library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value + 1)
        self._library.nvrtcGetProgramLog(program, log)
        self._library.nvrtcDestroyProgram(ctypes.byref(program))
        return log.value.decode().strip() or ("" if status == 0 else f"status {status}")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nvidias_compiler_compiles_every_source(cuda: Target) -> None:
    nvrtc = _Nvrtc.installed()
    if nvrtc is None:
        pytest.skip("NVIDIA's compiler is not installed: pip install nvidia-cuda-nvrtc")
    if is_stand_in():  # run the kernels whose sources are generated
        for name, dtype in itertools.product(_module().OVERRIDES, ("float32", "float64")):
            for case in CASES.get(name, []) + MORE.get(name, []):
                call(name, _module().OVERRIDES[name], *_arguments(cuda, case, dtype)[0])
    sources = dict(_sources())
    wrong = {what: log for what, source in sources.items() if (log := nvrtc.log_of(source))}
    assert len(sources) > 30
    assert wrong == {}

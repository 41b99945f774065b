"""Padding: every mode, dtypes, second derivatives, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.autograd.gradcheck import gradcheck, gradgradcheck
from rustorch.nn import functional as F
from tests.support.target import Target

ONES = rustorch.ones
MODES = ("constant", "reflect", "replicate", "circular")


@pytest.mark.parametrize(
    ("mode", "pad", "expected"),
    [
        ("constant", (2, 1), [0, 0, 1, 2, 3, 0]),
        ("constant", (-1, 1), [2, 3, 0]),
        ("constant", (-2, -1), []),
        ("reflect", (2, 1), [3, 2, 1, 2, 3, 2]),
        ("reflect", (-1, 2), [2, 3, 2, 1]),
        ("reflect", (-3, 0), []),
        ("replicate", (2, 4), [1, 1, 1, 2, 3, 3, 3, 3, 3]),
        ("replicate", (1, -2), [1, 1]),
        ("circular", (2, 3), [2, 3, 1, 2, 3, 1, 2, 3]),
        ("circular", (1, -1), [2, 1, 2]),
        ("circular", (-1, 2), [2, 3, 2, 3]),
    ],
)
def test_pad_in_every_mode(mode: str, pad: tuple, expected: list, backend: Target) -> None:
    for dtype in ("float64", "int64"):
        assert backend.numpy(F.pad(backend.variable([1, 2, 3], dtype), pad, mode)).tolist() == expected


def test_the_first_pair_pads_the_last_dimension(backend: Target) -> None:
    x = backend.variable([[1.0], [2.0]])
    assert backend.numpy(F.pad(x, (0, 1, 1, 0), value=9.0)).tolist() == [[9.0, 9.0], [1.0, 9.0], [2.0, 9.0]]
    assert F.pad(x, (0, 0)).tolist() == x.tolist()


def test_complex_numbers_are_padded_with_their_gradients(backend: Target) -> None:
    x = backend.variable([1.0 + 2.0j, 3.0], "complex128", requires_grad=True)
    out = F.pad(x, (1, -1), value=0.5)
    assert backend.numpy(out).tolist() == [0.5, 1.0 + 2.0j]
    assert gradcheck(lambda x: F.pad(x, (1, -1), value=0.5) ** 2, (x,))


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32"])
def test_a_value_is_brought_to_the_dtype_as_in_pytorch(dtype: str, backend: Target) -> None:
    x = backend.variable([1, 0], dtype)
    expected: dict[str, list[Any]] = {"int64": [0, 1, 0], "bool": [True, True, False], "float32": [0.5, 1.0, 0.0]}
    out = F.pad(x, (1, 0), value=0.5)
    assert out.dtype == x.dtype
    assert backend.numpy(out).tolist() == expected[dtype]
    x = rustorch.asarray([1])
    for value in (float("nan"), float("-inf"), 1 << 70):
        with pytest.raises(OverflowError, match=rf"pad: value is {value}, which does not fit into the input's int64"):
            F.pad(x, (1, 0), value=value)
    with pytest.raises(TypeError, match=r"pad: value is 1j, but the input has int64; take the real part first"):
        F.pad(x, (1, 0), value=1j)
    for value in (rustorch.tensor(0.5), numpy.array([0.5]), "0"):
        with pytest.raises(TypeError, match=r"pad: value is a number, not .*; to pad with an array, also one that"):
            F.pad(x, (1, 0), value=value)
    assert F.pad(x, (1, 0), value=numpy.float32(2.0)).tolist() == [2, 1]


@pytest.mark.parametrize("value", [None, 0.5, 200.0])
def test_bfloat16_is_padded(value: float | None) -> None:
    jax = pytest.importorskip("jax.numpy")
    out = F.pad(rustorch.asarray(jax.ones(2, dtype="bfloat16")), (1, -1), value=value)
    assert str(out.dtype) == "bfloat16"
    assert [float(part) for part in out.data] == [value or 0.0, 1.0]


@pytest.mark.parametrize("size", [10, 100_000])
def test_the_result_is_a_new_array(size: int, backend: Target) -> None:
    if not backend.library.mutable:
        pytest.skip("its arrays are never written")
    x = backend.variable(numpy.zeros((2, size)))
    for pair in ((-1, -1), (1, -2), (1, 1)):
        F.pad(x, pair)[...] = 7.0
    assert not backend.numpy(x).any()


def test_the_gradient_of_a_padded_value_belongs_to_nothing_else(backend: Target) -> None:
    x = backend.variable([[1.0, 2.0]], requires_grad=True)
    g = backend.variable([[1.0, 2.0, 3.0]])
    F.pad(x, (1, 0)).backward(g)
    assert backend.numpy(x.grad).tolist() == [[2.0, 3.0]]
    if backend.library.mutable:
        with rustorch.no_grad():
            x.grad[0, 0] = 7.0
        assert backend.numpy(g).tolist() == [[1.0, 2.0, 3.0]]


def test_booleans_are_padded_with_false() -> None:
    assert F.pad(rustorch.asarray([True]), (1, 1)).tolist() == [False, True, False]


@pytest.mark.parametrize("mode", MODES)
def test_first_and_second_derivatives(mode: str, backend: Target) -> None:
    x = backend.variable([[1.0, 2.0, 4.0], [0.5, 3.0, -1.0]], requires_grad=True)

    def function(x: Any) -> Any:
        padded = F.pad(x, (2, -1, 1, 0), mode)
        return padded * padded

    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


BAD = [
    (
        lambda: nn.ReflectionPad2d((1, 2)),
        ValueError,
        r"ReflectionPad2d: padding is an integer or 4 of them, not \(1, 2\)",
    ),
    (lambda: nn.ZeroPad1d(1.5), TypeError, "ZeroPad1d: padding is an integer or 2 of them, not 1.5"),
    (
        lambda: nn.ReflectionPad1d(3)(ONES((1, 3))),
        ValueError,
        r"ReflectionPad1d: padding \(3, 3\) does not fit a dimension of 3; reflection does not repeat the "
        r"element at the edge",
    ),
    (
        lambda: nn.CircularPad1d(4)(ONES((1, 3))),
        ValueError,
        r"CircularPad1d: padding \(4, 4\) does not fit a dimension of 3; it wraps",
    ),
    (
        lambda: nn.ReplicationPad1d(1)(ONES((1, 0))),
        ValueError,
        "ReplicationPad1d: padding .* no element at the edge of an empty one",
    ),
    (
        lambda: nn.ReflectionPad2d(1)(ONES((3, 3))),
        ValueError,
        r"ReflectionPad2d: the input has 4 dimensions, \(samples, channels, height, width\), or 3 without "
        r"samples; its shape is \(3, 3\)",
    ),
    (
        lambda: nn.ConstantPad2d(1, 2.0)(ONES((3,))),
        ValueError,
        r"ConstantPad2d: padding is a pair .* for at most 1 of an input of shape \(3,\)",
    ),
    (
        lambda: nn.ZeroPad1d((-2, -2))(ONES((1, 3))),
        ValueError,
        r"ZeroPad1d: padding \(-2, -2\) removes more elements than a dimension of size 3 has",
    ),
    *[
        (
            lambda pair=pair: F.pad(ONES((4,)), pair),
            ValueError,
            rf"pad: padding \({pair[0]}, {pair[1]}\) removes more elements than a dimension of size 4 has",
        )
        for pair in ((3, -5), (-5, 2))  # PyTorch refuses these, too
    ],
    (lambda: F.pad(ONES((2,)), (1,)), ValueError, "pad: padding is a pair"),
    (lambda: F.pad(ONES((2,)), 1), ValueError, "pad: padding is a pair"),
    (
        lambda: F.pad(ONES((2,)), (1, 1), "mirror"),
        ValueError,
        "pad: mode is 'constant', 'reflect', 'replicate' or 'circular', not 'mirror'",
    ),
    (
        lambda: F.pad(ONES((2,)), (1, 1), "reflect", 1.0),
        ValueError,
        "pad: a value is for mode='constant', not for mode='reflect'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_raises(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

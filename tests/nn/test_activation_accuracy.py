"""Activations and attention where simple formulas lose digits, overflow or give nan: huge, infinite and empty input.

``tests/special`` holds all of them against many digits at special numbers; here are random numbers, and values that can
be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy
import pytest
from mpmath import mp

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support.target import Target

INF, NAN = numpy.inf, numpy.nan
FLOATS = pytest.mark.parametrize("dtype", ["float32", "float64"])


def _derivatives(function: Callable[[Any], Any], at: Any, dtype: str, backend: Target) -> list[numpy.ndarray]:
    """Value, first and second derivative, elementwise."""
    x = backend.variable(at, dtype, requires_grad=True)
    out = function(x)
    ones = rustorch.ones_like(x.detach())
    (first,) = rustorch.grad(out, x, ones, create_graph=True)
    (second,) = rustorch.grad(first, x, ones)
    return [backend.numpy(y) for y in (out, first, second)]


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


FORMULAS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "gelu": (F.gelu, lambda x: x * mp.ncdf(x)),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: x * _sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mpmath.mpf("0.044715") * x**3)),
    ),
    "mish": (F.mish, lambda x: x * mp.tanh(mp.log(1 + mp.exp(x)))),
    "sigmoid": (F.sigmoid, _sigmoid),
    "silu": (F.silu, lambda x: x * _sigmoid(x)),
    "logsigmoid": (F.logsigmoid, lambda x: mp.log(_sigmoid(x))),
    "softplus": (lambda x: F.softplus(x, threshold=100.0), lambda x: mp.log(1 + mp.exp(x))),
    "tanhshrink": (F.tanhshrink, lambda x: x - mp.tanh(x)),
}


@FLOATS
@pytest.mark.parametrize("reach", [4.4, 9.5, 12.0])  # beyond the usual range, NumPy has other versions
@pytest.mark.parametrize("name", FORMULAS)
def test_activations_lose_few_digits_for_numbers_of_all_sizes(
    name: str, reach: float, dtype: str, backend: Target
) -> None:
    """Near a root of a derivative its terms cancel: errors are measured against these terms, which are about 1."""
    function, formula = FORMULAS[name]
    draw = numpy.random.default_rng(3)
    at = numpy.concatenate(
        (draw.uniform(-reach, reach, 40), draw.choice([-1, 1], 20) * 10.0 ** draw.uniform(-8, 0.6, 20))
    ).astype(dtype)
    found = _derivatives(function, at, dtype, backend)
    eps, tiny = numpy.finfo(dtype).eps, numpy.finfo(dtype).smallest_normal
    with mpmath.workdps(60):
        for order, values in enumerate(found):
            expected = numpy.asarray([float(mpmath.diff(formula, mpmath.mpf(float(x)), order)) for x in at])
            root = abs(expected) < 0.1
            root &= abs(at) < 4
            numpy.testing.assert_allclose(
                values[~root], expected[~root], rtol=60 * eps, atol=16 * tiny, err_msg=f"order {order}"
            )
            numpy.testing.assert_allclose(values[root], expected[root], rtol=0, atol=8 * eps, err_msg=f"order {order}")


@FLOATS
def test_limits_at_infinity(dtype: str, backend: Target) -> None:
    """PyTorch returns nan here: from -inf * 0, inf / inf or inf - inf."""
    at = [INF, -INF, NAN]
    for function in (F.silu, F.mish, F.gelu, lambda x: F.gelu(x, approximate="tanh")):
        value, first, second = _derivatives(function, at, dtype, backend)
        numpy.testing.assert_array_equal(value, [INF, 0, NAN])
        numpy.testing.assert_array_equal(first, [1, 0, NAN])
        numpy.testing.assert_array_equal(second, [0, 0, NAN])
    for function, values in ((F.softsign, [1, -1, NAN]), (F.sigmoid, [1, 0, NAN])):
        value, first, second = _derivatives(function, at, dtype, backend)
        numpy.testing.assert_array_equal(value, values)
        numpy.testing.assert_array_equal(first, [0, 0, NAN])
        numpy.testing.assert_array_equal(second, [0, 0, NAN])
    numpy.testing.assert_array_equal(_derivatives(F.tanhshrink, at, dtype, backend)[1], [1, 1, NAN])


@FLOATS
def test_huge_numbers_do_not_overflow_on_the_way(dtype: str, backend: Target) -> None:
    at = [1e20, -1e20, 1e38, -1e38, 2e7, -2e7]
    for function in (F.silu, F.mish, F.gelu, lambda x: F.gelu(x, approximate="tanh"), F.hardswish, F.softplus, F.elu):
        value, first, second = _derivatives(function, at, dtype, backend)
        expected = numpy.where(numpy.asarray(at) > 0, at, -1.0 if function is F.elu else 0.0).astype(dtype)
        numpy.testing.assert_array_equal(value, expected)
        numpy.testing.assert_array_equal(first, [1, 0] * 3)
        numpy.testing.assert_array_equal(second, [0] * 6)
    numpy.testing.assert_array_equal(_derivatives(F.tanhshrink, at, dtype, backend)[1], [1] * 6)


@FLOATS
def test_glu_and_hardswish_of_infinite_and_huge_numbers(dtype: str, backend: Target) -> None:
    x = backend.variable([3.0, 2.0, 100.0, -100.0], dtype, requires_grad=True)
    F.glu(x).sum().backward()
    tail = numpy.exp(numpy.asarray(-100.0, dtype))
    numpy.testing.assert_allclose(backend.numpy(x.grad), [1, tail, 3 * tail, 2 * tail], rtol=1e-5, atol=1e-37)
    numpy.testing.assert_array_equal(_derivatives(F.hardswish, [INF, -INF, -3.0], dtype, backend)[1], [1, 0, 0])


@FLOATS
def test_softmax_keeps_probabilities_far_below_the_largest(dtype: str, backend: Target) -> None:
    x = backend.variable([20.0, 0.0], dtype, requires_grad=True)
    small = numpy.exp(-20) / (1 + numpy.exp(-20))
    rtol = 1e-6 if dtype == "float32" else 1e-14
    for place, slope in ((0, 1.0), (1, -1.0)):
        (g,) = rustorch.grad(F.softmax(x, 0)[place], x)
        numpy.testing.assert_allclose(backend.numpy(g), slope * numpy.asarray([1, -1]) * small * (1 - small), rtol=rtol)
    out = F.log_softmax(x, 0)
    numpy.testing.assert_allclose(
        backend.numpy(out), [-numpy.log1p(numpy.exp(-20)), -20 - numpy.log1p(numpy.exp(-20))], rtol=rtol
    )
    (g,) = rustorch.grad(out[0], x)
    numpy.testing.assert_allclose(backend.numpy(g), [small, -small], rtol=rtol)


# -- nothing, and single numbers ---------------------------------------------------------------------------------------
@FLOATS
@pytest.mark.parametrize("function", [F.softmax, F.log_softmax, F.softmin], ids=lambda f: f.__name__)
def test_softmax_of_an_empty_array_is_empty(function: Any, dtype: str, backend: Target) -> None:
    for shape, dim in (((0, 5), 0), ((5, 0), 1), ((0, 5), 1), ((5, 0), 0), ((0,), 0)):
        x = backend.variable(numpy.zeros(shape), dtype, requires_grad=True)
        out = function(x, dim=dim)
        assert out.shape == shape
        assert str(out.dtype) == dtype
        rustorch.sum(out).backward()
        assert tuple(x.grad.shape) == shape


@pytest.mark.parametrize(("function", "value"), [(F.softmax, 1.0), (F.log_softmax, 0.0), (F.softmin, 1.0)])
@pytest.mark.parametrize("dim", [0, -1])
def test_softmax_of_an_array_without_dimensions(function: Any, value: float, dim: int, backend: Target) -> None:
    x = backend.variable(3.0, requires_grad=True)
    out = function(x, dim=dim)
    assert out.shape == ()
    assert float(backend.numpy(out)) == value
    out.backward()
    assert float(backend.numpy(x.grad)) == 0
    with pytest.raises(IndexError, match=rf"^{function.__name__}: axis 1 is out of range"):
        function(x, dim=1)


@FLOATS
@pytest.mark.parametrize(
    "shapes", [((2, 4, 0), (3, 0)), ((0, 3), (4, 3)), ((2, 3), (0, 3)), ((2, 4, 3), (0, 3)), ((0,), (3, 0))]
)
def test_linear_of_empty_arrays(shapes: tuple, dtype: str, backend: Target) -> None:
    x, weight = (backend.variable(numpy.ones(shape), dtype, requires_grad=True) for shape in shapes)
    bias = backend.variable(numpy.ones(shapes[1][0]), dtype, requires_grad=True)
    out = F.linear(x, weight, bias)
    assert out.shape == (*shapes[0][:-1], shapes[1][0])
    numpy.testing.assert_array_equal(backend.numpy(out), 1 + shapes[0][-1])
    rustorch.sum(out).backward()
    for v in (x, weight, bias):
        assert tuple(v.grad.shape) == v.shape


# -- attention ---------------------------------------------------------------------------------------------------------
@FLOATS
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_that_sees_no_key_gives_0_and_no_nan(kind: str, dtype: str, backend: Target) -> None:
    draw = numpy.random.default_rng(0).standard_normal
    seen = numpy.asarray([[True, True, False], [False] * 3, [True] * 3])
    q, k, v = (backend.variable(draw((1, 2, 3, 4)), dtype, requires_grad=True) for _ in range(3))
    mask = backend.variable(seen, "bool") if kind == "bool" else backend.variable(numpy.where(seen, 0.0, -INF), dtype)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    numpy.testing.assert_array_equal(backend.numpy(out)[:, :, 1], 0)
    rows = F.scaled_dot_product_attention(q[:, :, 2:, :], k, v)
    numpy.testing.assert_allclose(backend.numpy(out)[:, :, 2:], backend.numpy(rows), rtol=1e-5)
    grads = rustorch.grad(rustorch.sum(out * out), (q, k, v), create_graph=True)
    for g in grads:
        assert numpy.isfinite(backend.numpy(g)).all()
    numpy.testing.assert_array_equal(backend.numpy(grads[0])[:, :, 1], 0)
    total = sum(rustorch.sum(g * g) for g in grads)
    for g in rustorch.grad(total, (q, k, v)):
        assert numpy.isfinite(backend.numpy(g)).all()


@FLOATS
def test_attention_with_huge_scores_takes_the_largest(dtype: str, backend: Target) -> None:
    q = backend.variable([[1e15, 0.0]], dtype, requires_grad=True)
    k = backend.variable([[1.0, 0.0], [-1.0, 0.0], [0.5, 1.0]], dtype, requires_grad=True)
    v = backend.variable([[1.0], [2.0], [3.0]], dtype, requires_grad=True)
    out = F.scaled_dot_product_attention(q, k, v)
    assert backend.numpy(out).item() == 1.0
    rustorch.sum(out).backward()
    numpy.testing.assert_array_equal(backend.numpy(v.grad), [[1.0], [0.0], [0.0]])
    numpy.testing.assert_array_equal(backend.numpy(q.grad), [[0.0, 0.0]])
    numpy.testing.assert_array_equal(backend.numpy(k.grad), numpy.zeros((3, 2)))


@FLOATS
def test_a_fully_padded_sample_does_not_change_the_others(dtype: str, backend: Target) -> None:
    """All keys of the second sample are masked."""
    rustorch.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True, dtype=dtype).to(backend.device)
    x = backend.variable(numpy.random.default_rng(1).standard_normal((2, 3, 4)), dtype, requires_grad=True)
    out, _ = layer(x, x, x, key_padding_mask=backend.variable([[False] * 3, [True] * 3], "bool"), need_weights=False)
    assert numpy.isfinite(backend.numpy(out)).all()
    rustorch.sum(out[0, ...]).backward()
    for v in (x, *layer.parameters()):
        assert numpy.isfinite(backend.numpy(v.grad)).all()


def test_nearest_sampling_has_gradient_0_in_the_grid(backend: Target) -> None:
    image = backend.variable(numpy.arange(4.0).reshape(1, 1, 2, 2), requires_grad=True)
    grid = backend.variable([[[[0.4, 0.6], [-0.9, NAN]]]], requires_grad=True)
    out = F.grid_sample(image, grid, mode="nearest", align_corners=False)
    rustorch.sum(out).backward()
    numpy.testing.assert_array_equal(backend.numpy(grid.grad), numpy.zeros((1, 1, 2, 2)))
    assert float(backend.numpy(image.grad).sum()) >= 1
    alone = F.grid_sample(image.detach(), grid, mode="nearest", align_corners=False)
    (g,) = rustorch.grad(rustorch.sum(alone), grid)
    numpy.testing.assert_array_equal(backend.numpy(g), numpy.zeros((1, 1, 2, 2)))

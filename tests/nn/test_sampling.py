"""affine_grid and grid_sample: PyTorch's values, second derivatives, bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import backends
from rustorch.nn import functional as F
from tests.support.differences import check
from tests.support.errors import Bad, check_error
from tests.support.target import Target

CPU = Target(backends.resolve("cpu"))
MODES = [
    (n, mode, padding, align)
    for n, mode, padding, align in itertools.product(
        (2, 3), ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (True, False)
    )
    if (n, mode) != (3, "bicubic")
]


def _given(n: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """An image, and places inside it, at its edges, outside and far away."""
    rng = numpy.random.default_rng(n)
    image, grid = rng.standard_normal((2, 3, *(5, 4, 3)[:n])), rng.uniform(-1.8, 1.8, (2, *(4, 6, 2)[:n], n))
    grid.flat[:3] = -1, 1, 0
    grid[(1,) * (n + 1)] = 1e12
    return image, grid


def _torch() -> Any:
    return pytest.importorskip("torch", reason="PyTorch is the oracle")


def _check(target: Target, n: int, mode: str, padding: str, align: bool) -> None:
    torch = _torch()
    image, grid = _given(n)
    x, places = target.variable(image, requires_grad=True), target.variable(grid, requires_grad=True)
    out = F.grid_sample(x, places, mode, padding, align)
    tx, tplaces = torch.tensor(image, requires_grad=True), torch.tensor(grid, requires_grad=True)
    expected = torch.nn.functional.grid_sample(tx, tplaces, mode, padding, align)
    numpy.testing.assert_allclose(target.numpy(out), expected.detach().numpy(), rtol=1e-8, atol=1e-10)
    weights = numpy.cos(numpy.arange(out.size)).reshape(out.shape)
    (out * target.variable(weights)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    numpy.testing.assert_allclose(target.numpy(x.grad), tx.grad.numpy(), rtol=1e-8, atol=1e-10)
    numpy.testing.assert_allclose(
        target.numpy(places.grad), tplaces.grad.numpy(), rtol=1e-8, atol=1e-8
    )  # 0 for "nearest"


@pytest.mark.parametrize(("n", "mode", "padding", "align"), MODES)
def test_grid_sample_equals_pytorchs(n: int, mode: str, padding: str, align: bool) -> None:
    _check(CPU, n, mode, padding, align)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_grid_sample_on_every_backend(mode: str, backend: Target) -> None:
    if backend.device == "jax":
        pytest.skip("it compiles a hundred operations one by one, for five seconds; affine_grid's test runs on it")
    _check(backend, 2, mode, "reflection", False)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_second_derivatives(mode: str) -> None:
    rng = numpy.random.default_rng(0)
    image, grid = rng.standard_normal((1, 2, 3, 3)), rng.uniform(-0.3, 0.3, (1, 2, 2, 2)) + 0.35
    check(lambda x, g: F.grid_sample(x, g, mode, align_corners=True), [image, grid], CPU, order=2)


@pytest.mark.parametrize("size", [(2, 1, 4, 5), (2, 3, 3, 4, 5), (2, 1, 1, 3)])
@pytest.mark.parametrize("align", [True, False])
def test_affine_grid_equals_pytorchs(size: tuple[int, ...], align: bool, backend: Target) -> None:
    torch = _torch()
    n = len(size) - 2
    theta = numpy.random.default_rng(1).standard_normal((2, n, n + 1))
    x = backend.variable(theta, requires_grad=True)
    out = F.affine_grid(x, size, align)
    if not (align and 1 in size[2:]):  # PyTorch warns in this case
        expected = torch.nn.functional.affine_grid(torch.tensor(theta), size, align)
        numpy.testing.assert_allclose(backend.numpy(out), expected.numpy(), rtol=1e-12, atol=1e-12)
    out.sum().backward()
    assert x.grad.shape == theta.shape


def test_the_identity_map_returns_the_image(backend: Target) -> None:
    image = backend.variable(_given(2)[0])
    same = backend.variable([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]] * 2)
    out = F.grid_sample(image, F.affine_grid(same, image.shape, align_corners=False), align_corners=False)
    numpy.testing.assert_allclose(backend.numpy(out), backend.numpy(image), rtol=1e-12)


def test_missing_align_corners_warns() -> None:
    image, grid = (CPU.variable(x) for x in _given(2))
    with pytest.warns(UserWarning, match="grid_sample: align_corners is False where it is not given"):
        out = F.grid_sample(image, grid)
    assert rustorch.all(out == F.grid_sample(image, grid, align_corners=False))


def test_infinite_and_nan_places_give_0() -> None:
    grid = CPU.variable([[[[numpy.nan, 0.0], [numpy.inf, 0.0]]]])
    out = F.grid_sample(CPU.variable(numpy.ones((1, 1, 3, 3))), grid, "nearest", align_corners=False)
    assert out.tolist() == [[[[0.0, 0.0]]]]


_image, _grid = CPU.variable(numpy.ones((1, 2, 3, 3))), CPU.variable(numpy.zeros((1, 2, 2, 2)))
BAD: dict[str, Bad] = {
    "grid": (
        lambda: F.grid_sample(_image, _grid[..., :1], align_corners=True),
        ValueError,
        r"grid_sample: an input of \(n, channels.*these are \(1, 2, 3, 3\) and \(1, 2, 2, 1\)",
    ),
    "batch": (
        lambda: F.grid_sample(_image[:0], _grid, align_corners=True),
        ValueError,
        r"these are \(0, 2, 3, 3\) and \(1, 2, 2, 2\)",
    ),
    "empty": (
        lambda: F.grid_sample(_image[:, :, :0], _grid, align_corners=True),
        ValueError,
        r"the image is empty.*\(1, 2, 0, 3\)",
    ),
    "mode": (
        lambda: F.grid_sample(_image, _grid, "cubic", align_corners=True),
        ValueError,
        "mode is 'bilinear', 'nearest' or.*not 'cubic'",
    ),
    "padding": (
        lambda: F.grid_sample(_image, _grid, padding_mode="wrap", align_corners=True),
        ValueError,
        "padding_mode is 'zeros', 'border' or 'reflection', not 'wrap'",
    ),
    "integers": (
        lambda: F.grid_sample(CPU.variable(numpy.ones((1, 2, 3, 3)), "int64"), _grid),
        TypeError,
        "grid_sample is of floating-point numbers, not of int64",
    ),
    "theta": (
        lambda: F.affine_grid(_grid[0], (2, 1, 4, 5)),
        ValueError,
        r"affine_grid: for the size \(2, 1, 4, 5\) theta has shape \(2, 2, 3\), not \(2, 2, 2\)",
    ),
    "size": (
        lambda: F.affine_grid(_grid[0], (2, 1, 4)),
        ValueError,
        r"affine_grid: size is \(n, channels, height, width\) or.*\(2, 1, 4\)",
    ),
    "sizes": (lambda: F.affine_grid(_grid[0], (2, 1, 4, 0)), ValueError, "affine_grid: size is at least 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_and_says_what_to_write(name: str) -> None:
    check_error(BAD[name])

"""Fractional max pooling: PyTorch's values for given random numbers, equal windows for equal seeds, bad input."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.nn import functional as F
from tests.support import differences
from tests.support.target import Target


def test_windows_begin_at_the_places_of_the_paper(backend: Target) -> None:
    # a = 5 / 3: floor((i + 0.5) * a) - floor(0.5 * a) = 0, 2, 4, and the last window is at the end, at 5
    x = numpy.arange(7.0).reshape(1, 1, 7)
    out, indices = F.fractional_max_pool2d(
        backend.variable(x), (1, 2), (1, 4), None, True, backend.variable([[[0.5, 0.0]]])
    )
    numpy.testing.assert_array_equal(backend.numpy(out), [[[1.0, 3.0, 5.0, 6.0]]])
    numpy.testing.assert_array_equal(backend.numpy(indices), [[[1, 3, 5, 6]]])


@pytest.mark.parametrize(
    ("n", "shape", "kernel", "options"),
    [
        (2, (2, 3, 7, 9), 2, {"output_size": (4, 5)}),
        (2, (2, 8, 6), (3, 1), {"output_ratio": (0.5, 0.7)}),
        (2, (1, 1, 5, 5), 2, {"output_size": 1}),
        (3, (2, 2, 5, 6, 7), 2, {"output_size": (3, 2, 4)}),
        (3, (1, 6, 6, 6), (1, 2, 3), {"output_ratio": 0.5}),
    ],
)
def test_given_random_samples_give_pytorchs_result(
    n: int, shape: tuple, kernel: Any, options: dict, rng: numpy.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    values = rng.integers(0, 50, shape).astype("float64")  # some are equal
    batch, channels = shape[: -n - 1] or (1,), shape[-n - 1]
    samples = rng.random((*batch, channels, n))
    name = f"fractional_max_pool{n}d"
    theirs = torch.tensor(values, requires_grad=True)
    if not isinstance(options.get("output_ratio", ()), tuple):
        options = {"output_ratio": (options["output_ratio"],) * n}
    kwargs = {**options, "return_indices": True}
    expected, places = getattr(torch.nn.functional, name)(
        theirs, kernel, _random_samples=torch.tensor(samples), **kwargs
    )
    (expected * expected).sum().backward()
    ours = rustorch.tensor(values, dtype=rustorch.float64, requires_grad=True)
    out, indices = getattr(F, name)(ours, kernel, _random_samples=samples, **kwargs)
    (out * out).sum().backward()
    numpy.testing.assert_array_equal(out.detach().numpy(), expected.detach().numpy())
    numpy.testing.assert_array_equal(indices.numpy(), places.numpy())
    numpy.testing.assert_array_equal(ours.grad, theirs.grad.numpy())


def test_derivatives_of_first_and_second_order(rng: numpy.random.Generator) -> None:
    samples = rng.random((1, 1, 2))
    at = rng.permutation(16).reshape(1, 1, 4, 4) / 10
    differences.check(
        lambda x: F.fractional_max_pool2d(x * x, 2, 2, _random_samples=samples), [at], Target("cpu"), order=2
    )


def test_a_seed_gives_the_same_windows_again(backend: Target) -> None:
    x = backend.variable(numpy.arange(200.0).reshape(1, 2, 10, 10))
    layer = nn.FractionalMaxPool2d(2, output_ratio=0.6, return_indices=True)
    found = []
    for seed in (1, 2, 1):
        rustorch.manual_seed(seed)
        found.append(backend.numpy(layer(x)[1]))
    numpy.testing.assert_array_equal(found[0], found[2])
    assert (found[0] != found[1]).any()


def test_given_random_samples_are_in_the_state() -> None:
    samples = rustorch.full((1, 1, 3), 0.25)
    layer = nn.FractionalMaxPool3d(1, output_size=2, _random_samples=samples)
    assert list(layer.state_dict()) == ["_random_samples"]
    x = rustorch.rand(1, 1, 4, 4, 4)
    assert layer(x).tolist() == layer(x).tolist()
    assert list(nn.FractionalMaxPool3d(1, output_size=2).state_dict()) == []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: nn.FractionalMaxPool2d(2),
            ValueError,
            "FractionalMaxPool2d: give either output_size or output_ratio, one of them",
        ),
        (lambda: nn.FractionalMaxPool2d(2, 2, 0.5), ValueError, "FractionalMaxPool2d: give either .*, not both"),
        (lambda: nn.FractionalMaxPool3d(0, 2), ValueError, "FractionalMaxPool3d: kernel_size is at least 1, not 0"),
        (
            lambda: nn.FractionalMaxPool2d(2, (0, 1)),
            ValueError,
            r"FractionalMaxPool2d: output_size is at least 1, not \(0, 1\)",
        ),
        (
            lambda: nn.FractionalMaxPool2d(2, None, 1.5),
            ValueError,
            "FractionalMaxPool2d: output_ratio is .* between 0 and 1, .* 1.5",
        ),
        (
            lambda: nn.FractionalMaxPool2d(2, None, (0.5,)),
            ValueError,
            r"FractionalMaxPool2d: output_ratio is .* 2 of them, not \(0.5,\)",
        ),
        (
            lambda: F.fractional_max_pool2d(rustorch.ones((1, 4, 4)), 2, 4),
            ValueError,
            r"fractional_max_pool2d: 4 windows of 2 values do not start at different places of an axis of size "
            r"4; .*\(1, 4, 4\)",
        ),
        (
            lambda: F.fractional_max_pool2d(rustorch.ones((1, 4, 4)), 2, None, 0.1),
            ValueError,
            "fractional_max_pool2d: 0 windows of 2",
        ),
        (
            lambda: F.fractional_max_pool3d(rustorch.ones((4, 4)), 2, 2),
            ValueError,
            r"fractional_max_pool3d: the input is .*\(4, 4\)",
        ),
        (
            lambda: F.fractional_max_pool2d(rustorch.ones((1, 4, 4)), 2, 2, _random_samples=rustorch.ones((1, 2))),
            ValueError,
            r"fractional_max_pool2d: the random samples have shape \(1, 1, 2\), \(batch, channels, 2\), not \(1, 2\)",
        ),
    ],
)
def test_bad_input_draws_no_numbers(make: Any, error: type[Exception], message: str) -> None:
    before = rustorch.get_rng_state().tolist()
    with pytest.raises(error, match=message):
        make()
    assert rustorch.get_rng_state().tolist() == before

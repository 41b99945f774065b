"""Fold and Unfold: each is the transpose of the other; derivatives, infinities, bad input."""

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
WINDOW: dict[str, Any] = {"kernel_size": (2, 3), "dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}


def test_fold_is_the_transpose_of_unfold(backend: Target, rng: numpy.random.Generator) -> None:
    x = backend.variable(rng.standard_normal((2, 3, 4, 5)), requires_grad=True)
    columns = F.unfold(x, **WINDOW)
    y = backend.variable(rng.standard_normal(columns.shape), requires_grad=True)
    image = F.fold(y, (4, 5), **WINDOW)
    assert image.shape == x.shape
    assert (columns * y).sum().item() == pytest.approx((x * image).sum().item(), rel=1e-12)


def test_first_and_second_derivatives(backend: Target, rng: numpy.random.Generator) -> None:
    x = backend.variable(rng.standard_normal((1, 1, 3, 3)), requires_grad=True)
    y = backend.variable(rng.standard_normal((4, 4)), requires_grad=True)
    for function, leaf in ((lambda x: F.unfold(x * x, 2), x), (lambda y: F.fold(y * y, (3, 3), 2), y)):
        assert gradcheck(function, (leaf,))
        assert gradgradcheck(function, (leaf,))


def test_an_infinity_stays_in_its_windows() -> None:
    columns = F.unfold(rustorch.tensor([[[numpy.inf, 1.0, 2.0]]]), (1, 2))
    assert columns.tolist() == [[numpy.inf, 1.0], [1.0, 2.0]]


BAD = [
    (
        lambda: nn.Unfold(4)(ONES((1, 3, 5))),
        ValueError,
        r"unfold: a kernel of sizes \(4, 4\) with dilation \(1, 1\) reaches over more than the padded image has: "
        r"\(3, 5\)",
    ),
    (lambda: nn.Unfold(0)(ONES((1, 3, 5))), ValueError, "Unfold: kernel_size is at least 1, not 0"),
    (lambda: nn.Unfold(2)(ONES((3, 5))), ValueError, r"unfold: the input has 4 dimensions, .* its shape is \(3, 5\)"),
    (
        lambda: nn.Fold((3, 3), 2)(ONES((4,))),
        ValueError,
        r"fold: the input is \(samples, rows, places\), .* its shape is \(4,\)",
    ),
    (
        lambda: nn.Fold((3, 3), 2)(ONES((4, 9))),
        ValueError,
        "fold: .* has 4 rows for each channel and 4 columns; its shape is",
    ),
    (lambda: nn.Fold((3, 3), 2)(ONES((3, 4))), ValueError, "fold: a window of sizes .* has 4 places in an image of"),
    (lambda: nn.Fold((3, 3, 3), 2)(ONES((4, 4))), ValueError, "Fold: output_size is an integer or 2 of them"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

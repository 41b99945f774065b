"""Inputs of the functions that `ops` times: arrays in float32 with the same numbers in both libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy

Array = numpy.ndarray


class Input(NamedTuple):
    """An argument: ``make(generator)`` draws it, and ``gradient`` says whether backward computes its gradient."""

    make: Callable[[numpy.random.Generator], Array]
    gradient: bool = True


def normal(*shape: int) -> Input:
    """Numbers of mean 0 and variance 1."""
    return Input(lambda generator: generator.standard_normal(shape, "float32"))


def weight(*shape: int) -> Input:
    """A weight: the outputs are about as large as the inputs."""
    scale = numpy.float32(numpy.prod(shape[1:]) ** -0.5)
    return Input(lambda generator: generator.standard_normal(shape, "float32") * scale)


def complex_normal(*shape: int) -> Input:
    """Complex numbers."""
    return Input(lambda generator: generator.standard_normal((*shape, 2), "float32").view("complex64")[..., 0])


def regular(*shape: int) -> Input:
    """Matrices that are far from singular ones."""

    def make(generator: numpy.random.Generator) -> Array:
        size = shape[-1]
        matrices = 3 * numpy.eye(size, dtype="float32") + generator.standard_normal(shape, "float32") * size**-0.5
        return numpy.asarray(matrices, "float32")

    return Input(make)


def target(*shape: int) -> Input:
    """Numbers from 0 to 1, without a gradient."""
    return Input(lambda generator: generator.random(shape, "float32"), gradient=False)


def full(value: float, *shape: int) -> Input:
    """The same number everywhere, without a gradient."""
    return Input(lambda generator: numpy.full(shape, value, "float32"), gradient=False)


def mask(*shape: int) -> Input:
    """True or False."""
    return Input(lambda generator: generator.random(shape) < 0.5, gradient=False)


def integers(high: int, *shape: int) -> Input:
    """Integers below ``high``."""
    return Input(lambda generator: generator.integers(0, high, shape), gradient=False)

"""Spec: a function with its inputs and how its gradient is tested; and helpers that make specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy

import rustorch

R = ("float64",)
C = ("complex128",)
RC = R + C


@dataclass(frozen=True)
class Input:
    """An array to differentiate in: distinct numbers from ``low`` to ``high``, with both signs if ``signs``."""

    shape: tuple[int, ...]
    low: float = -1.5
    high: float = 1.5
    signs: bool = False

    def values(self, dtype: str, rng: numpy.random.Generator, shape: tuple[int, ...] | None = None) -> numpy.ndarray:
        """Numbers at least ``(high - low) / (2 * size)`` apart, so that differences never cross a tie."""
        shape = self.shape if shape is None else shape
        size = int(numpy.prod(shape))
        slots = rng.permutation(size) + rng.uniform(0.25, 0.75, size)
        x = self.low + (self.high - self.low) * slots / max(size, 1)
        if self.signs:
            x = x * numpy.where(rng.random(size) < 0.5, -1, 1)
        if numpy.dtype(dtype).kind == "c":  # away from the branch cuts on the real axis
            x = x + 1j * rng.uniform(0.2, 0.6, size) * numpy.where(rng.random(size) < 0.5, -1, 1)
        return numpy.asarray(x.reshape(shape), dtype)


@dataclass(frozen=True)
class Spec:
    """How a function's gradient is tested.

    Attributes
    ----------
    name : str
        The public function, or for `INTERNAL` the primitive.
    call : callable
        Takes Variables, and returns a Variable or several.
    inputs : tuple of Input
    dtypes : tuple of str
        The dtypes in which it is differentiable.
    shapes : tuple of tuples of shapes
        More shapes of the inputs, at which the first order is tested: broadcasting, 0-d, empty.
    torch : callable, optional
        ``torch(torch, *tensors)``: the same function of PyTorch, if it has one.
    order : int
        The highest order of derivatives that is tested.
    tolerance : dict
        ``rtol`` and ``atol`` if differences are less exact than usual. A comment says why.
    skip : dict
        Backend -> why the function cannot run there.
    """

    name: str
    call: Callable[..., Any]
    inputs: tuple[Input, ...]
    variant: str = ""
    dtypes: tuple[str, ...] = RC
    shapes: tuple[tuple[tuple[int, ...], ...], ...] = ()
    torch: Callable[..., Any] | None = None
    order: int = 2
    tolerance: dict[str, float] = field(default_factory=dict)
    skip: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name

    def arrays(self, dtype: str, rng: numpy.random.Generator, shapes: Any = None) -> list[numpy.ndarray]:
        given = shapes or [None] * len(self.inputs)
        return [x.values(dtype, rng, shape) for x, shape in zip(self.inputs, given, strict=True)]


def integers(values: Any, like: Any) -> Any:
    return rustorch.asarray(values, device=like.device)


def repeated(x: Any) -> Any:
    """The squares as a vector in which each element occurs twice."""
    return rustorch.tile(rustorch.reshape(x * x, (-1,)), (2,))


def same(name: str) -> Callable[..., Any]:
    return lambda torch, *tensors: getattr(torch, name)(*tensors)


def unary(
    name: str,
    low: float = -1.5,
    high: float = 1.5,
    signs: bool = False,
    dtypes: tuple[str, ...] = RC,
    torch: Callable[..., Any] | None = None,
) -> Spec:
    return Spec(
        name,
        getattr(rustorch, name),
        (Input((2, 2), low, high, signs),),
        dtypes=dtypes,
        torch=torch or same(name),
        shapes=(((),), ((0,),), ((2, 0),)),
    )


def binary(
    name: str, one: tuple = (-1.5, 1.5), two: tuple = (-1.5, 1.5), dtypes: tuple[str, ...] = RC, torch: bool = True
) -> Spec:
    broadcasts = (((2, 3), (3,)), ((2, 1), (1, 2)), ((), (2,)), ((2,), ()), ((), ()), ((0, 2), (2,)), ((1,), (0,)))
    return Spec(
        name,
        getattr(rustorch, name),
        (Input((2, 2), *one), Input((2, 2), *two)),
        dtypes=dtypes,
        shapes=broadcasts,
        torch=same(name) if torch else None,
    )


def shaped(
    name: str, variant: str, call: Callable[..., Any], *inputs: Input, dtypes: tuple[str, ...] = RC, **more: Any
) -> Spec:
    return Spec(name, call, inputs, variant, dtypes, **more)


MATRIX = Input((2, 3))
#: Shapes that each function of one matrix must take, too.
EMPTY = (((0, 3),), ((2, 0),))

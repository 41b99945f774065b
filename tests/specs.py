"""Every public function in one of two tables: how its gradient is tested, or that it has none.

`SPECS` drives tests/ops/test_gradients.py and test_against_torch.py; `NOT_DIFFERENTIABLE` (of tests/values.py) and
`CONSTANTS` name the rest. A test proves that the three together are the public functions. A line here is all that a new
function needs to be tested in first and second order, on every backend, with arrays that are empty, 0-d, or not
contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy

import rustorch
from rustorch import linalg as la
from rustorch import ops
from rustorch.ops import network
from tests.values import VALUES

R = ("float64",)
C = ("complex128",)
RC = R + C


@dataclass(frozen=True)
class Input:
    """An array to differentiate in: distinct numbers of ``low`` to ``high``, of both signs if ``signs``."""

    shape: tuple[int, ...]
    low: float = -1.5
    high: float = 1.5
    signs: bool = False

    def values(self, dtype: str, rng: numpy.random.Generator, shape: tuple[int, ...] | None = None) -> numpy.ndarray:
        """Numbers at least ``(high - low) / (2 * size)`` apart: differences never cross a tie or the edge of the
        domain.
        """
        shape = self.shape if shape is None else shape
        size = int(numpy.prod(shape))
        slots = rng.permutation(size) + rng.uniform(0.25, 0.75, size)
        x = self.low + (self.high - self.low) * slots / max(size, 1)
        if self.signs:
            x = x * numpy.where(rng.random(size) < 0.5, -1, 1)
        if numpy.dtype(dtype).kind == "c":  # off the real axis, where the branch cuts are
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
        Takes Variables, returns one or several.
    inputs : tuple of Input
    dtypes : tuple of str
        In which it is differentiable.
    shapes : tuple of tuples of shapes
        Further shapes of the inputs to test the first order at: broadcasting, 0-d, empty.
    torch : callable, optional
        ``torch(torch, *tensors)``: the same in PyTorch, where it has it.
    order : int
        The highest order tested.
    tolerance : dict
        ``rtol`` and ``atol`` where differences are less exact than elsewhere; the reason stands beside it.
    skip : dict
        Backend -> why it cannot run there.
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


def _ints(values: Any, like: Any) -> Any:
    return rustorch.asarray(values, device=like.device)


def _repeated(x: Any) -> Any:
    """Squares as a vector, in which each element is twice."""
    return rustorch.tile(rustorch.reshape(x * x, (-1,)), (2,))


def _same(name: str) -> Callable[..., Any]:
    return lambda torch, *tensors: getattr(torch, name)(*tensors)


def _unary(
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
        torch=torch or _same(name),
        shapes=(((),), ((0,),), ((2, 0),)),
    )


def _binary(
    name: str, one: tuple = (-1.5, 1.5), two: tuple = (-1.5, 1.5), dtypes: tuple[str, ...] = RC, torch: bool = True
) -> Spec:
    broadcasts = (((2, 3), (3,)), ((2, 1), (1, 2)), ((), (2,)), ((2,), ()), ((), ()), ((0, 2), (2,)), ((1,), (0,)))
    return Spec(
        name,
        getattr(rustorch, name),
        (Input((2, 2), *one), Input((2, 2), *two)),
        dtypes=dtypes,
        shapes=broadcasts,
        torch=_same(name) if torch else None,
    )


def _shaped(
    name: str, variant: str, call: Callable[..., Any], *inputs: Input, dtypes: tuple[str, ...] = RC, **more: Any
) -> Spec:
    return Spec(name, call, inputs, variant, dtypes, **more)


_M = Input((2, 3))
_EDGES = (((0, 3),), ((2, 0),))  # what a function of one matrix must take, too

# fmt: off
ELEMENTWISE = [
    _unary("conj", torch=lambda torch, x: torch.conj_physical(x)),
    _unary("sign", 0.3, 1.5, signs=True, torch=lambda torch, x: torch.sgn(x)),
    _unary("abs", 0.3, 1.5, signs=True), _unary("acos", -0.8, 0.8), _unary("acosh", 1.3, 3.0), _unary("asin", -0.8, 0.8),
    _unary("asinh"), _unary("atan"), _unary("atanh", -0.8, 0.8), _unary("cos"), _unary("cosh"), _unary("exp"),
    _unary("expm1"), _unary("log", 0.3, 3.0), _unary("log1p", -0.6, 2.0), _unary("log2", 0.3, 3.0), _unary("log10", 0.3, 3.0),
    _unary("negative"), _unary("positive"), _unary("reciprocal", 0.5, 2.0, signs=True),
    _unary("sin"), _unary("sinh"), _unary("sqrt", 0.3, 3.0), _unary("square"), _unary("tan", -1.0, 1.0), _unary("tanh"),
    _unary("real", dtypes=C), _unary("imag", dtypes=C),
    _unary("ceil", 0.1, 0.9, dtypes=R), _unary("floor", 0.1, 0.9, dtypes=R), _unary("round", 0.6, 1.4, dtypes=R),
    _unary("trunc", 1.1, 1.9, signs=True, dtypes=R),

    _binary("add"), _binary("subtract"), _binary("multiply"), _binary("divide", two=(0.5, 2.0, True)),
    _binary("pow", (0.5, 2.0), (-2.0, 2.0)), _binary("atan2", (0.3, 1.5, True), (0.3, 1.5, True), dtypes=R),
    _binary("hypot", (0.3, 1.5, True), (0.3, 1.5, True), dtypes=R), _binary("logaddexp", dtypes=R),
    _binary("maximum", (0.1, 1.5), (-0.3, 1.9), dtypes=R), _binary("minimum", (0.1, 1.5), (-0.3, 1.9), dtypes=R),
    _binary("copysign", (0.3, 1.5, True), (0.3, 1.5, True), dtypes=R),
    # quotients between 2.1 and 2.7: no difference crosses the next integer
    _binary("floor_divide", (2.1, 2.4), (0.9, 1.0), dtypes=R, torch=False), _binary("remainder", (2.1, 2.4), (0.9, 1.0), dtypes=R),

    _shaped("add", "number", lambda x: 2.0 + x + 1, _M),
    _shaped("subtract", "number", lambda x: 2.0 - (x - 1), _M),
    _shaped("multiply", "number", lambda x: 2.0 * x * 3, _M),
    _shaped("divide", "number", lambda x: 2.0 / x / 3, Input((2, 3), 0.5, 2.0, True)),
    _shaped("pow", "cube", lambda x: x**3, _M, torch=lambda torch, x: x**3),
    _shaped("pow", "zeroth", lambda x: x**0, _M, torch=lambda torch, x: x**0),
    _shaped("pow", "of-two", lambda x: 2.0**x, _M, torch=lambda torch, x: 2.0**x),
    _shaped("pow", "repeated", lambda x: x * x * x, _M),
    _shaped("clip", "numbers", lambda x: rustorch.clip(x, -0.5, 0.7), Input((2, 4)), dtypes=R, shapes=(((),), ((0,),)),
            torch=lambda torch, x: torch.clip(x, -0.5, 0.7)),
    _shaped("clip", "low", lambda x: rustorch.clip(x, min=-0.2), Input((4,)), dtypes=R,
            torch=lambda torch, x: torch.clip(x, min=-0.2)),
    _shaped("clip", "high", lambda x: rustorch.clip(x, max=0.2), Input((4,)), dtypes=R,
            torch=lambda torch, x: torch.clip(x, max=0.2)),
    _shaped("clip", "arrays", rustorch.clip, Input((2, 3), -2.0, 2.0), Input((3,), -1.0, -0.5), Input((2, 1), 0.5, 1.0), dtypes=R,
            torch=_same("clip")),
]

def _reduction(name: str, low: float = -1.5, high: float = 1.5, dtypes: tuple[str, ...] = R, empty: bool = False) -> list[Spec]:
    """A reduction of all elements, of one axis, of several; ``empty`` if there is one of no elements."""
    f, x = getattr(rustorch, name), Input((2, 3), low, high)
    return [
        _shaped(name, "all", f, x, dtypes=dtypes, shapes=(((),), ((2, 0),)) if empty else (((1, 2),),)),
        # (of a variance of no rows PyTorch warns)
        _shaped(name, "axis", lambda x: f(x, axis=-1), x, dtypes=dtypes,
                shapes=(() if name in ("var", "std") else (((0, 3),),)) + ((((2, 0),),) if empty else ())),
        _shaped(name, "axes", lambda x: f(x, axis=(0, 2), keepdims=True), Input((2, 1, 2), low, high), dtypes=dtypes),
    ]


STATISTICAL = [
    *_reduction("sum", dtypes=RC, empty=True), *_reduction("prod", 0.5, 1.5, dtypes=RC, empty=True),
    *_reduction("mean", dtypes=RC), *_reduction("max"), *_reduction("min"), *_reduction("var"), *_reduction("std"),
    _shaped("sum", "no-axes", lambda x: rustorch.sum(x, axis=()), Input((2,))),
    _shaped("max", "no-axes", lambda x: rustorch.max(x, axis=()), Input((2,)), dtypes=R),
    _shaped("prod", "zeros", lambda x: rustorch.prod(rustorch.concat([x, 0 * x[:1], x]), axis=0), Input((3,))),
    _shaped("var", "correction", lambda x: rustorch.var(x, axis=1, correction=1), _M, dtypes=R,
            torch=lambda torch, x: torch.var(x, dim=1, correction=1)),
    _shaped("std", "correction", lambda x: rustorch.std(x, correction=1.0), _M, dtypes=R,
            torch=lambda torch, x: torch.std(x, correction=1)),
    _shaped("cumulative_sum", "", rustorch.cumulative_sum, Input((4,)), shapes=(((0,),), ((1,),)),
            torch=lambda torch, x: torch.cumsum(x, 0)),
    _shaped("cumulative_sum", "initial", lambda x: rustorch.cumulative_sum(x, axis=0, include_initial=True), _M),
    _shaped("cumulative_prod", "", rustorch.cumulative_prod, Input((4,)), shapes=(((0,),), ((1,),)),
            torch=lambda torch, x: torch.cumprod(x, 0)),
    _shaped("cumulative_prod", "initial", lambda x: rustorch.cumulative_prod(x, axis=1, include_initial=True), _M),
]

LINEAR_ALGEBRA = [
    _shaped("matmul", "matrices", rustorch.matmul, _M, Input((3, 2)), torch=_same("matmul"),
            shapes=(((0, 3), (3, 2)), ((2, 0), (0, 2)), ((1, 3), (3, 0)))),
    _shaped("matmul", "vectors", rustorch.matmul, Input((3,)), Input((3,)), shapes=(((0,), (0,)),), torch=_same("matmul")),
    _shaped("matmul", "left-vector", rustorch.matmul, Input((3,)), Input((3, 2)), torch=_same("matmul")),
    _shaped("matmul", "right-vector", rustorch.matmul, _M, Input((3,)), torch=_same("matmul")),
    _shaped("matmul", "batch", rustorch.matmul, Input((2, 1, 2)), Input((2, 2)), torch=_same("matmul"),
            shapes=(((0, 1, 2), (2, 2)),)),
    _shaped("matmul", "batches", rustorch.matmul, Input((2, 1, 1, 2)), Input((2, 2, 1)), torch=_same("matmul")),
    _shaped("matrix_transpose", "", rustorch.matrix_transpose, _M, shapes=(*_EDGES, ((2, 1, 2),)), torch=lambda torch, x: x.mT),
    _shaped("tensordot", "number", lambda x, y: rustorch.tensordot(x, y, axes=1), _M, Input((3, 2)),
            torch=lambda torch, x, y: torch.tensordot(x, y, 1)),
    _shaped("tensordot", "axes", lambda x, y: rustorch.tensordot(x, y, axes=((0,), (1,))), _M, Input((2, 2)),
            torch=lambda torch, x, y: torch.tensordot(x, y, ((0,), (1,)))),
    _shaped("tensordot", "outer", lambda x, y: rustorch.tensordot(x, y, axes=0), Input((2,)), Input((2,))),
    _shaped("vecdot", "", rustorch.vecdot, _M, Input((3,)), torch=lambda torch, x, y: torch.linalg.vecdot(x, y),
            shapes=(((2, 0), (0,)),)),
    _shaped("vecdot", "axis", lambda x, y: rustorch.vecdot(x, y, axis=-2), _M, Input((2, 1))),
]

def _regular(x: Any) -> Any:
    """``x`` with a heavier diagonal: far from singular."""
    return x + 3 * rustorch.eye(x.shape[-1], dtype=x.dtype, device=x.device)


def _regular_torch(torch: Any, x: Any) -> Any:
    return x + 3 * torch.eye(x.shape[-1], dtype=x.dtype)


def _h(x: Any) -> Any:
    return rustorch.matrix_transpose(rustorch.conj(x))


def _sizes(x: Any) -> Any:
    """Squared absolute values: of vectors, what their sign or phase leaves as it is."""
    return rustorch.real(x * rustorch.conj(x))


def _eigen(function: Callable[..., Any], x: Any) -> Any:
    values, vectors = function(x)
    return values, _sizes(vectors)


def _svd(x: Any, full: bool = False) -> Any:
    u, s, vh = la.svd(x, full_matrices=full)
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]  # what full matrices have more is arbitrary
    return _sizes(u), s, _sizes(vh), u @ vh


def _svd_torch(torch: Any, x: Any, full: bool = False) -> Any:
    u, s, vh = torch.linalg.svd(x, full_matrices=full)
    u, vh = u[..., : s.shape[-1]], vh[..., : s.shape[-1], :]
    return torch.real(u * u.conj()), s, torch.real(vh * vh.conj()), u @ vh


def _of_regular(name: str, variant: str = "", torch: bool = True, **options: Any) -> Spec:
    function = getattr(la, name)
    return _shaped(f"linalg.{name}", variant, lambda x: function(_regular(x), **options), Input((2, 2)),
                   shapes=(((0, 0),), ((2, 1, 1),), ((3, 3),), ((0, 2, 2),)),
                   torch=(lambda torch, x: getattr(torch.linalg, name)(_regular_torch(torch, x))) if torch else None)


def _norm(name: str, variant: str, x: Input, dtypes: tuple[str, ...] = RC, shapes: tuple = (), torch: Any = None,
          **options: Any) -> Spec:
    function = getattr(la, name)
    if torch is None:
        torch = lambda torch, x: getattr(torch.linalg, name)(x, **options)  # noqa: E731
    return _shaped(f"linalg.{name}", variant, lambda x: function(x, **options), x, dtypes=dtypes, shapes=shapes, torch=torch)


_INF = float("inf")
LINALG = [
    _of_regular("inv"), _of_regular("det"), _of_regular("slogdet"),
    _shaped("linalg.solve", "", lambda x, y: la.solve(_regular(x), y), Input((2, 2)), _M, order=2,
            shapes=(((2, 2), (2, 1)), ((2, 1, 1), (1, 2)), ((0, 0), (0, 2)), ((2, 2), (2, 0)), ((2, 2), (2, 2, 1))),
            torch=lambda torch, x, y: torch.linalg.solve(_regular_torch(torch, x), y)),
    _shaped("linalg.solve", "vector", lambda x, y: la.solve(_regular(x), y), Input((2, 2)), Input((2,)),
            torch=lambda torch, x, y: torch.linalg.solve(_regular_torch(torch, x), y)),
    _shaped("linalg.cholesky", "", lambda x: la.cholesky(_regular(x @ _h(x))), Input((2, 2)), shapes=(((0, 0),), ((2, 1, 1),), ((3, 3),)),
            torch=lambda torch, x: torch.linalg.cholesky(_regular_torch(torch, x @ x.mH))),
    _shaped("linalg.cholesky", "upper", lambda x: la.cholesky(_regular(x @ _h(x)), upper=True), Input((2, 2)),
            torch=lambda torch, x: torch.linalg.cholesky(_regular_torch(torch, x @ x.mH), upper=True)),
    _shaped("linalg.eigh", "", lambda x: _eigen(la.eigh, x + _h(x)), Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
            torch=lambda torch, x: [torch.linalg.eigh(x + x.mH)[0], torch.linalg.eigh(x + x.mH)[1].abs() ** 2]),
    _shaped("linalg.eigvalsh", "", lambda x: la.eigvalsh(x + _h(x)), Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
            torch=lambda torch, x: torch.linalg.eigvalsh(x + x.mH)),
    _shaped("linalg.eig", "", lambda x: _eigen(la.eig, x), Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
            torch=lambda torch, x: [torch.linalg.eig(x)[0], torch.linalg.eig(x)[1].abs() ** 2]),
    _shaped("linalg.eigvals", "", la.eigvals, Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
            torch=lambda torch, x: torch.linalg.eigvals(x)),
    _shaped("linalg.qr", "", la.qr, Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)), torch=lambda torch, x: torch.linalg.qr(x)),
    _shaped("linalg.qr", "tall", la.qr, Input((3, 2)), torch=lambda torch, x: torch.linalg.qr(x)),
    _shaped("linalg.qr", "wide", la.qr, _M, shapes=(((2, 1, 3),),), torch=lambda torch, x: torch.linalg.qr(x)),
    _shaped("linalg.qr", "complete", lambda x: la.qr(x, mode="complete"), Input((2, 2)), shapes=(((2, 3),),),
            torch=lambda torch, x: torch.linalg.qr(x, mode="complete")),
    _shaped("linalg.svd", "", _svd, Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)), torch=_svd_torch),
    _shaped("linalg.svd", "tall", _svd, Input((3, 2)), torch=_svd_torch),
    _shaped("linalg.svd", "wide", _svd, _M, torch=_svd_torch),
    *[_shaped("linalg.svd", f"full-{name}", lambda x: _svd(x, True), x, torch=lambda torch, x: _svd_torch(torch, x, True))
      for name, x in (("tall", Input((3, 2))), ("wide", _M))],
    _shaped("linalg.svdvals", "", la.svdvals, _M, shapes=(((3, 2),), ((2, 1, 2),)), torch=lambda torch, x: torch.linalg.svdvals(x)),
    _shaped("linalg.pinv", "tall", la.pinv, Input((3, 2)), shapes=(((2, 2, 1),),), torch=lambda torch, x: torch.linalg.pinv(x)),
    _shaped("linalg.pinv", "wide", lambda x: la.pinv(x, rtol=1e-9), _M, torch=lambda torch, x: torch.linalg.pinv(x)),
    # (of a constant PyTorch keeps no graph)
    *[_shaped("linalg.matrix_power", f"{n}".replace("-", "minus-"), lambda x, n=n: la.matrix_power(_regular(x) / 3, n), Input((2, 2)),
              torch=lambda torch, x, n=n: torch.linalg.matrix_power(_regular_torch(torch, x) / 3, n)) for n in (-2, 1, 2, 5)],
    _shaped("linalg.cross", "", la.cross, _M, Input((3,)), shapes=(((0, 3), (3,)), ((2, 1, 3), (2, 3))),
            torch=lambda torch, x, y: torch.linalg.cross(x, y[None])),
    _shaped("linalg.cross", "axis", lambda x, y: la.cross(x, y, axis=-2), Input((3, 2)), Input((3, 1))),
    _shaped("linalg.outer", "", la.outer, Input((2,)), Input((3,)), shapes=(((0,), (3,)),), torch=_same("outer")),
    _shaped("linalg.diagonal", "", la.diagonal, _M, shapes=(*_EDGES, ((2, 1, 2),)), torch=lambda torch, x: torch.diagonal(x)),
    _shaped("linalg.diagonal", "above", lambda x: la.diagonal(x, offset=1), Input((2, 2, 3)),
            torch=lambda torch, x: torch.diagonal(x, 1, -2, -1)),
    _shaped("linalg.diagonal", "below", lambda x: la.diagonal(x, offset=-1), Input((3, 2)), shapes=(((1, 2),), ((4, 4),)),
            torch=lambda torch, x: torch.diagonal(x, -1)),
    _shaped("linalg.trace", "", la.trace, _M, shapes=(*_EDGES, ((2, 2, 2),)),
            torch=lambda torch, x: torch.diagonal(x).sum(-1)),
    _shaped("linalg.trace", "offset", lambda x: la.trace(x, offset=-1, dtype=rustorch.complex128), _M),
    _norm("vector_norm", "", _M, shapes=(((),), ((0,),))),
    _norm("vector_norm", "axis", _M, torch=lambda torch, x: torch.linalg.vector_norm(x, dim=-1, keepdim=True), axis=-1, keepdims=True),
    *[_norm("vector_norm", f"{ord}".replace("-", "minus-").replace(".", "-"), Input((2, 3), 0.3, 1.5, True), ord=ord)
      for ord in (_INF, -_INF, 1, 0.5, 3, -1, -2.5)],
    _norm("matrix_norm", "fro", _M, shapes=(*_EDGES, ((2, 1, 2),))),
    _norm("matrix_norm", "keepdims", Input((2, 1, 2)), ord="nuc", keepdims=True,
          torch=lambda torch, x: torch.linalg.matrix_norm(x, "nuc", keepdim=True)),
    *[_norm("matrix_norm", f"{ord}".replace("-", "minus-"), Input((3, 2), 0.3, 1.5, True), ord=ord)
      for ord in ("nuc", 1, -1, 2, -2, _INF, -_INF)],
    _shaped("linalg.matmul", "", la.matmul, _M, Input((3, 2))),
    _shaped("linalg.matrix_transpose", "", la.matrix_transpose, _M),
    _shaped("linalg.tensordot", "", la.tensordot, _M, _M),
    _shaped("linalg.vecdot", "", la.vecdot, _M, _M),
]

def _fft(name: str, dtypes: tuple[str, ...] = RC) -> list[Spec]:
    """A transform with every normalization, of even and odd sizes, cut and filled with zeros."""
    function = getattr(rustorch.fft, name)
    size = "s" if name.endswith("n") else "n"
    calls = [{"norm": "ortho"}, {"norm": "forward"}, *({size: (n,) if size == "s" else n} for n in (1, 2, 3, 6, 7))]
    return [
        _shaped(f"fft.{name}", "-".join(map(str, options.values())).strip("(,)"), lambda x, options=options: function(x, **options),
                Input((2, 4)), dtypes=dtypes, shapes=(((3,),),) if size == "s" else (((3,),), ((0, 2),)),
                torch=lambda torch, x, options=options: getattr(torch.fft, name)(x, **options))
        for options in ({}, *calls)
    ]


FFT = [
    *_fft("fft"), *_fft("ifft"), *_fft("fftn"), *_fft("ifftn"), *_fft("rfft", R), *_fft("irfft"), *_fft("rfftn", R), *_fft("irfftn"),
    *_fft("hfft"), *_fft("ihfft", R),
    *[_shaped(f"fft.{name}", "axes", lambda x, name=name: getattr(rustorch.fft, name)(x, axes=(1, 0), s=(3, -1)), Input((2, 2, 1)),
              dtypes=dtypes, torch=lambda torch, x, name=name: getattr(torch.fft, name)(x, dim=(1, 0), s=(3, -1)))
      for name, dtypes in (("fftn", RC), ("ifftn", RC), ("rfftn", R), ("irfftn", RC))],
    *[_shaped(f"fft.{name}", "axis", lambda x, name=name: getattr(rustorch.fft, name)(x, axis=0), Input((3, 2)),
              dtypes=dtypes, torch=lambda torch, x, name=name: getattr(torch.fft, name)(x, dim=0))
      for name, dtypes in (("fft", RC), ("ifft", RC), ("rfft", R), ("irfft", RC), ("hfft", RC), ("ihfft", R))],
    _shaped("fft.fftshift", "", rustorch.fft.fftshift, _M, shapes=_EDGES, torch=lambda torch, x: torch.fft.fftshift(x)),
    _shaped("fft.fftshift", "axes", lambda x: rustorch.fft.fftshift(x, axes=(1,)), _M),
    _shaped("fft.ifftshift", "", rustorch.fft.ifftshift, _M, shapes=_EDGES, torch=lambda torch, x: torch.fft.ifftshift(x)),
]

MANIPULATION = [
    _shaped("broadcast_arrays", "", rustorch.broadcast_arrays, Input((2, 1)), Input((3,))),
    _shaped("broadcast_to", "", lambda x: rustorch.broadcast_to(x, (2, 2, 3)), Input((2, 1)), shapes=(((),),)),
    _shaped("concat", "", lambda *xs: rustorch.concat(xs, axis=-1), _M, Input((2, 1)), shapes=(((2, 0), (2, 2)),),
            torch=lambda torch, *xs: torch.concat(xs, -1)),
    _shaped("concat", "flat", lambda *xs: rustorch.concat(xs, axis=None), _M, Input((2,))),
    _shaped("concat", "twice", lambda x: rustorch.concat([x, x], axis=0), _M),
    _shaped("expand_dims", "", lambda x: rustorch.expand_dims(x, axis=1), _M, shapes=_EDGES),
    _shaped("flip", "", rustorch.flip, _M, shapes=_EDGES),
    _shaped("flip", "axis", lambda x: rustorch.flip(x, axis=-1), _M),
    _shaped("moveaxis", "", lambda x: rustorch.moveaxis(x, 0, -1), Input((2, 1, 3))),
    _shaped("permute_dims", "", lambda x: rustorch.permute_dims(x, (1, 2, 0)), Input((2, 1, 3)), shapes=(((0, 1, 3),),)),
    _shaped("repeat", "number", lambda x: rustorch.repeat(x, 2, axis=1), _M, shapes=_EDGES),
    _shaped("repeat", "flat", lambda x: rustorch.repeat(x, 3), Input((2, 2)),
            torch=lambda torch, x: torch.repeat_interleave(x, 3)),
    _shaped("repeat", "array", lambda x: rustorch.repeat(x, _ints([2, 0, 3], x), axis=1), _M),
    _shaped("reshape", "", lambda x: rustorch.reshape(x, (3, -1)), _M, shapes=(((0, 3),),)),
    _shaped("reshape", "flat", lambda x: rustorch.reshape(x, (-1,)), _M, shapes=(((),),)),
    _shaped("roll", "", lambda x: rustorch.roll(x, 2, axis=-1), _M, shapes=_EDGES),
    _shaped("roll", "flat", lambda x: rustorch.roll(x, -1), _M),
    _shaped("roll", "axes", lambda x: rustorch.roll(x, (1, -2), axis=(0, 1)), _M),
    _shaped("squeeze", "", lambda x: rustorch.squeeze(x, axis=(0, 2)), Input((1, 3, 1)), shapes=(((1, 0, 1),),)),
    _shaped("stack", "", lambda *xs: rustorch.stack(xs, axis=1), _M, _M, shapes=(((0, 3), (0, 3)), ((1, 2), (1, 2))),
            torch=lambda torch, *xs: torch.stack(xs, 1)),
    _shaped("tile", "", lambda x: rustorch.tile(x, (2, 1, 2)), Input((2, 2)), torch=lambda torch, x: torch.tile(x, (2, 1, 2))),
    _shaped("unstack", "", lambda x: rustorch.unstack(x, axis=1), _M, torch=lambda torch, x: torch.unbind(x, 1)),
    _shaped("unstack", "products", lambda x: (lambda a, b: a * b)(*rustorch.unstack(x)), _M),
]

REST = [
    _shaped("asarray", "", lambda x: rustorch.asarray(x, copy=True), _M, shapes=(((),), ((0,),))),
    _shaped("astype", "", lambda x: rustorch.astype(x, rustorch.complex128), _M),
    _shaped("diff", "", rustorch.diff, _M, torch=lambda torch, x: torch.diff(x)),
    _shaped("diff", "twice", lambda x, a, b: rustorch.diff(x, axis=0, n=2, prepend=a, append=b), _M,
            Input((1, 3)), Input((1, 3))),
    _shaped("meshgrid", "", rustorch.meshgrid, Input((2,)), Input((3,))),
    _shaped("meshgrid", "ij", lambda *xs: rustorch.meshgrid(*xs, indexing="ij"), Input((2,)), Input((3,)),
            torch=lambda torch, *xs: torch.meshgrid(*xs, indexing="ij")),
    _shaped("sort", "", rustorch.sort, Input((2, 4)), dtypes=R, shapes=(((2, 0),),), torch=lambda torch, x: torch.sort(x)[0]),
    _shaped("sort", "descending", lambda x: rustorch.sort(x, axis=0, descending=True), Input((4, 2)), dtypes=R,
            torch=lambda torch, x: torch.sort(x, 0, descending=True)[0]),
    _shaped("sort", "squares", lambda x: rustorch.sort(x * x)[..., :2], Input((4,), 0.3, 1.5), dtypes=R),
    _shaped("take", "", lambda x: rustorch.take(x, _ints([2, 0, 2, -1], x), axis=1), _M,
            torch=lambda torch, x: torch.index_select(x, 1, torch.tensor([2, 0, 2, 2]))),
    _shaped("take", "none", lambda x: rustorch.take(x, _ints([0, 1], x)[:0], axis=0), _M),
    _shaped("take_along_axis", "", lambda x: rustorch.take_along_axis(x, _ints([[2, 2, 0, -1], [1, 0, 0, 0]], x)), _M,
            torch=lambda torch, x: torch.take_along_dim(x, torch.tensor([[2, 2, 0, 2], [1, 0, 0, 0]]), 1)),
    _shaped("take_along_axis", "broadcast", lambda x: rustorch.take_along_axis(x, _ints([[1, 1]], x), axis=1), _M,
            torch=lambda torch, x: torch.take_along_dim(x, torch.tensor([[1, 1]]), 1)),
    _shaped("tril", "", rustorch.tril, _M, torch=_same("tril"), shapes=(((0, 2),), ((1, 2, 2),))),
    _shaped("triu", "diagonal", lambda x: rustorch.triu(x, k=1), _M, torch=lambda torch, x: torch.triu(x, 1)),
    _shaped("unique_all", "", lambda x: rustorch.unique_all(_repeated(x)), _M),
    _shaped("unique_counts", "", lambda x: rustorch.unique_counts(_repeated(x)), _M),
    _shaped("unique_inverse", "", lambda x: rustorch.unique_inverse(_repeated(x)), _M),
    _shaped("unique_values", "", lambda x: rustorch.unique_values(_repeated(x)), _M, shapes=(((),), ((0,),)), dtypes=R,
            torch=lambda torch, x: torch.sort(torch.reshape(x * x, (-1,)))[0]),
    _shaped("where", "", lambda x, y: rustorch.where(_ints([[True, False, True]], x), x, y), _M, Input((3,)),
            shapes=(((), (3,)), ((0, 3), ())), torch=lambda torch, x, y: torch.where(torch.tensor([[True, False, True]]), x, y)),
    _shaped("where", "number", lambda x: rustorch.where(x > 0, x, 2.0), _M, dtypes=R),
]


def _softmax_like(name: str) -> Callable[..., Any]:
    primitive = getattr(network, name)
    return lambda x: primitive(x, 1)


def _assigned(x: Any, v: Any, key: Any) -> Any:
    y = x * x
    y[key] = v
    return y * y


def _labels(x: Any) -> Any:
    return _ints([2, 0], x)


#: Primitives under names of their own: what operators and layers are made of.
INTERNAL = [
    _shaped("getitem", "slices", lambda x: x[::-1, 1:], _M, shapes=(((0, 3),),)),
    _shaped("getitem", "integer", lambda x: x[1], _M),
    _shaped("getitem", "element", lambda x: x[1, -1], _M),
    _shaped("getitem", "new-axis", lambda x: x[None, ..., 0], _M),
    _shaped("getitem", "repeats", lambda x: x[_ints([1, 0, 1], x)], _M, torch=lambda torch, x: x[torch.tensor([1, 0, 1])]),
    _shaped("getitem", "pairs", lambda x: x[_ints([1, 0, 1], x), _ints([2, 2, 2], x)], _M,
            torch=lambda torch, x: x[torch.tensor([1, 0, 1]), torch.tensor([2, 2, 2])]),
    _shaped("getitem", "mask", lambda x: x[_ints([[True, False, True], [False, False, True]], x)], _M),
    _shaped("put", "row", lambda x, v: _assigned(x, v, (0, ...)), _M, Input((3,))),
    _shaped("put", "number", lambda x: _assigned(x, 2.0, (slice(None), 1)), _M),
    _shaped("put", "broadcast", lambda x, v: _assigned(x, v, (slice(None), slice(1, None))), _M, Input((2, 1))),
    _shaped("linear", "", network.linear, _M, Input((2, 3)), Input((2,)),
            torch=lambda torch, *xs: torch.nn.functional.linear(*xs),
            dtypes=R, shapes=(((3,), (2, 3), (2,)), ((2, 1, 3), (2, 3), (2,)), ((0, 3), (2, 3), (2,)))),
    _shaped("linear", "no-bias", lambda x, w: network.linear(x, w, None), _M, Input((2, 3)), dtypes=R),
    _shaped("linear_grad_weight", "", network.linear_grad_weight, Input((2, 2)), _M, dtypes=R),
    _shaped("relu", "", network.relu, Input((2, 3), 0.2, 1.5, True), dtypes=R, shapes=(((),), ((0,),)), torch=_same("relu")),
    _shaped("sigmoid", "", network.sigmoid, _M, dtypes=R, shapes=(((),), ((0,),)), torch=_same("sigmoid")),
    _shaped("softmax", "", _softmax_like("softmax"), _M, dtypes=R, shapes=(((0, 3),),),
            torch=lambda torch, x: torch.softmax(x, 1)),
    _shaped("log_softmax", "", _softmax_like("log_softmax"), _M, dtypes=R, shapes=(((0, 3),),),
            torch=lambda torch, x: torch.log_softmax(x, 1)),
    _shaped("logsumexp", "", _softmax_like("logsumexp"), _M, dtypes=R, shapes=(((0, 3),),),
            torch=lambda torch, x: torch.logsumexp(x, 1, True)),
    _shaped("cross_entropy", "labels", lambda x: network.cross_entropy(x, _labels(x), None, None, "mean"), _M, dtypes=R,
            torch=lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([2, 0]))),
    _shaped("cross_entropy", "rows", lambda x: network.cross_entropy(x, _labels(x), None, None, "none"), _M, dtypes=R,
            torch=lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([2, 0]), reduction="none")),
    _shaped("cross_entropy", "weights",
            lambda x: network.cross_entropy(x, _labels(x), _ints([3, 0, 2], x).astype(x.dtype), None, "mean"), _M, dtypes=R),
    _shaped("cross_entropy", "ignored", lambda x: network.cross_entropy(x, _labels(x), None, 2, "mean"), _M, dtypes=R,
            torch=lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([2, 0]), ignore_index=2)),
    _shaped("cross_entropy", "probabilities", lambda x, t: network.cross_entropy(x, t, None, None, "mean"), _M,
            Input((2, 3), 0.1, 0.9), dtypes=R,
            torch=lambda torch, x, t: torch.nn.functional.cross_entropy(x, t)),
    _shaped("mse", "", lambda x, t: network.mse(x, t, 6), _M, _M, dtypes=R,
            torch=lambda torch, x, t: torch.nn.functional.mse_loss(x, t)),
    _shaped("mse", "broadcast", lambda x, t: network.mse(x, t, 6), _M, Input((3,)), dtypes=R),
]
# fmt: on

SPECS = [*ELEMENTWISE, *STATISTICAL, *LINEAR_ALGEBRA, *LINALG, *FFT, *MANIPULATION, *REST]

#: Functions without gradients.
NOT_DIFFERENTIABLE = frozenset(value.name for value in VALUES)

CONSTANTS = frozenset(("e", "inf", "nan", "newaxis", "pi"))


def public_functions() -> set[str]:
    """The standard's functions by name, those of extensions as ``linalg.det``."""
    found = set()
    for name in [*ops.__all__, "fft", "linalg"]:
        value = getattr(rustorch, name)
        if isinstance(value, ModuleType):
            found |= {f"{name}.{inner}" for inner in value.__all__}
        else:
            found.add(name)
    return found

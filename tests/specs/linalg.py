"""Products of matrices, and the extension ``linalg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rustorch
from rustorch import linalg as la
from tests.specs.spec import EMPTY, MATRIX, RC, Input, Spec, same, shaped

LINEAR_ALGEBRA = [
    shaped("matmul", "matrices", rustorch.matmul, MATRIX, Input((3, 2)), torch=same("matmul"),
           shapes=(((0, 3), (3, 2)), ((2, 0), (0, 2)), ((1, 3), (3, 0)))),
    shaped("matmul", "vectors", rustorch.matmul, Input((3,)), Input((3,)), shapes=(((0,), (0,)),),
           torch=same("matmul")),
    shaped("matmul", "left-vector", rustorch.matmul, Input((3,)), Input((3, 2)), torch=same("matmul")),
    shaped("matmul", "right-vector", rustorch.matmul, MATRIX, Input((3,)), torch=same("matmul")),
    shaped("matmul", "batch", rustorch.matmul, Input((2, 1, 2)), Input((2, 2)), torch=same("matmul"),
           shapes=(((0, 1, 2), (2, 2)),)),
    shaped("matmul", "batches", rustorch.matmul, Input((2, 1, 1, 2)), Input((2, 2, 1)), torch=same("matmul")),
    shaped("matrix_transpose", "", rustorch.matrix_transpose, MATRIX, shapes=(*EMPTY, ((2, 1, 2),)),
           torch=lambda torch, x: x.mT),
    shaped("tensordot", "number", lambda x, y: rustorch.tensordot(x, y, axes=1), MATRIX, Input((3, 2)),
           torch=lambda torch, x, y: torch.tensordot(x, y, 1)),
    shaped("tensordot", "axes", lambda x, y: rustorch.tensordot(x, y, axes=((0,), (1,))), MATRIX, Input((2, 2)),
           torch=lambda torch, x, y: torch.tensordot(x, y, ((0,), (1,)))),
    shaped("tensordot", "outer", lambda x, y: rustorch.tensordot(x, y, axes=0), Input((2,)), Input((2,))),
    shaped("vecdot", "", rustorch.vecdot, MATRIX, Input((3,)), torch=lambda torch, x, y: torch.linalg.vecdot(x, y),
           shapes=(((2, 0), (0,)),)),
    shaped("vecdot", "axis", lambda x, y: rustorch.vecdot(x, y, axis=-2), MATRIX, Input((2, 1))),
]  # fmt: skip


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
    return shaped(
        f"linalg.{name}",
        variant,
        lambda x: function(_regular(x), **options),
        Input((2, 2)),
        shapes=(((0, 0),), ((2, 1, 1),), ((3, 3),), ((0, 2, 2),)),
        torch=(lambda torch, x: getattr(torch.linalg, name)(_regular_torch(torch, x))) if torch else None,
    )


def _norm(
    name: str,
    variant: str,
    x: Input,
    dtypes: tuple[str, ...] = RC,
    shapes: tuple = (),
    torch: Any = None,
    **options: Any,
) -> Spec:
    function = getattr(la, name)
    if torch is None:
        torch = lambda torch, x: getattr(torch.linalg, name)(x, **options)  # noqa: E731
    return shaped(
        f"linalg.{name}", variant, lambda x: function(x, **options), x, dtypes=dtypes, shapes=shapes, torch=torch
    )


_INF = float("inf")
LINALG = [
    _of_regular("inv"), _of_regular("det"), _of_regular("slogdet"),
    shaped("linalg.solve", "", lambda x, y: la.solve(_regular(x), y), Input((2, 2)), MATRIX, order=2,
           shapes=(((2, 2), (2, 1)), ((2, 1, 1), (1, 2)), ((0, 0), (0, 2)), ((2, 2), (2, 0)), ((2, 2), (2, 2, 1))),
           torch=lambda torch, x, y: torch.linalg.solve(_regular_torch(torch, x), y)),
    shaped("linalg.solve", "vector", lambda x, y: la.solve(_regular(x), y), Input((2, 2)), Input((2,)),
           torch=lambda torch, x, y: torch.linalg.solve(_regular_torch(torch, x), y)),
    shaped("linalg.cholesky", "", lambda x: la.cholesky(_regular(x @ _h(x))), Input((2, 2)),
           shapes=(((0, 0),), ((2, 1, 1),), ((3, 3),)),
           torch=lambda torch, x: torch.linalg.cholesky(_regular_torch(torch, x @ x.mH))),
    shaped("linalg.cholesky", "upper", lambda x: la.cholesky(_regular(x @ _h(x)), upper=True), Input((2, 2)),
           torch=lambda torch, x: torch.linalg.cholesky(_regular_torch(torch, x @ x.mH), upper=True)),
    shaped("linalg.eigh", "", lambda x: _eigen(la.eigh, x + _h(x)), Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
           torch=lambda torch, x: [torch.linalg.eigh(x + x.mH)[0], torch.linalg.eigh(x + x.mH)[1].abs() ** 2]),
    shaped("linalg.eigvalsh", "", lambda x: la.eigvalsh(x + _h(x)), Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
           torch=lambda torch, x: torch.linalg.eigvalsh(x + x.mH)),
    shaped("linalg.eig", "", lambda x: _eigen(la.eig, x), Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
           torch=lambda torch, x: [torch.linalg.eig(x)[0], torch.linalg.eig(x)[1].abs() ** 2]),
    shaped("linalg.eigvals", "", la.eigvals, Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
           torch=lambda torch, x: torch.linalg.eigvals(x)),
    shaped("linalg.qr", "", la.qr, Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)),
           torch=lambda torch, x: torch.linalg.qr(x)),
    shaped("linalg.qr", "tall", la.qr, Input((3, 2)), torch=lambda torch, x: torch.linalg.qr(x)),
    shaped("linalg.qr", "wide", la.qr, MATRIX, shapes=(((2, 1, 3),),), torch=lambda torch, x: torch.linalg.qr(x)),
    shaped("linalg.qr", "complete", lambda x: la.qr(x, mode="complete"), Input((2, 2)), shapes=(((2, 3),),),
           torch=lambda torch, x: torch.linalg.qr(x, mode="complete")),
    shaped("linalg.svd", "", _svd, Input((2, 2)), shapes=(((3, 3),), ((2, 1, 1),)), torch=_svd_torch),
    shaped("linalg.svd", "tall", _svd, Input((3, 2)), torch=_svd_torch),
    shaped("linalg.svd", "wide", _svd, MATRIX, torch=_svd_torch),
    *[shaped("linalg.svd", f"full-{name}", lambda x: _svd(x, True), x,
             torch=lambda torch, x: _svd_torch(torch, x, True))
      for name, x in (("tall", Input((3, 2))), ("wide", MATRIX))],
    shaped("linalg.svdvals", "", la.svdvals, MATRIX, shapes=(((3, 2),), ((2, 1, 2),)),
           torch=lambda torch, x: torch.linalg.svdvals(x)),
    shaped("linalg.pinv", "tall", la.pinv, Input((3, 2)), shapes=(((2, 2, 1),),),
           torch=lambda torch, x: torch.linalg.pinv(x)),
    shaped("linalg.pinv", "wide", lambda x: la.pinv(x, rtol=1e-9), MATRIX, torch=lambda torch, x: torch.linalg.pinv(x)),
    # (of a constant PyTorch keeps no graph)
    *[shaped("linalg.matrix_power", f"{n}".replace("-", "minus-"), lambda x, n=n: la.matrix_power(_regular(x) / 3, n),
             Input((2, 2)), torch=lambda torch, x, n=n: torch.linalg.matrix_power(_regular_torch(torch, x) / 3, n))
      for n in (-2, 1, 2, 5)],
    shaped("linalg.cross", "", la.cross, MATRIX, Input((3,)), shapes=(((0, 3), (3,)), ((2, 1, 3), (2, 3))),
           torch=lambda torch, x, y: torch.linalg.cross(x, y[None])),
    shaped("linalg.cross", "axis", lambda x, y: la.cross(x, y, axis=-2), Input((3, 2)), Input((3, 1))),
    shaped("linalg.outer", "", la.outer, Input((2,)), Input((3,)), shapes=(((0,), (3,)),), torch=same("outer")),
    shaped("linalg.diagonal", "", la.diagonal, MATRIX, shapes=(*EMPTY, ((2, 1, 2),)),
           torch=lambda torch, x: torch.diagonal(x)),
    shaped("linalg.diagonal", "above", lambda x: la.diagonal(x, offset=1), Input((2, 2, 3)),
           torch=lambda torch, x: torch.diagonal(x, 1, -2, -1)),
    shaped("linalg.diagonal", "below", lambda x: la.diagonal(x, offset=-1), Input((3, 2)),
           shapes=(((1, 2),), ((4, 4),)),
           torch=lambda torch, x: torch.diagonal(x, -1)),
    shaped("linalg.trace", "", la.trace, MATRIX, shapes=(*EMPTY, ((2, 2, 2),)),
           torch=lambda torch, x: torch.diagonal(x).sum(-1)),
    shaped("linalg.trace", "offset", lambda x: la.trace(x, offset=-1, dtype=rustorch.complex128), MATRIX),
    _norm("vector_norm", "", MATRIX, shapes=(((),), ((0,),))),
    _norm("vector_norm", "axis", MATRIX,
           torch=lambda torch, x: torch.linalg.vector_norm(x, dim=-1, keepdim=True), axis=-1, keepdims=True),
    *[_norm("vector_norm", f"{ord}".replace("-", "minus-").replace(".", "-"), Input((2, 3), 0.3, 1.5, True), ord=ord)
      for ord in (_INF, -_INF, 1, 0.5, 3, -1, -2.5)],
    _norm("matrix_norm", "fro", MATRIX, shapes=(*EMPTY, ((2, 1, 2),))),
    _norm("matrix_norm", "keepdims", Input((2, 1, 2)), ord="nuc", keepdims=True,
          torch=lambda torch, x: torch.linalg.matrix_norm(x, "nuc", keepdim=True)),
    *[_norm("matrix_norm", f"{ord}".replace("-", "minus-"), Input((3, 2), 0.3, 1.5, True), ord=ord)
      for ord in ("nuc", 1, -1, 2, -2, _INF, -_INF)],
    shaped("linalg.matmul", "", la.matmul, MATRIX, Input((3, 2))),
    shaped("linalg.matrix_transpose", "", la.matrix_transpose, MATRIX),
    shaped("linalg.tensordot", "", la.tensordot, MATRIX, MATRIX),
    shaped("linalg.vecdot", "", la.vecdot, MATRIX, MATRIX),
]  # fmt: skip

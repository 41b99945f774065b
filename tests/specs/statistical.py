"""Reductions, and running sums and products."""

from __future__ import annotations

import rustorch
from tests.specs.spec import MATRIX, RC, Input, R, Spec, shaped


def _reduction(
    name: str, low: float = -1.5, high: float = 1.5, dtypes: tuple[str, ...] = R, empty: bool = False
) -> list[Spec]:
    """A reduction of all elements, of one axis, of several; ``empty`` if there is one of no elements."""
    f, x = getattr(rustorch, name), Input((2, 3), low, high)
    return [
        shaped(name, "all", f, x, dtypes=dtypes, shapes=(((),), ((2, 0),)) if empty else (((1, 2),),)),
        # (of a variance of no rows PyTorch warns)
        shaped(
            name,
            "axis",
            lambda x: f(x, axis=-1),
            x,
            dtypes=dtypes,
            shapes=(() if name in ("var", "std") else (((0, 3),),)) + ((((2, 0),),) if empty else ()),
        ),
        shaped(name, "axes", lambda x: f(x, axis=(0, 2), keepdims=True), Input((2, 1, 2), low, high), dtypes=dtypes),
    ]


STATISTICAL = [
    *_reduction("sum", dtypes=RC, empty=True), *_reduction("prod", 0.5, 1.5, dtypes=RC, empty=True),
    *_reduction("mean", dtypes=RC), *_reduction("max"), *_reduction("min"), *_reduction("var"), *_reduction("std"),
    shaped("sum", "no-axes", lambda x: rustorch.sum(x, axis=()), Input((2,))),
    shaped("max", "no-axes", lambda x: rustorch.max(x, axis=()), Input((2,)), dtypes=R),
    shaped("prod", "zeros", lambda x: rustorch.prod(rustorch.concat([x, 0 * x[:1], x]), axis=0), Input((3,))),
    shaped("var", "correction", lambda x: rustorch.var(x, axis=1, correction=1), MATRIX, dtypes=R,
           torch=lambda torch, x: torch.var(x, dim=1, correction=1)),
    shaped("std", "correction", lambda x: rustorch.std(x, correction=1.0), MATRIX, dtypes=R,
           torch=lambda torch, x: torch.std(x, correction=1)),
    shaped("cumulative_sum", "", rustorch.cumulative_sum, Input((4,)), shapes=(((0,),), ((1,),)),
           torch=lambda torch, x: torch.cumsum(x, 0)),
    shaped("cumulative_sum", "initial", lambda x: rustorch.cumulative_sum(x, axis=0, include_initial=True), MATRIX),
    shaped("cumulative_prod", "", rustorch.cumulative_prod, Input((4,)), shapes=(((0,),), ((1,),)),
           torch=lambda torch, x: torch.cumprod(x, 0)),
    shaped("cumulative_prod", "initial", lambda x: rustorch.cumulative_prod(x, axis=1, include_initial=True), MATRIX),
]  # fmt: skip

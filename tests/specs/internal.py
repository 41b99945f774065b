"""Primitives under names of their own: what operators and layers are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rustorch.ops import network
from tests.specs.spec import MATRIX, Input, R, integers, same, shaped


def _softmax_like(name: str) -> Callable[..., Any]:
    primitive = getattr(network, name)
    return lambda x: primitive(x, 1)


def _assigned(x: Any, v: Any, key: Any) -> Any:
    y = x * x
    y[key] = v
    return y * y


def _labels(x: Any) -> Any:
    return integers([2, 0], x)


INTERNAL = [
    shaped("getitem", "slices", lambda x: x[::-1, 1:], MATRIX, shapes=(((0, 3),),)),
    shaped("getitem", "integer", lambda x: x[1], MATRIX),
    shaped("getitem", "element", lambda x: x[1, -1], MATRIX),
    shaped("getitem", "new-axis", lambda x: x[None, ..., 0], MATRIX),
    shaped("getitem", "repeats", lambda x: x[integers([1, 0, 1], x)], MATRIX,
           torch=lambda torch, x: x[torch.tensor([1, 0, 1])]),
    shaped("getitem", "pairs", lambda x: x[integers([1, 0, 1], x), integers([2, 2, 2], x)], MATRIX,
           torch=lambda torch, x: x[torch.tensor([1, 0, 1]), torch.tensor([2, 2, 2])]),
    shaped("getitem", "mask", lambda x: x[integers([[True, False, True], [False, False, True]], x)], MATRIX),
    shaped("put", "row", lambda x, v: _assigned(x, v, (0, ...)), MATRIX, Input((3,))),
    shaped("put", "number", lambda x: _assigned(x, 2.0, (slice(None), 1)), MATRIX),
    shaped("put", "broadcast", lambda x, v: _assigned(x, v, (slice(None), slice(1, None))), MATRIX, Input((2, 1))),
    shaped("linear", "", network.linear, MATRIX, Input((2, 3)), Input((2,)),
           torch=lambda torch, *xs: torch.nn.functional.linear(*xs),
           dtypes=R, shapes=(((3,), (2, 3), (2,)), ((2, 1, 3), (2, 3), (2,)), ((0, 3), (2, 3), (2,)))),
    shaped("linear", "no-bias", lambda x, w: network.linear(x, w, None), MATRIX, Input((2, 3)), dtypes=R),
    shaped("linear_grad_weight", "", network.linear_grad_weight, Input((2, 2)), MATRIX, dtypes=R),
    shaped("pad_constant", "", lambda x: network.pad_constant(x, ((1, -1), (0, 2)), 0.5), MATRIX,
           torch=lambda torch, x: torch.nn.functional.pad(x, (0, 2, 1, -1), value=0.5)),
    shaped("relu", "", network.relu, Input((2, 3), 0.2, 1.5, True), dtypes=R, shapes=(((),), ((0,),)),
           torch=same("relu")),
    shaped("sigmoid", "", network.sigmoid, MATRIX, dtypes=R, shapes=(((),), ((0,),)), torch=same("sigmoid")),
    shaped("softmax", "", _softmax_like("softmax"), MATRIX, dtypes=R, shapes=(((0, 3),),),
           torch=lambda torch, x: torch.softmax(x, 1)),
    shaped("log_softmax", "", _softmax_like("log_softmax"), MATRIX, dtypes=R, shapes=(((0, 3),),),
           torch=lambda torch, x: torch.log_softmax(x, 1)),
    shaped("logsumexp", "", _softmax_like("logsumexp"), MATRIX, dtypes=R, shapes=(((0, 3),),),
           torch=lambda torch, x: torch.logsumexp(x, 1, True)),
    shaped("cross_entropy", "labels", lambda x: network.cross_entropy(x, _labels(x), None, None, "mean"), MATRIX,
           dtypes=R,
           torch=lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([2, 0]))),
    shaped("cross_entropy", "rows", lambda x: network.cross_entropy(x, _labels(x), None, None, "none"), MATRIX,
           dtypes=R,
           torch=lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([2, 0]), reduction="none")),
    shaped("cross_entropy", "weights",
           lambda x: network.cross_entropy(x, _labels(x), integers([3, 0, 2], x).astype(x.dtype), None, "mean"), MATRIX,
           dtypes=R),
    shaped("cross_entropy", "ignored", lambda x: network.cross_entropy(x, _labels(x), None, 2, "mean"), MATRIX,
           dtypes=R,
           torch=lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor([2, 0]), ignore_index=2)),
    shaped("cross_entropy", "probabilities", lambda x, t: network.cross_entropy(x, t, None, None, "mean"), MATRIX,
           Input((2, 3), 0.1, 0.9), dtypes=R,
           torch=lambda torch, x, t: torch.nn.functional.cross_entropy(x, t)),
    shaped("mse", "", lambda x, t: network.mse(x, t, 6), MATRIX, MATRIX, dtypes=R,
           torch=lambda torch, x, t: torch.nn.functional.mse_loss(x, t)),
    shaped("mse", "broadcast", lambda x, t: network.mse(x, t, 6), MATRIX, Input((3,)), dtypes=R),
]  # fmt: skip

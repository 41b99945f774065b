"""Losses and functions of rows with their formulas. Points at which a formula does not hold are beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from math import inf, isinf
from typing import Any

from mpmath import mp, mpf

import rustorch
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.special.precise import Formula, Function
from tests.special.tables import constant, exp, softplus, unless_infinite


# -- losses, without a reduction ---------------------------------------------------------------------------------------
def _loss(
    name: str,
    formula: Formula,
    kinks: Callable[..., Any] = lambda *x: ...,
    variant: str = "",
    arity: int = 1,
    linear: bool = False,
    **options: Any,
) -> Function:
    """A loss as a function of its input for one target, or of input and target if the arity is 2."""
    function, target = getattr(F, name), options.pop("target", None)

    def call(*xs: Any) -> Any:
        y = xs[1] if arity == 2 else rustorch.full_like(xs[0], target)
        return function(xs[0], y, reduction="none", **options)

    return Function(
        " ".join(filter(None, (name, variant, "" if target is None else str(target)))),
        call,
        formula,
        arity,
        kinks,
        linear,
    )


def _huber(d: Any, delta: float) -> Any:
    return d * d / 2 if abs(d) <= delta else delta * (abs(d) - mpf(delta) / 2)


def _edges(*edges: float) -> Callable[..., Any]:
    """There is no second derivative if the difference is one of the edges, and no difference of two infinities."""
    return lambda x, y: None if (isinf(x) and isinf(y)) or abs(x - y) in edges else ...


def _likelihood(x: Any, y: Any) -> Any:
    return (1 - y) * x + softplus(-x)


def _hinge(x: float) -> Any:
    return None if x == 1 else ...


REGRESSION = [
    _loss("mse_loss", lambda x, y: (x - y) ** 2, unless_infinite, arity=2),
    _loss(
        "l1_loss",
        lambda x, y: abs(x - y),
        lambda x, y: (0.0,) * 6 if x == y and not isinf(x) else unless_infinite(x, y),
        arity=2,
    ),
    _loss("smooth_l1_loss", lambda x, y: _huber(x - y, 1), _edges(1.0), arity=2),
    _loss(
        "smooth_l1_loss",
        lambda x, y: _huber(x - y, 1e-30) / mpf(1e-30),
        _edges(0.0),
        "of a tiny beta",
        arity=2,
        beta=1e-30,
    ),
    _loss("huber_loss", lambda x, y: _huber(x - y, 1), _edges(1.0), arity=2),
    _loss("huber_loss", lambda x, y: _huber(x - y, 1e4), _edges(1e4), "of a large delta", arity=2, delta=1e4),
]

LIKELIHOOD = [
    *[
        _loss("binary_cross_entropy_with_logits", lambda x, y=y: _likelihood(x, mpf(y)), target=y)
        for y in (0.0, 0.25, 1.0)
    ],
    *[_loss("soft_margin_loss", lambda x, y=y: softplus(-y * x), target=y) for y in (1.0, -1.0)],
    _loss("kl_div", lambda x: mpf(0), lambda x: (0.0, 0.0, 0.0), target=0.0, linear=True),
    *[_loss("kl_div", lambda x, y=y: y * (mp.log(y) - x), target=y, linear=True) for y in (0.25, 1.0)],
    *[
        _loss(
            "kl_div",
            lambda x, y=y: mp.exp(y) * (y - x),
            variant="of logarithms",
            target=y,
            log_target=True,
            linear=True,
        )
        for y in (0.0, -2.0)
    ],
    *[_loss("poisson_nll_loss", lambda x, y=y: exp(x) - y * x, target=y) for y in (0.0, 3.0)],
    *[
        _loss("hinge_embedding_loss", lambda x, y=y: x if y > 0 else max(1 - x, mpf(0)), _hinge, target=y, linear=True)
        for y in (1.0, -1.0)
    ],
]


def _beyond(x: float, y: float) -> Any:
    """Two infinities have no difference, and the difference of two huge numbers may be beyond the dtype."""
    return None if (isinf(x) and isinf(y)) or (abs(x) > 1e38 and abs(y) > 1e38) else ...


def _gaussian(variance: float) -> Function:
    of_variance = constant(lambda: mp.log(mpf(variance)))
    return Function(
        f"gaussian_nll_loss {variance}",
        lambda x, y: F.gaussian_nll_loss(x, y, rustorch.full_like(x, variance), reduction="none"),
        lambda x, y: (of_variance + (x - y) ** 2 / mpf(variance)) / 2,
        2,
        _beyond,
    )


GAUSSIAN = [_gaussian(variance) for variance in (0.5, 1e20)]


def _classes(name: str, call: Callable[..., Any], formula: Formula) -> Function:
    """A function of the logits of three classes."""

    def kinks(*x: float) -> Any:
        # there is no limit if a logit is infinity, or if all logits are minus infinity
        return None if inf in x or max(x) == -inf else ...

    # the results are sums and differences of probabilities and of their logarithms
    return Function(
        name,
        lambda *x: call(rustorch.stack(list(x), axis=1)),
        formula,
        3,
        kinks,
        scale=lambda *x: 1.0,
        value_too=True,
        numbers=(0.0, 1.0, -1.0, 30.0, -30.0, 1e30, -inf),
        step=300,
        huge=(120, 160),
    )


def _log_sum(*x: Any) -> Any:
    top = max(x)
    return top + mp.log(sum(exp(z - top) for z in x))


def _target(x: Any, value: int) -> Any:
    return rustorch.full((x.shape[0],), value, dtype=rustorch.int64, device=x.device)


CLASSES = [
    _classes("softmax", lambda x: F.softmax(x, dim=1)[:, 0], lambda *x: exp(x[0] - _log_sum(*x))),
    _classes("log_softmax", lambda x: F.log_softmax(x, dim=1)[:, 0], lambda *x: x[0] - _log_sum(*x)),
    _classes("logsumexp", lambda x: network.logsumexp.call(x, 1)[:, 0], _log_sum),
    _classes(
        "cross_entropy", lambda x: F.cross_entropy(x, _target(x, 0), reduction="none"), lambda *x: _log_sum(*x) - x[0]
    ),
    _classes(
        "cross_entropy smooth",
        lambda x: F.cross_entropy(x, _target(x, 0), reduction="none", label_smoothing=0.25),
        lambda *x: _log_sum(*x) - x[0] * mpf(5) / 6 - (x[1] + x[2]) / 12,
    ),
]


def _margins(*x: Any) -> Any:
    return (max(1 - x[0] + x[1], mpf(0)) + max(1 - x[0] + x[2], mpf(0))) / 3


def _margin_edges(*x: float) -> Any:
    """There is no derivative if a difference is exactly the margin, and no difference of infinite logits."""
    return None if isinf(max(x, key=abs)) or 1 in (x[0] - x[1], x[0] - x[2]) else ...


def _probability(target: float) -> Function:
    return Function(
        f"binary_cross_entropy {target}",
        lambda x: F.binary_cross_entropy(x, rustorch.full_like(x, target), reduction="none"),
        lambda x: -mp.log(x if target else 1 - x),
        numbers=(1e-3, 0.25, 0.5, 0.75, 0.999),
    )


SEVERAL = [
    _probability(0.0),
    _probability(1.0),
    Function(
        "margin_ranking_loss",
        lambda a, b: F.margin_ranking_loss(a, b, rustorch.ones_like(a), reduction="none"),
        lambda a, b: max(b - a, mpf(0)),
        2,
        lambda a, b: None if a == b else ...,
        linear=True,
    ),
    dataclasses.replace(
        _classes("multi_margin_loss", lambda x: F.multi_margin_loss(x, _target(x, 0), reduction="none"), _margins),
        kinks=_margin_edges,
    ),
    _classes(
        "multilabel_soft_margin_loss",
        lambda x: F.multilabel_soft_margin_loss(x, rustorch.zeros_like(x), reduction="none"),
        lambda *x: sum(map(softplus, x)) / 3,
    ),
]


# -- reductions of three numbers ---------------------------------------------------------------------------------------
def _row(
    name: str, call: Callable[..., Any], formula: Formula, kinks: Callable[..., Any], scale: Callable[..., float]
) -> Function:
    return Function(
        name,
        lambda *x: call(rustorch.stack(list(x), axis=1)),
        formula,
        3,
        kinks,
        scale=scale,
        numbers=(0.0, 1.5e-38, 1.0, -3.0, 1e20, -1e38),
        step=300,
        ulps=(128, 128, 256),
    )


def _origin(*x: float) -> Any:
    """The subgradient 0, and no second derivatives."""
    return (0.0, 0.0, 0.0, 0.0, *[None] * 6) if not any(x) else ...


def _norm(order: float) -> Function:
    def formula(*x: Any) -> Any:
        return sum(abs(z) ** mpf(order) for z in x) ** (1 / mpf(order))

    # Second derivatives are differences of numbers of the size of the reciprocal norm. The exponent 1 / order is
    # rounded: the root of a sum s is off by log(s) units.
    return _row(
        f"vector_norm {order}",
        lambda x: rustorch.linalg.vector_norm(x, axis=1, ord=order),
        formula,
        _origin,
        lambda *x: 1 / max(map(abs, x)) if any(x) else 0.0,
    )


def _mean_square(*x: Any) -> Any:
    mean = sum(x) / 3
    return sum((z - mean) ** 2 for z in x) / 3


ROWS = [
    _norm(2),
    _norm(3),
    _row(
        "pairwise_distance",
        lambda x: F.pairwise_distance(x, rustorch.zeros_like(x), eps=0.0),
        lambda *x: mp.sqrt(sum(z * z for z in x)),
        lambda *x: ... if any(x) else None,
        lambda *x: 1 / max(map(abs, x)) if any(x) else 0.0,
    ),
    _row("mean", lambda x: rustorch.mean(x, axis=1), lambda *x: sum(x) / 3, lambda *x: ..., lambda *x: 0.0),
    _row("prod", lambda x: rustorch.prod(x, axis=1), lambda *x: x[0] * x[1] * x[2], lambda *x: ..., lambda *x: 0.0),
]

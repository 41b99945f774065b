"""The functions with their formulas. What a formula does not say about a point stands beside it, with its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from math import copysign, inf, isinf, log, nan
from typing import Any

import mpmath
from mpmath import mp, mpf

import rustorch
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.special.precise import Formula, Function

#: exp(_FAR) is infinite in float64, and exp(-_FAR) is 0.
_FAR = 2000


def _exp(x: Any) -> Any:
    """The exponential; where it is beyond float64, another function that is, with its derivatives: mpmath's takes seconds there."""
    return mpf(0) if x < -_FAR else mpf(2) ** 10_000 * x**4 if x > _FAR else mp.exp(x)


def _constant(value: Any) -> Any:
    """A number with the digits that a constant needs, computed once."""
    with mpmath.workprec(300):
        return value()


_LOG2, _LOG10 = _constant(lambda: mp.log(2)), _constant(lambda: mp.log(10))


def _oscillates(*x: float) -> Any:
    """At infinity: no limit, and NumPy's value is nan."""
    return (nan, None, None) if isinf(x[0]) else ...


def _pole(value: Callable[[float], tuple]) -> Callable[..., Any]:
    """At 0 and -0, two limits."""
    return lambda x: value(x) if x == 0 else ...


def _negative_zero(x: float) -> Any:
    """1 / -0. is -inf, as in PyTorch: no limit of the domain's only side."""
    return None if x == 0 and copysign(1, x) < 0 else ...


def _at(*cases: tuple[float, Any]) -> Callable[..., Any]:
    table = dict(cases)
    return lambda x: table.get(x, ...)


def _unary(name: str, formula: Formula | None = None, kinks: Callable[..., Any] = lambda x: ..., **more: Any) -> Function:
    return Function(name, getattr(rustorch, name), formula or getattr(mp, name), kinks=kinks, **more)


def _step(name: str) -> Function:
    """Constant but for jumps: the derivatives are 0 everywhere, at the jumps, too."""
    return Function(name, getattr(rustorch, name), lambda x: x, kinks=lambda x: (None, 0.0, 0.0), linear=True)


UNARY = [
    _unary("abs", mp.fabs, _at((0.0, (0.0, 0.0, 0.0)))),  # PyTorch's convention at the kink
    _unary("acos"),
    _unary("acosh"),
    _unary("asin"),
    _unary("asinh"),
    _unary("atan"),
    _unary("atanh"),
    _unary("cos", kinks=_oscillates),
    _unary("cosh", lambda x: (_exp(x) + _exp(-x)) / 2),
    _unary("exp", _exp),
    _unary("expm1", lambda x: _exp(x) - 1),
    _unary("log", kinks=_negative_zero),
    _unary("log10", lambda x: mp.log(x) / _LOG10, _negative_zero),
    _unary("log1p", lambda x: mp.log(1 + x)),
    _unary("log2", lambda x: mp.log(x) / _LOG2, _negative_zero),
    _unary("negative", lambda x: -x, linear=True),
    _unary("positive", lambda x: x, linear=True),
    _unary("reciprocal", lambda x: 1 / x, _pole(lambda x: (copysign(inf, x), -inf, copysign(inf, x)))),
    _unary("sin", kinks=_oscillates),
    _unary("sinh", lambda x: (_exp(x) - _exp(-x)) / 2),
    _unary("sqrt", kinks=_negative_zero),
    _unary("square", lambda x: x * x),
    _unary("tan", kinks=_oscillates),
    _unary("tanh"),
    *map(_step, ("ceil", "floor", "round", "sign", "trunc")),
]


def _power(n: float) -> Function:
    """``x ** n``; at a zero, a negative power has a limit at either side."""

    def special(x: float) -> Any:
        if x == -inf and n % 1:
            return None  # infinite by IEEE 754, nan by way of a square root
        if x == 0 and copysign(1, x) < 0 and n % 1:
            return None  # PyTorch goes by way of a square root, which keeps the sign of -0
        if x != 0 or n >= 0:
            return ...
        return (copysign(inf, x) if n % 2 == 1 else inf), copysign(inf, -x if n % 2 == 0 else -1.0), None

    return Function(f"pow {n}", lambda x: x**n, lambda x: x ** mpf(n) if x or n > 0 else mpf(0), kinks=special)


POWERS = [_power(n) for n in (2, 3, 4, 5, 8, -1, -2, -3, 2.0, 3.0, -2.0, 0.5, 1.5, -0.5)]


def _normal(x: Any) -> Any:
    """The distribution function of the normal distribution; beyond 40 it is 0 or 1 in float64, and mpmath's erfc takes seconds."""
    return mpf(x > 0) if abs(x) > 40 else mp.erfc(-x / mp.sqrt(2)) / 2


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + _exp(-x)) if x > 0 else _exp(x) / (1 + _exp(x))


def _softplus(x: Any) -> Any:
    return x + mp.log(1 + _exp(-x)) if x > 0 else mp.log(1 + _exp(x))


def _clamped(low: float, x: Any, high: float) -> Any:
    return max(mpf(low), min(x, mpf(high)))


# -- activations ---------------------------------------------------------------------------------------------------------------------
def _gelu_tanh(x: Any) -> Any:
    return x * _sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3))


def _smooth(name: str, formula: Formula, kinks: Callable[..., Any] = lambda x: ..., call: Any = None) -> Function:
    return Function(name, call or getattr(F, name), formula, kinks=kinks)


def _piecewise(name: str, formula: Formula, edges: dict[float, tuple[float, float]], call: Any = None) -> Function:
    """Linear between edges: ``edges`` holds PyTorch's value and derivative there. The second derivative is 0 everywhere."""
    return Function(name, call or getattr(F, name), formula, linear=True,
                    kinks=lambda x: (*edges[x], 0.0) if x in edges else ...)  # fmt: skip


_SELU = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")

SMOOTH = [
    _smooth("celu", lambda x: max(x, 0) + min(0, _exp(min(x, mpf(0))) - 1), _at((0.0, (0.0, 1.0, None)))),
    _smooth("elu", lambda x: x if x > 0 else _exp(x) - 1, _at((0.0, (0.0, 1.0, None)))),
    _smooth("gelu", lambda x: x * _normal(x)),
    _smooth("gelu tanh", _gelu_tanh, call=lambda x: F.gelu(x, approximate="tanh")),
    _smooth("logsigmoid", lambda x: -_softplus(-x)),
    _smooth("mish", lambda x: x * mp.tanh(min(_softplus(x), mpf(_FAR)))),
    _smooth("selu", lambda x: _SELU[0] * (x if x > 0 else _SELU[1] * (_exp(x) - 1)), _at((0.0, (0.0, float(_SELU[0] * _SELU[1]), None)))),
    _smooth("sigmoid", _sigmoid),
    _smooth("silu", lambda x: x * _sigmoid(x)),
    # linear above the threshold of 20; at the threshold PyTorch's formula is the curved one
    _smooth("softplus", lambda x: x if x > 20 else _softplus(x), _at((20.0, None))),
    _smooth("softsign", lambda x: x / (1 + abs(x)), _at((0.0, (0.0, 1.0, None)))),
    _smooth("tanh", mp.tanh),
    # the value is the difference, as in PyTorch
    Function("tanhshrink", F.tanhshrink, lambda x: x - mp.tanh(x), ulps=(inf, 16, 32)),
]  # fmt: skip

PIECEWISE = [
    _piecewise("hardshrink", lambda x: x if abs(x) > 0.5 else mpf(0), {0.5: (0.0, 0.0), -0.5: (0.0, 0.0)}),
    _piecewise("hardsigmoid", lambda x: _clamped(0, x / 6 + 0.5, 1), {3.0: (1.0, 0.0), -3.0: (0.0, 0.0)}),
    _piecewise("hardtanh", lambda x: _clamped(-1, x, 1), {1.0: (1.0, 0.0), -1.0: (-1.0, 0.0)}),
    _piecewise("leaky_relu", lambda x: x if x > 0 else x / 100, {0.0: (0.0, 0.01)}),
    _piecewise("prelu", lambda x: x if x > 0 else x / 4, {0.0: (0.0, 0.25)},
               lambda x: F.prelu(x, rustorch.asarray([0.25], dtype=x.dtype, device=x.device))),
    _piecewise("relu", lambda x: max(x, mpf(0)), {0.0: (0.0, 0.0)}),
    _piecewise("relu6", lambda x: _clamped(0, x, 6), {0.0: (0.0, 0.0), 6.0: (6.0, 0.0)}),
    _piecewise("rrelu", lambda x: x if x > 0 else x * mpf(11) / 48, {0.0: (0.0, 11 / 48)}),
    _piecewise("softshrink", lambda x: mp.sign(x) * max(abs(x) - 0.5, mpf(0)), {0.5: (0.0, 0.0), -0.5: (0.0, 0.0)}),
    _piecewise("threshold", lambda x: x if x > 1 else mpf(20), {1.0: (20.0, 0.0)}, lambda x: F.threshold(x, 1.0, 20.0)),
    # a parabola between lines; at its ends any subgradient will do
    Function("hardswish", F.hardswish, lambda x: x * _clamped(0, x / 6 + 0.5, 1),
             kinks=lambda x: None if abs(x) == 3 else ..., linear=True),
]  # fmt: skip


# -- two arguments -------------------------------------------------------------------------------------------------------------------
def _binary(name: str, formula: Formula, kinks: Callable[..., Any] = lambda x1, x2: ..., **more: Any) -> Function:
    return Function(name, getattr(rustorch, name), formula, 2, kinks, **more)


def _tie(value: float) -> tuple:
    return value, 0.5, 0.5, 0.0, 0.0, 0.0


def _unless_infinite(x1: float, x2: float) -> Any:
    """Two infinities have no difference and no quotient."""
    return None if isinf(x1) and isinf(x2) else ...


def _quotient(x1: float, x2: float) -> Any:
    """A division by 0 has two limits; two infinities have no quotient."""
    return None if x2 == 0 or (isinf(x1) and isinf(x2)) else ...


def _angle(x1: float, x2: float) -> Any:
    if x1 == x2 == 0:
        return None, 0.0, 0.0, None, None, None  # PyTorch's convention
    # On the branch cut the value jumps. At infinity the angle of two infinities is a convention of IEEE 754.
    return (None, 0.0, 0.0, None, None, None) if isinf(x1) or isinf(x2) else None if x1 == 0 and x2 < 0 else ...


def _length(x1: float, x2: float) -> Any:
    if x1 == x2 == 0:
        return 0.0, 0.0, 0.0, None, None, None  # the subgradient; second derivatives do not exist
    return (inf, None, None, None, None, None) if isinf(x1) and isinf(x2) else ...


def _logaddexp(x1: Any, x2: Any) -> Any:
    return max(x1, x2) + mp.log(1 + _exp(-abs(x1 - x2)))


def _both_low(x1: float, x2: float) -> Any:
    # the limit of equal arguments; twice infinity is one, too
    return (x1, 0.5, 0.5, None, None, None) if x1 == x2 and isinf(x1) else ...


def _raised(x1: Any, x2: Any) -> Any:
    """``x1 ** x2``; where it is beyond float64, another function that is, with its derivatives."""
    size = x2 * mp.log(x1)
    return x1**x2 if abs(size) < _FAR else mpf(0) if size < 0 else mpf(2) ** 10_000 * x1 ** (4 * mp.sign(x2)) * x2**4


def _positive(x1: float, x2: float) -> Any:
    """Infinite arguments, and bases of 0, are conventions of IEEE 754. A power below the smallest normal number is 0 on some devices."""
    if isinf(x1) or isinf(x2) or x1 <= 0:
        return None
    size = -x2 * log(x1)
    return None if 87 < size < 104 or 708 < size < 746 else ...


BINARY = [
    _binary("add", lambda x1, x2: x1 + x2, _unless_infinite, linear=True),
    _binary("atan2", mp.atan2, _angle),
    _binary("copysign", lambda x1, x2: abs(x1) * (1 if x2 > 0 else -1), lambda x1, x2: None if x1 == 0 or x2 == 0 else ...),
    _binary("divide", lambda x1, x2: x1 / x2, _quotient),
    _binary("hypot", lambda x1, x2: mp.sqrt(x1 * x1 + x2 * x2), _length),
    _binary("logaddexp", _logaddexp, _both_low),
    _binary("maximum", max, lambda x1, x2: _tie(x1) if x1 == x2 else ..., linear=True),
    _binary("minimum", min, lambda x1, x2: _tie(x1) if x1 == x2 else ..., linear=True),
    _binary("multiply", lambda x1, x2: x1 * x2, lambda x1, x2: None if isinf(x1) or isinf(x2) else ...),
    _binary("pow", _raised, _positive),
    _binary("subtract", lambda x1, x2: x1 - x2, _unless_infinite, linear=True),
]  # fmt: skip


# -- losses, without a reduction -------------------------------------------------------------------------------------------------------
def _loss(name: str, formula: Formula, kinks: Callable[..., Any] = lambda *x: ..., variant: str = "", arity: int = 1,
          linear: bool = False, **options: Any) -> Function:  # fmt: skip
    """A loss of inputs for one target, or of inputs and targets if its arity is 2."""
    function, target = getattr(F, name), options.pop("target", None)

    def call(*xs: Any) -> Any:
        y = xs[1] if arity == 2 else rustorch.full_like(xs[0], target)
        return function(xs[0], y, reduction="none", **options)

    return Function(
        " ".join(filter(None, (name, variant, "" if target is None else str(target)))), call, formula, arity, kinks, linear
    )


def _huber(d: Any, delta: float) -> Any:
    return d * d / 2 if abs(d) <= delta else delta * (abs(d) - mpf(delta) / 2)


def _edges(*edges: float) -> Callable[..., Any]:
    """No second derivative where a difference is an edge; no difference of two infinities."""
    return lambda x, y: None if (isinf(x) and isinf(y)) or abs(x - y) in edges else ...


def _likelihood(x: Any, y: Any) -> Any:
    return (1 - y) * x + _softplus(-x)


def _hinge(x: float) -> Any:
    return None if x == 1 else ...


REGRESSION = [
    _loss("mse_loss", lambda x, y: (x - y) ** 2, _unless_infinite, arity=2),
    _loss("l1_loss", lambda x, y: abs(x - y), lambda x, y: (0.0,) * 6 if x == y and not isinf(x) else _unless_infinite(x, y), arity=2),
    _loss("smooth_l1_loss", lambda x, y: _huber(x - y, 1), _edges(1.0), arity=2),
    _loss("smooth_l1_loss", lambda x, y: _huber(x - y, 1e-30) / mpf(1e-30), _edges(0.0), "of a tiny beta", arity=2, beta=1e-30),
    _loss("huber_loss", lambda x, y: _huber(x - y, 1), _edges(1.0), arity=2),
    _loss("huber_loss", lambda x, y: _huber(x - y, 1e4), _edges(1e4), "of a large delta", arity=2, delta=1e4),
]  # fmt: skip

LIKELIHOOD = [
    *[_loss("binary_cross_entropy_with_logits", lambda x, y=y: _likelihood(x, mpf(y)), target=y) for y in (0.0, 0.25, 1.0)],
    *[_loss("soft_margin_loss", lambda x, y=y: _softplus(-y * x), target=y) for y in (1.0, -1.0)],
    _loss("kl_div", lambda x: mpf(0), lambda x: (0.0, 0.0, 0.0), target=0.0, linear=True),
    *[_loss("kl_div", lambda x, y=y: y * (mp.log(y) - x), target=y, linear=True) for y in (0.25, 1.0)],
    *[_loss("kl_div", lambda x, y=y: mp.exp(y) * (y - x), variant="of logarithms", target=y, log_target=True, linear=True)
      for y in (0.0, -2.0)],
    *[_loss("poisson_nll_loss", lambda x, y=y: _exp(x) - y * x, target=y) for y in (0.0, 3.0)],
    *[_loss("hinge_embedding_loss", lambda x, y=y: x if y > 0 else max(1 - x, mpf(0)), _hinge, target=y, linear=True) for y in (1.0, -1.0)],
]  # fmt: skip


def _beyond(x: float, y: float) -> Any:
    """Two infinities have no difference; and that of two huge numbers may be no number of the dtype."""
    return None if (isinf(x) and isinf(y)) or (abs(x) > 1e38 and abs(y) > 1e38) else ...


def _gaussian(variance: float) -> Function:
    of_variance = _constant(lambda: mp.log(mpf(variance)))
    return Function(f"gaussian_nll_loss {variance}",
                    lambda x, y: F.gaussian_nll_loss(x, y, rustorch.full_like(x, variance), reduction="none"),
                    lambda x, y: (of_variance + (x - y) ** 2 / mpf(variance)) / 2, 2, _beyond)  # fmt: skip


GAUSSIAN = [_gaussian(variance) for variance in (0.5, 1e20)]


def _classes(name: str, call: Callable[..., Any], formula: Formula) -> Function:
    """A function of the logits of three classes."""

    def kinks(*x: float) -> Any:
        # a logit of infinity has no limit; where all are minus infinity there is none, either
        return None if inf in x or max(x) == -inf else ...

    # numbers are sums and differences of probabilities and their logarithms
    return Function(name, lambda *x: call(rustorch.stack(list(x), axis=1)), formula, 3, kinks,
                    scale=lambda *x: 1.0, value_too=True, numbers=(0.0, 1.0, -1.0, 30.0, -30.0, 1e30, -inf),
                    step=300, huge=(120, 160))  # fmt: skip


def _log_sum(*x: Any) -> Any:
    top = max(x)
    return top + mp.log(sum(_exp(z - top) for z in x))


def _target(x: Any, value: int) -> Any:
    return rustorch.full((x.shape[0],), value, dtype=rustorch.int64, device=x.device)


CLASSES = [
    _classes("softmax", lambda x: F.softmax(x, dim=1)[:, 0], lambda *x: _exp(x[0] - _log_sum(*x))),
    _classes("log_softmax", lambda x: F.log_softmax(x, dim=1)[:, 0], lambda *x: x[0] - _log_sum(*x)),
    _classes("logsumexp", lambda x: network.logsumexp.call(x, 1)[:, 0], _log_sum),
    _classes("cross_entropy", lambda x: F.cross_entropy(x, _target(x, 0), reduction="none"), lambda *x: _log_sum(*x) - x[0]),
    _classes("cross_entropy smooth", lambda x: F.cross_entropy(x, _target(x, 0), reduction="none", label_smoothing=0.25),
             lambda *x: _log_sum(*x) - x[0] * mpf(5) / 6 - (x[1] + x[2]) / 12),
]  # fmt: skip


def _margins(*x: Any) -> Any:
    return (max(1 - x[0] + x[1], mpf(0)) + max(1 - x[0] + x[2], mpf(0))) / 3


def _margin_edges(*x: float) -> Any:
    """No derivative where a margin is kept exactly; of infinite logits no difference."""
    return None if isinf(max(x, key=abs)) or 1 in (x[0] - x[1], x[0] - x[2]) else ...


def _probability(target: float) -> Function:
    return Function(f"binary_cross_entropy {target}",
                    lambda x: F.binary_cross_entropy(x, rustorch.full_like(x, target), reduction="none"),
                    lambda x: -mp.log(x if target else 1 - x), numbers=(1e-3, 0.25, 0.5, 0.75, 0.999))  # fmt: skip


SEVERAL = [
    _probability(0.0),
    _probability(1.0),
    Function("margin_ranking_loss", lambda a, b: F.margin_ranking_loss(a, b, rustorch.ones_like(a), reduction="none"),
             lambda a, b: max(b - a, mpf(0)), 2, lambda a, b: None if a == b else ..., linear=True),
    dataclasses.replace(
        _classes("multi_margin_loss", lambda x: F.multi_margin_loss(x, _target(x, 0), reduction="none"), _margins), kinks=_margin_edges
    ),
    _classes("multilabel_soft_margin_loss", lambda x: F.multilabel_soft_margin_loss(x, rustorch.zeros_like(x), reduction="none"),
             lambda *x: sum(map(_softplus, x)) / 3),
]  # fmt: skip


# -- reductions of three numbers ------------------------------------------------------------------------------------------------------
def _row(
    name: str, call: Callable[..., Any], formula: Formula, kinks: Callable[..., Any], scale: Callable[..., float]
) -> Function:
    return Function(name, lambda *x: call(rustorch.stack(list(x), axis=1)), formula, 3, kinks, scale=scale,
                    numbers=(0.0, 1.5e-38, 1.0, -3.0, 1e20, -1e38), step=300, ulps=(128, 128, 256))  # fmt: skip


def _origin(*x: float) -> Any:
    """The subgradient 0, and no second derivatives."""
    return (0.0, 0.0, 0.0, 0.0, *[None] * 6) if not any(x) else ...


def _norm(order: float) -> Function:
    def formula(*x: Any) -> Any:
        return sum(abs(z) ** mpf(order) for z in x) ** (1 / mpf(order))

    # Second derivatives are differences of numbers of the size of the reciprocal norm. The exponent 1 / order is rounded: the root of a
    # sum s is off by log(s) units.
    return _row(f"vector_norm {order}", lambda x: rustorch.linalg.vector_norm(x, axis=1, ord=order), formula, _origin,
                lambda *x: 1 / max(map(abs, x)) if any(x) else 0.0)  # fmt: skip


def _mean_square(*x: Any) -> Any:
    mean = sum(x) / 3
    return sum((z - mean) ** 2 for z in x) / 3


ROWS = [
    _norm(2),
    _norm(3),
    _row("pairwise_distance", lambda x: F.pairwise_distance(x, rustorch.zeros_like(x), eps=0.0),
         lambda *x: mp.sqrt(sum(z * z for z in x)), lambda *x: ... if any(x) else None, lambda *x: 1 / max(map(abs, x)) if any(x) else 0.0),
    _row("mean", lambda x: rustorch.mean(x, axis=1), lambda *x: sum(x) / 3, lambda *x: ..., lambda *x: 0.0),
    _row("prod", lambda x: rustorch.prod(x, axis=1), lambda *x: x[0] * x[1] * x[2], lambda *x: ..., lambda *x: 0.0),
]  # fmt: skip

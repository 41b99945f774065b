"""Elementwise functions."""

from __future__ import annotations

import rustorch
from tests.specs.spec import MATRIX, C, Input, R, binary, same, shaped, unary

ELEMENTWISE = [
    unary("conj", torch=lambda torch, x: torch.conj_physical(x)),
    unary("sign", 0.3, 1.5, signs=True, torch=lambda torch, x: torch.sgn(x)),
    unary("abs", 0.3, 1.5, signs=True), unary("acos", -0.8, 0.8), unary("acosh", 1.3, 3.0), unary("asin", -0.8, 0.8),
    unary("asinh"), unary("atan"), unary("atanh", -0.8, 0.8), unary("cos"), unary("cosh"), unary("exp"),
    unary("expm1"), unary("log", 0.3, 3.0), unary("log1p", -0.6, 2.0), unary("log2", 0.3, 3.0),
    unary("log10", 0.3, 3.0),
    unary("negative"), unary("positive"), unary("reciprocal", 0.5, 2.0, signs=True),
    unary("sin"), unary("sinh"), unary("sqrt", 0.3, 3.0), unary("square"), unary("tan", -1.0, 1.0), unary("tanh"),
    unary("real", dtypes=C), unary("imag", dtypes=C),
    unary("ceil", 0.1, 0.9, dtypes=R), unary("floor", 0.1, 0.9, dtypes=R), unary("round", 0.6, 1.4, dtypes=R),
    unary("trunc", 1.1, 1.9, signs=True, dtypes=R),

    binary("add"), binary("subtract"), binary("multiply"), binary("divide", two=(0.5, 2.0, True)),
    binary("pow", (0.5, 2.0), (-2.0, 2.0)), binary("atan2", (0.3, 1.5, True), (0.3, 1.5, True), dtypes=R),
    binary("hypot", (0.3, 1.5, True), (0.3, 1.5, True), dtypes=R), binary("logaddexp", dtypes=R),
    binary("maximum", (0.1, 1.5), (-0.3, 1.9), dtypes=R), binary("minimum", (0.1, 1.5), (-0.3, 1.9), dtypes=R),
    binary("copysign", (0.3, 1.5, True), (0.3, 1.5, True), dtypes=R),
    # quotients between 2.1 and 2.7: no difference crosses the next integer
    binary("floor_divide", (2.1, 2.4), (0.9, 1.0), dtypes=R, torch=False), binary("remainder", (2.1, 2.4), (0.9, 1.0),
           dtypes=R),

    shaped("add", "number", lambda x: 2.0 + x + 1, MATRIX),
    shaped("subtract", "number", lambda x: 2.0 - (x - 1), MATRIX),
    shaped("multiply", "number", lambda x: 2.0 * x * 3, MATRIX),
    shaped("divide", "number", lambda x: 2.0 / x / 3, Input((2, 3), 0.5, 2.0, True)),
    shaped("pow", "cube", lambda x: x**3, MATRIX, torch=lambda torch, x: x**3),
    shaped("pow", "zeroth", lambda x: x**0, MATRIX, torch=lambda torch, x: x**0),
    shaped("pow", "of-two", lambda x: 2.0**x, MATRIX, torch=lambda torch, x: 2.0**x),
    shaped("pow", "repeated", lambda x: x * x * x, MATRIX),
    shaped("clip", "numbers", lambda x: rustorch.clip(x, -0.5, 0.7), Input((2, 4)), dtypes=R, shapes=(((),), ((0,),)),
           torch=lambda torch, x: torch.clip(x, -0.5, 0.7)),
    shaped("clip", "low", lambda x: rustorch.clip(x, min=-0.2), Input((4,)), dtypes=R,
           torch=lambda torch, x: torch.clip(x, min=-0.2)),
    shaped("clip", "high", lambda x: rustorch.clip(x, max=0.2), Input((4,)), dtypes=R,
           torch=lambda torch, x: torch.clip(x, max=0.2)),
    shaped("clip", "arrays", rustorch.clip, Input((2, 3), -2.0, 2.0), Input((3,), -1.0, -0.5), Input((2, 1), 0.5, 1.0),
           dtypes=R,
           torch=same("clip")),
]  # fmt: skip

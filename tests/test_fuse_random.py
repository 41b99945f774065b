"""fuse on random expressions: values, gradients and second gradients against the function itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rustorch
from rustorch.backends.numba.availability import wanted
from rustorch.nn import functional as F
from tests.support.target import Target
from tests.test_fuse import check, derivatives

#: Functions whose derivatives stay moderate for moderate numbers. The others have cases of their own in
#: backends/test_fusing.py.
UNARY = (
    "rustorch.abs", "rustorch.asinh", "rustorch.atan", "rustorch.cos", "rustorch.exp", "rustorch.floor",
    "rustorch.negative", "rustorch.positive", "rustorch.sign", "rustorch.sin", "rustorch.sinh", "rustorch.square",
    "rustorch.tanh", "rustorch.zeros_like", "rustorch.ones_like", "F.relu", "F.gelu", "F.silu", "F.sigmoid", "F.mish",
    "F.softplus", "F.elu", "F.hardtanh", "F.leaky_relu", "F.tanhshrink", "F.logsigmoid",
)  # fmt: skip
BINARY = ("rustorch.atan2", "rustorch.hypot", "rustorch.logaddexp", "rustorch.maximum", "rustorch.minimum",
          "rustorch.copysign")  # fmt: skip
NUMBERS = st.sampled_from(["0", "1", "2", "-1", "0.5", "-0.25", "1.5", "a", "(1 - a)", "(a * 2 + 1)"])
SHAPES = st.sampled_from([(50, 100), (100,), (50, 1), (), (1, 1)])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions made of smaller ones."""
    either = st.one_of(inner, NUMBERS)
    condition = st.builds("({} {} {})".format, inner, st.sampled_from(["<", ">", "<=", ">=", "==", "!="]), either)
    both = st.builds("({} {} {})".format, condition, st.sampled_from("&|^"), condition)
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(UNARY), inner),
        st.builds("{}({}, {})".format, st.sampled_from(BINARY), inner, either),
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), either),
        st.builds("({} {} {})".format, either, st.sampled_from("+-*"), inner),
        st.builds("({} / (1 + rustorch.square({})))".format, either, inner),
        st.builds("({} ** {})".format, inner, st.sampled_from(["0", "1", "2", "3"])),
        st.builds("(rustorch.exp({}) ** {})".format, inner, either),
        st.builds("rustorch.where({}, {}, {})".format, st.one_of(condition, both), inner, either),
        st.builds("rustorch.clip({}, {}, {})".format, inner, st.sampled_from(["None", "-0.5", "-a"]), NUMBERS),
        st.builds("rustorch.astype({}, x.dtype)".format, condition),
    )


EXPRESSIONS = st.recursive(st.sampled_from(["x", "y", "z"]), larger, max_leaves=5)


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loops serve from the first call on."""
    monkeypatch.setattr("rustorch.backends.numba.kernel.PATIENT", 0)
    with numpy.errstate(all="ignore"):
        yield


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_expressions(backend: Target) -> None:
    explained: list[str] = []

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(
        text=EXPRESSIONS,
        shapes=st.tuples(st.just((50, 100)), SHAPES, SHAPES),
        tracked=st.tuples(st.booleans(), st.booleans(), st.booleans()),
        a=st.sampled_from([0.5, 2, 0.0, -1.5]),
        dtype=st.sampled_from(["float32", "float64"]),
        seed=st.integers(0, 100),
    )
    def compare(text: str, shapes: Any, tracked: Any, a: float, dtype: str, seed: int) -> None:
        function = eval(f"lambda x, y, z, a: {text}", {"rustorch": rustorch, "F": F})
        fused, draw = rustorch.fuse(function), numpy.random.default_rng(seed)
        arrays = [
            backend.variable(draw.standard_normal(shape), dtype, requires_grad=need)
            for shape, need in zip(shapes, tracked, strict=True)
        ]
        try:
            expected = derivatives(function, arrays, a)
        except Exception as error:
            with pytest.raises(type(error)):
                derivatives(fused, arrays, a)
            return
        if all(bool(numpy.isfinite(backend.numpy(x.detach())).all()) for x in expected if x is not None):
            check(derivatives(fused, arrays, a), expected, 1e5)
            explained.append(fused.explain(*arrays, a))

    compare()
    if backend.device == "cuda" or (backend.device == "cpu" and wanted()):
        assert sum(text.startswith("one ") for text in explained) > 5, explained

"""Every layer refuses bad input: the error names the layer, what it expects and what it got, and nothing changes."""

from __future__ import annotations

import re
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import backends, nn
from tests.nn.bad_input import LINES
from tests.nn.messages import MESSAGES
from tests.support.errors import KINDS, raised_here
from tests.support.target import Target

CPU = Target(backends.resolve("cpu"))
#: Lines whose only error is in the values of arrays.
BY_VALUE = {
    "MaxUnpool2d(2)(f(1, 1, *[2] * 2), i([10_000] * 2 ** 2).reshape(1, 1, *[2] * 2))", "Embedding(5, 3)(i([1, 5]))",
    "Embedding(5, 3)(i([-1, 2]))", "CrossEntropyLoss()(f(2, 3), i([0, 3]))",
    "MultiLabelMarginLoss()(f(2, 3), i([[0, -2, -1], [0, -2, -1]]))", "BCELoss()(at(0.5), at(3.0))",
    "CTCLoss()(f(4, 2, 3), i([[1, 2], [2, 1]]), (4, 1), (2, 2))",
}  # fmt: skip
#: What an error may name instead of the layer: a part of it, or a function that it calls.
PARTS = {
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy",
    "Conv1d": "pad",
    "Conv2d": "pad",
    "Conv3d": "pad",
    "Transformer": "MultiheadAttention",
    "TransformerEncoderLayer": "MultiheadAttention",
    "TransformerDecoderLayer": "MultiheadAttention",
    "Upsample": "interpolate",
    "UpsamplingBilinear2d": "interpolate",
    "UpsamplingNearest2d": "interpolate",
}


class _Line:
    """Runs a line of the table. It remembers the layer and the state before the call."""

    def __init__(self, target: Target):
        self.target = target
        self.module: Any = None
        self.before: Any = None

    def state(self) -> Any:
        values = {} if self.module is None else self.module.state_dict()
        generators = [rustorch.random.get_rng_state(device).tolist() for device in {"cpu", self.target.device}]
        return generators, {name: self.target.numpy(value).tolist() for name, value in values.items()}

    def run(self, line: str) -> None:
        self.before = self.state()
        names = {
            "f": lambda *shape: self.new(
                numpy.linspace(-1, 1, numpy.prod(shape, dtype=int)).reshape(shape).astype("float32")
            ),
            "shares": lambda *shape: self.new(numpy.full(shape, 0.25, "float32")),
            "b": lambda *shape: self.new(numpy.zeros(shape, bool)),
            "i": lambda values: self.new(numpy.array(values)),
            "at": lambda value: self.new(numpy.array([value], "float32")),
            "nan": numpy.nan,
            "F": nn.functional,
        }
        eval(line, {name: self.maker(getattr(nn, name)) for name in nn.__all__} | names)

    def new(self, array: numpy.ndarray) -> Any:
        return rustorch.asarray(array, device=self.target.device)

    def maker(self, cls: Any) -> Any:
        def make(*args: Any, **kwargs: Any) -> Any:
            self.module = cls(*args, **kwargs).to(self.target.device)
            self.before = self.state()
            return self.module

        return make


def _error(line: str, target: Target) -> Exception:
    """The error of a line. It must come from rustorch, and the layer and the generators must not have changed."""
    context = _Line(target)
    with pytest.raises(KINDS) as caught:
        context.run(line)
    assert raised_here(caught.value), f"raised from within another library: {caught.value}"
    assert context.state() == context.before
    return caught.value


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


@pytest.mark.parametrize("line", LINES)
def test_bad_input_raises_by_name_and_changes_nothing(line: str) -> None:
    error = _error(line, CPU)
    name = line.removeprefix("F.").split("(")[0]
    message = _plain(str(error))
    assert re.sub(r"loss$|[123]d$", "", _plain(name)) in message or PARTS.get(name, name) in str(error)
    if ")(" in line:
        assert any(note.startswith(f"in {name}") for note in error.__notes__)


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("F.") and ")(" not in line])
def test_an_error_of_a_constructor_names_the_subclass(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = line.split("(")[0]
    expected = str(_error(line, CPU))
    monkeypatch.setattr(nn, name, type("Derived", (getattr(nn, name),), {}))
    assert str(_error(line, CPU)) == re.sub(rf"^{name}\b", "Derived", expected)


@pytest.mark.parametrize("line", MESSAGES)
def test_the_message_is_the_same_on_every_backend(line: str, backend: Target) -> None:
    if line in BY_VALUE and not backend.library.readable:
        _Line(backend).run(line)  # reading the values would wait for the device; other tests cover this
        return
    error = _error(line, backend)
    assert f"{type(error).__name__}: {error}" == MESSAGES[line]


def test_every_message_belongs_to_a_line_of_the_table() -> None:
    assert set(MESSAGES) >= BY_VALUE
    assert set(MESSAGES) <= set(LINES)
    assert sorted(set(LINES)) == sorted(LINES)

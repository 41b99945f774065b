"""The table of derivatives: it has every public function, and a dash and a reason for what is missing or fails."""

from __future__ import annotations

import re

import pytest

import rustorch
from tests import table
from tests.specs import CONSTANTS, Input, Spec, public_functions
from tests.values import Value

#: The cells of all devices but the first.
EMPTY = ("",) * (len(table.BACKENDS) - 1)


def test_the_table_has_just_the_public_functions() -> None:
    text = table.written(*table.rows(table.promised, table.BACKENDS))
    public, _ = text.split("## Primitives behind")
    names = re.findall(r"^\| \{py:obj\}`([\w.]+) <", public, re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(names) == public_functions() - CONSTANTS


def test_a_broken_promise_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = Spec("wrong", lambda x: x * x.detach(), (Input((2,), 0.5, 1.5),), dtypes=("float64",))
    monkeypatch.setattr(table, "SPECS", [wrong])
    monkeypatch.setattr(table, "VALUES", [])
    monkeypatch.setattr(table, "INTERNAL", [])
    monkeypatch.setattr(table, "BACKENDS", ("cpu",))
    assert table.main() == 1
    assert capsys.readouterr().out.startswith("wrong: v---: cpu: wrong: AssertionError")


def _cells(case: Spec | Value) -> tuple[str, tuple[str, ...]]:
    row = table._row(case.name, [case], table.tried, ["cpu"])
    assert row.cells[1:] == EMPTY
    return row.cells[0], row.reasons


def test_a_function_that_passes_has_its_signs() -> None:
    x = Input((2,), 0.5, 1.5)
    assert _cells(Spec("right", lambda x: x * x, (x,))) == ("v12c", ())
    assert _cells(Spec("right", lambda x: x * x, (x,), dtypes=("float64",), order=1)) == (
        "v1--",
        ("second derivatives are not tested", "real numbers only"),
    )
    assert _cells(Value("right", "text", lambda xp, new, device: xp.abs(new([-1.0])))) == (
        "v---",
        ("no derivative: text",),
    )


def test_a_function_that_fails_has_a_dash_and_a_reason() -> None:
    x = Input((2,), 0.5, 1.5)
    wrong = Spec("wrong", lambda x: x * x.detach(), (x,), dtypes=("float64",))
    cell, reasons = _cells(wrong)
    assert cell == "v---"
    assert reasons[0].startswith("cpu: wrong: AssertionError")
    # its second derivative is 6 * x
    cubic = Spec("cubic", lambda x: 3 * x.detach() ** 2 * x - 2 * x.detach() ** 3, (x,), dtypes=("float64",))
    assert _cells(cubic)[0] == "v1--"
    raising = Spec("raising", lambda x: x.nothing, (x,))
    assert _cells(raising)[0] == "----"
    assert (
        _cells(Value("wrong", "text", lambda xp, new, device: xp.abs(new([-1.0 if xp is rustorch else 2.0]))))[0]
        == "----"
    )


def test_a_case_that_a_backend_skips_gives_its_reason() -> None:
    x = Input((2,))
    other, skipped = (
        Spec("f", lambda x: x + 1, (x,)),
        Spec("f", lambda x: x + 2, (x,), "two", skip={"cpu": "cpu: for a reason"}),
    )
    assert table._row("f", [other, skipped], table.tried, ["cpu"]) == table.Row(
        "f", ("v12c", *EMPTY), ("cpu: for a reason",)
    )
    row = table._row("f", [skipped], table.promised, ["cpu"])
    assert row.cells[0] == "----" and row.reasons == ("cpu: for a reason",)


def test_the_cell_of_a_device_that_was_not_tried_is_empty() -> None:
    row = table._row("f", [Spec("f", lambda x: x, ())], table.promised, ["cpu"])
    assert f"| `f` | v12c |{'  |' * len(table.BACKENDS)}" in table.written([], [row])

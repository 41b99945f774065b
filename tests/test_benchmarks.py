"""benchmarks/: both libraries compute the same, and the programs that measure run."""

from __future__ import annotations

import numpy
import pytest

import rustorch
from benchmarks import ops
from benchmarks.ops_checks import compare, compare_dropout
from benchmarks.ops_table import OPERATIONS


# -- the table of functions --------------------------------------------------------------------------------------------
def test_the_table_has_40_functions() -> None:
    assert len(OPERATIONS) == 40


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_function_gives_the_same_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    operation = OPERATIONS[name]
    ours, theirs = (ops.prepare(library, operation, operation.small) for library in (rustorch, torch))
    results = ours.results()
    operation.check(results, theirs.results())
    assert len(results) == 1 + sum(one.gradient for one in operation.small) > 1
    assert all(numpy.any(array != 0) for array in results)
    larger = [one.make(numpy.random.default_rng(0)).size for one in operation.large]
    assert sum(larger) > sum(one.make(numpy.random.default_rng(0)).size for one in operation.small)


def test_wrong_results_are_noticed() -> None:
    right = [numpy.ones((2, 3), "float32"), numpy.ones(3, "float32")]
    compare(right, right)
    for wrong in (right[0] * 1.001, right[0].astype("float64"), right[0][:1], right[0] * numpy.nan):
        with pytest.raises(AssertionError):
            compare([wrong, right[1]], right)


def test_wrong_masks_of_dropout_are_noticed() -> None:
    masks = [numpy.random.default_rng(seed).random(10_000) < 0.5 for seed in (0, 1)]
    ours, theirs = ([numpy.where(mask, 2, 0).astype("float32") for _ in range(2)] for mask in masks)
    compare_dropout(ours, theirs)
    kept = numpy.where(numpy.random.default_rng(2).random(10_000) < 0.9, 2, 0).astype("float32")
    for wrong in ([kept, kept], [ours[0], theirs[1]], [ours[0] * 2, ours[1]]):
        with pytest.raises(AssertionError):
            compare_dropout(wrong, theirs)


def test_a_line_for_each_function_and_the_geometric_mean(capsys, monkeypatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(ops, "SECONDS", 0.001)
    assert ops.run(1, ["relu", "softmax"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["relu", "softmax"]
    assert lines[4].startswith("geometric mean of 4 ratios: ")
    assert ops.geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2)


def test_a_function_that_is_wrong_fails_and_the_next_one_is_timed(capsys, monkeypatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(ops, "SECONDS", 0.001)
    monkeypatch.setattr(rustorch, "exp", rustorch.expm1)
    assert ops.run(1, ["exp", "clip"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert "FAILED AssertionError" in lines[2]
    assert "FAILED" not in lines[3]

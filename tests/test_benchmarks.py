"""benchmarks/: both libraries compute the same, and the programs that measure run."""

from __future__ import annotations

import os
import subprocess

import numpy
import pytest

import rustorch
from benchmarks import attention, first_step, gpt_written_out, machine, memory, ops, processes, resnet, threads
from benchmarks.networks import NETWORKS
from benchmarks.ops_checks import compare, compare_dropout
from benchmarks.ops_table import OPERATIONS

needs_linux = pytest.mark.skipif(not memory.can_measure(), reason="the peak of a process's memory is known on Linux")


# -- the table of functions --------------------------------------------------------------------------------------------
def test_the_table_has_40_functions() -> None:
    assert len(OPERATIONS) == 40


@pytest.mark.parametrize("name", ops.ALL)
def test_a_function_gives_the_same_as_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    operation = ops.ALL[name]
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


# -- training steps ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NETWORKS)
def test_steps_have_the_losses_of_pytorch(name: str) -> None:
    pytest.importorskip("torch")
    network = NETWORKS[name]
    step = resnet.step(batch=2) if name == "resnet" else network.step()
    losses = [[float(one().detach()) for _ in range(3)] for one in (step.rustorch_step(), step.torch_step())]
    numpy.testing.assert_allclose(losses[0], losses[1], rtol=2e-4)
    assert losses[0][2] < losses[0][0]


def test_resnet_18_has_its_parameters() -> None:
    assert sum(p.size for p in resnet.model(rustorch.nn).parameters()) == 11_689_512


def test_what_is_written_out_is_attention_and_gelu() -> None:
    q, k, v = (rustorch.randn(2, 3, 8, 4, dtype="float64") for _ in range(3))
    mask = numpy.triu(numpy.full((8, 8), -numpy.inf), 1)
    expected = rustorch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    written = gpt_written_out.attention(rustorch, q, k, v, rustorch.asarray(mask))
    numpy.testing.assert_allclose(written.data, expected.data, rtol=1e-12)
    expected = rustorch.nn.functional.gelu(q, approximate="tanh")
    numpy.testing.assert_allclose(gpt_written_out.gelu(rustorch, q).data, expected.data, rtol=1e-12)


def test_a_step_alone_does_not_import_the_other_library() -> None:
    code = """
import sys
from benchmarks import attention, first_step, memory, threads
from benchmarks.networks import NETWORKS
assert "rustorch" not in sys.modules
import {library}
NETWORKS["small"].step().alone({library})()
assert "{other}" not in sys.modules
"""
    for library, other in (("rustorch", "torch"), ("torch", "rustorch")):
        if library in processes.libraries():
            line = [*processes.command("")[:1], "-c", code.format(library=library, other=other)]
            subprocess.run(line, check=True, env=processes.environment())


# -- processes ---------------------------------------------------------------------------------------------------------
def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="invalid choice: 'nothing'"):
        processes.run("benchmarks.memory", "nothing", "rustorch")


def test_processes_have_the_given_variables() -> None:
    assert processes.environment({"RUSTORCH_FAST": "0"})["RUSTORCH_FAST"] == "0"
    assert "RUSTORCH_FAST" not in os.environ


@needs_linux
def test_the_peak_is_that_of_the_call() -> None:
    code = """
import os
import numpy
from benchmarks import memory
numpy.ones(20_000_000)  # an earlier peak of 153 MiB
before, peak = memory.peak_of(lambda: numpy.ones(5_000_000))
print(before, peak, os.access("/proc/self/clear_refs", os.W_OK))
"""
    line = [*processes.command("")[:1], "-c", code]
    done = subprocess.run(line, check=True, env=processes.environment(), capture_output=True, text=True)
    before, peak, starts_anew = done.stdout.split()
    above = float(peak) - float(before)
    assert 36 < above < 45 if starts_anew == "True" else above == 0  # the array has 38 MiB


@needs_linux
def test_memory_of_steps_is_measured_in_a_process(capsys) -> None:
    results = {library: tuple(processes.run("benchmarks.memory", "lstm", library)) for library in ("rustorch",)}
    before, peak = results["rustorch"]
    assert 1 < peak - before < 200
    memory.report("peak", {**results, "torch": (before, 2 * peak - before)})
    assert capsys.readouterr().out.splitlines()[-1].endswith("rustorch / torch: 0.50")


@needs_linux
def test_memory_of_attention_is_measured_without_its_inputs() -> None:
    before, peak = attention.measure("rustorch", causal=True, shape=(1, 2, 512, 64))
    assert 0.4 <= peak - before < 200  # MiB; the result and three gradients have 0.25 each


def test_steps_run_on_a_number_of_threads(capsys, monkeypatch) -> None:
    monkeypatch.setattr(threads, "NAMES", ("small",))
    monkeypatch.setattr(threads, "COUNTS", (1, 2))
    monkeypatch.setattr(threads, "SECONDS", 0.001)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    threads.run(2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [["1", "thread"], ["2", "threads"]]
    assert all("rustorch" in line and "gain" in line for line in lines[2:])
    assert "gain  1.00" in lines[2]


def test_a_process_of_steps_that_fails_is_an_error() -> None:
    with threads.worker("small", "nothing", 1) as one, pytest.raises(RuntimeError, match="failed with status 2"):
        one.seconds(1)


def test_the_first_step_is_measured_with_a_cold_and_with_a_warm_cache(monkeypatch) -> None:
    calls = []

    def record(library: str, variables: dict[str, str]) -> dict[str, float]:
        folder = variables.get("RUSTORCH_CACHE")
        calls.append((library, variables, folder is not None and os.listdir(folder)))
        if folder is not None:
            open(os.path.join(folder, f"kernel {len(calls)}"), "w").close()
        return {"import": 1.0, "first": float(len(calls)), "later": 0.5}

    monkeypatch.setattr(first_step, "_in_new_process", record)
    results = first_step.compare(3)
    assert calls[0][2] == [] and results["rustorch, cold"]["first"] == 1
    assert "kernel 1" in calls[1][2] and calls[2][1] == calls[0][1]
    assert calls[3][1] == {"RUSTORCH_FAST": "0"}
    kinds = len(processes.libraries()) + 1
    assert results["rustorch, warm"]["first"] == 3 + kinds
    assert len(calls) == 2 + 3 * kinds


def test_the_first_step_and_later_ones_are_timed(monkeypatch) -> None:
    monkeypatch.setattr(first_step, "NAME", "small")
    measured = first_step.measure("rustorch")
    assert set(measured) == {"import", "first", "later"}
    assert all(seconds > 0 for seconds in measured.values())


def test_the_header_names_the_processor_the_threads_and_the_versions() -> None:
    first, second, third = machine.header().splitlines()
    assert f"rustorch {rustorch.__version__}" in first and "numba" in first and numpy.__version__ in first
    assert len(second) > 5
    assert third.startswith(f"{machine.cores()} cores, rustorch: ")

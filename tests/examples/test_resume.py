"""docs/examples/resume.py: a killed training continues with the same numbers."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy
import pytest

import rustorch
from tests.support.examples import assert_picture, assert_refused, command, environment, module, run

for package in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install '.[examples]'")

NAME = "resume.py"
SHORT = ("--steps", 40, "--every", 4, "--batch-size", 8)
killed = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("resume", monkeypatch)


@pytest.fixture
def small(example: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The program in this process, with a small network and 64 images of 4 x 4. The checkpoint is in `tmp_path`."""
    random = numpy.random.default_rng(0)
    parts = [(random.random((n, 4, 4), dtype="float32"), numpy.arange(n) % 10) for n in (64, 16)]
    monkeypatch.setattr(example, "load", lambda folder: parts)
    monkeypatch.setattr(example, "WIDTH", 16)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: example.main([str(argument) for argument in (*SHORT, *arguments)])


class Killed(BaseException):
    """Stands for SIGKILL: the program does not catch it."""


@pytest.fixture
def mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """--kill-after raises Killed instead of ending the process of the tests."""

    def kill(process: int, number: int) -> None:
        raise Killed

    monkeypatch.setattr("os.kill", kill)


# -- killed ------------------------------------------------------------------------------------------------------------
@killed
def test_training_that_kills_itself_resumes_bit_for_bit(tmp_path):
    checkpoint, picture = tmp_path / "a.safetensors", tmp_path / "resume.png"
    process = run(NAME, *SHORT, "--checkpoint", checkpoint, "--kill-after", 18)
    assert process.returncode == -signal.SIGKILL
    assert "starts at step 0 of 40" in process.stdout and "test accuracy" not in process.stdout
    assert len(rustorch.load(checkpoint)["losses"]) == 16

    process = run(NAME, *SHORT, "--checkpoint", checkpoint, "--compare", "--plot", picture)
    assert process.returncode == 0, process.stderr
    assert "continues after step 16 of 40" in process.stdout
    assert "the same, bit for bit: 40 losses and the weights of 2 processes and of one" in process.stdout
    assert re.search(r"^test accuracy: [\d.]+%$", process.stdout, re.MULTILINE)
    assert re.search(r"training: +\d+%.* 1[67]/40", process.stderr) and "40/40" in process.stderr  # the bar continues
    assert_picture(picture)


@killed
@pytest.mark.parametrize("wait", [0.0, 0.17])
def test_training_killed_from_outside_resumes_bit_for_bit(wait, example, tmp_path):
    """With a checkpoint at every step, most kills happen during a save."""
    checkpoint = tmp_path / "a.safetensors"
    arguments = ("--steps", 100000, "--every", 1, "--batch-size", 4, "--checkpoint", checkpoint)
    process = subprocess.Popen(
        command(NAME, *arguments), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end and not _steps_in(checkpoint):
            time.sleep(0.02)
        time.sleep(wait)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL

    saved = rustorch.load(checkpoint)
    assert len(saved["losses"]) > 0
    digits, _ = [example.to_device(*part, "cpu") for part in example.load(None)]
    settings = {"steps": 100000, "batch_size": 4, "lr": 0.002, "seed": 0, "device": "cpu"}
    whole, resumed = example.Training(digits, **settings), example.Training(digits, **settings)
    example.train(whole, len(saved["losses"]) + 3, None, 1, None)
    resumed.load_state_dict(saved)
    example.train(resumed, len(saved["losses"]) + 3, None, 1, None)
    assert example.first_difference(resumed, whole) is None


def _steps_in(checkpoint: Path) -> int:
    return len(rustorch.load(checkpoint)["losses"]) if checkpoint.exists() else 0


@pytest.mark.parametrize("every", [1, 4, 7])
def test_training_survives_many_kills(every, small, mortal, tmp_path, capsys):
    """Kills within epochs (of 8 batches) and at their ends, just before and just after a checkpoint."""
    for after in (1, 8, 3, 9, 2):
        with pytest.raises(Killed):
            small("--every", every, "--kill-after", after)
    small("--every", every, "--compare")
    assert "the same, bit for bit: 40 losses" in capsys.readouterr().out
    starts = rustorch.load(tmp_path / "resume.safetensors")["starts"]
    assert (
        starts[0] == 0 and starts == sorted(starts) and len(starts) >= 3 and all(start % every == 0 for start in starts)
    )


def test_resumes_on_every_backend(backend, small, mortal, capsys):
    device = ("--device", backend.device, "--steps", 10)
    with pytest.raises(Killed):
        small(*device, "--kill-after", 5)
    small(*device, "--compare")
    assert "the same, bit for bit: 10 losses and the weights of 2 processes and of one" in capsys.readouterr().out


# -- at the end --------------------------------------------------------------------------------------------------------
def test_finished_training_is_not_repeated(small, capsys, tmp_path):
    first = small()
    saved = rustorch.load(tmp_path / "resume.safetensors")
    assert len(saved["losses"]) == 40
    assert small("--plot", "resume.png") == first
    assert "continues after step 40 of 40" in capsys.readouterr().out
    assert rustorch.load(tmp_path / "resume.safetensors")["losses"] == saved["losses"]
    assert_picture(tmp_path / "resume.png")


@pytest.mark.parametrize("part", ["losses", "model"])
def test_comparison_finds_a_single_bit(part, small, capsys, tmp_path):
    small()
    file = tmp_path / "resume.safetensors"
    saved, metadata = rustorch.load(file), rustorch.load_metadata(file)
    if part == "losses":
        saved["losses"][7] = float(numpy.nextafter(saved["losses"][7], 9))
        message = "differ in the loss of step 8: "
    else:
        weight = saved["model"]["3.weight"].data
        weight[0, 0] = numpy.nextafter(weight[0, 0], numpy.float32(9))
        message = "differ in the final 3.weight"
    rustorch.save(saved, file, metadata)
    with pytest.raises(SystemExit, match=r"^1$"):
        small("--compare")
    assert message in capsys.readouterr().err.splitlines()[-1]


# -- what cannot be done -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--plot", "nowhere/a.png"], "--plot nowhere/a.png: there is no folder nowhere"),
        (["--checkpoint", "nowhere/a.safetensors"], "--checkpoint nowhere/a.safetensors: there is no folder nowhere"),
        (["--steps", "0"], "'0' is no positive whole number"),
        (["--kill-after", "-3"], "'-3' is no positive whole number"),
        (["--lr", "-1"], "lr is a finite number that is not negative, not -1.0"),
        (["--seed", "-1"], "a seed is an integer that is not negative, not -1"),
        (
            ["--steps", "50", "--seed", "3"],
            "a training with steps 40, not 50, seed 0, not 3; remove it to start from the beginning",
        ),
        (["--checkpoint", "text"], "'text' cannot be read"),
        (["--checkpoint", "."], "it is a folder"),
        (
            ["--checkpoint", "foreign"],
            "foreign: no checkpoint of this program; remove it to start from the beginning, or name another file",
        ),
        (["--checkpoint", "other"], "other: no checkpoint of this program"),
    ],
)
def test_bad_arguments_end_with_one_line(arguments, message, small, tmp_path, capsys):
    small()
    (tmp_path / "text").write_text("no safetensors file")
    rustorch.save({"weight": rustorch.ones(2)}, "foreign")
    rustorch.save({"weight": rustorch.ones(2)}, "other", metadata={"settings": "strange"})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    capsys.readouterr()
    with pytest.raises(SystemExit, match=r"^2$"):
        small(*arguments)
    printed = capsys.readouterr()
    assert message in printed.err.splitlines()[-1]
    assert printed.out == ""
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_unwritable_folder_ends_the_program(small, monkeypatch, capsys):
    """The error comes before training, not at the first checkpoint."""

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rustorch, "save", full)
    with pytest.raises(SystemExit, match=r"^2$"):
        small()
    assert "No space left on device" in capsys.readouterr().err


def test_error_ends_the_process_with_status_2():
    assert_refused(run(NAME, "--device", "abacus"), "resume.py: unknown device 'abacus'")


def test_checkpoint_has_the_settings(small, tmp_path):
    small("--lr", 0.001)
    settings = rustorch.load_metadata(tmp_path / "resume.safetensors")["settings"]
    assert settings == json.loads(json.dumps(settings))
    assert settings == {"steps": 40, "batch_size": 8, "lr": 0.001, "seed": 0, "device": "cpu", "data": None}

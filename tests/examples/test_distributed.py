"""docs/examples/distributed.py: the same result on one and on two processes, and lines that are printed once."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

import rustorch
from tests.examples.test_char_gpt import poem
from tests.examples.test_mnist_cnn import files, written
from tests.support import examples, jobs
from tests.support.launches import is_stand_in

for package in ("matplotlib", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install '.[examples]'")

NAME = "distributed.py"
SHORT = ("--batch-size", 16, "--lr", 0.02, "--epochs", 2)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with images that are easy to distinguish."""
    folder = tmp_path / "images"
    folder.mkdir()
    return written(folder, files(100))


def run(ranks: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    if ranks == 1:
        return examples.run(NAME, *arguments)
    return jobs.run(examples.FOLDER / NAME, ranks, *map(str, arguments), timeout=120)


def losses(process: subprocess.CompletedProcess[str]) -> list[str]:
    """What the lines of the epochs say, without the speed."""
    assert process.returncode == 0, process.stderr
    return re.findall(r"^(epoch +\d+ +loss [\d.]+ +\w+ \w+ [\d.]+%?) +[\d,]+ samples a second$", process.stdout, re.M)


def test_two_processes_learn_what_one_learns_and_print_once(images):
    one, two = (run(ranks, "--data", images, *SHORT) for ranks in (1, 2))
    assert losses(one) == losses(two)
    assert len(losses(two)) == 2
    assert "1 process, 16 samples a step, 80 to learn from; device cpu\n" in one.stdout
    assert two.stdout.startswith("2 processes, 16 samples a step, 80 to learn from; device cpu\n")
    assert two.stderr.count("| 0/5 ") == 2  # one progress bar an epoch
    expected = (
        r"a step of 16 samples takes [\d.]+ ms on 1 process and [\d.]+ ms on 2 processes: [\d.]+ times as fast\n$"
    )
    assert re.search(expected, two.stdout)


def test_a_run_goes_on_from_its_file_on_another_number_of_processes(images, tmp_path):
    whole = losses(run(1, "--data", images, *SHORT))
    file = tmp_path / "run.safetensors"
    first = losses(run(2, "--data", images, *SHORT[:-1], 1, "--save", file))
    second = losses(run(1, "--data", images, *SHORT, "--save", file))
    assert [*first, *second] == whole
    assert losses(run(1, "--data", images, *SHORT, "--save", file)) == []  # all epochs are done


def test_gpt_and_timeline(tmp_path):
    (tmp_path / "poem.txt").write_text(poem())
    timeline = tmp_path / "step.json"
    process = run(
        2, "--model", "gpt", "--data", tmp_path / "poem.txt", "--epochs", 1, "--steps", 3, "--batch-size", 2,
        "--trace", timeline, "--plot", tmp_path / "run.png",
    )  # fmt: skip
    examples.assert_picture(tmp_path / "run.png")
    (line,) = losses(process)
    assert "validation loss" in line
    assert f"timeline: {timeline}\n" in process.stdout
    names = [(event["pid"], event["name"]) for event in json.loads(timeline.read_text())["traceEvents"]]
    assert [names.count((rank, "backward")) for rank in (0, 1)] == [3, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{}/nowhere"], "nowhere: no such folder"),
        (["--data", "{}/images", "--batch-size", "3"], "--batch-size 3 cannot be divided by 2 processes"),
        (["--save", "{}/nowhere/run.safetensors"], "there is no folder"),
        (["--device", "abacus"], "invalid choice: 'abacus'"),
    ],
)
def test_bad_arguments_are_named_once(arguments, message, images, tmp_path):
    process = run(2, *[argument.format(tmp_path) for argument in arguments])
    assert process.returncode != 0
    assert process.stderr.count(message) == 1, process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""


SLOW = """
import sys, time
sys.path.insert(0, sys.argv.pop(1))
import distributed
import rustorch.distributed as dist

read = distributed.read_options

def read_slowly(arguments):
    time.sleep(0.5 * (dist.get_rank() == 0))
    return read(arguments)

distributed.read_options = read_slowly
distributed.main()
"""


def test_the_process_that_speaks_may_be_the_slowest(tmp_path):
    program = tmp_path / "slow.py"
    program.write_text(SLOW)
    process = jobs.run(program, 2, str(examples.FOLDER), "--save", "nowhere/run.safetensors", timeout=120)
    assert process.returncode == 2
    assert process.stderr.count("--save nowhere/run.safetensors: there is no folder nowhere") == 1, process.stderr


WITHOUT_A_GPU = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import distributed
import rustorch
import rustorch.distributed as dist

empty = rustorch.empty

def refused(*arguments, **options):
    if dist.get_rank() == 1:
        raise RuntimeError("this machine has no GPU")
    return empty(*arguments, **options)

rustorch.empty = refused
distributed.main()
"""


def test_one_process_is_refused_and_the_others_are_not(tmp_path):
    """Before the data is fetched, which all of them do together."""
    program = tmp_path / "refused.py"
    program.write_text(WITHOUT_A_GPU)
    process = jobs.run(program, 2, str(examples.FOLDER), timeout=120)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.count("refused.py: this machine has no GPU") == 1, process.stderr
    assert "Traceback" not in process.stderr


def test_each_process_takes_a_gpu_of_its_own(cuda, images, monkeypatch):
    """With one real GPU both processes take it, and exchange through the host."""
    if is_stand_in():
        monkeypatch.setenv("CUPY_STAND_IN_GPUS", "2")
    arguments = ("--data", images, "--samples", 32, *SHORT[:-1], 1)
    on_gpus = run(2, *arguments, "--device", "cuda")
    assert "device cuda\n" in on_gpus.stdout
    [[loss], [expected]] = [
        re.findall(r"loss ([\d.]+)", line) for process in (on_gpus, run(1, *arguments)) for line in losses(process)
    ]
    assert float(loss) == pytest.approx(float(expected), abs=2e-3)


def test_without_a_gpu_it_says_so(images):
    if rustorch.cuda.is_available():
        pytest.skip("there is a GPU")
    examples.assert_refused(run(1, "--device", "cuda", "--data", images), "cuda")

"""docs/examples/char_gpt.py: it learns a made-up language, sees no later characters, and fetches the text."""

from __future__ import annotations

import hashlib
import re
from types import ModuleType

import numpy
import pytest

import rustorch
from tests.support.examples import assert_picture, assert_refused, module, run
from tests.support.website import website

for package in ("matplotlib", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install '.[examples]'")

NAME = "char_gpt.py"
WORDS = ["roses", "are", "red", "violets", "blue", "and", "so", "you"]


def poem(words: int = 400) -> str:
    """Random words of a small vocabulary, so that most letters follow from the letters before."""
    chosen = numpy.random.default_rng(0).choice(WORDS, words)
    return " ".join(chosen) + "\n"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("char_gpt", monkeypatch)


@pytest.fixture
def tiny(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program with a network of one layer and width 16, and windows of 8 characters."""
    for name, value in {"WIDTH": 16, "HEADS": 2, "LAYERS": 1, "CONTEXT": 8}.items():
        monkeypatch.setattr(example, name, value)
    return example


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "poem.txt"
    file.write_text(poem())
    return file


# -- the program -------------------------------------------------------------------------------------------------------
def test_short_run_prints_losses_and_a_sample(text, tmp_path):
    process = run(
        NAME, "--data", text, "--steps", 20, "--batch-size", 4, "--sample", 30, "--plot", tmp_path / "gpt.png"
    )
    assert process.returncode == 0, process.stderr
    assert re.search(
        r"^[\d,]+ parameters, [\d,]+ windows of text to learn from; device cpu$", process.stdout, re.MULTILINE
    )
    assert (
        len(re.findall(r"^step +\d+ +training loss [\d.]+ +validation loss [\d.]+$", process.stdout, re.MULTILINE))
        == 10
    )
    output = re.search(
        r"^validation loss: ([\d.]+) nats\n(.{30,31})\npicture: ", process.stdout, re.MULTILINE | re.DOTALL
    )
    assert output, process.stdout
    assert float(output[1]) < 2.5  # guessing one of 16 characters gives 2.8
    assert set(output[2]) <= set(poem())
    assert "training: 100%" in process.stderr and "writing: 100%" in process.stderr  # the progress bars
    assert_picture(tmp_path / "gpt.png")


def test_runs_on_every_backend(backend, tiny, text, capsys):
    if backend.device == "jax":
        pytest.skip(
            "it compiles hundreds of operations one by one, for a quarter of a minute; the layers' own tests run on it"
        )
    arguments = ["--device", backend.device, "--data", str(text), "--steps", "3", "--batch-size", "80", "--sample", "3"]
    tiny.main(arguments)
    printed = capsys.readouterr().out
    assert f"; device {backend.device}" in printed
    losses = [float(loss) for loss in re.findall(r"training loss ([\d.]+)", printed)]
    assert len(losses) == 3 and losses[-1] < losses[0]


def test_network_learns_to_write(tiny, text, capsys):
    loss = tiny.main(["--data", str(text), "--steps", "300", "--lr", "0.02", "--sample", "300"])
    assert loss < 1.1  # letters after the first follow from the word; guessing gives 2.8
    sample = capsys.readouterr().out.partition("nats\n")[2].split()[1:-1]
    known = [word for word in sample if word in WORDS]
    assert len(known) > 0.7 * len(sample)


def test_the_same_seed_repeats_a_run(tiny, text, capsys):
    printed = []
    for seed in (3, 3, 4):
        tiny.main(["--data", str(text), "--steps", "3", "--batch-size", "4", "--sample", "20", "--seed", str(seed)])
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--data", "{}/nowhere.txt"], "nowhere.txt"),
        (["--data", "{}"], "Is a directory"),
        (["--data", "{}/latin.txt"], "latin.txt: no text in UTF-8 ("),
        (["--data", "{}/short.txt"], "short.txt: a text of 600 characters is too short; it needs 650"),
        (["--data", "{}/empty.txt"], "empty.txt: a text of 0 characters is too short; it needs 650"),
        (["--plot", "{}/nowhere/a.png"], "there is no folder"),
        (["--steps", "0"], "'0' is no positive whole number"),
        (["--sample", "many"], "'many' is no positive whole number"),
        (["--seed", "-1"], "a seed is an integer that is not negative, not -1"),
        (["--lr", "-1"], "lr is a finite number that is not negative, not -1.0"),
    ],
)
def test_bad_arguments_end_with_one_line(arguments, message, example, text, tmp_path, capsys):
    (tmp_path / "latin.txt").write_bytes("é".encode("latin-1") * 1000)
    (tmp_path / "short.txt").write_text("x" * 600)
    (tmp_path / "empty.txt").write_text("")
    arguments = [argument.format(tmp_path) for argument in arguments]
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main(arguments if "--data" in arguments else [*arguments, "--data", str(text)])
    printed = capsys.readouterr()
    assert message in printed.err.splitlines()[-1]
    assert printed.out == ""


def test_error_ends_the_process_with_status_2():
    assert_refused(run(NAME, "--device", "abacus"), "char_gpt.py: unknown device 'abacus'")


# -- its parts ---------------------------------------------------------------------------------------------------------
def test_windows_cover_the_text(tiny, text):
    letters, training, validation = tiny.read(text)
    assert letters == "".join(sorted(set(poem())))
    split = len(poem()) - round(0.1 * len(poem()))

    def decoded(codes: numpy.ndarray) -> str:
        return "".join(letters[code] for code in codes)

    for i in (0, 17, len(training) - 1):
        codes, following = training[i]
        assert decoded(codes) == poem()[i : i + 8] and decoded(following) == poem()[i + 1 : i + 9]
    assert len(training) + 8 == split
    asked = "".join(decoded(following) for _, following in (validation[i] for i in range(len(validation))))
    assert (
        poem()[split + 1 :].startswith(asked) and len(poem()) - split - len(asked) <= 8
    )  # each character once, to the end


def test_outputs_do_not_depend_on_later_characters(tiny):
    model = tiny.GPT(10)
    codes = rustorch.randint(10, size=(2, 8))
    changed = rustorch.concat([codes[:, :5], (codes[:, 5:] + 1) % 10], axis=1)
    one, other = (model(codes).detach().numpy(), model(changed).detach().numpy())
    numpy.testing.assert_allclose(one[:, :5], other[:, :5], atol=1e-6)
    assert (abs(one[:, 5:] - other[:, 5:]).max(axis=2) > 1e-3).all()
    assert model(codes[:, :3]).shape == (2, 3, 10)  # shorter than the context


def test_next_character_is_drawn_with_its_probability(tiny):
    class Model(rustorch.nn.Module):
        def forward(self, codes):
            shape = (*codes.shape, 3)
            return rustorch.broadcast_to(rustorch.log(rustorch.tensor([0.2, 0.0001, 0.7999])), shape)

    rustorch.manual_seed(0)
    written = tiny.write(Model(), "abc", "a", 1000, "cpu")
    assert 150 < written.count("a") < 250 and written.count("b") < 5 and len(written) == 1001


def test_text_is_fetched_once(tiny, text, tmp_path, monkeypatch, capsys):
    content = text.read_bytes()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    arguments = ["--steps", "1", "--batch-size", "4", "--sample", "1"]
    asked: list[str] = []
    with website({"input.txt": content}, asked) as address:
        monkeypatch.setattr(tiny, "SOURCE", address + "input.txt")
        with pytest.raises(SystemExit, match=r"^2$"):
            tiny.main(arguments)
        remedy = "get input.txt by other means and name it, as in --data FILE"
        assert capsys.readouterr().err.endswith(
            f"input.txt is not the file that it was: its checksum differs; {remedy}\n"
        )
        monkeypatch.setattr(tiny, "CHECKSUM", hashlib.sha256(content).hexdigest())
        for _ in range(2):
            tiny.main(arguments)
    assert asked == ["input.txt"] * 2
    assert (tmp_path / "cache" / "rustorch" / "tinyshakespeare" / "input.txt").read_bytes() == content

"""The gallery: runs the programs of docs/examples and shows their pictures, their output and their code.

The programs run with small settings and with data that needs no download, so the site can be built offline.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
LIMIT = 900  # seconds for one run of a program; a busy machine needs many times the usual 30


def no_data(folder: Path) -> None:
    """The program needs no file."""


def text(folder: Path) -> None:
    """Write data.txt: the words of this documentation."""
    pages = [*sorted((ROOT / "docs").glob("howto/*.md")), *sorted((ROOT / "docs").glob("explanation/*.md"))]
    content = "".join(page.read_text(encoding="utf-8") for page in pages)
    (folder / "data.txt").write_text("".join(c for c in content if c.isascii()), encoding="utf-8")


def images(folder: Path) -> None:
    """Write scikit-learn's digits as MNIST's files: 28 x 28 pixels, each of the 8 x 8 pixels as 3 x 3, and a margin."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = numpy.random.default_rng(0).permutation(len(bunch.target))
    large = numpy.kron(bunch.images[order] * (255 / 16), numpy.ones((3, 3)))
    pixels = numpy.pad(large, ((0, 0), (2, 2), (2, 2))).astype(numpy.uint8)
    for name, array in (("images-idx3", pixels), ("labels-idx1", bunch.target[order].astype(numpy.uint8))):
        header = b"\0\0\x08" + bytes([array.ndim]) + numpy.asarray(array.shape, ">i4").tobytes()
        (folder / f"train-{name}-ubyte").write_bytes(header + array.tobytes())


@dataclass(frozen=True)
class Example:
    """How a program runs for the gallery.

    Attributes
    ----------
    name : str
        The name of its file, without ".py".
    title : str
    runs : tuple of tuple of str
        The arguments of each run, one after the other in one folder. The last run also gets ``--plot``.
    note : str
        What differs from a plain run of the program.
    prepare : callable
        Writes the data into the folder.
    """

    name: str
    title: str
    runs: tuple[tuple[str, ...], ...]
    note: str = ""
    prepare: Callable[[Path], None] = no_data


GALLERY = (
    Example("digits", "Handwritten digits", ((),)),
    Example(
        "mnist_cnn",
        "A convolutional network",
        (("--data", ".", "--epochs", "3"),),
        "For this page, the program read scikit-learn's digits, enlarged to MNIST's 28 x 28 pixels. "
        "Without `--data`, it fetches images of MNIST.",
        images,
    ),
    Example(
        "char_gpt",
        "A small GPT",
        (("--data", "data.txt", "--steps", "500"),),
        "For this page, the program read the pages of this documentation, for a third of its usual steps. "
        "Without `--data`, it fetches Shakespeare's plays.",
        text,
    ),
    Example(
        "resume",
        "A training that survives being killed",
        (("--steps", "600", "--kill-after", "250"), ("--steps", "600", "--compare")),
    ),
    Example(
        "distributed",
        "Several processes",
        (("--data", ".", "--epochs", "3"),),
        "For this page, the program ran in one process, and read scikit-learn's digits, enlarged to MNIST's 28 x 28 "
        "pixels. Without `--data`, it fetches images of MNIST.",
        images,
    ),
    Example("newton_logistic", "Newton's method", ((),)),
)


# -- running -----------------------------------------------------------------------------------------------------------
def sources() -> list[Path]:
    """The files that decide what the programs print."""
    return [*(ROOT / "rustorch").rglob("*.py"), *EXAMPLES.glob("*.py"), Path(__file__)]


def run(example: Example, target: Path) -> None:
    """Run a program; write its picture and its output (<name>.png, <name>.txt) into a folder.

    Raises
    ------
    RuntimeError
        If the program fails, or draws no picture.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    output = ""
    with tempfile.TemporaryDirectory() as folder:
        example.prepare(Path(folder))
        for number, arguments in enumerate(example.runs, 1):
            last = number == len(example.runs)
            plot = ("--plot", "picture.png") if last else ()
            shown = " ".join([f"python docs/examples/{example.name}.py", *arguments])
            result = subprocess.run(
                [sys.executable, str(EXAMPLES / f"{example.name}.py"), *arguments, *plot],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT,
            )  # fmt: skip
            if last and (result.returncode or not (Path(folder) / "picture.png").exists()):
                raise RuntimeError(f"{shown} failed:\n{result.stdout}\n{result.stderr}")
            output += f"$ {shown}\n{result.stdout}"
        shutil.copy(Path(folder) / "picture.png", target / f"{example.name}.png")
    output = "".join(line for line in output.splitlines(keepends=True) if not line.startswith("picture: "))
    (target / f"{example.name}.txt").write_text(output, encoding="utf-8")


def run_all(target: Path) -> None:
    """Run each program whose picture is older than the code, two at a time."""
    target.mkdir(parents=True, exist_ok=True)
    newest = max(file.stat().st_mtime for file in sources())
    outputs = {example: target / f"{example.name}.txt" for example in GALLERY}
    old = [example for example, file in outputs.items() if not file.exists() or file.stat().st_mtime < newest]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda example: run(example, target), old))


# -- pages -------------------------------------------------------------------------------------------------------------
def docstring(example: Example) -> str:
    return ast.get_docstring(ast.parse((EXAMPLES / f"{example.name}.py").read_text(encoding="utf-8"))) or ""


def page(example: Example) -> str:
    """The page of a program, in Markdown."""
    summary, _, text = docstring(example).partition("\n\n")
    lines = [f"# {example.title}", "", " ".join(summary.split()), ""]
    lines += [f"![The picture that {example.name}.py draws]({example.name}.png)", ""]
    for block in text.split("\n\n"):
        usage = block.startswith("    ")
        lines += ["```text", *[line[4:] for line in block.splitlines()], "```", ""] if usage else [block, ""]
    lines += [example.note, ""] if example.note else []
    lines += ["## Output", "", f"```{{literalinclude}} {example.name}.txt", ":language: text", "```", ""]
    lines += ["## Code", "", f"{{download}}`{example.name}.py <../examples/{example.name}.py>`", ""]
    lines += [f"```{{literalinclude}} ../examples/{example.name}.py", ":language: python", "```", ""]
    return "\n".join(lines)


def index() -> str:
    """The page with all pictures."""
    lines = [
        "# Examples",
        "",
        "Whole programs. Each is one command, shows its progress, and draws a picture with `--plot FILE`. "
        "`pip install '.[examples]'` installs what they need. The programs ran when this site was built.",
        "",
        '<div class="gallery">',
    ]
    for example in GALLERY:
        summary = " ".join(docstring(example).partition("\n\n")[0].split())
        lines += [
            f'<a href="{example.name}.html"><img src="../_images/{example.name}.png" alt="">'
            f"<strong>{example.title}</strong><span>{summary}</span></a>"
        ]
    lines += ["</div>", "", "```{toctree}", ":hidden:", "", *[example.name for example in GALLERY], "```", ""]
    return "\n".join(lines)


def gallery(target: Path) -> dict[str, str]:
    """Run the programs and return file name -> text, of the pages of the gallery."""
    run_all(target)
    return {"index.md": index()} | {f"{example.name}.md": page(example) for example in GALLERY}

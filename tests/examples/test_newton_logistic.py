"""docs/examples/newton_logistic.py: Newton's method finds scikit-learn's weights in few iterations."""

from __future__ import annotations

import re
from types import ModuleType

import numpy
import pytest

import rustorch
from tests.support.examples import assert_picture, assert_refused, module, run

for package in ("matplotlib", "sklearn", "tqdm"):
    pytest.importorskip(package, reason=f"the example needs {package}: pip install '.[examples]'")

NAME = "newton_logistic.py"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("newton_logistic", monkeypatch)


def table(n: int = 80, seed: int = 0) -> numpy.ndarray:
    """Samples of three features, one of them constant, and their classes."""
    random = numpy.random.default_rng(seed)
    features = random.normal(3, [2, 5, 0], (n, 3))
    return numpy.column_stack([features, features[:, 0] + random.normal(0, 2, n) > 3])


def rows(stdout: str) -> dict[str, tuple[int, int, float, float]]:
    """The printed numbers of each method: iterations, passes, norm of the gradient, difference from scikit-learn."""
    results = re.findall(
        r"^(Newton-CG|L-BFGS|gradient descent) +([\d,]+) +([\d,]+) +(\S+) +(\S+)$", stdout, re.MULTILINE
    )
    return {
        name: (int(i.replace(",", "")), int(p.replace(",", "")), float(g), float(d)) for name, i, p, g, d in results
    }


# -- the program -------------------------------------------------------------------------------------------------------
def test_newton_needs_fewest_iterations_for_the_tumours(tmp_path):
    process = run(NAME, "--iterations", 200, "--plot", tmp_path / "newton.png")
    assert process.returncode == 0, process.stderr
    assert "569 samples of 30 features; device cpu" in process.stdout
    results = rows(process.stdout)
    assert [*results] == ["Newton-CG", "L-BFGS", "gradient descent"]
    iterations, passes, norm, difference = results["Newton-CG"]
    assert iterations <= 12 and norm <= 1e-8 and difference < 1e-6
    assert iterations < results["L-BFGS"][0] <= passes  # L-BFGS needs more iterations, but each is cheaper
    assert results["L-BFGS"][2] <= 1e-8 and results["L-BFGS"][3] < 1e-4
    assert results["gradient descent"][0] == 200 and results["gradient descent"][2] > 1e-3
    assert re.search(r"Newton-CG: .*\|gradient\| ", process.stderr)  # the progress bar
    assert_picture(tmp_path / "newton.png")


def test_runs_on_every_backend(backend, example, tmp_path, capsys):
    numpy.savetxt(tmp_path / "data.csv", table(), delimiter=",")
    difference = example.main(["--device", backend.device, "--data", str(tmp_path / "data.csv"), "--iterations", "15"])
    printed = capsys.readouterr().out
    assert f"80 samples of 3 features; device {backend.device}" in printed
    assert difference < 1e-6
    assert rows(printed)["Newton-CG"][2] <= 1e-8


@pytest.mark.parametrize("strength", [1e-3, 1, 1e3])
def test_weights_equal_scikit_learns_for_every_strength(example, strength):
    # The curvature of the loss can be as small as strength / 569, so a small gradient is a much larger error of the
    # weights.
    assert example.main(["--strength", str(strength), "--iterations", "40", "--tolerance", "1e-11"]) < 1e-6


def test_no_iteration_is_needed_at_the_minimum(example, tmp_path, capsys):
    """Constant features and as many samples of each class: the gradient at the start is 0."""
    (tmp_path / "data.csv").write_text("1,0\n1,1\n")
    assert example.main(["--data", str(tmp_path / "data.csv")]) < 1e-12
    assert {row[0] for row in rows(capsys.readouterr().out).values()} == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--data", "{}/nowhere.csv"], "nowhere.csv"),
        (["--data", "{}/text.csv"], "text.csv: could not convert string 'malignant' to float64"),
        (["--data", "{}/ragged.csv"], "ragged.csv: the number of columns changed"),
        (
            ["--data", "{}/nan.csv"],
            "nan.csv: needs a row for each sample: finite numbers, and in the last column both 0 and 1",
        ),
        (["--data", "{}/classes.csv"], "classes.csv: needs a row for each sample"),
        (["--data", "{}/one.csv"], "one.csv: needs a row for each sample"),
        (["--data", "{}/column.csv"], "column.csv: needs a row for each sample"),
        (["--data", "{}/empty.csv"], "empty.csv: needs a row for each sample"),
        (["--plot", "{}/nowhere/a.png"], "there is no folder"),
        (["--iterations", "0"], "'0' is no positive whole number"),
        (["--strength", "-1"], "'-1' is no number above 0"),
        (["--strength", "inf"], "'inf' is no number above 0"),
        (["--tolerance", "small"], "'small' is no number above 0"),
    ],
)
def test_bad_arguments_end_with_one_line(arguments, message, example, tmp_path, capsys):
    files = {
        "text": "1,malignant\n",
        "ragged": "1,2,0\n1,1\n",
        "nan": "1,0\nnan,1\n",
        "classes": "1,0\n2,1\n3,2\n",
        "one": "1,0\n2,0\n",
        "column": "0\n1\n",
        "empty": "",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.csv").write_text(text)
    with pytest.raises(SystemExit, match=r"^2$"):
        example.main([argument.format(tmp_path) for argument in arguments])
    printed = capsys.readouterr()
    assert message in printed.err.splitlines()[-1]
    assert printed.out == ""


def test_error_ends_the_process_with_status_2():
    assert_refused(run(NAME, "--device", "abacus"), "newton_logistic.py: unknown device 'abacus'")


# -- its parts ---------------------------------------------------------------------------------------------------------
def test_step_solves_newtons_equation(example):
    """Compare with the whole Hessian and a solver. For a small gradient the step is exact."""
    samples = table(60)
    loss = example.make_loss(samples[:, :2], samples[:, -1].astype("int64"), 1.0, "cpu")
    theta = rustorch.tensor([0.3, -0.2, 0.1], dtype=rustorch.float64)
    gradient = 1e-12 * rustorch.func.grad(loss)(theta)
    step, products = example.newton_step(loss, theta, gradient)
    assert products <= 3
    expected = numpy.linalg.solve(rustorch.func.hessian(loss)(theta).numpy(), -gradient.numpy())
    numpy.testing.assert_allclose(step.numpy(), expected, rtol=1e-6)


def test_gradient_equals_the_formula(example):
    samples = table(60)
    x, y = samples[:, :2], samples[:, -1]
    loss = example.make_loss(x, y.astype("int64"), 2.0, "cpu")
    theta = numpy.array([0.3, -0.2, 0.1])
    errors = 1 / (1 + numpy.exp(-(x @ theta[:-1] + theta[-1]))) - y
    expected = numpy.append(x.T @ errors + 2.0 * theta[:-1], errors.sum()) / len(y)
    numpy.testing.assert_allclose(rustorch.func.grad(loss)(rustorch.asarray(theta)).numpy(), expected, rtol=1e-12)


def test_every_method_lowers_the_loss_and_counts_its_passes(example):
    samples = table()
    loss = example.make_loss(samples[:, :2] / 4, samples[:, -1].astype("int64"), 1.0, "cpu")
    start = rustorch.zeros(3, dtype=rustorch.float64)
    for method in (example.newton, example.lbfgs, example.descent):
        points = [point for point, _ in zip(method(loss, start), range(5), strict=False)]
        values = [loss(theta).item() for _, theta in [(0, start), *points]]
        passes = [passed for passed, _ in points]
        assert values == sorted(values, reverse=True), method.__name__
        assert passes == sorted(set(passes)) and passes[0] > 0

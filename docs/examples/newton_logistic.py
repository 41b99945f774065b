"""Newton's method for logistic regression, without the matrix of second derivatives.

    python docs/examples/newton_logistic.py                      scikit-learn's 569 breast tumours, benign or malignant
    python docs/examples/newton_logistic.py --data FILE          a CSV file instead: numbers, and the class (0 or 1) in
                                                                 the last column
    python docs/examples/newton_logistic.py --plot newton.png    draw how the gradient vanishes

A Newton step solves ``H s = -g`` with the Hessian H and the gradient g. Conjugate gradients need only products ``H v``,
and each costs about as much as two gradients: rustorch.func.hvp. The program compares the method with L-BFGS, which
estimates H from the last gradients, and with gradient descent, which does not use H. All start at the same point.
scikit-learn's LogisticRegression computes the weights where all should arrive.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from digits import positive
from tqdm import tqdm

import rustorch
from rustorch import Variable, nn
from rustorch.func import grad, hvp, value_and_grad

Loss = Callable[[Variable], Variable]
#: Takes a loss and a starting point. Yields, without end, the passes over the data so far and the new point.
Method = Callable[[Loss, Variable], Iterator[tuple[int, Variable]]]
#: The passes over the data so far and the norm of the gradient, at the start and after each iteration. A gradient or a
#: loss counts as one pass, a product ``H v`` as two.
Curve = list[tuple[int, float]]


# -- data --------------------------------------------------------------------------------------------------------------
def load(file: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Features with mean 0 and standard deviation 1, and classes 0 and 1."""
    if file is None:
        from sklearn.datasets import load_breast_cancer

        features, classes = load_breast_cancer(return_X_y=True)
    else:
        try:
            table = np.loadtxt(file, delimiter=",", ndmin=2) if file.stat().st_size else np.empty((0, 1))
        except ValueError as error:
            raise ValueError(f"--data {file}: {error}") from error
        features, classes = table[:, :-1], table[:, -1]
        if not features.size or not np.isfinite(features).all() or set(classes) != {0, 1}:
            raise ValueError(
                f"--data {file}: needs a row for each sample: finite numbers, and in the last column both 0 and 1"
            )
    deviation = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(deviation > 0, deviation, 1), classes.astype("int64")


def make_loss(features: np.ndarray, classes: np.ndarray, strength: float, device: str) -> Loss:
    """The loss of LogisticRegression with C = 1 / strength.

    It is the mean of ``log(1 + exp(-margin))`` plus ``strength / (2 n)`` times the squared weights. Its argument has a
    weight for each feature, and then the intercept.
    """
    n = len(classes)
    x = rustorch.asarray(np.column_stack([features, np.ones(n)]), device=device)
    signs = rustorch.asarray(2.0 * classes - 1, device=device)

    def loss(theta: Variable) -> Variable:
        return nn.functional.softplus(-signs * (x @ theta)).mean() + strength / (2 * n) * (theta[:-1] ** 2).sum()

    return loss


# -- three methods -----------------------------------------------------------------------------------------------------
def newton_step(loss: Loss, theta: Variable, gradient: Variable) -> tuple[Variable, int]:
    """An approximate solution of ``H s = -g``, and the number of products ``H v`` for it.

    Conjugate gradients stop when the residual is below ``min(1/2, sqrt(|g|)) |g|``. So a step is exact only near the
    minimum, where this helps (Nocedal and Wright, "Numerical Optimization", 2006, algorithm 7.1).
    """
    residual = direction = -gradient
    step, squared = rustorch.zeros_like(theta), (residual @ residual).item()
    size, products = math.sqrt(squared), 0
    while True:
        _, (curved,) = hvp(loss, (theta,), (direction,))
        rate = squared / (direction @ curved).item()
        step, residual, products = step + rate * direction, residual - rate * curved, products + 1
        before, squared = squared, (residual @ residual).item()
        if math.sqrt(squared) <= min(0.5, math.sqrt(size)) * size or products == theta.size:
            return step, products
        direction = residual + squared / before * direction


def newton(loss: Loss, theta: Variable) -> Iterator[tuple[int, Variable]]:
    """Newton-CG. A step is halved until the loss falls by at least 1e-4 of the fall that its slope predicts."""
    passes = 0
    while True:
        value, gradient = value_and_grad(loss)(theta)
        step, products = newton_step(loss, theta, gradient)
        passes += 1 + 2 * products
        slope = (gradient @ step).item()
        while loss(theta + step).item() > value.item() * (1 + 1e-14) + 1e-4 * slope:  # 1e-14: rounding
            step, slope, passes = step / 2, slope / 2, passes + 1
        theta = theta + step
        yield passes, theta


def lbfgs(loss: Loss, theta: Variable) -> Iterator[tuple[int, Variable]]:
    """L-BFGS with a strong Wolfe line search."""
    theta = theta.clone().requires_grad_()
    optimizer = rustorch.LBFGS(
        [theta], max_iter=1, max_eval=25, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    passes = 0

    def closure() -> Variable:
        nonlocal passes
        passes += 1
        optimizer.zero_grad()
        value = loss(theta)
        value.backward()
        return value

    for steps in itertools.count():
        optimizer.step(closure)
        yield passes - steps, theta.detach()  # a step starts with the last evaluation of the step before


def descent(loss: Loss, theta: Variable) -> Iterator[tuple[int, Variable]]:
    """Gradient descent with the largest safe rate: 1 / the largest eigenvalue of H at the start.

    The Hessian of the logistic loss is largest at the start, where all weights are 0.
    """
    vector, rounds = rustorch.ones_like(theta), 10
    for _ in range(rounds):  # power iteration
        _, (vector,) = hvp(loss, (theta,), (vector / rustorch.linalg.vector_norm(vector),))
    rate, passes = 1 / rustorch.linalg.vector_norm(vector), 2 * rounds
    while True:
        theta, passes = theta - rate * grad(loss)(theta), passes + 1
        yield passes, theta


def minimize(
    name: str, method: Method, loss: Loss, theta: Variable, tolerance: float, iterations: int
) -> tuple[Variable, Curve]:
    """Iterate until the norm of the gradient is below the tolerance, but at most this number of iterations."""
    points = itertools.islice(itertools.chain([(0, theta)], method(loss, theta)), iterations + 1)
    curve: Curve = []
    bar = tqdm(points, desc=name, total=iterations + 1, unit="point")
    for passes, theta in bar:
        curve.append((passes, rustorch.linalg.vector_norm(grad(loss)(theta)).item()))
        bar.set_postfix_str(f"|gradient| {curve[-1][1]:.0e}", refresh=False)
        if curve[-1][1] <= tolerance:
            break
    return theta, curve


# -- the picture -------------------------------------------------------------------------------------------------------
def plot(file: Path, curves: dict[str, Curve]) -> None:
    """Draw the norm of the gradient over the iterations, and over the passes."""
    from matplotlib.figure import Figure  # without pyplot: needs no display

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    by_iteration, by_cost = figure.subplots(1, 2, sharey=True)
    for name, curve in curves.items():
        passes, norms = zip(*curve, strict=True)
        by_iteration.plot(range(len(norms)), norms, ".-", markersize=4, label=name)
        by_cost.plot(passes, norms, ".-", markersize=4)
    for axes, label in ((by_iteration, "iteration"), (by_cost, "passes over the data")):
        axes.set_xscale("symlog")  # logarithmic, but starts at 0
        axes.set_xlim(left=0)
        axes.set_yscale("log")
        axes.set_xlabel(label)
    by_iteration.set_ylabel("norm of the gradient")
    by_iteration.legend()
    figure.savefig(file, dpi=120)


# -- the program -------------------------------------------------------------------------------------------------------
def more_than_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def main(arguments: list[str] | None = None) -> float:
    """Run the program; returns the largest difference between Newton's weights and those of scikit-learn."""
    parser = argparse.ArgumentParser(description="Logistic regression by Newton's method, L-BFGS and gradient descent.")
    parser.add_argument("--device", default="cpu", help="where to compute: cpu, cuda, cuda:1, jax, torch or strict")
    parser.add_argument("--iterations", type=positive, default=1000, help="largest number of iterations of each method")
    parser.add_argument(
        "--tolerance", type=more_than_zero, default=1e-8, help="norm of the gradient at which a method ends"
    )
    parser.add_argument(
        "--strength", type=more_than_zero, default=1.0, help="of the regularization: 1 / C of LogisticRegression"
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="a CSV file, instead of scikit-learn's breast tumours"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the result into a file such as newton.png")
    options = parser.parse_args(arguments)
    try:
        rustorch.empty(0, device=options.device)  # raises if the device cannot be used, before any data is read
        if options.plot is not None and not options.plot.parent.is_dir():
            raise ValueError(f"--plot {options.plot}: there is no folder {options.plot.parent}")
        features, classes = load(options.data)
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")

    from sklearn.linear_model import LogisticRegression  # slow to import, so only now

    print(f"{len(classes):,} samples of {features.shape[1]} features; device {options.device}")
    model = LogisticRegression(C=1 / options.strength, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(
        features, classes
    )
    expected = np.append(model.coef_, model.intercept_)
    loss = make_loss(features, classes, options.strength, options.device)
    start = rustorch.zeros(len(expected), dtype=rustorch.float64, device=options.device)
    methods: dict[str, Method] = {"Newton-CG": newton, "L-BFGS": lbfgs, "gradient descent": descent}
    curves, differences = {}, {}
    for name, method in methods.items():
        theta, curves[name] = minimize(name, method, loss, start, options.tolerance, options.iterations)
        differences[name] = np.abs(np.asarray(theta.cpu()) - expected).max().item()

    print(f"{'':16}   iterations   passes   |gradient|   largest difference from scikit-learn's weights")
    for name, curve in curves.items():
        print(f"{name:16}   {len(curve) - 1:10,}   {curve[-1][0]:6,}   {curve[-1][1]:10.1e}   {differences[name]:.1e}")
    if options.plot is not None:
        plot(options.plot, curves)
        print(f"picture: {options.plot}")
    return differences["Newton-CG"]


if __name__ == "__main__":
    main()

"""Gradients through unmodified scikit-learn, on every backend: against central differences, and PyTorch's through the
same code.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from array_api_compat import array_namespace, device

import rustorch
from tests.support.differences import check, weights
from tests.support.target import Target

pytest.importorskip("scipy", minversion="1.16")
sklearn = pytest.importorskip("sklearn", minversion="1.9")  # earlier ones dispatch less

from sklearn import metrics, mixture, preprocessing  # noqa: E402 - an import of what may not be there
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: E402
from sklearn.kernel_approximation import Nystroem  # noqa: E402
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier, RidgeCV  # noqa: E402
from sklearn.metrics import pairwise  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.utils.extmath import _incremental_mean_and_var  # noqa: E402

#: Every first fit of a StandardScaler divides 0 by 0 and drops the result: with namespaces other than NumPy's it lets
#: NumPy warn.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")

_RNG = numpy.random.default_rng(20)
X, Y = _RNG.standard_normal((8, 3)), _RNG.standard_normal((5, 3))
T = _RNG.standard_normal((8, 3))  # never closer to X than a difference reaches
LABELS = numpy.arange(8) % 2


@pytest.fixture(autouse=True)
def dispatch() -> Iterator[None]:
    """scikit-learn asks arrays for their namespaces."""
    with sklearn.config_context(array_api_dispatch=True):
        yield


def like(x: Any, values: numpy.ndarray) -> Any:
    """A constant on the device of ``x``."""
    if isinstance(x, numpy.ndarray):
        return values
    return array_namespace(x).asarray(values, device=device(x))


def _metric(name: str, **options: Any) -> Callable[[Any], Any]:
    """A regression metric of each column: a mean over the columns is a Python float."""
    return lambda x: getattr(metrics, name)(like(x, T), x, multioutput="raw_values", **options)


def _pair(name: str, **options: Any) -> Callable[[Any], Any]:
    return lambda x: getattr(pairwise, name)(x, like(x, Y), **options)


def _pca(**options: Any) -> Callable[[Any], Any]:
    return lambda x: PCA(2, **options).fit_transform(x)


#: What takes Variables and can be differentiated through; docs/howto/guests.md lists it.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "metrics.mean_squared_error": _metric("mean_squared_error"),
    "metrics.root_mean_squared_error": _metric("root_mean_squared_error"),
    "metrics.mean_absolute_error": _metric("mean_absolute_error"),
    "metrics.mean_absolute_percentage_error": _metric("mean_absolute_percentage_error"),
    "metrics.mean_pinball_loss": _metric("mean_pinball_loss", alpha=0.3),
    "metrics.r2_score": _metric("r2_score"),
    "metrics.explained_variance_score": _metric("explained_variance_score"),
    "metrics.pairwise_distances": lambda x: metrics.pairwise_distances(x, like(x, Y)),
    "pairwise.euclidean_distances": _pair("euclidean_distances"),
    "pairwise.manhattan_distances": _pair("manhattan_distances"),
    "pairwise.cosine_distances": _pair("cosine_distances"),
    "pairwise.cosine_similarity": _pair("cosine_similarity"),
    "pairwise.paired_euclidean_distances": lambda x: pairwise.paired_euclidean_distances(x, like(x, T)),
    "pairwise.linear_kernel": _pair("linear_kernel"),
    "pairwise.polynomial_kernel": _pair("polynomial_kernel"),
    "pairwise.rbf_kernel": _pair("rbf_kernel"),
    "pairwise.laplacian_kernel": _pair("laplacian_kernel"),
    "pairwise.sigmoid_kernel": _pair("sigmoid_kernel"),
    "pairwise.chi2_kernel": lambda x: pairwise.chi2_kernel(x * x, like(x, Y * Y)),
    "preprocessing.StandardScaler.transform": lambda x: preprocessing.StandardScaler().fit(like(x, X)).transform(x),
    "preprocessing.MinMaxScaler": lambda x: preprocessing.MinMaxScaler().fit_transform(x),
    "preprocessing.MaxAbsScaler": lambda x: preprocessing.MaxAbsScaler().fit_transform(x),
    "preprocessing.normalize": lambda x: preprocessing.normalize(x),
    "preprocessing.PolynomialFeatures": lambda x: preprocessing.PolynomialFeatures(2).fit_transform(x),
    "PCA full": _pca(svd_solver="full"),
    "PCA whitened": _pca(svd_solver="full", whiten=True),
    "PCA covariance_eigh": _pca(svd_solver="covariance_eigh"),
    "PCA.score_samples": lambda x: PCA(2, svd_solver="full").fit(like(x, X)).score_samples(x),
    "Ridge of inputs": lambda x: Ridge(0.5, solver="svd").fit(x, like(x, T)).coef_,
    "Ridge of targets": lambda x: Ridge(0.5, solver="svd").fit(like(x, T), x).predict(like(x, X)),
    "RidgeCV": lambda x: RidgeCV([0.5, 1.0]).fit(x, like(x, T[:, 0])).coef_,
    "RidgeClassifier": lambda x: RidgeClassifier(0.5, solver="svd").fit(x, like(x, LABELS)).decision_function(x),
    "LinearDiscriminantAnalysis": lambda x: LinearDiscriminantAnalysis().fit(x, like(x, LABELS)).decision_function(x),
    "GaussianNB": lambda x: GaussianNB().fit(x, like(x, LABELS)).predict_log_proba(x * 0.5),
    "GaussianMixture.score_samples": lambda x: _mixture(x).score_samples(x),
    "Nystroem": lambda x: Nystroem(n_components=4, random_state=0).fit_transform(x),
    "make_pipeline": lambda x: make_pipeline(
        preprocessing.MinMaxScaler(), PCA(2, svd_solver="full"), Ridge(solver="svd")).fit(x, like(x, T)).predict(x),
    "train_test_split": lambda x: train_test_split(x, random_state=0)[0],
}  # fmt: skip


def _mixture(x: Any) -> Any:
    fitted = mixture.GaussianMixture(2, init_params="random", covariance_type="diag", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # eight points: it need not converge
        return fitted.fit(like(x, X))


#: scikit-learn writes into values that torch's own gradients of these need, so torch refuses; the same by other ways.
OF_TORCH: dict[str, Callable[[Any, Any], Any]] = {
    "pairwise.cosine_distances": lambda torch, x: 1 - _unit(torch, x) @ _unit(torch, torch.tensor(Y)).T,
    "pairwise.cosine_similarity": lambda torch, x: _unit(torch, x) @ _unit(torch, torch.tensor(Y)).T,
    "preprocessing.normalize": lambda torch, x: _unit(torch, x),
    "preprocessing.PolynomialFeatures": lambda torch, x: torch.stack(
        [torch.ones_like(x[:, 0]), *x.T, *(x[:, i] * x[:, j] for i in range(3) for j in range(i, 3))], 1),
    "PCA full": lambda torch, x: _pca(svd_solver="covariance_eigh")(x),
    "PCA whitened": lambda torch, x: (lambda y: y / torch.std(y, 0))(_pca(svd_solver="covariance_eigh")(x)),
}  # fmt: skip
#: Refused for the same reason, and there is no short other way.
TORCH_REFUSES = {"LinearDiscriminantAnalysis", "make_pipeline"}


def _unit(torch: Any, x: Any) -> Any:
    return torch.nn.functional.normalize(x)


def _value_and_gradient(name: str, target: Target) -> tuple[numpy.ndarray, numpy.ndarray]:
    x = target.variable(X, requires_grad=True)
    y = FUNCTIONS[name](x)
    assert isinstance(y, rustorch.Variable) and y.device == target.device
    (w,) = weights([y.shape], [y.dtype])
    y.backward(target.variable(w))
    return target.numpy(y), target.numpy(x.grad)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_equal_central_differences(name: str) -> None:
    check(FUNCTIONS[name], [X], Target("cpu"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_those_of_numpy_arrays_and_gradients_those_of_cpu(name: str, backend: Target) -> None:
    value, gradient = _value_and_gradient(name, backend)
    numpy.testing.assert_allclose(value, FUNCTIONS[name](X.copy()), rtol=1e-9, atol=1e-9)
    numpy.testing.assert_allclose(gradient, _value_and_gradient(name, Target("cpu"))[1], rtol=1e-8, atol=1e-9)


# torch warns once that its asarray, which scikit-learn calls, has changed
@pytest.mark.filterwarnings("ignore:torch.asarray:UserWarning")
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in TORCH_REFUSES])
def test_gradients_equal_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    y = OF_TORCH[name](torch, x) if name in OF_TORCH else FUNCTIONS[name](x)
    (w,) = weights([tuple(y.shape)], ["float64"])
    y.backward(torch.tensor(w))
    assert abs(x.grad).max() > 1e-3
    numpy.testing.assert_allclose(_value_and_gradient(name, Target("cpu"))[1], x.grad.numpy(), rtol=1e-8, atol=1e-10)


#: What gives a Python float, and so no gradient: its value is right.
NUMBERS: dict[str, Callable[[Any], Any]] = {
    **{
        f"metrics.{name}": lambda x, name=name: getattr(metrics, name)(like(x, T), x)
        for name in (
            "mean_squared_error",
            "root_mean_squared_error",
            "mean_absolute_error",
            "r2_score",
            "explained_variance_score",
        )
    },
    "metrics.max_error": lambda x: metrics.max_error(like(x, T[:, 0]), x[:, 0]),
    "metrics.mean_poisson_deviance": lambda x: metrics.mean_poisson_deviance(like(x, T[:, 0] ** 2), x[:, 0] ** 2),
    "metrics.log_loss": lambda x: metrics.log_loss(like(x, LABELS), (x[:, :2] * 0 + 1) / 2),
    "metrics.calinski_harabasz_score": lambda x: metrics.calinski_harabasz_score(x, like(x, LABELS)),
    "metrics.davies_bouldin_score": lambda x: metrics.davies_bouldin_score(x, like(x, LABELS)),
    **{
        f"metrics.{name}": lambda x, name=name: getattr(metrics, name)(like(x, LABELS), like(x, (X[:, 0] > 0) * 1))
        for name in (
            "accuracy_score",
            "f1_score",
            "precision_score",
            "recall_score",
            "zero_one_loss",
            "jaccard_score",
            "hamming_loss",
        )
    },
}


@pytest.mark.parametrize("name", NUMBERS)
def test_metrics_that_are_python_numbers(name: str, backend: Target) -> None:
    found = NUMBERS[name](backend.variable(X))
    assert type(found) is float
    assert found == pytest.approx(NUMBERS[name](X), rel=1e-9)


def test_a_metric_that_is_a_python_number_warns() -> None:
    x = rustorch.Variable(X, requires_grad=True)
    with pytest.warns(rustorch.autograd.GradientLostWarning, match="its gradient ends here") as found:
        error = metrics.mean_squared_error(T, x)
    assert error == pytest.approx(metrics.mean_squared_error(T, X))
    assert "sklearn" in found[0].filename


def test_numpy_arrays_go_where_the_variable_is(backend: Target) -> None:
    x = backend.variable(X, requires_grad=True)
    error = metrics.mean_squared_error(T, x, multioutput="raw_values")
    error.backward(rustorch.ones_like(error))
    numpy.testing.assert_allclose(backend.numpy(x.grad), 2 * (X - T) / len(X), rtol=1e-12)


#: Computed by NumPy, SciPy's compiled code or Cython.
COMPILED: dict[str, Callable[[Any], Any]] = {
    "metrics.median_absolute_error": _metric("median_absolute_error"),
    "metrics.hinge_loss": lambda x: metrics.hinge_loss(LABELS, x[:, 0]),
    "preprocessing.scale": lambda x: preprocessing.scale(x),
    "preprocessing.RobustScaler": lambda x: preprocessing.RobustScaler().fit_transform(x),
    "LinearRegression": lambda x: LinearRegression().fit(x, like(x, T)),
    "LogisticRegression": lambda x: LogisticRegression().fit(x, like(x, LABELS)),
}


# LogisticRegression reads its penalty as a number on the way
@pytest.mark.filterwarnings("ignore::rustorch.autograd.GradientLostWarning")
@pytest.mark.parametrize("name", COMPILED)
def test_functions_that_need_numpy_raise_instead_of_losing_the_gradient(name: str) -> None:
    with pytest.raises(RuntimeError, match=r"requires grad would lose its gradient"):
        COMPILED[name](rustorch.Variable(X.copy(), requires_grad=True))


# -- StandardScaler.fit ------------------------------------------------------------------------------------------------
def _variance(x: Any, constant: Callable[[Any], Any], seen: float) -> Any:
    """The variance that StandardScaler updates, ``seen`` samples of mean 0 and variance 1 after it started."""
    _, variance, _ = _incremental_mean_and_var(
        x, constant([0.0] * 3), constant([float(seen > 0)] * 3), constant([seen] * 3)
    )
    return variance


@pytest.mark.parametrize("seen", [0.0, 4.0])
def test_the_first_fit_of_a_standard_scaler_has_pytorchs_nan(seen: float) -> None:
    """scikit-learn divides 0 by 0 for the samples seen before, then writes over the result: 0 times nan reaches the
    gradient.
    """
    torch = pytest.importorskip("torch")
    x, t = rustorch.Variable(X.copy(), requires_grad=True), torch.tensor(X, requires_grad=True)
    ours = _variance(x, lambda values: rustorch.Variable(numpy.asarray(values)), seen)
    theirs = _variance(t, lambda values: torch.tensor(values, dtype=torch.float64), seen)
    ours.sum().backward()
    theirs.sum().backward()
    numpy.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-12)
    numpy.testing.assert_allclose(x.grad, t.grad.numpy(), rtol=1e-10)
    assert numpy.isnan(x.grad).all() == (seen == 0)


def test_a_standard_scaler_that_has_seen_samples_has_a_gradient() -> None:
    def standardized(x: Any) -> Any:
        scaler = preprocessing.StandardScaler().fit(like(x, Y))
        return scaler.partial_fit(x).transform(x)

    check(standardized, [X], Target("cpu"))


def test_the_page_names_all_functions() -> None:
    page = (Path(__file__).parents[2] / "docs" / "howto" / "guests.md").read_text(encoding="utf-8")
    for name in [*FUNCTIONS, *COMPILED]:
        assert name.partition(" ")[0].removeprefix("metrics.").removeprefix("pairwise.").partition(".")[0] in page, name

"""Complex numbers: every function of nn.functional has right gradients, or refuses them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy
import pytest

import rustorch
from rustorch.autograd import gradcheck
from rustorch.autograd.primitive import Primitive
from rustorch.nn import functional as F
from rustorch.ops import network
from tests.support.target import Target


def _c(*shape: int) -> numpy.ndarray:
    draw = numpy.random.default_rng(sum(shape) + len(shape)).standard_normal
    return draw(shape) + 1j * draw(shape)


def _f(*shape: int) -> numpy.ndarray:
    return _c(*shape).real


#: Function -> the arguments of a call. Its complex arrays are the inputs to differentiate.
SQUARE = _c(3, 4)
IMAGE = _c(1, 2, 4, 4)
TAKES: dict[str, tuple[tuple, dict]] = {
    "avg_pool1d": ((_c(2, 2, 4), 2), {}),
    "avg_pool2d": ((IMAGE, 2), {}),
    "avg_pool3d": ((_c(1, 1, 2, 2, 2), 2), {}),
    "adaptive_avg_pool1d": ((_c(2, 2, 4), 3), {}),
    "adaptive_avg_pool2d": ((IMAGE, 3), {}),
    "adaptive_avg_pool3d": ((_c(1, 1, 2, 2, 3), 2), {}),
    "bilinear": ((_c(3, 4), _c(3, 2), _c(5, 4, 2), _c(5)), {}),
    "channel_shuffle": ((IMAGE, 2), {}),
    "conv1d": ((_c(2, 2, 5), _c(3, 2, 2), _c(3)), {}),
    "conv2d": ((IMAGE, _c(2, 1, 2, 2), _c(2)), {"groups": 2, "padding": 1, "stride": 2}),
    "conv3d": ((_c(1, 1, 3, 2, 2), _c(2, 1, 2, 1, 2)), {}),
    "conv_transpose1d": ((_c(2, 2, 3), _c(2, 3, 2), _c(3)), {"stride": 2}),
    "conv_transpose2d": ((IMAGE, _c(2, 1, 2, 2)), {}),
    "conv_transpose3d": ((_c(1, 1, 2, 2, 2), _c(1, 1, 2, 1, 2)), {}),
    "embedding": ((numpy.array([[0, 2], [2, 1]]), _c(3, 4)), {}),
    "embedding_bag": ((numpy.array([[0, 2], [2, 1]]), _c(3, 4)), {}),
    "fold": ((_c(1, 4, 4), (4, 4), (2, 2)), {"stride": 2}),
    "linear": ((_c(2, 3, 4), _c(5, 4), _c(5)), {}),
    "normalize": ((SQUARE,), {}),
    "pad": ((IMAGE, (1, 1, 0, 2), "reflect"), {}),
    "pixel_shuffle": ((_c(1, 4, 2, 2), 2), {}),
    "pixel_unshuffle": ((IMAGE, 2), {}),
    "sigmoid": ((3 * SQUARE,), {}),
    "softsign": ((SQUARE,), {}),
    "tanh": ((SQUARE,), {}),
    "tanhshrink": ((SQUARE,), {}),
    "unfold": ((IMAGE, 2), {}),
    "alpha_dropout": ((SQUARE, 0.5, True), {}),
    "dropout": ((SQUARE,), {}),
    "dropout1d": ((_c(2, 2, 4),), {}),
    "dropout2d": ((IMAGE,), {}),
    "dropout3d": ((_c(1, 2, 2, 2, 2),), {}),
    "feature_alpha_dropout": ((IMAGE, 0.5, True), {}),
    "gru_cell": ((_c(2, 3), _c(2, 4), _c(12, 3), _c(12, 4), _c(12), _c(12)), {}),
    "interpolate": ((IMAGE, 3), {"mode": "bilinear"}),
    "l1_loss": ((SQUARE, _c(4, 3).T), {}),
    "lstm_cell": ((_c(2, 3), (_c(2, 4), _c(4, 2).T), _c(16, 3), _c(16, 4), _c(16), _c(16)), {}),
    "max_unpool1d": ((_c(1, 2, 2), numpy.array([[[0, 3], [1, 2]]]), 2), {}),
    "max_unpool2d": ((_c(1, 1, 1, 2), numpy.array([[[[0, 3]]]]), 2), {}),
    "max_unpool3d": ((_c(1, 1, 1, 1, 1), numpy.array([[[[[3]]]]]), 2), {}),
    "rnn_tanh_cell": ((_c(2, 3), _c(2, 4), _c(4, 3), _c(4, 4), _c(4), _c(4)), {}),
    "upsample": ((IMAGE, 3), {}),
    "upsample_bilinear": ((IMAGE, 3), {}),
    "upsample_nearest": ((IMAGE, 3), {}),
}

#: The same for functions without a meaning for complex numbers: they compare numbers, or take probabilities.
CLASSES, CUBES = numpy.array([0, 2, 1]), _c(1, 1, 4, 4, 4)
REFUSES: dict[str, tuple] = {
    "gumbel_softmax": (SQUARE,),
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), (SQUARE, 1)),
    **dict.fromkeys(("threshold", "threshold_"), (SQUARE, 0.0, 0.0)),
    "prelu": (SQUARE, _c(1)),
    **dict.fromkeys(
        (
            "binary_cross_entropy",
            "binary_cross_entropy_with_logits",
            "cosine_similarity",
            "hinge_embedding_loss",
            "huber_loss",
            "kl_div",
            "mse_loss",
            "multilabel_soft_margin_loss",
            "pairwise_distance",
            "poisson_nll_loss",
            "smooth_l1_loss",
            "soft_margin_loss",
        ),
        (SQUARE, SQUARE),
    ),
    **dict.fromkeys(("cross_entropy", "multi_margin_loss", "nll_loss"), (SQUARE, CLASSES)),
    **dict.fromkeys(("triplet_margin_loss", "triplet_margin_with_distance_loss"), (SQUARE, SQUARE, SQUARE)),
    "cosine_embedding_loss": (SQUARE, SQUARE, numpy.ones(3)),
    "ctc_loss": (_c(4, 3), CLASSES[1:2], numpy.array([4]), numpy.array([1])),
    "gaussian_nll_loss": (SQUARE, SQUARE, numpy.ones((3, 4))),
    "linear_cross_entropy": (SQUARE, _c(3, 4), CLASSES),
    "margin_ranking_loss": (SQUARE, SQUARE, numpy.ones((3, 4))),
    "multilabel_margin_loss": (SQUARE, numpy.zeros((3, 4), "int64")),
    **dict.fromkeys(("adaptive_max_pool1d", "max_pool1d"), (_c(1, 2, 4), 2)),
    **dict.fromkeys(("adaptive_max_pool2d", "max_pool2d"), (IMAGE, 2)),
    **dict.fromkeys(("adaptive_max_pool3d", "max_pool3d"), (CUBES, 2)),
    "fractional_max_pool2d": (IMAGE, 2, 2),
    "fractional_max_pool3d": (CUBES, 2, 2),
    "lp_pool1d": (_c(1, 2, 4), 2.0, 2),
    "lp_pool2d": (IMAGE, 2.0, 2),
    "lp_pool3d": (CUBES, 2.0, 2),
    "batch_norm": (SQUARE, None, None, None, None, True),
    "group_norm": (SQUARE, 2),
    "instance_norm": (_c(1, 2, 4),),
    "layer_norm": (SQUARE, (4,)),
    "local_response_norm": (IMAGE, 2),
    "rms_norm": (SQUARE, (4,)),
    "multi_head_attention_forward": (
        *[_c(3, 1, 4)] * 3,
        4,
        2,
        _c(12, 4),
        _c(12),
        None,
        None,
        False,
        0.0,
        _c(4, 4),
        _c(4),
    ),
    "scaled_dot_product_attention": (SQUARE, SQUARE, SQUARE),
    "rnn_relu": (_c(3, 2, 3), None, [_c(4, 3), _c(4, 4)], False),
    "rnn_relu_cell": (_c(2, 3), None, _c(4, 3), _c(4, 4)),
    "affine_grid": (_c(1, 2, 3), (1, 1, 2, 2)),
    "grid_sample": (IMAGE, _f(1, 2, 2, 2)),
}
#: Functions of integers, and functions with nested arguments, which have their own test.
ELSEWHERE = {"one_hot", "rnn_tanh", "gru", "lstm"}


def _needs_one_array(name: str) -> bool:
    """Whether a function needs no argument but its input."""
    parameters = signature(getattr(F, name)).parameters.values()
    return [p.name for p in parameters if p.default is p.empty] == ["input"]


# A function of one array is expected to refuse complex numbers: a new activation needs no line here.
REFUSES.update(
    {name: (SQUARE,) for name in F.__all__ if name not in {*TAKES, *REFUSES, *ELSEWHERE} and _needs_one_array(name)}
)


def test_the_tables_have_every_function() -> None:
    assert TAKES.keys() | REFUSES.keys() | ELSEWHERE == set(F.__all__)
    assert not TAKES.keys() & REFUSES.keys()


def _call(function: Callable, args: Any, options: dict, backend: Target) -> tuple[Callable, list]:
    """The call as a function of its complex arrays, and these arrays."""
    inputs: list[Any] = []

    def prepare(value: Any) -> Any:
        if isinstance(value, (tuple, list)) and any(isinstance(v, numpy.ndarray) for v in value):
            return type(value)(map(prepare, value))
        if not isinstance(value, numpy.ndarray):
            return value
        x = backend.variable(value, str(value.dtype), requires_grad=value.dtype.kind == "c")
        if value.dtype.kind == "c":
            inputs.append(x)
        return x

    def filled(value: Any, given: dict[int, Any]) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(filled(v, given) for v in value)
        return given.get(id(value), value)

    prepared = prepare(args) if any(isinstance(a, numpy.ndarray) for a in args) else args

    def call(*xs: Any) -> Any:
        rustorch.manual_seed(0)
        return function(*filled(prepared, {id(old): new for old, new in zip(inputs, xs, strict=True)}), **options)

    return call, inputs


@pytest.mark.filterwarnings("ignore:upsample:UserWarning")  # deprecated functions
@pytest.mark.parametrize("name", TAKES)
def test_gradients_of_complex_numbers_are_right(name: str, backend: Target) -> None:
    call, inputs = _call(getattr(F, name), *TAKES[name], backend)
    assert inputs
    assert gradcheck(call, tuple(inputs))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", REFUSES)
def test_functions_without_complex_meaning_raise(name: str, dtype: str, backend: Target) -> None:
    def converted(value: Any) -> Any:
        if isinstance(value, list):
            return [converted(v) for v in value]
        return value.astype(dtype) if isinstance(value, numpy.ndarray) and value.dtype.kind == "c" else value

    call, inputs = _call(getattr(F, name), tuple(map(converted, REFUSES[name])), {}, backend)
    before = [numpy.array(backend.numpy(x.data)) for x in inputs]
    with pytest.raises(TypeError, match=rf"real|numbers of {dtype} have no order"):
        call(*[x.detach() for x in inputs])
    for x, kept in zip(inputs, before, strict=True):  # also for functions that work in place
        numpy.testing.assert_array_equal(backend.numpy(x.data), kept)


@pytest.mark.parametrize(
    ("name", "chunks", "states"), [("rnn_tanh", 1, 1), ("gru", 3, 1), ("lstm", 4, 2)], ids=["rnn_tanh", "gru", "lstm"]
)
@pytest.mark.parametrize("projects", [False, True])
def test_recurrent_gradients_of_complex_numbers_are_right(
    name: str, chunks: int, states: int, projects: bool, backend: Target
) -> None:
    if projects and name != "lstm":
        pytest.skip("only LSTM projects its states")
    hidden = 1 if projects else 2
    weights = []
    for _ in range(2):
        shapes = [(2 * chunks, 2), (2 * chunks, hidden), (2 * chunks,), (2 * chunks,)]
        weights += [0.5 * _c(*shape) for shape in shapes] + ([_c(1, 2)] if projects else [])
    start = [0.5 * _c(2, 1, hidden), 0.5 * _c(2, 1, 2)][:states]
    arrays = [_c(2, 1, 2), *start, *weights]
    inputs = [backend.variable(a, "complex128", requires_grad=True) for a in arrays]

    def call(x: Any, *others: Any) -> Any:
        hx = others[0] if states == 1 else others[:2]
        return getattr(F, name)(x, hx, list(others[states:]), bidirectional=True)[0]

    assert gradcheck(call, tuple(inputs))


#: Primitives of second derivatives, too.
PRIMITIVES: dict[str, tuple] = {
    "linear": (_c(2, 3), _c(4, 3), _c(4)),
    "linear_grad_weight": (_c(2, 4), _c(2, 3)),
    "sigmoid": (_c(3, 4),),
    "sigmoid_grad": (_c(3, 4), 2 * _c(4, 3).T),
    "tanhshrink": (_c(3, 4),),
    "apply_mask": (_c(3, 4), numpy.array([0.0, 2.0, 2.0, 0.0])),
    "conv": (_c(2, 2, 5), _c(3, 2, 2), _c(3), (1,), ((1, 0),), (1,), 1),
    "conv_grad_input": (_c(2, 3, 4), _c(3, 2, 2), (5,), (1,), ((0, 0),), (1,), 1),
    "conv_grad_weight": (_c(2, 3, 4), _c(2, 2, 5), (2,), (1,), ((0, 0),), (1,), 1),
    "embedding": (_c(3, 4), numpy.array([0, 2, 2]), None, False),
    "pad_constant": (_c(3, 4), ((1, -1), (0, 2)), 0.5),
}
#: Linear primitives, and recurrent ones, which the functions above call.
ALREADY = {"avg_pool", "avg_pool_grad", "max_unpool", "rnn_steps", "lstm_steps", "gru_steps"}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_first_derivatives_have_the_right_conjugates(name: str, backend: Target) -> None:
    call, inputs = _call(getattr(network, name), PRIMITIVES[name], {}, backend)
    assert gradcheck(call, tuple(inputs))


@pytest.mark.parametrize("name", ["linear", "sigmoid", "sigmoid_grad", "tanhshrink", "linear_grad_weight"])
def test_second_derivatives_have_the_right_conjugates(name: str, backend: Target) -> None:
    call, inputs = _call(getattr(network, name), PRIMITIVES[name], {}, backend)

    def first(*xs: Any) -> Any:
        out = call(*xs)
        return rustorch.grad(rustorch.sum(rustorch.real(out * out)), xs, create_graph=True)

    assert gradcheck(first, tuple(inputs))


def test_every_other_primitive_refuses_complex_numbers(backend: Target) -> None:
    refusing = {
        name: p for name, p in vars(network).items() if isinstance(p, Primitive) and name not in network.OF_COMPLEX
    }
    assert PRIMITIVES.keys() | ALREADY == network.OF_COMPLEX
    assert len(refusing) > 50
    x = backend.variable(_c(2, 2), "complex64")
    for name, primitive in refusing.items():
        with pytest.raises(
            TypeError, match=rf"^{primitive.name} is of real numbers, not of complex64; take their real part, as in "
        ):
            primitive(*[x] * primitive.arity, *[None] * primitive.n_options)
        assert name == primitive.name


def test_the_gradient_of_a_complex_product(backend: Target) -> None:
    x, weight = (backend.variable([[value]], "complex128", requires_grad=True) for value in (1 + 1j, 2j))
    F.linear(x, weight).backward(backend.variable([[1.0]], "complex128"))
    assert backend.numpy(x.grad).item() == -2j
    assert backend.numpy(weight.grad).item() == 1 - 1j


def test_the_sigmoid_of_complex_numbers_does_not_overflow(backend: Target) -> None:
    x = backend.variable([1000 + 1j, -1000 + 1j, 800j], "complex128", requires_grad=True)
    out = F.sigmoid(x)
    numpy.testing.assert_allclose(backend.numpy(out), [1, 0, 1 / (1 + numpy.exp(-800j))], rtol=1e-12)
    rustorch.sum(rustorch.real(out)).backward()
    assert numpy.isfinite(backend.numpy(x.grad)).all()

"""Cases of losses and distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

from tests.nn.case import Case

Inputs = Callable[[Any], tuple[Any, ...]]
REDUCTIONS: tuple[dict[str, Any], ...] = ({}, {"reduction": "sum"}, {"reduction": "none"})


def pair(*shape: int) -> Inputs:
    """Two arrays of normal numbers of one shape."""
    return lambda rng: (numpy.asarray(2 * rng.standard_normal(shape)), numpy.asarray(rng.standard_normal(shape)))


def classes(*shape: int, axis: int = 1) -> Inputs:
    """Numbers of a shape, and class indices for it, with the classes along an axis."""
    rest = shape[:axis] + shape[axis + 1 :]
    return lambda rng: (rng.standard_normal(shape), numpy.asarray(rng.integers(0, shape[axis], rest)))


def chances(*shape: int) -> Inputs:
    """Two arrays of numbers in [0, 1]."""
    return lambda rng: (rng.uniform(0.05, 0.95, shape), rng.uniform(0, 1, shape))


def distributions(*shape: int, log: bool = False) -> Inputs:
    """Log-probabilities, and probabilities or their logarithms."""

    def made(rng: Any) -> tuple[Any, ...]:
        p, q = (x / x.sum(axis=-1, keepdims=True) for x in rng.uniform(0.1, 1, (2, *shape)))
        return numpy.log(p), numpy.log(q) if log else q

    return made


def signed(count: int, *shape: int, target: tuple[int, ...] | None = None) -> Inputs:
    """Arrays of normal numbers, and a target of 1 and -1."""
    return lambda rng: (
        *rng.standard_normal((count, *shape)),
        numpy.asarray(2.0 * rng.integers(0, 2, shape if target is None else target) - 1),
    )


def each(cls: str, inputs: Inputs, grad_inputs: tuple[int, ...] | None = None, **kwargs: Any) -> list[Case]:
    """A case for each reduction."""
    return [
        Case(cls, kwargs={**kwargs, **reduction}, inputs=inputs, grad_inputs=grad_inputs) for reduction in REDUCTIONS
    ]


W = numpy.array([0.5, 1.0, 2.0])
IGNORED = (numpy.array([[0.3, -1.0, 2.0], [1.0, 0.5, -0.5], [0.0, 1.5, 0.25]]), numpy.array([2, -100, 1]))
LABELS = numpy.array([[3, 0, -1, 1], [1, -1, -1, -1], [0, 1, 2, 3], [-1, 2, 0, 1]])
VARIANCES = numpy.array([[0.5, 1e-9, 2.0], [1.5, 0.25, 1.0]])
ENDS = (numpy.array([0.0, 1.0, 0.0, 1.0, 1e-60, 0.25]), numpy.array([0.0, 1.0, 1.0, 0.0, 0.5, 0.75]))


POINTWISE = [
    *each("MSELoss", pair(2, 3)),
    *each("L1Loss", pair(2, 3)),
    *each("SmoothL1Loss", pair(2, 3)),
    Case("SmoothL1Loss", kwargs={"beta": 0.5}, inputs=pair(2, 3)),
    Case("SmoothL1Loss", kwargs={"beta": 0.0}, inputs=pair(2, 3)),
    *each("HuberLoss", pair(2, 3)),
    Case("HuberLoss", kwargs={"delta": 0.5}, inputs=pair(2, 3)),
    *each("BCELoss", chances(2, 3)),
    Case("BCELoss", (W,), inputs=chances(2, 3)),
    Case("BCELoss", inputs=lambda rng: ENDS, grad_inputs=(0,), variant="at the ends"),
    *each("BCEWithLogitsLoss", lambda rng: (4 * rng.standard_normal((2, 3)), rng.uniform(0, 1, (2, 3)))),
    Case("BCEWithLogitsLoss", kwargs={"weight": W, "pos_weight": W[::-1].copy()}, inputs=pair(2, 3)),
    *each("KLDivLoss", distributions(2, 3)),
    Case("KLDivLoss", kwargs={"reduction": "batchmean"}, inputs=distributions(2, 3)),
    Case("KLDivLoss", kwargs={"reduction": "batchmean", "log_target": True}, inputs=distributions(2, 3, log=True)),
    Case(
        "KLDivLoss",
        inputs=lambda rng: (-rng.random((1, 2)), numpy.array([[0.0, 1.0]])),
        grad_inputs=(0,),
        variant="of a zero",
    ),
    *each("PoissonNLLLoss", lambda rng: (rng.standard_normal((2, 3)), rng.uniform(0, 5, (2, 3)))),
    Case(
        "PoissonNLLLoss",
        kwargs={"log_input": False, "full": True},
        inputs=lambda rng: tuple(rng.uniform(0.2, 5, (2, 2, 3))),
    ),
    *each("GaussianNLLLoss", lambda rng: (*rng.standard_normal((2, 2, 3)), VARIANCES)),
    Case(
        "GaussianNLLLoss",
        kwargs={"full": True},
        inputs=lambda rng: (*rng.standard_normal((2, 2, 3)), VARIANCES[:, 0].copy()),
    ),
    Case(
        "GaussianNLLLoss",
        kwargs={"eps": 0.3},
        inputs=lambda rng: (*rng.standard_normal((2, 2, 3)), VARIANCES[:, :1].copy()),
    ),
    *each("SoftMarginLoss", signed(1, 2, 3), (0,)),
    *each("HingeEmbeddingLoss", signed(1, 2, 3), (0,)),
    Case("HingeEmbeddingLoss", kwargs={"margin": 0.2}, inputs=signed(1, 4), grad_inputs=(0,)),
]
CLASSES = [
    *each("CrossEntropyLoss", classes(4, 3)),
    Case("LinearCrossEntropyLoss", (4, 3), inputs=lambda rng: (rng.standard_normal((5, 4)), rng.integers(0, 3, 5))),
    Case(
        "LinearCrossEntropyLoss",
        (4, 3),
        {"bias": True, "reduction": "sum"},
        variant="probabilities",
        inputs=lambda rng: (rng.standard_normal((5, 4)), rng.dirichlet((1.0, 2.0, 3.0), 5)),
    ),
    Case(
        "LinearCrossEntropyLoss",
        (4, 3),
        {"bias": True, "ignore_index": 1, "reduction": "none"},
        variant="one sample",
        inputs=lambda rng: (rng.standard_normal(4), numpy.asarray(2)),
    ),
    Case(
        "LinearCrossEntropyLoss",
        (4, 3),
        {"out_features": (2, 5), "bias": True, "weight": W, "label_smoothing": 0.1, "ignore_index": 0},
        inputs=lambda rng: (rng.standard_normal((2, 4)), rng.integers(0, 3, (2, 2, 5))),
    ),
    Case("CrossEntropyLoss", kwargs={"weight": W, "label_smoothing": 0.1}, inputs=classes(2, 3, 2)),
    *each("NLLLoss", classes(4, 3)),
    *each("NLLLoss", classes(2, 3, 2), weight=W),
    Case("NLLLoss", kwargs={"weight": W}, inputs=lambda rng: IGNORED, variant="ignored"),
    Case("NLLLoss", kwargs={"ignore_index": 1}, inputs=classes(5, 3)),
    Case("NLLLoss", inputs=classes(3, axis=0), variant="unbatched"),
    *each("MultiMarginLoss", classes(4, 3)),
    Case("MultiMarginLoss", kwargs={"p": 2, "margin": 0.5, "weight": W}, inputs=classes(4, 3)),
    Case("MultiMarginLoss", inputs=classes(3, axis=0), variant="unbatched"),
    *each("MultiLabelMarginLoss", lambda rng: (rng.standard_normal((4, 4)), LABELS)),
    Case("MultiLabelMarginLoss", inputs=lambda rng: (rng.standard_normal(4), LABELS[0]), variant="unbatched"),
    *each("MultiLabelSoftMarginLoss", chances(2, 3)),
    Case("MultiLabelSoftMarginLoss", (W,), inputs=chances(2, 3)),
]
DISTANCES = [
    Case("CosineSimilarity", inputs=pair(2, 3)),
    Case("CosineSimilarity", (0,), inputs=lambda rng: (rng.standard_normal((3, 2)), rng.standard_normal((3, 1)))),
    Case("CosineSimilarity", (-1, 2.0), inputs=pair(2, 3)),
    Case("PairwiseDistance", inputs=pair(2, 3)),
    Case("PairwiseDistance", (1.0,), {"keepdim": True}, inputs=pair(2, 3)),
    Case("PairwiseDistance", (3.0,), inputs=pair(4)),
    Case(
        "PairwiseDistance",
        (float("inf"),),
        inputs=lambda rng: (rng.standard_normal((2, 3)), rng.standard_normal((1, 3))),
    ),
    *each("MarginRankingLoss", signed(2, 4), (0, 1)),
    Case("MarginRankingLoss", kwargs={"margin": 0.5}, inputs=signed(2, 2, 3), grad_inputs=(0, 1)),
    *each("CosineEmbeddingLoss", signed(2, 5, 3, target=(5,)), (0, 1)),
    Case("CosineEmbeddingLoss", kwargs={"margin": -0.5}, inputs=signed(2, 3, target=()), grad_inputs=(0, 1)),
    *each("TripletMarginLoss", lambda rng: tuple(rng.standard_normal((3, 4, 3)))),
    Case(
        "TripletMarginLoss",
        kwargs={"p": 1.0, "margin": 3.0, "swap": True},
        inputs=lambda rng: tuple(rng.standard_normal((3, 4, 3))),
    ),
    Case("TripletMarginLoss", inputs=lambda rng: tuple(rng.standard_normal((3, 3))), variant="unbatched"),
    *each("TripletMarginWithDistanceLoss", lambda rng: tuple(rng.standard_normal((3, 4, 3)))),
    Case(
        "TripletMarginWithDistanceLoss",
        variant="of cosines",
        inputs=lambda rng: tuple(rng.standard_normal((3, 4, 3))),
        build=lambda nn: nn.TripletMarginWithDistanceLoss(distance_function=nn.CosineSimilarity(), swap=True),
    ),
]


def _ctc(variant: str, inputs: Inputs, everywhere: bool | None = None, **kwargs: Any) -> Case:
    """CTC after a softmax: only then is PyTorch's gradient the derivative."""
    return Case(
        "CTCLoss",
        kwargs=kwargs,
        inputs=inputs,
        variant=variant,
        everywhere=everywhere,
        prepare=lambda functional, x, *rest: (functional.log_softmax(x, -1), *rest),
    )


def aligned(times: int, labels: Any, input_lengths: Any, target_lengths: Any) -> Inputs:
    """Scores of four classes, labels and lengths."""
    n = numpy.shape(input_lengths)
    rest = tuple(numpy.array(x) for x in (labels, input_lengths, target_lengths))
    return lambda rng: (2 * rng.standard_normal((times, *n, 4)), *rest)


PADDED = [[1, 2, 2], [1, 1, 3], [3, 0, 0]]
SEQUENCES = [
    _ctc("padded", aligned(6, PADDED, [6, 5, 4], [3, 3, 1])),
    _ctc("summed", aligned(6, PADDED, [6, 5, 4], [3, 3, 1]), reduction="sum"),
    _ctc("each", aligned(6, PADDED, [6, 5, 4], [3, 3, 0]), reduction="none"),
    _ctc("in a row", aligned(6, [1, 2, 2, 1, 1, 3, 3], [6, 5, 4], [3, 3, 1])),
    _ctc("other blank", aligned(5, [[0, 1, 1], [2, 0, 1]], [5, 4], [3, 2]), blank=3),
    _ctc("impossible", aligned(6, PADDED, [6, 3, 1], [3, 3, 1]), zero_infinity=True),
    _ctc("unbatched", aligned(5, [1, 2, 2], 5, 3)),
]


def _many(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((5, 4)), numpy.array([0, 5, 3, 1, 6])


ADAPTIVE = [
    Case("AdaptiveLogSoftmaxWithLoss", (4, 7, [2, 4]), {"div_value": 2.0}, inputs=_many),
    Case("AdaptiveLogSoftmaxWithLoss", (4, 7, [3]), {"div_value": 2.0, "head_bias": True}, inputs=_many),
    Case("AdaptiveLogSoftmaxWithLoss", (4, 7, [2, 4]), {"div_value": 2.0}, variant="unbatched",
         inputs=lambda rng: (rng.standard_normal(4), numpy.array(5))),
]  # fmt: skip
CASES = [*POINTWISE, *CLASSES, *DISTANCES, *SEQUENCES, *ADAPTIVE]

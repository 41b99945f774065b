"""N ranks on batches of B / N train as one process does on batches of B: 50 steps in float64, equal to 1e-12."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn, optim
from rustorch.nn.parallel import DistributedDataParallel
from tests.reference import optim_cases
from tests.support.distributed_training import BATCH, batch, loss_of, make, share

pytestmark = pytest.mark.ranks

STEPS = 50
#: A size of buckets in MiB that makes several of a small network.
TINY = 1e-4
CLOSE = {"rtol": 1e-12, "atol": 1e-12}

Optimizers = Callable[[Any], Any]
#: Numbers of samples of the steps: at the end of an epoch the batch is smaller. With 4 ranks, one has none then.
UNEVEN = (BATCH, BATCH, 5, BATCH, BATCH, 3)


def sgd(parameters: Any) -> Any:
    return optim.SGD(parameters, lr=0.1, momentum=0.9)


def adamw(parameters: Any) -> Any:
    # The gradient of a key's bias is zero. Rounding errors of 1e-17 are small beside this eps, and so are their steps.
    return optim.AdamW(parameters, lr=0.003, eps=1e-5)


def new(build: str | Callable[[], Any]) -> Any:
    """A network, by its name or from a function, with the same initial weights in every call."""
    rustorch.manual_seed(0)
    return make(rustorch, build) if isinstance(build, str) else build().double()


def check_equal(model: Any, alone: Any, what: str) -> None:
    """Compare parameters and buffers."""
    found, expected = model.state_dict(), alone.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        numpy.testing.assert_allclose(found[key].data, value.data, **CLOSE, err_msg=f"{key} {what}")  # type: ignore[call-overload]


def train_both(
    dist: ModuleType,
    network: str | Callable[[], Any],
    optimizer: Optimizers,
    *,
    data: Callable[..., tuple[numpy.ndarray, numpy.ndarray]] = batch,
    sizes: tuple[int, ...] = (BATCH,),
    pieces: int = 1,
    clip: Callable[[Any], Any] = lambda parameters: None,
    sync: bool = False,
    steps: int = STEPS,
    **options: Any,
) -> tuple[Any, Any]:
    """Train a network on all ranks, and train it alone on the whole batches.

    Parameters
    ----------
    network : str or callable
        The network's name, or a function that returns one for the batches of "mlp".
    data : callable
        ``data(name, step, n)`` returns the batch of a step.
    sizes : tuple of int
        The numbers of samples of the steps, over and over.
    pieces : int
        How many parts of a batch are added up before a step.
    clip : callable
        What to do to the gradients before a step.
    sync : bool
        Whether to convert batch norms.
    **options
        For DistributedDataParallel.

    Returns
    -------
    The network that the ranks trained, and the one that was trained alone.
    """
    rank, size = dist.get_rank(), dist.get_world_size()
    name = network if isinstance(network, str) else "mlp"
    alone, model = new(network), new(network)
    if sync:
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    ddp = DistributedDataParallel(model, bucket_cap_mb=TINY, **options)
    step_alone, step_ddp = optimizer(alone.parameters()), optimizer(ddp.parameters())
    for step in range(steps):
        n = sizes[step % len(sizes)]
        inputs, classes = data(name, step, n)
        step_alone.zero_grad()
        step_ddp.zero_grad()
        total = loss_of(rustorch, alone, inputs, classes) / classes.size
        total.backward()
        own_inputs, own_classes = inputs[share(n, rank, size)], classes[share(n, rank, size)]
        summed = 0.0
        for i in range(pieces):
            part = share(len(own_inputs), i, pieces)
            with ddp.no_sync() if i < pieces - 1 else contextlib.nullcontext():
                # the mean over the ranks divides by their number
                loss = loss_of(rustorch, ddp, own_inputs[part], own_classes[part]) * (size / classes.size)
                loss.backward()
                summed += loss.item() / size
        losses = numpy.array(summed)
        dist.all_reduce(losses)
        numpy.testing.assert_allclose(losses, total.item(), **CLOSE)
        for parameters in (list(alone.parameters()), list(ddp.parameters())):
            clip(parameters)
        step_alone.step()
        step_ddp.step()
        if step in (0, steps - 1):
            check_equal(model, alone, f"after {step + 1} steps")
    return model, alone


@pytest.mark.parametrize(
    ("name", "optimizer"), [("mlp", sgd), ("mlp", adamw), ("gpt", adamw), ("lstm", sgd), ("lstm", adamw)]
)
def test_networks(name: str, optimizer: Optimizers, dist: ModuleType) -> None:
    train_both(dist, name, optimizer)


@pytest.mark.parametrize("optimizer", [sgd, adamw])
def test_a_cnn_with_synchronized_batch_norm(optimizer: Optimizers, dist: ModuleType) -> None:
    model, alone = train_both(dist, "cnn", optimizer, sync=True)
    inputs, _ = batch("cnn", 99)
    model.eval()
    alone.eval()
    numpy.testing.assert_allclose(model(inputs).detach().data, alone(inputs).detach().data, **CLOSE)


@pytest.mark.parametrize("name", ["mlp", "cnn", "gpt"])
def test_uneven_last_batches(name: str, dist: ModuleType) -> None:
    train_both(dist, name, sgd, sizes=UNEVEN, sync=True)


@pytest.mark.parametrize("name", ["mlp", "lstm"])
def test_accumulation(name: str, dist: ModuleType) -> None:
    train_both(dist, name, sgd, pieces=3)


def test_accumulation_of_uneven_batches(dist: ModuleType) -> None:
    train_both(dist, "mlp", adamw, sizes=UNEVEN, pieces=2, gradient_as_bucket_view=False)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("gpt", lambda parameters: nn.utils.clip_grad_norm_(parameters, 0.1)),
        ("mlp", lambda parameters: nn.utils.clip_grad_norm_(parameters, 0.05, norm_type=float("inf"))),
        ("mlp", lambda parameters: nn.utils.clip_grad_value_(parameters, 0.02)),
    ],
    ids=["norm", "largest gradient", "value"],
)
def test_clipping(name: str, clip: Callable[[Any], Any], dist: ModuleType) -> None:
    train_both(dist, name, sgd, clip=clip)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_frozen_layers(name: str, dist: ModuleType) -> None:
    def frozen() -> Any:
        model = make(rustorch, name)
        model[0].requires_grad_(False)
        model[1].requires_grad_(False)
        return model

    model, _ = train_both(dist, frozen, adamw, data=lambda _, step, n: batch(name, step, n), sync=True)
    assert model[0].weight.tolist() == new(name)[0].weight.tolist()
    assert model[0].weight.grad is None


class Twice(nn.Module):
    """One layer is used twice, and its weight a third time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.again = self.layer
        self.out = nn.Linear(4, 4, bias=False)
        self.out.weight = self.layer.weight

    def forward(self, x: Any) -> Any:
        return self.out(rustorch.tanh(self.again(rustorch.tanh(self.layer(x)))))


def test_shared_parameters(dist: ModuleType) -> None:
    train_both(dist, Twice, adamw, pieces=2)


class Heads(nn.Module):
    """Samples whose first number is negative take another head than the others. A third head is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 5)
        self.heads = nn.ModuleList([nn.Linear(5, 3) for _ in range(3)])

    def forward(self, x: Any) -> Any:
        hidden = rustorch.tanh(self.body(x))
        rows = numpy.nonzero(x.data[:, 0] < 0)[0], numpy.nonzero(x.data[:, 0] >= 0)[0]
        parts = [self.heads[i](hidden[some]) for i, some in enumerate(rows) if len(some)]
        return rustorch.concat(parts)[numpy.argsort(numpy.concatenate(rows))]


@pytest.mark.parametrize("pieces", [1, 2])
def test_unused_parameters(pieces: int, dist: ModuleType) -> None:
    def ordered(name: str, step: int, n: int) -> tuple[numpy.ndarray, numpy.ndarray]:
        """A batch in which most ranks have samples for one head alone."""
        inputs, classes = batch(name, step, n)
        order = numpy.argsort(inputs[:, 0])
        return inputs[order], classes[order]

    model, _ = train_both(dist, Heads, adamw, data=ordered, find_unused_parameters=True, pieces=pieces)
    assert model.heads[2].weight.grad is None
    assert model.heads[2].weight.tolist() == new(Heads).heads[2].weight.tolist()


class OneUnused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)
        self.used = make(rustorch, "mlp")

    def forward(self, x: Any) -> Any:
        return self.used(x)


def test_a_static_graph_with_unused_parameters(dist: ModuleType) -> None:
    train_both(dist, OneUnused, sgd, static_graph=True)


@pytest.mark.parametrize("cls", sorted(set(optim_cases.OPTIONS) - {"LBFGS"}))
def test_every_optimizer(cls: str, dist: ModuleType) -> None:
    for options in optim_cases.OPTIONS[cls][1:3]:
        if options.get("maximize"):
            continue  # the loss grows without bound, and with it the rounding errors

        def optimizer(parameters: Any, options: dict[str, Any] = options) -> Any:
            chosen = [p for p in parameters if cls != "Muon" or p.ndim == 2]
            return getattr(optim, cls)(chosen, **options)

        train_both(dist, "mlp", optimizer)


@pytest.mark.parametrize("options", optim_cases.OPTIONS["LBFGS"][:3])
def test_lbfgs_with_a_loss_that_all_ranks_know(options: dict[str, Any], dist: ModuleType) -> None:
    """The optimizer reads the loss: it is the same on all ranks, so that they all take the same steps."""
    rank, size = dist.get_rank(), dist.get_world_size()
    rustorch.manual_seed(0)
    alone = nn.Linear(4, 3, dtype=rustorch.float64)  # a convex loss: rounding errors do not grow
    rustorch.manual_seed(0)
    model = nn.Linear(4, 3, dtype=rustorch.float64)
    ddp = DistributedDataParallel(model)
    inputs, classes = batch("mlp", 0)
    own = share(BATCH, rank, size)
    steps = []
    for trained, x, y, factor in ((alone, inputs, classes, 1), (ddp, inputs[own], classes[own], size)):
        optimizer = optim.LBFGS(trained.parameters(), **options)

        def closure(trained: Any = trained, x: Any = x, y: Any = y, factor: int = factor, by: Any = optimizer) -> Any:
            by.zero_grad()
            squares = sum((p * p).sum() for p in trained.parameters())
            loss = loss_of(rustorch, trained, x, y) * (factor / BATCH) + 0.1 * squares
            loss.backward()
            value = loss.detach() + 0.0
            if trained is ddp:
                dist.all_reduce(value, "mean")
            return value

        steps.append((optimizer, closure))
    for _ in range(10):
        found, expected = (optimizer.step(closure).item() for optimizer, closure in reversed(steps))
        numpy.testing.assert_allclose(found, expected, **CLOSE)
    check_equal(model, alone, "after 10 steps")

"""SyncBatchNorm: every rank computes what one process computes for the batches of all ranks together."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from rustorch.autograd.checkpoint import checkpoint
from rustorch.distributed.normalization import batch_norm
from rustorch.nn import functional as F
from tests.support import differences
from tests.support.target import Target

SHAPES: list[tuple[int, ...]] = [(4, 3), (4, 3, 5), (2, 3, 4, 2), (2, 3, 2, 2, 2)]
#: The options of a layer, with the mistakes that they would show.
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "means over all batches": {"momentum": None},
    "no parameters": {"affine": False},
    "no bias": {"bias": False},
    "no statistics": {"track_running_stats": False},
    "large eps": {"eps": 0.5},
}


def batches(size: int, shape: tuple[int, ...], sizes: list[int] | None = None, seed: int = 0) -> list[numpy.ndarray]:
    """A batch for each rank, with moments of its own; ``sizes`` are their numbers of samples."""
    rng = numpy.random.default_rng(seed)
    numbers = [shape[0]] * size if sizes is None else sizes
    return [rng.normal(r, 1.0 + r, (n, *shape[1:])) for r, n in enumerate(numbers)]


def layers(backend: Target, **options: Any) -> tuple[nn.SyncBatchNorm, nn.BatchNorm3d]:
    """The layer, and an ordinary one with the same parameters for inputs of any number of dimensions."""
    found = nn.SyncBatchNorm(3, device=backend.device, dtype=rustorch.float64, **options)
    expected = nn.BatchNorm3d(3, device=backend.device, dtype=rustorch.float64, **options)
    expected._input_shapes = ("(n, channels)", "(n, channels, 1)", "(n, channels, 1, 2)", "(n, channels, 1, 2, 3)")
    for layer in (found, expected):
        for p, values in zip(layer.parameters(), ([0.5, 2.0, -1.0], [3.0, 0.0, 1.0]), strict=False):
            with rustorch.no_grad():
                p[...] = backend.variable(values)
    return found, expected


def check_step(
    backend: Target, dist: ModuleType, found: nn.Module, expected: nn.Module, values: list[numpy.ndarray], atol: float
) -> None:
    """One forward and backward of both: outputs, gradients and statistics."""
    rank = dist.get_rank()
    starts = numpy.cumsum([0, *[len(v) for v in values]])
    own = slice(int(starts[rank]), int(starts[rank + 1]))
    x = backend.variable(values[rank], requires_grad=True)
    whole = backend.variable(numpy.concatenate(values), requires_grad=True)
    weights = backend.variable(numpy.random.default_rng(1).normal(size=whole.shape))
    out, out_of_whole = found(x), expected(whole)
    close = {"rtol": 1e-12, "atol": atol}
    numpy.testing.assert_allclose(backend.numpy(out), backend.numpy(out_of_whole)[own], **close)
    (out * out * weights[own]).sum().backward()
    (out_of_whole * out_of_whole * weights).sum().backward()
    numpy.testing.assert_allclose(backend.numpy(x.grad), backend.numpy(whole.grad)[own], **close)
    for p, q in zip(found.parameters(), expected.parameters(), strict=True):
        assert p.grad is not None
        total = rustorch.asarray(rustorch.Variable(p.grad), copy=True)
        dist.all_reduce(total)
        numpy.testing.assert_allclose(backend.numpy(total), backend.numpy(q.grad), **close)
        p.grad = q.grad = None
    for name, buffer in expected.named_buffers():
        numpy.testing.assert_allclose(
            backend.numpy(dict(found.named_buffers())[name]), backend.numpy(buffer), **close, err_msg=name
        )


@pytest.mark.ranks
@pytest.mark.parametrize("options", OPTIONS)
def test_the_moments_are_those_of_all_batches(options: str, backend: Target, dist: ModuleType) -> None:
    for shape in SHAPES:
        found, expected = layers(backend, **OPTIONS[options])
        for step in range(2):
            values = batches(dist.get_world_size(), shape, seed=step)
            check_step(backend, dist, found, expected, values, atol=1e-12)
        rank_0 = dist.broadcast_object([b.tolist() for b in found.buffers()])
        assert [b.tolist() for b in found.buffers()] == rank_0  # equal to the last bit
        found.eval()
        expected.eval()
        if found.track_running_stats:  # evaluation exchanges nothing
            x = backend.variable(values[0])
            numpy.testing.assert_allclose(backend.numpy(found(x)), backend.numpy(expected(x)), rtol=1e-12, atol=1e-12)


@pytest.mark.ranks
@pytest.mark.parametrize("sizes", ["uneven", "one sample each", "empty on rank 0", "all on the last rank"])
def test_batches_of_different_sizes(sizes: str, backend: Target, dist: ModuleType) -> None:
    size = dist.get_world_size()
    numbers = {
        "uneven": [r + 2 for r in range(size)],
        "one sample each": [1] * size,
        "empty on rank 0": [0 if r == 0 and size > 1 else 3 + r for r in range(size)],
        "all on the last rank": [4 if r == size - 1 else 0 for r in range(size)],
    }[sizes]
    for shape in ((1, 3, 2), (1, 3)):
        if sum(numbers) * shape[-1] == 3:
            continue  # one value per channel
        found, expected = layers(backend)
        for step in range(2):
            check_step(backend, dist, found, expected, batches(size, shape, numbers, seed=step), atol=1e-12)


@pytest.mark.ranks
def test_without_any_sample_no_statistics_move(backend: Target, dist: ModuleType) -> None:
    layer, _ = layers(backend)
    x = backend.variable(numpy.zeros((0, 3, 2)), requires_grad=True)
    out = layer(x)
    assert out.shape == (0, 3, 2)
    out.sum().backward()
    assert backend.numpy(x.grad).shape == (0, 3, 2)
    assert layer.running_mean.tolist() == [0.0, 0.0, 0.0]
    assert layer.running_var.tolist() == [1.0, 1.0, 1.0]
    assert layer.weight is not None
    assert rustorch.Variable(layer.weight.grad).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.ranks
@pytest.mark.parametrize("shape", [(2, 3, 2), (0, 3, 2)])
def test_derivatives_of_two_orders(shape: tuple[int, ...], backend: Target, dist: ModuleType) -> None:
    """Rank 0's batch has this shape."""
    rank, size = dist.get_rank(), dist.get_world_size()
    if size == 1 and not shape[0]:
        return
    group = dist.new_group()
    values = batches(size, (2, 3, 2), [shape[0], *[2] * (size - 1)])
    directions = batches(size, (2, 3, 2), [shape[0], *[2] * (size - 1)], seed=5)
    w, b = numpy.array([0.5, 2.0, -1.0]), numpy.array([3.0, 0.0, 1.0])

    def second(xs: list[rustorch.Variable], ds: list[numpy.ndarray], weight: Any, bias: Any, call: Any) -> Any:
        """The gradient of the sum of gradients along directions."""
        out = call(xs, weight, bias)
        loss = (out * out * out).sum()
        firsts = rustorch.grad(loss, [*xs, weight], create_graph=True)
        along = sum((g * backend.variable(d)).sum() for g, d in zip(firsts, ds, strict=False))
        return rustorch.grad(along, [*xs, weight])

    x = [backend.variable(values[rank], requires_grad=True)]
    weight, bias = (backend.variable(v, requires_grad=True) for v in (w, b))
    found = second(x, [directions[rank]], weight, bias, lambda v, s, t: batch_norm(v[0], s, t, 1e-5, group)[0])
    xs = [backend.variable(v, requires_grad=True) for v in values]
    weight, bias = (backend.variable(v, requires_grad=True) for v in (w, b))
    expected = second(
        xs,
        directions,
        weight,
        bias,
        lambda v, s, t: F.batch_norm(rustorch.concat(v), None, None, s, t, training=True),
    )
    numpy.testing.assert_allclose(backend.numpy(found[0]), backend.numpy(expected[rank]), rtol=1e-9, atol=1e-9)
    total = rustorch.asarray(found[1], copy=True)
    dist.all_reduce(total)
    numpy.testing.assert_allclose(backend.numpy(total), backend.numpy(expected[-1]), rtol=1e-9, atol=1e-9)


@pytest.mark.ranks
@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_tiny_and_huge_values(scale: float, backend: Target, dist: ModuleType) -> None:
    """The squares of these values underflow or overflow in float32."""
    size = dist.get_world_size()
    values = [(v * scale).astype("float32") for v in batches(size, (4, 3))]
    x = backend.variable(values[dist.get_rank()], rustorch.float32)
    with numpy.errstate(over="ignore"):  # array-api-strict warns that the variance is too large for its dtype
        out, (_, var), _ = batch_norm(x, None, None, 1e-5, dist.new_group())
    whole = numpy.concatenate(values).astype("float64")
    expected = (whole - whole.mean(axis=0)) / numpy.sqrt(whole.var(axis=0) + 1e-5)
    own = expected[4 * dist.get_rank() : 4 * dist.get_rank() + 4]
    numpy.testing.assert_allclose(backend.numpy(out), own, rtol=1e-5, atol=1e-6)
    assert not numpy.any(numpy.isnan(backend.numpy(var)))


@pytest.mark.ranks
def test_a_large_mean_costs_few_digits(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    values = [(v + 3000).astype("float32") for v in batches(size, (8, 3))]
    layer = nn.SyncBatchNorm(3)
    whole = numpy.concatenate(values).astype("float64")
    expected = (whole - whole.mean(axis=0)) / numpy.sqrt(whole.var(axis=0) + 1e-5)
    numpy.testing.assert_allclose(layer(values[rank]).detach().data, expected[8 * rank : 8 * rank + 8], atol=4e-4)


@pytest.mark.ranks
def test_a_group_of_one_rank_uses_its_own_batch(dist: ModuleType) -> None:
    groups = [dist.new_group([r]) for r in range(dist.get_world_size())]
    rank = dist.get_rank()
    x = batches(dist.get_world_size(), (4, 3))[rank].astype("float32")
    found = nn.SyncBatchNorm(3, process_group=groups[rank])(x)
    numpy.testing.assert_array_equal(found.detach().data, nn.BatchNorm1d(3)(x).detach().data)
    if dist.get_world_size() > 1:
        other = nn.SyncBatchNorm(3, process_group=groups[rank - 1])
        with pytest.raises(ValueError, match="is not in the group"):
            other(x)


@pytest.mark.ranks
def test_a_checkpoint_moves_the_statistics_once(dist: ModuleType) -> None:
    rank, size = dist.get_rank(), dist.get_world_size()
    plain, repeated = nn.SyncBatchNorm(3, momentum=None), nn.SyncBatchNorm(3, momentum=None)
    values = batches(size, (4, 3))[rank].astype("float32")
    gradients = []
    for layer in (plain, repeated):
        x = rustorch.tensor(values, requires_grad=True)
        out = layer(x) if layer is plain else checkpoint(layer, x)
        (out * out * out).sum().backward()
        gradients.append(x.grad)
    numpy.testing.assert_array_equal(gradients[0], gradients[1])
    for a, b in zip(plain.buffers(), repeated.buffers(), strict=True):
        assert a.tolist() == b.tolist()


@pytest.mark.ranks
def test_what_the_layer_refuses(dist: ModuleType) -> None:
    layer = nn.SyncBatchNorm(3)
    before = [b.tolist() for b in layer.buffers()]
    size = dist.get_world_size()
    name = "SyncBatchNorm" if size > 1 else "(SyncBatchNorm|batch_norm)"
    one = rustorch.ones((1 if dist.get_rank() == 0 else 0, 3))
    for x, error, text in [
        (rustorch.ones(3), ValueError, r"SyncBatchNorm: the input has shape \(3,\); it takes \(n, channels, ...\)"),
        (rustorch.ones((4, 2)), ValueError, f"{name}: the input has .*2"),
        (rustorch.ones((4, 3), dtype=rustorch.int64), TypeError, f"{name} is of real floating-point numbers"),
        (rustorch.ones((4, 3), dtype=rustorch.float64), TypeError, "float64.*float32|float32.*float64"),
        (one, ValueError, "more than one value per channel"),
    ]:
        with pytest.raises(error, match=text):
            layer(x)
        assert [b.tolist() for b in layer.buffers()] == before
    layer.eps = 0.0
    with pytest.raises(ValueError, match="eps must be positive during training"):
        layer(rustorch.ones((4, 3)))
    assert [b.tolist() for b in layer.buffers()] == before
    with pytest.raises(ValueError, match="SyncBatchNorm: num_features is a positive number, not 0"):
        nn.SyncBatchNorm(0)
    with pytest.raises(TypeError, match=r"SyncBatchNorm: group must come from new_group\(\), not int"):
        nn.SyncBatchNorm(3, process_group=0)  # type: ignore[arg-type]


def test_without_a_process_group_it_is_batch_norm(backend: Target) -> None:
    found, expected = layers(backend)
    x = backend.variable(batches(1, (4, 3))[0])
    numpy.testing.assert_array_equal(backend.numpy(found(x)), backend.numpy(expected(x)))
    for a, b in zip(found.buffers(), expected.buffers(), strict=True):
        assert a.tolist() == b.tolist()
    assert "SyncBatchNorm(3, eps=1e-05, momentum=0.1" in repr(found)


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_the_primitive_equals_batch_norm_on_every_backend(eps: float, backend: Target, dist: ModuleType) -> None:
    """In a world of one the layer does not call it."""
    rng = numpy.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in ((4, 3, 2), (3,), (3,))]
    group = dist.new_group()
    results = []
    for i in range(2):
        x, w, b = (backend.variable(v, requires_grad=True) for v in values)
        out = F.batch_norm(x, None, None, w, b, True, eps=eps) if i else batch_norm(x, w, b, eps, group)[0]
        (out * out * out).sum().backward()
        results.append([backend.numpy(a) for a in (out, x.grad, w.grad, b.grad)])
    for found, expected in zip(*results, strict=True):
        numpy.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_central_differences_of_two_orders(dist: ModuleType) -> None:
    rng = numpy.random.default_rng(0)
    group = dist.new_group()
    at = [rng.uniform(0.3, 1.5, shape) for shape in ((3, 2), (2,), (2,))]
    differences.check(
        lambda x, w, b: batch_norm(x, w, b, 1e-5, group)[0], at, Target("cpu"), order=2, rtol=1e-5, atol=1e-6
    )


# -- convert_sync_batchnorm --------------------------------------------------------------------------------------------
def network() -> nn.Sequential:
    shared = nn.BatchNorm2d(4, momentum=None)
    inner = nn.Sequential(nn.BatchNorm1d(3, affine=False, eps=0.1), shared)
    return nn.Sequential(nn.Conv2d(1, 4, 1), shared, inner, nn.BatchNorm3d(2, track_running_stats=False), shared)


def test_convert_replaces_every_batch_norm() -> None:
    model = network()
    before, state = dict(model.named_parameters()), model.state_dict()
    model[2].eval()
    shared = model[1]
    assert nn.SyncBatchNorm.convert_sync_batchnorm(model) is model
    found = [m for m in model.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(found) == 3
    assert not any(type(m) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d) for m in model.modules())
    assert model[1] is model[4] is model[2][1]
    assert model[1].momentum is None
    assert model[1].running_mean is shared.running_mean
    assert (model[2][0].affine, model[2][0].eps, model[2][0].training) == (False, 0.1, False)
    assert model[3].running_mean is None
    assert not model[3].track_running_stats
    assert list(model.state_dict()) == list(state)
    for name, p in model.named_parameters():
        assert p is before[name]


def test_convert_a_single_layer_and_keep_what_is_no_batch_norm() -> None:
    layer = nn.BatchNorm1d(3, bias=False, dtype=rustorch.float64)
    new = nn.SyncBatchNorm.convert_sync_batchnorm(layer)
    assert isinstance(new, nn.SyncBatchNorm)
    assert new.weight is layer.weight
    assert new.bias is None
    assert isinstance(layer, nn.BatchNorm1d)
    linear = nn.Linear(2, 2)
    assert nn.SyncBatchNorm.convert_sync_batchnorm(linear) is linear
    with pytest.raises(TypeError, match="module is a Module, not int"):
        nn.SyncBatchNorm.convert_sync_batchnorm(3)  # type: ignore[type-var]


def test_convert_for_a_group_and_copy(dist: ModuleType) -> None:
    group = dist.new_group([0])
    model = nn.SyncBatchNorm.convert_sync_batchnorm(network(), group)
    again = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert model is again
    assert model[1].process_group is None
    layer = nn.SyncBatchNorm(3, process_group=group)
    assert copy.deepcopy(layer).process_group is group

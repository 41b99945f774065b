"""Hooks of modules: when they are called, with which arguments, in which order, and what their results replace."""

from __future__ import annotations

import copy
from collections import namedtuple
from typing import Any

import numpy
import pytest

import rustorch
from rustorch import nn
from tests.support.cycles import leaves_none
from tests.support.target import Target


class Net(nn.Module):
    """A module with two arguments, an option and two outputs."""

    def forward(self, x: Any, y: Any = None, scale: float = 1.0) -> Any:
        return x * scale, x + (0 if y is None else y)


def test_forward_hooks_see_and_replace_arguments_and_outputs(backend: Target) -> None:
    net, seen = Net(), []
    net.register_forward_pre_hook(lambda module, args: seen.append(("pre", module is net, len(args))))
    net.register_forward_pre_hook(lambda module, args: args[0] * 2)
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {**kwargs, "scale": 3.0}), with_kwargs=True)
    net.register_forward_hook(lambda module, args, output: seen.append(("post", args[0].tolist(), output[0].tolist())))
    net.register_forward_hook(lambda module, args, kwargs, output: (output[0], kwargs["scale"]), with_kwargs=True)
    out = net(backend.variable([1.0]))
    assert out[0].tolist() == [6.0]
    assert out[1] == 3.0
    assert seen == [("pre", True, 1), ("post", [2.0], [6.0])]


def test_hooks_run_in_order_until_they_are_removed() -> None:
    net, seen = Net(), []
    first = net.register_forward_hook(lambda *_: seen.append("first"))
    net.register_forward_hook(lambda *_: seen.append("second"))
    net.register_forward_hook(lambda *_: seen.append("zeroth"), prepend=True)
    net(rustorch.ones(1))
    assert seen == ["zeroth", "first", "second"]
    first.remove()
    first.remove()
    seen.clear()
    with net.register_forward_pre_hook(lambda *_: seen.append("pre")):
        net(rustorch.ones(1))
    net(rustorch.ones(1))
    assert seen == ["pre", "zeroth", "second", "zeroth", "second"]


def test_always_call_runs_a_hook_after_an_exception() -> None:
    net, seen = nn.Linear(2, 1), []
    net.register_forward_hook(lambda module, args, output: seen.append(output), always_call=True)
    net.register_forward_hook(lambda module, args, output: seen.append("not always"))
    with pytest.raises(ValueError, match="linear"):
        net(rustorch.ones((1, 3)))
    assert seen == [None]


def test_a_pre_hook_with_kwargs_must_return_args_and_kwargs() -> None:
    net = Net()
    net.register_forward_pre_hook(lambda module, args, kwargs: args[0], with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"returns None or \(args, kwargs\)"):
        net(rustorch.ones(1))


def _run(nn: Any, leaf: Any, total: Any) -> list[Any]:
    """What backward hooks see and do, in rustorch or in PyTorch."""
    seen: list[Any] = []

    def plain(gradients: Any) -> Any:
        return [None if g is None else numpy.asarray(g.tolist()) for g in gradients]

    class Two(nn.Module):
        def forward(self, x: Any, k: Any, y: Any) -> Any:
            return x * y, x * k

    net = nn.Sequential(nn.Tanh(), nn.Tanh())
    two = Two()
    net[1].register_full_backward_hook(lambda module, i, o: seen.append((module is net[1], plain(i), plain(o))))
    net[0].register_full_backward_hook(lambda module, i, o: (i[0] * 3,))
    net[0].register_full_backward_pre_hook(lambda module, o: (o[0] * 2,))
    net.register_full_backward_hook(lambda module, i, o: seen.append(("whole", plain(i), plain(o))))
    two.register_full_backward_hook(lambda module, i, o: seen.append(("two", plain(i), plain(o))))
    two.register_full_backward_hook(lambda module, i, o: seen.append("zeroth"), prepend=True)
    x, y = leaf([0.5, -0.3]), leaf([2.0, 3.0])
    a, b = two(net(x), 5.0, y)
    total(a * 1.0 + b * 2.0).backward()
    first = nn.Tanh()
    first.register_full_backward_hook(lambda module, i, o: seen.append(("never", plain(i), plain(o))))
    first(leaf([1.0]) * 0 + 1)
    return [*seen, *(numpy.asarray(rustorch.Variable(g).tolist()) for g in (x.grad, y.grad))]


def _assert_equal(actual: Any, expected: Any) -> None:
    if isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            _assert_equal(one, other)
    elif isinstance(expected, numpy.ndarray):
        numpy.testing.assert_allclose(actual, expected, rtol=1e-6)
    else:
        assert actual == expected


def test_backward_hooks_behave_as_pytorchs(backend: Target) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed to compare with")
    ours = _run(nn, lambda values: backend.variable(values, "float32", requires_grad=True), lambda x: x.sum())
    theirs = _run(torch.nn, lambda values: torch.tensor(values, requires_grad=True), lambda x: x.sum())
    _assert_equal(ours, theirs)


def test_backward_hooks_of_a_layer_whose_input_is_not_tracked(backend: Target) -> None:
    layer, seen = nn.Linear(2, 1, device=backend.device), []
    layer.register_full_backward_hook(lambda module, i, o: seen.append((i, o[0].tolist())))
    layer(backend.variable([[1.0, 2.0]], "float32")).sum().backward()
    assert seen == [((None,), [[1.0]])]
    with rustorch.no_grad():
        layer(backend.variable([[1.0, 2.0]], "float32"))
    layer.register_full_backward_hook(lambda module, i, o: o)
    with pytest.raises(RuntimeError, match="a backward hook of Linear has no gradient to replace"):
        layer(backend.variable([[1.0, 2.0]], "float32")).sum().backward()


def test_backward_hooks_leave_no_reference_cycles() -> None:
    layer = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    layer[1].register_full_backward_hook(lambda module, i, o: (i[0] * o[0],))
    x = rustorch.tensor([[1.0, 2.0]], requires_grad=True)

    def step() -> None:
        (first,) = rustorch.grad(layer(x).sum(), x, create_graph=True)
        first.sum().backward()

    assert leaves_none(step)


def test_backward_hooks_are_part_of_second_derivatives() -> None:
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda module, i, o: (i[0] * i[0],))
    x = rustorch.tensor([0.5], dtype=rustorch.float64, requires_grad=True)
    (first,) = rustorch.grad(layer(x).sum(), x, create_graph=True)
    (second,) = rustorch.grad(first.sum(), x)
    slope = 1 - numpy.tanh(0.5) ** 2
    assert first.item() == pytest.approx(slope**2)
    # The second gradient reaches the input without the output. As in PyTorch, no hook is called for it.
    assert second.item() == pytest.approx(2 * slope * (-2 * numpy.tanh(0.5) * slope))


@pytest.mark.parametrize("make", [list, tuple, namedtuple("Pair", "a b")._make])
def test_outputs_keep_their_type(make: Any) -> None:
    class Several(nn.Module):
        def forward(self, x: Any) -> Any:
            return make([x * 2, "text"])

    net, seen = Several(), []
    net.register_full_backward_hook(lambda module, i, o: seen.append(o[1]))
    out = net(rustorch.tensor([1.0], requires_grad=True))
    assert type(out) is type(make([1, 2]))
    out[0].backward()
    assert seen == [None]


def test_a_wrong_number_of_gradients_raises() -> None:
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda module, i, o: (i[0], i[0]))
    with pytest.raises(
        RuntimeError, match="a backward hook returns as many gradients as it was given, 1, or None; this one returned 2"
    ):
        layer(rustorch.tensor([1.0], requires_grad=True)).backward()


def test_a_copy_has_the_hooks_of_the_original() -> None:
    net, seen = Net(), []
    net.register_forward_hook(lambda *_: seen.append(1))
    clone = copy.deepcopy(net)
    clone(rustorch.ones(1))
    assert seen == [1]
    clone.register_forward_hook(lambda *_: seen.append(2))
    net(rustorch.ones(1))
    assert seen == [1, 1]


def test_submodules_parameters_and_buffers_are_found_by_dotted_names() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2)))
    assert net.get_submodule("") is net
    assert net.get_submodule("1.0") is net[1][0]
    assert net.get_parameter("0.weight") is net[0].weight
    assert net.get_buffer("1.0.running_mean") is net[1][0].running_mean
    for call, message in (
        (lambda: net.get_submodule("1.5"), r"Sequential has no module '5' \(of the name '1.5'\)"),
        (lambda: net.get_submodule("0.weight"), "Linear has no module 'weight'"),
        (lambda: net.get_parameter("0.running_mean"), "Linear has no parameter 'running_mean'"),
        (lambda: net.get_buffer("1.0.weight"), r"BatchNorm1d has no buffer 'weight' \(of the name '1.0.weight'\)"),
    ):
        with pytest.raises(AttributeError, match=message):
            call()

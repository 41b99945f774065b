"""A case: one call of one layer, which rustorch and PyTorch can both run. The tables of ``cases/`` consist of cases.

A case is data: the name of the class, its arguments, and its inputs from a generator. `evaluate` runs it with either
library. It returns everything to compare: the output, the gradients of inputs and parameters, the state after the call,
and the repr.

After a change of cases, ``python -m tests.reference.make nn_<family>`` writes PyTorch's numbers for them.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy

import rustorch
from tests.reference import cases
from tests.support.target import Target


@dataclass(frozen=True)
class Case:
    """A module and a call of it.

    Attributes
    ----------
    cls : str
        The name of the class in ``nn``.
    args, kwargs
        The arguments of the class. NumPy arrays in them become arrays of the library.
    inputs : callable, optional
        ``inputs(rng)`` returns the arguments of the call as a tuple: arrays (of float64 or integers), nested tuples and
        lists of arrays, None or options. A dict in the last place holds keyword arguments. Without ``inputs`` only the
        repr and the state are compared.
    grad_inputs : tuple of int, optional
        The numbers of the arrays to differentiate in. They are counted through all inputs, nested ones included.
        Default: all floating-point arrays.
    variant : str
        One more word for the name of the case.
    build : callable, optional
        ``build(nn)`` makes the module instead, from the ``nn`` of a library: for containers, and for arguments that are
        modules.
    train : bool
        Whether the module is in training.
    everywhere : bool, optional
        Whether the case runs on every backend, or only on "cpu". Default: True for the first case of each class.
    prepare : callable, optional
        ``prepare(functional, *inputs)`` returns the arguments of the call, from the ``nn.functional`` of a library and
        the inputs.
    """

    cls: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    inputs: Callable[[numpy.random.Generator], tuple[Any, ...]] | None = None
    grad_inputs: tuple[int, ...] | None = None
    variant: str = ""
    build: Callable[[Any], Any] | None = None
    train: bool = True
    everywhere: bool | None = None
    prepare: Callable[..., tuple[Any, ...]] | None = None

    @property
    def name(self) -> str:
        """The class, its arguments, and everything else that distinguishes the case."""
        given = [*map(_short, self.args), *(f"{key}={_short(value)}" for key, value in self.kwargs.items())]
        return " ".join(
            [f"{self.cls}({', '.join(given)})"] + ["eval"] * (not self.train) + [self.variant] * bool(self.variant)
        )

    def arrays(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs of the module, equal in every run."""
        assert self.inputs is not None
        given = self.inputs(numpy.random.default_rng(zlib.crc32(self.name.encode())))
        return (given[:-1], given[-1]) if given and isinstance(given[-1], dict) else (given, {})


def _short(value: Any) -> str:
    return f"array{value.shape}" if isinstance(value, numpy.ndarray) else repr(value)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """Nested tuples, lists and dicts with ``function`` applied to every leaf."""
    if isinstance(tree, dict):
        return {key: mapped(function, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(mapped(function, value) for value in tree)
    return function(tree)


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of nested tuples, lists and dicts, in order, without None."""
    if isinstance(tree, (dict, tuple, list)):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(value)
    elif tree is not None:
        yield tree


# -- the two libraries -------------------------------------------------------------------------------------------------
class Ours:
    """rustorch on a backend."""

    def __init__(self, target: Target):
        self.nn: Any = rustorch.nn
        self.variable = rustorch.Variable
        self.target = target

    def new(self, array: numpy.ndarray, tracked: bool = False) -> Any:
        return self.target.variable(array, array.dtype, requires_grad=tracked)

    def numpy(self, value: Any) -> numpy.ndarray:
        return self.target.numpy(value)

    def placed(self, module: Any) -> Any:
        return module.double().to(self.target.device)


class Theirs:
    """PyTorch."""

    def __init__(self) -> None:
        import torch

        self.nn: Any = torch.nn
        self.variable = torch.Tensor
        self._torch = torch

    def new(self, array: numpy.ndarray, tracked: bool = False) -> Any:
        return self._torch.tensor(array).requires_grad_(tracked)

    def numpy(self, value: Any) -> numpy.ndarray:
        return value.detach().numpy()

    def placed(self, module: Any) -> Any:
        return module.double()


Library = Ours | Theirs


# -- running a case ----------------------------------------------------------------------------------------------------
@dataclass
class Result:
    """The result of a case: texts, and arrays by name.

    Names are "output.0", "gradient of input 0", "gradient of weight", "state after: bias", and so on.
    """

    repr: str
    state: dict[str, list[int]]
    values: dict[str, numpy.ndarray | None] = field(default_factory=dict)
    #: The state before the call, as arrays of the library.
    start: dict[str, Any] = field(default_factory=dict)


def build(case: Case, library: Library) -> Any:
    """The module of a case."""
    if case.build is not None:
        module = case.build(library.nn)
    else:
        args, kwargs = mapped(lambda x: library.new(x) if isinstance(x, numpy.ndarray) else x, (case.args, case.kwargs))
        module = getattr(library.nn, case.cls)(*args, **kwargs)
    assert type(module).__name__ == case.cls
    return library.placed(module).train(case.train)


def _start(state: dict[str, numpy.ndarray]) -> dict[str, numpy.ndarray]:
    """Values for a state: counters stay, all others follow a formula."""
    chosen = {}
    for i, (name, value) in enumerate(state.items()):
        if value.dtype.kind == "f":
            value = cases.numbers(value.shape, start=0.7 * i, scale=0.5)
            if name.endswith("running_var"):
                value = numpy.abs(value) + 0.5
        chosen[name] = value
    return chosen


def evaluate(case: Case, library: Library, state: dict[str, Any] | None = None) -> Result:
    """Run a case: forward, and backward from fixed weights of the outputs.

    Parameters
    ----------
    case : Case
    library : Ours or Theirs
    state : dict, optional
        The state to load before the call, of any library; default: numbers from a formula.
    """
    module = build(case, library)
    found = {name: library.numpy(value) for name, value in module.state_dict().items()}
    result = Result(repr(module), {name: list(value.shape) for name, value in found.items()})
    if state is None:
        given = case.cls.endswith("Loss") and not list(module.parameters())  # the state of a loss is its arguments
        start = found if given else _start(found)
        state = {name: library.new(value) for name, value in start.items()}
    module.load_state_dict(state)
    result.start = {name: library.new(library.numpy(value).copy()) for name, value in module.state_dict().items()}
    if case.inputs is None:
        return result

    tracked: list[Any] = []
    count = -1

    def given(x: Any) -> Any:
        nonlocal count
        if not isinstance(x, numpy.ndarray):
            return x
        count += 1
        wanted = x.dtype.kind == "f" if case.grad_inputs is None else count in case.grad_inputs
        leaf = library.new(x, wanted)
        if wanted:
            tracked.append((count, leaf))
            return leaf * 1 if case.kwargs.get("inplace") else leaf  # an in-place layer must not get a leaf
        return leaf

    args, kwargs = mapped(given, case.arrays())
    if case.prepare is not None:
        args = case.prepare(library.nn.functional, *args)
    outputs = [out for out in leaves(module(*args, **kwargs)) if isinstance(out, library.variable)]
    assert outputs, "the module returned no array"
    total: Any = None
    for i, out in enumerate(outputs):
        result.values[f"output.{i}"] = library.numpy(out)
        if out.requires_grad:
            part = (out * library.new(cases.output_gradient(tuple(out.shape)))).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()
    for i, leaf in tracked:
        result.values[f"gradient of input {i}"] = None if leaf.grad is None else library.numpy(leaf.grad)
    for name, parameter in module.named_parameters():
        result.values[f"gradient of {name}"] = None if parameter.grad is None else library.numpy(parameter.grad)
    for name, value in module.state_dict().items():
        result.values[f"state after: {name}"] = library.numpy(value)
    return result


def evaluate_by_pytorch(case: Case) -> Result:
    """Run a case with PyTorch, and ignore its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return evaluate(case, Theirs())


# -- what is committed of a result -------------------------------------------------------------------------------------
def projection(array: numpy.ndarray | None) -> list[float]:
    """A digest of an array: its product with fixed weights, its norm, its shape; None for None."""
    if array is None:
        return []
    flat = numpy.asarray(array, dtype=numpy.float64).reshape(-1)
    product = flat @ cases.numbers(flat.shape, start=2.1, scale=1.0)
    return [float(f"{product:.12g}"), float(f"{numpy.sqrt(flat @ flat):.12g}"), *array.shape]


def digest(case: Case, result: Result) -> dict[str, Any]:
    """The digest of a result that is committed. "drawn" shows whether NumPy still draws the same inputs."""
    given = () if case.inputs is None else [x for x in leaves(case.arrays()) if isinstance(x, numpy.ndarray)]
    return {
        "repr": result.repr,
        "state": result.state,
        "drawn": {str(i): projection(x) for i, x in enumerate(given)},
        "values": {name: projection(value) for name, value in result.values.items()},
    }

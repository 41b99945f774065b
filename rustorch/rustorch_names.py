"""Names of RusTorch's Python bindings, for people who come from there; all of them read-only, each for something named
otherwise here.

The classes below are bases of those that get the names. ``rustorch.Tensor`` is `Variable` itself; `filled` lets it take
a shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from operator import index
from typing import Any

from .backends import BY_TYPE

__all__ = [
    "AdamNames",
    "LinearNames",
    "OptimizerNames",
    "VariableNames",
    "dilation_or_bias",
    "filled",
    "reduction_first",
    "switch",
]


def _alias(instead: str) -> Callable[[Callable[[Any], Any]], property]:
    """A property that cannot be set, and says what can be done instead."""

    def attach(read: Callable[[Any], Any]) -> property:
        def refuse(self: Any, *value: Any) -> None:
            raise AttributeError(
                f"{type(self).__name__}.{read.__name__}, a name of RusTorch's, is read-only; {instead}"
            )

        return property(read, refuse, refuse)

    return attach


class _Count(int):
    """A number that may be called: ``x.numel`` is RusTorch's, ``x.numel()`` PyTorch's."""

    def __call__(self) -> int:
        return int(self)


def filled(array: Any, shape: Sequence[Any]) -> Any:
    """The numbers of a native array in another shape, for ``Tensor(data, shape)``.

    Raises
    ------
    TypeError
        If the shape holds something that is no integer.
    ValueError
        If there are not as many numbers as it has places, or a size is negative.
    """
    if any(isinstance(size, bool) or not hasattr(size, "__index__") for size in shape):
        raise TypeError(f"Tensor(data, shape): a shape holds integers, not {shape!r}; requires_grad is True or False")
    sizes = tuple(index(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise ValueError(f"Tensor(data, shape): no size is negative, but {sizes} has one; rustorch.reshape takes a -1")
    have, need = prod(array.shape), prod(sizes)
    if have != need:
        raise ValueError(
            f"Tensor(data, shape): the shape {sizes} has {need} places, data {have} numbers; rustorch.tensor takes "
            f"nested lists, "
            f"and no shape"
        )
    return BY_TYPE[type(array)].xp.reshape(array, sizes)


def switch(name: str, data: Any, requires_grad: Any) -> bool:
    """The second argument of ``Variable(data, requires_grad)``, where it is no shape.

    Raises
    ------
    TypeError
        If it is neither true nor false: sizes one by one, as PyTorch's ``Tensor(2, 3)`` takes them, say.
    """
    if requires_grad is None or str(requires_grad) in ("True", "False"):  # NumPy's booleans, too
        return bool(requires_grad)
    shown = f"{name}({data!r}, {requires_grad!r})" if isinstance(data, int) else f"{name}(data, {requires_grad!r})"
    raise TypeError(
        f"{shown}: the second argument is requires_grad, True or False, or a shape in parentheses that data fills; "
        f"write "
        f"rustorch.empty((2, 3)) or rustorch.zeros((2, 3)) for an array of a shape, and rustorch.tensor([2, 3]) for "
        f"numbers"
    )


def reduction_first(first: Any, reduction: str) -> tuple[Any, str]:
    """The first argument of a loss and its reduction. RusTorch's losses take the reduction first: ``MSELoss("sum")``.

    Returns
    -------
    first, reduction
        As they were given; if ``first`` is a string, it is the reduction, and the first argument is None.
    """
    return (None, first) if isinstance(first, str) else (first, reduction)


def dilation_or_bias(dilation: Any) -> Any:
    """The dilation of a convolution. RusTorch's convolutions take the bias in its place: True is 1, as in PyTorch."""
    return 1 if dilation is True else dilation


class VariableNames:
    """Of `Variable`."""

    _native: Any

    @classmethod
    def from_tensor(cls, tensor: Any, requires_grad: bool = False) -> Any:
        """RusTorch's name for ``Variable(tensor, requires_grad)``: the same memory, outside the graph.

        Parameters
        ----------
        tensor : Variable, array, number or nested lists
        requires_grad : bool

        Returns
        -------
        Variable

        Examples
        --------
        >>> import rustorch
        >>> rustorch.Variable.from_tensor(rustorch.tensor([1.0, 2.0]), requires_grad=True)
        Variable([1., 2.], requires_grad=True)
        """
        made: Any = cls(tensor)  # type: ignore[call-arg]
        return made.requires_grad_(requires_grad)

    @_alias("it follows from the shape")
    def numel(self) -> int:
        """How many elements there are, as ``size``. RusTorch reads it, PyTorch calls it: both work."""
        return _Count(prod(self._native.shape))


class LinearNames:
    """Of `Linear`."""

    in_features: int
    out_features: int

    @_alias("make a new Linear(in_features, out_features) for another size")
    def input_size(self) -> int:
        """RusTorch's name for ``in_features``; read-only."""
        return self.in_features

    @_alias("make a new Linear(in_features, out_features) for another size")
    def output_size(self) -> int:
        """RusTorch's name for ``out_features``; read-only."""
        return self.out_features


class OptimizerNames:
    """Of all optimizers."""

    param_groups: list[dict[str, Any]]

    @_alias("set optimizer.lr, or call optimizer.set_lr(lr)")
    def learning_rate(self) -> float:
        """RusTorch's name for ``lr``, the learning rate of the first group; read-only."""
        return self.param_groups[0]["lr"]


class AdamNames:
    """Of `Adam` and `AdamW`; options are those of the first group, as ``lr`` is."""

    param_groups: list[dict[str, Any]]
    state: dict[Any, dict[str, Any]]
    steps: int

    @_alias("set group['betas'] = (beta1, beta2) of each group in optimizer.param_groups")
    def beta1(self) -> float:
        """RusTorch's name for ``betas[0]`` of the first group; read-only."""
        return self.param_groups[0]["betas"][0]

    @_alias("set group['betas'] = (beta1, beta2) of each group in optimizer.param_groups")
    def beta2(self) -> float:
        """RusTorch's name for ``betas[1]`` of the first group; read-only."""
        return self.param_groups[0]["betas"][1]

    @_alias("set group['eps'] of each group in optimizer.param_groups")
    def eps(self) -> float:
        """RusTorch's name for the option ``eps`` of the first group; read-only."""
        return self.param_groups[0]["eps"]

    @_alias("set group['weight_decay'] of each group in optimizer.param_groups")
    def weight_decay(self) -> float:
        """RusTorch's name for the option ``weight_decay`` of the first group; read-only."""
        return self.param_groups[0]["weight_decay"]

    @_alias("step() counts, and load_state_dict takes over the count of the state that it loads")
    def step_count(self) -> int:
        """How many steps there were, those before the state was loaded too: the ``t`` of the last update; read-only."""
        return max((kept["step"] for kept in self.state.values()), default=self.steps)

"""Names and arguments of RusTorch's Python bindings, for programs that were written for them.

The classes are bases of those that get the names. Each name is read-only and stands for one that is spelled otherwise
here. The functions interpret arguments that mean something else in RusTorch. ``rustorch.Tensor`` is `Variable` itself.
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
    "reduction_first",
    "shape_or_requires_grad",
]


def _alias(instead: str) -> Callable[[Callable[[Any], Any]], property]:
    """A property that cannot be set; the error says what to do instead."""

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


def shape_or_requires_grad(name: str, data: Any, second: Any, native_array: Callable[[], Any]) -> tuple[Any, bool]:
    """Interpret the second argument of ``Variable(data, second)`` if it is no bool: RusTorch takes a shape there.

    Parameters
    ----------
    name : str
        The name of the class, for errors.
    data : array, number, nested lists of numbers, or Variable
    second : list or tuple of int, or what NumPy and Python take for a bool
        A shape that the numbers fill, or requires_grad.
    native_array : callable
        Makes the native array of the data.

    Returns
    -------
    data, requires_grad

    Raises
    ------
    TypeError
        If it is no shape and neither true nor false, such as the sizes of PyTorch's ``Tensor(2, 3)``.
    ValueError
        If a size is negative, or the numbers do not fill the shape.
    """
    if isinstance(second, (list, tuple)):
        array = native_array()
        return BY_TYPE[type(array)].xp.reshape(array, _sizes(second, prod(array.shape))), False
    if second is None or str(second) in ("True", "False"):  # NumPy's booleans, too
        return data, bool(second)
    shown = f"{name}({data!r}, {second!r})" if isinstance(data, int) else f"{name}(data, {second!r})"
    raise TypeError(
        f"{shown}: the second argument is requires_grad, True or False, or a shape in parentheses that data fills; "
        f"write rustorch.empty((2, 3)) or rustorch.zeros((2, 3)) for an array of a shape, and rustorch.tensor([2, 3]) "
        f"for numbers"
    )


def _sizes(shape: Sequence[Any], count: int) -> tuple[int, ...]:
    """The shape of ``Tensor(data, shape)`` for so many numbers."""
    if any(isinstance(size, bool) or not hasattr(size, "__index__") for size in shape):
        raise TypeError(f"Tensor(data, shape): a shape holds integers, not {shape!r}; requires_grad is True or False")
    sizes = tuple(index(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise ValueError(f"Tensor(data, shape): no size is negative, but {sizes} has one; rustorch.reshape takes a -1")
    if prod(sizes) != count:
        raise ValueError(
            f"Tensor(data, shape): the shape {sizes} has {prod(sizes)} places, data {count} numbers; rustorch.tensor "
            f"takes nested lists, and no shape"
        )
    return sizes


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
    """The names of `Variable`."""

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
        """The number of elements, as ``size``. RusTorch reads ``x.numel``, PyTorch calls ``x.numel()``: both work."""
        return _Count(prod(self._native.shape))


class LinearNames:
    """The names of `Linear`."""

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
    """The names of all optimizers."""

    param_groups: list[dict[str, Any]]

    @_alias("set optimizer.lr, or call optimizer.set_lr(lr)")
    def learning_rate(self) -> float:
        """RusTorch's name for ``lr``, the learning rate of the first group; read-only."""
        value: float = self.param_groups[0]["lr"]
        return value


class AdamNames:
    """The names of `Adam` and `AdamW`. Options are those of the first group of parameters, as ``lr`` is."""

    param_groups: list[dict[str, Any]]
    state: dict[Any, dict[str, Any]]
    steps: int

    @_alias("set group['betas'] = (beta1, beta2) of each group in optimizer.param_groups")
    def beta1(self) -> float:
        """RusTorch's name for ``betas[0]`` of the first group; read-only."""
        value: float = self.param_groups[0]["betas"][0]
        return value

    @_alias("set group['betas'] = (beta1, beta2) of each group in optimizer.param_groups")
    def beta2(self) -> float:
        """RusTorch's name for ``betas[1]`` of the first group; read-only."""
        value: float = self.param_groups[0]["betas"][1]
        return value

    @_alias("set group['eps'] of each group in optimizer.param_groups")
    def eps(self) -> float:
        """RusTorch's name for the option ``eps`` of the first group; read-only."""
        value: float = self.param_groups[0]["eps"]
        return value

    @_alias("set group['weight_decay'] of each group in optimizer.param_groups")
    def weight_decay(self) -> float:
        """RusTorch's name for the option ``weight_decay`` of the first group; read-only."""
        value: float = self.param_groups[0]["weight_decay"]
        return value

    @_alias("step() counts, and load_state_dict takes over the count of the state that it loads")
    def step_count(self) -> int:
        """The number of steps, the ``t`` of the last update; read-only. A loaded state brings its own count."""
        return max((kept["step"] for kept in self.state.values()), default=self.steps)

"""Pack all parameters into one vector, and unpack a vector into parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ... import ops
from ...autograd.check import adopt
from ...autograd.modes import no_grad
from ...variable import Variable

if TYPE_CHECKING:
    from ...typing import ArrayLike

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Variable]) -> Variable:
    """The values of all parameters, one after the other, as one vector.

    Parameters
    ----------
    parameters : iterable of Variable
        All on one device.

    Returns
    -------
    Variable, (n,)
        It is part of the graph: gradients flow back to the parameters.

    Raises
    ------
    RuntimeError
        If the parameters are on different devices.
    ValueError
        If there are none.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Linear(2, 3)
    >>> rustorch.nn.utils.parameters_to_vector(layer.parameters()).shape
    (9,)
    """
    listed = list(parameters)
    if not listed:
        raise ValueError("parameters_to_vector: there are no parameters")
    vector: Variable = ops.concat([ops.reshape(parameter, (parameter.size,)) for parameter in listed], axis=0)
    return vector


def vector_to_parameters(vec: ArrayLike, parameters: Iterable[Variable]) -> None:
    """Copy the values of a vector into the parameters, in order. Each keeps its shape, dtype and device.

    Parameters
    ----------
    vec : Variable or array, (n,)
    parameters : iterable of Variable

    Raises
    ------
    ValueError
        If the vector has another number of values than the parameters. Nothing is copied then.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Linear(2, 1)
    >>> rustorch.nn.utils.vector_to_parameters(rustorch.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    vector, listed = adopt(vec, "vector_to_parameters"), list(parameters)
    size = sum(parameter.size for parameter in listed)
    if vector.shape != (size,):
        raise ValueError(
            f"vector_to_parameters: the parameters have {size} values together, the vector has shape {vector.shape}"
        )
    start = 0
    with no_grad():
        for parameter in listed:
            part = ops.reshape(vector[start : start + parameter.size], parameter.shape)
            parameter[...] = part.to(device=parameter.device, dtype=parameter.dtype)
            start += parameter.size

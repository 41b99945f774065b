"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ... import ops
from ...autograd.check import adopt
from ...autograd.modes import no_grad
from ...variable import Variable

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Variable]) -> Variable:
    """All values of all parameters, one after the other.

    Parameters
    ----------
    parameters : iterable of Variable
        On one device.

    Returns
    -------
    Variable, (n,)
        In the graph: gradients find their way back.

    Raises
    ------
    RuntimeError
        If they are on different devices.
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
    return ops.concat([ops.reshape(parameter, (parameter.size,)) for parameter in listed], axis=0)


def vector_to_parameters(vec: Any, parameters: Iterable[Variable]) -> None:
    """Copy the values of a vector into the parameters, in their order; each keeps its shape, dtype and device.

    Parameters
    ----------
    vec : Variable or array, (n,)
    parameters : iterable of Variable

    Raises
    ------
    ValueError
        If there are not as many values as the parameters have; nothing was copied.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.Linear(2, 1)
    >>> rustorch.nn.utils.vector_to_parameters(rustorch.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0, 2.0]], [3.0])
    """
    vec, listed = adopt(vec, "vector_to_parameters"), list(parameters)
    need = sum(parameter.size for parameter in listed)
    if vec.shape != (need,):
        raise ValueError(
            f"vector_to_parameters: the parameters have {need} values together, the vector has shape {vec.shape}"
        )
    start = 0
    with no_grad():
        for parameter in listed:
            part = ops.reshape(vec[start : start + parameter.size], parameter.shape)
            parameter[...] = part.to(device=parameter.device, dtype=parameter.dtype)
            start += parameter.size

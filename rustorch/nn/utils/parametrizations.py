"""Weights computed from others: a direction and a size, or a matrix divided by its largest singular value."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...autograd.checkpoint import is_repeating
from ...autograd.modes import no_grad
from ...ops import linalg
from ...random import weights
from ...variable import Variable
from .. import functional as F
from ..module import Module
from .parametrize import is_parametrized, lists_of, register_parametrization, remove_parametrizations

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


def _checked(name: str, module: Module, tensor: str) -> Variable:
    value = getattr(module, tensor) if is_parametrized(module, tensor) else module._parameters.get(tensor)
    if value is None:
        raise ValueError(f"{name}: {type(module).__name__} has no parameter {tensor!r}")
    return value


def _dimension(name: str, value: Variable, dim: int) -> int:
    if not -value.ndim <= dim < value.ndim:
        raise ValueError(f"{name}: there is no dimension {dim} in a weight of shape {value.shape}")
    return dim % value.ndim


class _WeightNorm(Module):
    """``v * (g / norm(v))``, with the norm over all dimensions but one, or over all."""

    def __init__(self, dim: int | None):
        super().__init__()
        self.dim = dim

    def _norm(self, v: Variable) -> Variable:
        if self.dim is None:
            return linalg.vector_norm(v)
        if v.ndim == 1:  # each number by itself
            return ops.abs(v)
        return linalg.vector_norm(v, axis=tuple([i for i in range(v.ndim) if i != self.dim]), keepdims=True)

    def forward(self, g: Variable, v: Variable) -> Variable:
        """A direction of length 0 gives a weight of 0, with gradients of 0: there is no direction to turn to."""
        norm = self._norm(v)
        return v / ops.where(norm == 0, float("inf"), norm) * g

    def right_inverse(self, weight: Variable) -> tuple[Variable, Variable]:
        """The size and the direction of a weight."""
        return self._norm(weight), weight.clone()


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Let a weight be ``g * v / norm(v)``: its size and its direction are learned apart.

    They are ``parametrizations.<name>.original0`` and ``original1`` in the state, as of PyTorch's
    ``torch.nn.utils.parametrizations.weight_norm``; there is no other form of it.

    Parameters
    ----------
    module : Module
    name : str
        Of a parameter.
    dim : int or None
        The dimension whose slices have a size each; None or -1 for one size in all.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such parameter or dimension.

    Source: Salimans & Kingma, "Weight normalization", 2016, equation 2.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.utils.weight_norm(rustorch.Linear(2, 3))
    >>> {name: value.shape for name, value in layer.state_dict().items()}
    {'bias': (3,), 'parametrizations.weight.original0': (3, 1), 'parametrizations.weight.original1': (3, 2)}
    """
    value = _checked("weight_norm", module, name)
    dim = None if dim is None or dim == -1 else _dimension("weight_norm", value, dim)
    return register_parametrization(module, name, _WeightNorm(dim))


class _SpectralNorm(Module):
    """``weight / sigma``: sigma is the largest singular value, by a power iteration that goes on from call to call.

    Attributes
    ----------
    _u, _v : Variable
        The singular vectors, as far as they are known.
    """

    _u: Variable
    _v: Variable

    def __init__(self, weight: Variable, n_power_iterations: int, dim: int, eps: float):
        super().__init__()
        self.dim = dim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            with no_grad():
                matrix = self._matrix(weight.detach())
                for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                    drawn = weights("normal", (size,), weight.dtype, scale=1.0, shift=0.0, device=weight.device)
                    self.register_buffer(name, F.normalize(drawn, dim=0, eps=eps))
                self._iterate(matrix, 15)

    def _matrix(self, weight: Variable) -> Variable:
        moved = ops.moveaxis(weight, self.dim, 0) if self.dim else weight
        return ops.reshape(moved, (moved.shape[0], moved.size // moved.shape[0]))

    def _iterate(self, matrix: Variable, times: int) -> None:
        for _ in range(times):
            self._u[...] = F.normalize(matrix @ self._v, dim=0, eps=self.eps)
            self._v[...] = F.normalize(ops.matrix_transpose(matrix) @ self._u, dim=0, eps=self.eps)

    def forward(self, weight: Variable) -> Variable:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training and not is_repeating():
            with no_grad():
                self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # the next call writes into them
        return weight / ops.vecdot(u, matrix @ v)

    def right_inverse(self, value: Variable) -> Variable:
        """A weight is taken as it is."""
        return value.clone()


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Let a weight be divided by its largest singular value, so that the layer stretches nothing.

    The state has ``parametrizations.<name>.original`` and the vectors ``parametrizations.<name>.0._u`` and ``_v``, as
    of PyTorch's ``torch.nn.utils.parametrizations.spectral_norm``; there is no other form of it.

    Parameters
    ----------
    module : Module
    name : str
        Of a parameter.
    n_power_iterations : int
        How often the singular vectors are improved at each use in training.
    eps : float
        What norms are at least.
    dim : int, optional
        The dimension of the outputs; default 0, for transposed convolutions 1.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such parameter or dimension, or no iteration.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018, algorithm 1.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.utils.spectral_norm(rustorch.Linear(3, 3)).eval()
    >>> abs(rustorch.linalg.svdvals(layer.weight)[0].item() - 1) < 0.05
    True
    """
    value = _checked("spectral_norm", module, name)
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: n_power_iterations is a positive number, not {n_power_iterations}")
    if dim is None:
        dim = 1 if "ConvTranspose" in type(module).__name__ else 0
    dim = _dimension("spectral_norm", value, dim)
    return register_parametrization(module, name, _SpectralNorm(value, n_power_iterations, dim, eps))


def _removed(function: str, kind: type, module: Module, name: str) -> Module:
    listed: Any = lists_of(module)[name] if is_parametrized(module, name) else []
    if not any(isinstance(parametrization, kind) for parametrization in listed):
        raise ValueError(f"{function}: {name!r} of {type(module).__name__} has none")
    return remove_parametrizations(module, name)


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Let the weight be an ordinary parameter again, with the value that it has; returns the module.

    Raises
    ------
    ValueError
        If it has no `weight_norm`.
    """
    return _removed("remove_weight_norm", _WeightNorm, module, name)


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Let the weight be an ordinary parameter again, with the value that it has; returns the module.

    Raises
    ------
    ValueError
        If it has no `spectral_norm`.
    """
    return _removed("remove_spectral_norm", _SpectralNorm, module, name)

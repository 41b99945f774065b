"""Parametrizations of weights: weight norm and spectral norm."""

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


def _parameter(name: str, module: Module, tensor: str) -> Variable:
    """The parameter of a name. Raises ValueError if the module has none."""
    value: Variable | None
    value = getattr(module, tensor) if is_parametrized(module, tensor) else module._parameters.get(tensor)
    if value is None:
        raise ValueError(f"{name}: {type(module).__name__} has no parameter {tensor!r}")
    return value


def _dimension(name: str, value: Variable, dim: int) -> int:
    if not -value.ndim <= dim < value.ndim:
        raise ValueError(f"{name}: there is no dimension {dim} in a weight of shape {value.shape}")
    return dim % value.ndim


class _WeightNorm(Module):
    """``v * (g / norm(v))``, with a norm for each slice along ``dim``, or one norm."""

    def __init__(self, dim: int | None):
        super().__init__()
        self.dim = dim

    def _norm(self, v: Variable) -> Variable:
        if self.dim is None:
            return linalg.vector_norm(v)
        if v.ndim == 1:  # each slice is one number
            return ops.abs(v)
        return linalg.vector_norm(v, axis=tuple([i for i in range(v.ndim) if i != self.dim]), keepdims=True)

    def forward(self, g: Variable, v: Variable) -> Variable:
        """g: the norms, v: any shape -> the weight, in the shape of v.

        A direction of norm 0 gives a weight of 0 with gradients of 0.
        """
        norm = self._norm(v)
        weight: Variable = v / ops.where(norm == 0, float("inf"), norm) * g
        return weight

    def right_inverse(self, weight: Variable) -> tuple[Variable, Variable]:
        """weight: any shape -> the norms g of its slices, and the direction v."""
        return self._norm(weight), weight.clone()


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace a weight by ``g * v / norm(v)``, so that its norm g and its direction v are trained separately.

    The state names them ``parametrizations.<name>.original0`` and ``original1``, as
    ``torch.nn.utils.parametrizations.weight_norm`` does. PyTorch's older form with hooks does not exist here.

    Parameters
    ----------
    module : Module
    name : str
        The name of the parameter.
    dim : int or None
        Each slice along this dimension has its own norm. With None or -1 there is one norm.

    Returns
    -------
    Module
        The same module.

    Raises
    ------
    ValueError
        If the parameter or the dimension does not exist.

    Source: Salimans & Kingma, "Weight normalization", 2016, equation 2.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.utils.weight_norm(rustorch.Linear(2, 3))
    >>> {name: value.shape for name, value in layer.state_dict().items()}
    {'bias': (3,), 'parametrizations.weight.original0': (3, 1), 'parametrizations.weight.original1': (3, 2)}
    """
    value = _parameter("weight_norm", module, name)
    dim = None if dim is None or dim == -1 else _dimension("weight_norm", value, dim)
    return register_parametrization(module, name, _WeightNorm(dim))


class _SpectralNorm(Module):
    """``weight / sigma``, where sigma is the largest singular value.

    A power iteration computes sigma. Each call in training continues it.

    Attributes
    ----------
    _u, _v : Variable
        The current estimates of the singular vectors.
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
                    start = weights("normal", (size,), weight.dtype, scale=1.0, shift=0.0, device=weight.device)
                    self.register_buffer(name, F.normalize(start, dim=0, eps=eps))
                self._iterate(matrix, 15)

    def _matrix(self, weight: Variable) -> Variable:
        moved = ops.moveaxis(weight, self.dim, 0) if self.dim else weight
        return ops.reshape(moved, (moved.shape[0], moved.size // moved.shape[0]))

    def _iterate(self, matrix: Variable, times: int) -> None:
        for _ in range(times):
            self._u[...] = F.normalize(matrix @ self._v, dim=0, eps=self.eps)
            self._v[...] = F.normalize(ops.matrix_transpose(matrix) @ self._u, dim=0, eps=self.eps)

    def forward(self, weight: Variable) -> Variable:
        """weight: any shape -> the same shape, divided by the largest singular value."""
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training and not is_repeating():
            with no_grad():
                self._iterate(matrix.detach(), self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # copies, because the next call writes into _u and _v
        normalized: Variable = weight / ops.vecdot(u, matrix @ v)
        return normalized

    def right_inverse(self, value: Variable) -> Variable:
        """value: any shape -> a copy of it."""
        return value.clone()


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, so that the layer stretches no vector.

    The state has ``parametrizations.<name>.original`` and the vectors ``parametrizations.<name>.0._u`` and ``_v``, as
    with ``torch.nn.utils.parametrizations.spectral_norm``. PyTorch's older form with hooks does not exist here.

    Parameters
    ----------
    module : Module
    name : str
        The name of the parameter.
    n_power_iterations : int
        The number of power iterations in each call in training.
    eps : float
        The smallest norm to divide by.
    dim : int, optional
        The dimension of the outputs. Default: 0, or 1 for transposed convolutions.

    Returns
    -------
    Module
        The same module.

    Raises
    ------
    ValueError
        If the parameter or the dimension does not exist, or ``n_power_iterations`` is not positive.

    Source: Miyato et al., "Spectral normalization for generative adversarial networks", 2018, algorithm 1.

    Examples
    --------
    >>> import rustorch
    >>> rustorch.manual_seed(0)
    >>> layer = rustorch.nn.utils.spectral_norm(rustorch.Linear(3, 3)).eval()
    >>> abs(rustorch.linalg.svdvals(layer.weight)[0].item() - 1) < 0.05
    True
    """
    value = _parameter("spectral_norm", module, name)
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: n_power_iterations is a positive number, not {n_power_iterations}")
    if dim is None:
        dim = 1 if "ConvTranspose" in type(module).__name__ else 0
    dim = _dimension("spectral_norm", value, dim)
    return register_parametrization(module, name, _SpectralNorm(value, n_power_iterations, dim, eps))


def _remove(function: str, cls: type, module: Module, name: str) -> Module:
    """Remove the parametrizations of a weight. Raises ValueError unless one of them is of this class."""
    parametrizations: Any = lists_of(module)[name] if is_parametrized(module, name) else []
    if not any(isinstance(parametrization, cls) for parametrization in parametrizations):
        raise ValueError(f"{function}: {name!r} of {type(module).__name__} has none")
    return remove_parametrizations(module, name)


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again. It keeps its value. Returns the module.

    Raises
    ------
    ValueError
        If the weight has no `weight_norm`.
    """
    return _remove("remove_weight_norm", _WeightNorm, module, name)


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again. It keeps its value. Returns the module.

    Raises
    ------
    ValueError
        If the weight has no `spectral_norm`.
    """
    return _remove("remove_spectral_norm", _SpectralNorm, module, name)

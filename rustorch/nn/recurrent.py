"""Recurrent layers over sequences: RNN, LSTM and GRU."""

from __future__ import annotations

import math
import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

from .. import ops
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable
    from .functional.packing import PackedSequence

__all__ = ["GRU", "LSTM", "RNN"]


class UniformParameters(Module):
    """A module whose parameters are initially uniform in [-k, k] with k = 1 / sqrt(hidden_size)."""

    hidden_size: int

    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _check_sizes(self, **sizes: Any) -> None:
        """Raise TypeError or ValueError unless all sizes are positive integers."""
        for name, size in sizes.items():
            if not isinstance(size, (int, Integral)) or isinstance(size, bool):
                raise TypeError(f"{type(self).__name__}: {name} is an integer, not {size!r}")
            if size <= 0:
                raise ValueError(f"{type(self).__name__}: {name} is positive, not {size}")


def check_nonlinearity(name: str, nonlinearity: str) -> None:
    """Raise ValueError unless the nonlinearity is known."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")


class _Recurrent(UniformParameters):
    """The base of RNN, LSTM and GRU: the parameters of all layers and directions, under PyTorch's names."""

    _gates: int  # the weights have _gates * hidden_size rows

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__()
        name = type(self).__name__
        self._check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout is a share in [0, 1], not {dropout!r}")
        if not isinstance(proj_size, (int, Integral)) or not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{name}: proj_size is smaller than hidden_size, {hidden_size}, and 0 without projection; not "
                f"{proj_size!r}"
            )
        for option, value in (("bias", bias), ("batch_first", batch_first), ("bidirectional", bidirectional)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {option} is True or False, not {value!r}")
        if dropout and num_layers == 1:
            warnings.warn(f"{name}: dropout is between layers, but there is only one layer", UserWarning, stacklevel=3)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        directions, output_size, rows = 1 + bidirectional, proj_size or hidden_size, self._gates * hidden_size
        self._names: list[str] = []
        for layer in range(num_layers):
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, output_size * directions if layer else input_size),
                "weight_hh": (rows, output_size),
            }
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                for name, shape in shapes.items():
                    self._names.append(f"{name}_l{layer}{suffix}")
                    setattr(self, self._names[-1], Parameter(ops.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _arguments(self) -> tuple[Any, ...]:
        """The arguments of the functions after input and state."""
        params = [getattr(self, name) for name in self._names]
        return params, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first

    def extra_repr(self) -> str:
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        options = [f"{name}={getattr(self, name)}" for name, value in defaults.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])


class RNN(_Recurrent):
    """A recurrent layer: ``h[t] = tanh(w_ih @ x[t] + b_ih + w_hh @ h[t-1] + b_hh)``.

    Source: Elman, "Finding Structure in Time", 1990.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        The number of layers. Each takes the output of the layer before.
    nonlinearity : {"tanh", "relu"}
    bias : bool
    batch_first : bool
        Whether input and output are (batch, steps, features). The states keep their shapes.
    dropout : float
        The probability, in training, that an output becomes 0. It applies to all layers but the last.
    bidirectional : bool
        Whether each layer also runs backwards. The outputs of both directions are concatenated.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, (hidden_size, inputs) and (hidden_size, hidden_size)
        The name ends with the number of the layer, and for the backward direction with ``_reverse`` too. Initially
        uniform in [-k, k] with k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih_l0, bias_hh_l0 : Parameter, (hidden_size,)

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.RNN(3, 4, num_layers=2)
    >>> output, h_n = layer(rustorch.ones((5, 2, 3)))
    >>> output.shape, h_n.shape
    ((5, 2, 4), (2, 2, 4))
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        check_nonlinearity(type(self).__name__, nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(
        self, input: ArrayLike | PackedSequence, hx: ArrayLike | None = None
    ) -> tuple[Variable | Any, Variable]:
        """input: (T, N, input_size), hx: (num_layers * D, N, H) -> output (T, N, D * H) and the next hx.

        T is the number of steps, D is 2 with ``bidirectional`` and else 1, H is hidden_size. With ``batch_first``, N
        comes first in input and output. One sequence may come without N.

        Parameters
        ----------
        input : Variable, array or PackedSequence
        hx : Variable or array, optional
            The states before the first step. Default: zeros.

        Returns
        -------
        output : Variable, or PackedSequence if the input is one
            The outputs of the last layer at all steps.
        hx : Variable
            The states of all layers after the last step.
        """
        return (F.rnn_relu if self.nonlinearity == "relu" else F.rnn_tanh)(input, hx, *self._arguments())


class LSTM(_Recurrent):
    """A long short-term memory.

    With ``i, f, g, o = w_ih @ x[t] + b_ih + w_hh @ h[t-1] + b_hh``, in four parts of equal size, it computes
    ``c[t] = sigmoid(f) * c[t-1] + sigmoid(i) * tanh(g)`` and ``h[t] = sigmoid(o) * tanh(c[t])``. With ``proj_size``,
    h[t] is multiplied by w_hr.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; the projection: Sak et al., 2014, arXiv:1402.1128.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        The number of layers. Each takes the output of the layer before.
    bias : bool
    batch_first : bool
        Whether input and output are (batch, steps, features). The states keep their shapes.
    dropout : float
        The probability, in training, that an output becomes 0. It applies to all layers but the last.
    bidirectional : bool
        Whether each layer also runs backwards. The outputs of both directions are concatenated.
    proj_size : int
        The size of h after a projection, smaller than hidden_size. 0 for no projection.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, (4 * hidden_size, inputs) and (4 * hidden_size, proj_size or hidden_size)
        The name ends with the number of the layer, and for the backward direction with ``_reverse`` too. Initially
        uniform in [-k, k] with k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih_l0, bias_hh_l0 : Parameter, (4 * hidden_size,)
    weight_hr_l0 : Parameter, (proj_size, hidden_size)
        Exists with ``proj_size`` only.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.LSTM(3, 4, bidirectional=True)
    >>> output, (h_n, c_n) = layer(rustorch.ones((5, 2, 3)))
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _gates = 4

    def forward(
        self, input: ArrayLike | PackedSequence, hx: tuple[ArrayLike, ArrayLike] | None = None
    ) -> tuple[Variable | Any, tuple[Variable, Variable]]:
        """input: (T, N, input_size) -> output (T, N, D * H), states (num_layers * D, N, H) and (..., hidden_size).

        T is the number of steps, D is 2 with ``bidirectional`` and else 1, H is proj_size or else hidden_size. With
        ``batch_first``, N comes first in input and output. One sequence may come without N.

        Parameters
        ----------
        input : Variable, array or PackedSequence
        hx : pair of Variables or arrays (h_0, c_0), optional
            The states of all layers before the first step: (num_layers * D, N, H) and (num_layers * D, N, hidden_size).
            Default: zeros.

        Returns
        -------
        output : Variable, or PackedSequence if the input is one
            The outputs of the last layer at all steps.
        hx : pair of Variables (h_n, c_n)
            The states of all layers after the last step, in the shapes of h_0 and c_0.
        """
        output, h, c = F.lstm(input, hx, *self._arguments())
        return output, (h, c)


class GRU(_Recurrent):
    """A gated recurrent unit.

    With ``x_r, x_z, x_n = w_ih @ x[t] + b_ih`` and ``h_r, h_z, h_n = w_hh @ h[t-1] + b_hh``, in three parts of equal
    size, it computes ``r = sigmoid(x_r + h_r)``, ``z = sigmoid(x_z + h_z)``, ``n = tanh(x_n + r * h_n)`` and
    ``h[t] = (1 - z) * n + z * h[t-1]``.

    Source: Cho et al., 2014, arXiv:1406.1078; as in PyTorch, r is multiplied by ``h_n`` and not by the
    state.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        The number of layers. Each takes the output of the layer before.
    bias : bool
    batch_first : bool
        Whether input and output are (batch, steps, features). The states keep their shapes.
    dropout : float
        The probability, in training, that an output becomes 0. It applies to all layers but the last.
    bidirectional : bool
        Whether each layer also runs backwards. The outputs of both directions are concatenated.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, (3 * hidden_size, inputs) and (3 * hidden_size, hidden_size)
        The name ends with the number of the layer, and for the backward direction with ``_reverse`` too. Initially
        uniform in [-k, k] with k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih_l0, bias_hh_l0 : Parameter, (3 * hidden_size,)

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.GRU(3, 4, batch_first=True)
    >>> output, h_n = layer(rustorch.ones((2, 5, 3)))
    >>> output.shape, h_n.shape
    ((2, 5, 4), (1, 2, 4))
    """

    _gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def forward(
        self, input: ArrayLike | PackedSequence, hx: ArrayLike | None = None
    ) -> tuple[Variable | Any, Variable]:
        """input: (T, N, input_size), hx: (num_layers * D, N, H) -> output (T, N, D * H) and the next hx.

        T is the number of steps, D is 2 with ``bidirectional`` and else 1, H is hidden_size. With ``batch_first``, N
        comes first in input and output. One sequence may come without N.

        Parameters
        ----------
        input : Variable, array or PackedSequence
        hx : Variable or array, optional
            The states before the first step. Default: zeros.

        Returns
        -------
        output : Variable, or PackedSequence if the input is one
            The outputs of the last layer at all steps.
        hx : Variable
            The states of all layers after the last step.
        """
        return F.gru(input, hx, *self._arguments())

"""Recurrent layers: RNN, LSTM and GRU."""

from __future__ import annotations

import math
import warnings
from numbers import Integral
from typing import Any

from .. import ops
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["GRU", "LSTM", "RNN"]


class Uniform(Module):
    """All parameters start uniform up to one over the root of the hidden size."""

    hidden_size: int

    def reset_parameters(self) -> None:
        """Draw the initial values again."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _check(self, **sizes: Any) -> None:
        for name, size in sizes.items():
            if not isinstance(size, (int, Integral)) or isinstance(size, bool):
                raise TypeError(f"{type(self).__name__}: {name} is an integer, not {size!r}")
            if size <= 0:
                raise ValueError(f"{type(self).__name__}: {name} is positive, not {size}")


def checked_nonlinearity(name: str, nonlinearity: Any) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
    return nonlinearity


class _Recurrent(Uniform):
    """Layers and directions: their parameters under PyTorch's names."""

    _chunks: int  # rows of the weights for each number of the state

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
        dtype: Any = None,
    ):
        super().__init__()
        name = type(self).__name__
        self._check(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
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
            warnings.warn(f"{name}: dropout is between layers, and there is but one", UserWarning, stacklevel=3)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        directions, out, rows = 1 + bidirectional, proj_size or hidden_size, self._chunks * hidden_size
        self._names: list[str] = []
        for layer in range(num_layers):
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, out * directions if layer else input_size),
                "weight_hh": (rows, out),
            }
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                for kind, shape in shapes.items():
                    self._names.append(f"{kind}_l{layer}{suffix}")
                    setattr(self, self._names[-1], Parameter(ops.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _arguments(self) -> tuple:
        """What the functions take after input and state."""
        params = [getattr(self, name) for name in self._names]
        return params, self.bias, self.num_layers, self.dropout, self.training, self.bidirectional, self.batch_first

    def extra_repr(self) -> str:
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        unusual = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *unusual])


class RNN(_Recurrent):
    """``h[t] = tanh(w_ih @ x[t] + b_ih + w_hh @ h[t-1] + b_hh)``, in layers, forwards or in both directions.

    Source: Elman, "Finding Structure in Time", 1990.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        Every layer takes the outputs of the one below.
    nonlinearity : {"tanh", "relu"}
    bias : bool
    batch_first : bool
        Whether input and output are (batch, steps, features). The states are as without.
    dropout : float
        In training, what share of the outputs of all layers but the last is zeroed.
    bidirectional : bool
        Whether every layer runs backwards, too; the outputs of both lie side by side.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, (hidden_size, inputs) and (hidden_size, hidden_size)
        With the layer's number; backwards the name ends with ``_reverse``. Initially all are uniform in [-k, k] with
        k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih_l0, bias_hh_l0 : Parameter, (hidden_size,)

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.RNN(3, 4, num_layers=2)
    >>> output, h_n = layer(rustorch.ones((5, 2, 3)))
    >>> output.shape, h_n.shape
    ((5, 2, 4), (2, 2, 4))
    """

    _chunks = 1

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
        dtype: Any = None,
    ):
        nonlinearity = checked_nonlinearity("RNN", nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The outputs of the last layer at all steps, and the states of all layers after the last.

        Parameters
        ----------
        input : Variable or array, (steps, batch, input_size), or PackedSequence
            With ``batch_first`` (batch, steps, input_size); (steps, input_size) for one sequence.
        hx : Variable or array, (num_layers * directions, batch, hidden_size), optional
            The states before the first step; default: zeros. For one sequence there is no axis for the batch.

        Returns
        -------
        output : Variable, (steps, batch, directions * hidden_size), or PackedSequence, as the input
        hx : the states after the last step, as those before the first
        """
        return (F.rnn_relu if self.nonlinearity == "relu" else F.rnn_tanh)(input, hx, *self._arguments())


class LSTM(_Recurrent):
    """A long short-term memory, in layers, forwards or in both directions.

    With ``i, f, g, o = w_ih @ x[t] + b_ih + w_hh @ h[t-1] + b_hh``, in four parts of equal size: ``c[t] = sigmoid(f) *
    c[t-1] + sigmoid(i) * tanh(g)`` and ``h[t] = sigmoid(o) * tanh(c[t])``, which with ``proj_size`` is multiplied by
    w_hr.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997; the projection: Sak et al., 2014, arXiv:1402.1128.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        Every layer takes the outputs of the one below.
    bias : bool
    batch_first : bool
        Whether input and output are (batch, steps, features). The states are as without.
    dropout : float
        In training, what share of the outputs of all layers but the last is zeroed.
    bidirectional : bool
        Whether every layer runs backwards, too; the outputs of both lie side by side.
    proj_size : int
        The size of h, if it shall be projected; below hidden_size.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, (4 * hidden_size, inputs) and (4 * hidden_size, proj_size or hidden_size)
        With the layer's number; backwards the name ends with ``_reverse``. Initially all are uniform in [-k, k] with
        k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih_l0, bias_hh_l0 : Parameter, (4 * hidden_size,)
    weight_hr_l0 : Parameter, (proj_size, hidden_size)
        With ``proj_size`` only.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.LSTM(3, 4, bidirectional=True)
    >>> output, (h_n, c_n) = layer(rustorch.ones((5, 2, 3)))
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _chunks = 4

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The outputs of the last layer at all steps, and the states of all layers after the last.

        Parameters
        ----------
        input : Variable or array, (steps, batch, input_size), or PackedSequence
            With ``batch_first`` (batch, steps, input_size); (steps, input_size) for one sequence.
        hx : pair of Variables or arrays, (num_layers * directions, batch, width) and (..., hidden_size), optional
            The states before the first step, (h_0, c_0); default: zeros. For one sequence there is no axis for the
            batch.

        Returns
        -------
        output : Variable, (steps, batch, directions * width), or PackedSequence, as the input
        hx : pair, the states (h_n, c_n) after the last step, in the shapes of those before the first
            The width is proj_size, or without projection hidden_size.
        """
        output, h, c = F.lstm(input, hx, *self._arguments())
        return output, (h, c)


class GRU(_Recurrent):
    """A gated recurrent unit, in layers, forwards or in both directions.

    With ``x_r, x_z, x_n = w_ih @ x[t] + b_ih`` and ``h_r, h_z, h_n = w_hh @ h[t-1] + b_hh``, in three parts of equal
    size: ``r = sigmoid(x_r + h_r)``, ``z = sigmoid(x_z + h_z)``, ``n = tanh(x_n + r * h_n)``, ``h[t] = (1 - z) * n + z
    * h[t-1]``.

    Source: Cho et al., 2014, arXiv:1406.1078; as in PyTorch, r is multiplied with the product and not with the state.

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        Every layer takes the outputs of the one below.
    bias : bool
    batch_first : bool
        Whether input and output are (batch, steps, features). The states are as without.
    dropout : float
        In training, what share of the outputs of all layers but the last is zeroed.
    bidirectional : bool
        Whether every layer runs backwards, too; the outputs of both lie side by side.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter, (3 * hidden_size, inputs) and (3 * hidden_size, hidden_size)
        With the layer's number; backwards the name ends with ``_reverse``. Initially all are uniform in [-k, k] with
        k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih_l0, bias_hh_l0 : Parameter, (3 * hidden_size,)

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.GRU(3, 4, batch_first=True)
    >>> output, h_n = layer(rustorch.ones((2, 5, 3)))
    >>> output.shape, h_n.shape
    ((2, 5, 4), (1, 2, 4))
    """

    _chunks = 3

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
        dtype: Any = None,
    ):
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The outputs of the last layer at all steps, and the states of all layers after the last.

        Parameters
        ----------
        input : Variable or array, (steps, batch, input_size), or PackedSequence
            With ``batch_first`` (batch, steps, input_size); (steps, input_size) for one sequence.
        hx : Variable or array, (num_layers * directions, batch, hidden_size), optional
            The states before the first step; default: zeros. For one sequence there is no axis for the batch.

        Returns
        -------
        output : Variable, (steps, batch, directions * hidden_size), or PackedSequence, as the input
        hx : the states after the last step, as those before the first
        """
        return F.gru(input, hx, *self._arguments())

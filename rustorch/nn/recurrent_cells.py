"""Recurrent cells: one step of an RNN, LSTM or GRU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from . import functional as F
from .parameter import Parameter
from .recurrent import UniformParameters, check_nonlinearity

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell(UniformParameters):
    """The base of cells: the parameters of one layer and direction."""

    _gates: int  # the weights have _gates * hidden_size rows
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: str | None = None, dtype: DTypeLike = None
    ):
        super().__init__()
        self._check_sizes(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self._gates * hidden_size
        for name, shape in {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}.items():
            setattr(self, name, Parameter(ops.empty(shape, device=device, dtype=dtype)))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(ops.empty((rows,), device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """``h' = tanh(w_ih @ x + b_ih + w_hh @ h + b_hh)``: one step of an `RNN`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    nonlinearity : {"tanh", "relu"}
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter, (hidden_size, input_size) and (hidden_size, hidden_size)
        Initially uniform in [-k, k] with k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih, bias_hh : Parameter, (hidden_size,), or None

    Examples
    --------
    >>> import rustorch
    >>> cell = rustorch.RNNCell(3, 4)
    >>> h = cell(rustorch.ones((2, 3)))
    >>> cell(rustorch.ones((2, 3)), h).shape
    (2, 4)
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        check_nonlinearity(type(self).__name__, nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> Variable:
        """input: (N, input_size), hx: (N, hidden_size) -> the next state, (N, hidden_size).

        The default of ``hx`` is zeros. One sample may come without N.
        """
        return (F.rnn_relu_cell if self.nonlinearity == "relu" else F.rnn_tanh_cell)(input, hx, *self._weights())

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """One step of an `LSTM`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter, (4 * hidden_size, input_size) and (4 * hidden_size, hidden_size)
        Initially uniform in [-k, k] with k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih, bias_hh : Parameter, (4 * hidden_size,), or None

    Examples
    --------
    >>> import rustorch
    >>> cell = rustorch.LSTMCell(3, 4)
    >>> h, c = cell(rustorch.ones((2, 3)))
    >>> h, c = cell(rustorch.ones((2, 3)), (h, c))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    _gates = 4

    def forward(self, input: ArrayLike, hx: tuple[ArrayLike, ArrayLike] | None = None) -> tuple[Variable, Variable]:
        """input: (N, input_size), hx: a pair of (N, hidden_size) -> the next states h and c, (N, hidden_size) each.

        The default of ``hx`` is zeros. One sample may come without N.
        """
        return F.lstm_cell(input, hx, *self._weights())


class GRUCell(_Cell):
    """One step of a `GRU`.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter, (3 * hidden_size, input_size) and (3 * hidden_size, hidden_size)
        Initially uniform in [-k, k] with k = 1 / sqrt(hidden_size), as PyTorch's.
    bias_ih, bias_hh : Parameter, (3 * hidden_size,), or None

    Examples
    --------
    >>> import rustorch
    >>> cell = rustorch.GRUCell(3, 4)
    >>> cell(rustorch.ones((2, 3))).shape
    (2, 4)
    """

    _gates = 3

    def forward(self, input: ArrayLike, hx: ArrayLike | None = None) -> Variable:
        """input: (N, input_size), hx: (N, hidden_size) -> the next state, (N, hidden_size).

        The default of ``hx`` is zeros. One sample may come without N.
        """
        return F.gru_cell(input, hx, *self._weights())

"""One layer of a transformer's encoder or decoder: attention and two linear layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from . import functional as F
from .attention import MultiheadAttention
from .dropout import Dropout
from .functional.sizes import tuple_of
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Activation = str | Callable[[Any], Any]


def _activation(name: str, activation: Any) -> Callable[[Any], Any]:
    """The function of an activation that may be given by name."""
    if isinstance(activation, str):
        functions: dict[str, Callable[[Any], Any]] = {"relu": F.relu, "gelu": F.gelu}
        if activation not in functions:
            raise ValueError(f"{name}: activation is 'relu', 'gelu' or a function, not {activation!r}")
        return functions[activation]
    if not callable(activation):
        raise TypeError(f"{name}: activation is 'relu', 'gelu' or a function, not {activation!r}")
    function: Callable[[Any], Any] = activation
    return function


class _Layer(Module):
    """The base of the layers of encoder and decoder: self-attention, and two linear layers with an activation between
    them.
    """

    self_attn: MultiheadAttention

    def __init__(
        self,
        attentions: tuple[str, ...],
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        device: str | None,
        dtype: DTypeLike,
    ):
        super().__init__()
        name = type(self).__name__
        function = _activation(name, activation)
        tuple_of(name, "dim_feedforward", dim_feedforward, 1, 0)
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        for attention in attentions:
            self.add_module(
                attention, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **options)
            )
        self.linear1 = Linear(d_model, dim_feedforward, bias, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **options)
        self.norm_first = norm_first
        blocks = range(1, len(attentions) + 2)
        for i in blocks:
            self.add_module(f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **options))
        for i in blocks:
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = function

    def _check(self, attention: Any, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> None:
        """Raise the errors of an attention before the attention in front of it draws a dropout mask."""
        if isinstance(attention, MultiheadAttention):
            attention._check(x, memory, memory, padding, mask, is_causal)

    def _attend(self, attention: Any, x: Variable, memory: Any, mask: Any, padding: Any, is_causal: bool) -> Variable:
        """The output of an attention from x to the memory."""
        output: Variable = attention(x, memory, memory, padding, False, mask, is_causal=is_causal)[0]
        return output

    def _feed_forward(self, x: Variable) -> Variable:
        """The output of both linear layers, with activation and dropout between them."""
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _run_blocks(self, x: Variable, *blocks: Callable[[Variable], Variable]) -> Variable:
        """Add to x the output of each block, after dropout. Normalize the input of the block, or else the sum."""
        for i, block in enumerate(blocks, 1):
            norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
            x = x + dropout(block(norm(x))) if self.norm_first else norm(x + dropout(block(x)))
        return x


class TransformerEncoderLayer(_Layer):
    """A layer of a transformer's encoder: self-attention, then two linear layers.

    It computes ``x = norm1(x + attention(x))``, then ``x = norm2(x + linear2(activation(linear1(x))))``. With
    ``norm_first`` it computes ``x = x + attention(norm1(x))``, then ``x = x + linear2(activation(linear1(norm2(x))))``.

    Source: Vaswani et al., 2017, arXiv:1706.03762, section 3.1; ``norm_first``: Xiong et al., 2020, arXiv:2002.04745.

    Parameters
    ----------
    d_model, nhead : int
        The number of features, and the number of heads of attention, which divides it.
    dim_feedforward : int
        The number of features between both linear layers.
    dropout : float
        The probability, in training, that a number becomes 0: a weight of attention, a feature between the linear
        layers, or a number that is added to x.
    activation : {"relu", "gelu"} or callable
    layer_norm_eps : float
    batch_first : bool
        Whether the batch is the first dimension: (batch, length, features) instead of (length, batch, features).
    norm_first : bool
        Whether to normalize the inputs of attention and of the linear layers instead of the sums after them.
    bias : bool
        Whether all layers have a bias.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    self_attn : MultiheadAttention
    linear1, linear2 : Linear
    norm1, norm2 : LayerNorm

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(rustorch.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(
            ("self_attn",),
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
        )

    def forward(
        self,
        src: ArrayLike,
        src_mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        is_causal: bool = False,
    ) -> Variable:
        """src: (L, N, E) or (L, E), with ``batch_first`` (N, L, E) -> the same shape.

        L is the length of a sequence, E is ``d_model``. ``src_mask``, ``src_key_padding_mask`` and ``is_causal`` are
        ``attn_mask``, ``key_padding_mask`` and ``is_causal`` of `MultiheadAttention.forward`.
        """
        return self._run_blocks(
            adopt(src, "TransformerEncoderLayer"),
            lambda x: self._attend(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal),
            self._feed_forward,
        )


class TransformerDecoderLayer(_Layer):
    """A layer of a transformer's decoder: self-attention, attention to the memory, then two linear layers.

    The memory is the output of an encoder. Residual sums and norms are as in `TransformerEncoderLayer`.

    Source: Vaswani et al., 2017, arXiv:1706.03762, section 3.1; ``norm_first``: Xiong et al., 2020, arXiv:2002.04745.

    Parameters
    ----------
    d_model, nhead : int
        The number of features, and the number of heads of attention, which divides it.
    dim_feedforward : int
        The number of features between both linear layers.
    dropout : float
        The probability, in training, that a number becomes 0: a weight of attention, a feature between the linear
        layers, or a number that is added to x.
    activation : {"relu", "gelu"} or callable
    layer_norm_eps : float
    batch_first : bool
        Whether the batch is the first dimension: (batch, length, features) instead of (length, batch, features).
    norm_first : bool
        Whether to normalize the inputs of attentions and of the linear layers instead of the sums after them.
    bias : bool
        Whether all layers have a bias.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    self_attn, multihead_attn : MultiheadAttention
    linear1, linear2 : Linear
    norm1, norm2, norm3 : LayerNorm

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(rustorch.ones((3, 5, 8)), rustorch.ones((3, 7, 8))).shape
    (3, 5, 8)
    """

    multihead_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(
            ("self_attn", "multihead_attn"),
            d_model,
            nhead,
            dim_feedforward,
            dropout,
            activation,
            layer_norm_eps,
            batch_first,
            norm_first,
            bias,
            device,
            dtype,
        )

    def _check_all(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any,
        memory_mask: Any,
        tgt_padding: Any,
        memory_padding: Any,
        tgt_is_causal: bool,
        memory_is_causal: bool,
    ) -> None:
        self._check(self.self_attn, tgt, tgt, tgt_mask, tgt_padding, tgt_is_causal)
        self._check(self.multihead_attn, tgt, memory, memory_mask, memory_padding, memory_is_causal)

    def forward(
        self,
        tgt: ArrayLike,
        memory: ArrayLike,
        tgt_mask: ArrayLike | None = None,
        memory_mask: ArrayLike | None = None,
        tgt_key_padding_mask: ArrayLike | None = None,
        memory_key_padding_mask: ArrayLike | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Variable:
        """tgt: (L, N, E), memory: (S, N, E), with ``batch_first`` N first -> the shape of tgt.

        L and S are the lengths of both sequences, E is ``d_model``. One sample may come without N. Both attentions have
        a mask, a padding mask and a hint that the mask is causal, as in `MultiheadAttention.forward`.
        """
        tgt = adopt(tgt, "TransformerDecoderLayer", (memory,))
        self._check_all(
            tgt,
            memory,
            tgt_mask,
            memory_mask,
            tgt_key_padding_mask,
            memory_key_padding_mask,
            tgt_is_causal,
            memory_is_causal,
        )
        return self._run_blocks(
            tgt,
            lambda x: self._attend(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal),
            lambda x: self._attend(
                self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask, memory_is_causal
            ),
            self._feed_forward,
        )

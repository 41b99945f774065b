"""Transformers: stacks of encoder and decoder layers."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import TYPE_CHECKING, Any

from ..autograd.check import adopt
from ..backends import dtypes
from ..ops.inspection import resolved_device
from . import functional as F
from . import init
from .container import ModuleList
from .functional.attention import causal_mask
from .functional.sizes import tuple_of
from .module import Module
from .normalization import LayerNorm
from .transformer_layers import Activation, TransformerDecoderLayer, TransformerEncoderLayer

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]


def _check_layers(name: str, what: str, number: Any) -> None:
    """Raise ValueError unless a number of layers is an integer of at least 0."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{name}: {what} is a number of layers, not {number!r}")


class _Stack(Module):
    """Copies of one layer, called one after the other, then a norm."""

    norm: Module | None

    def __init__(self, layer: Module, num_layers: int, norm: Module | None):
        super().__init__()
        _check_layers(type(self).__name__, "num_layers", num_layers)
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _normalize(self, x: Any) -> Variable:
        output: Variable = x if self.norm is None else self.norm(x)
        return output


class TransformerEncoder(_Stack):
    """Copies of one encoder layer, called one after the other. All have the same initial values.

    Parameters
    ----------
    encoder_layer : Module
        A layer such as `TransformerEncoderLayer`. It is copied.
    num_layers : int
    norm : Module, optional
        Normalizes the output of the last layer.
    enable_nested_tensor, mask_check : bool
        PyTorch's options. They change nothing.

    Attributes
    ----------
    layers : ModuleList
    norm : Module or None

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> rustorch.TransformerEncoder(layer, num_layers=2)(rustorch.ones((5, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: ArrayLike,
        mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        is_causal: bool | None = None,
    ) -> Variable:
        """src: (L, N, E) or (L, E), with ``batch_first`` (N, L, E) -> the same shape.

        The other arguments are those of `TransformerEncoderLayer.forward`.
        """
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return self._normalize(src)


class TransformerDecoder(_Stack):
    """Copies of one decoder layer, called one after the other. All have the same initial values and the same memory.

    Parameters
    ----------
    decoder_layer : Module
        A layer such as `TransformerDecoderLayer`. It is copied.
    num_layers : int
    norm : Module, optional
        Normalizes the output of the last layer.

    Attributes
    ----------
    layers : ModuleList
    norm : Module or None

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> rustorch.TransformerDecoder(layer, num_layers=2)(rustorch.ones((5, 3, 8)), rustorch.ones((7, 3, 8))).shape
    (5, 3, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: ArrayLike,
        memory: ArrayLike,
        tgt_mask: ArrayLike | None = None,
        memory_mask: ArrayLike | None = None,
        tgt_key_padding_mask: ArrayLike | None = None,
        memory_key_padding_mask: ArrayLike | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Variable:
        """tgt: (L, N, E), memory: (S, N, E), with ``batch_first`` N first -> the shape of tgt.

        The other arguments are those of `TransformerDecoderLayer.forward`.
        """
        for layer in self.layers:
            tgt = layer(
                tgt,
                memory,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                bool(tgt_is_causal),
                memory_is_causal,
            )
        return self._normalize(tgt)


class Transformer(Module):
    """A transformer: an encoder, and a decoder that attends to its output.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.

    Parameters
    ----------
    d_model, nhead : int
        The number of features, and the number of heads of attention, which divides it.
    num_encoder_layers, num_decoder_layers : int
    dim_feedforward, dropout, activation
        As for `TransformerEncoderLayer`.
    custom_encoder, custom_decoder : Module, optional
        Used instead of the default encoder or decoder.
    layer_norm_eps, batch_first, norm_first, bias
        As for `TransformerEncoderLayer`.
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    encoder : TransformerEncoder
    decoder : TransformerDecoder
        Initially `init.xavier_uniform_` fills all matrices.

    Examples
    --------
    >>> import rustorch
    >>> model = rustorch.Transformer(8, 2, 1, 1, 16)
    >>> mask = model.generate_square_subsequent_mask(5)
    >>> model(rustorch.ones((7, 3, 8)), rustorch.ones((5, 3, 8)), tgt_mask=mask).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__()
        _check_layers(type(self).__name__, "num_encoder_layers", num_encoder_layers)
        _check_layers(type(self).__name__, "num_decoder_layers", num_decoder_layers)
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device,
            dtype,
        )  # fmt: skip

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            custom_encoder = TransformerEncoder(TransformerEncoderLayer(*options), num_encoder_layers, norm())
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*options), num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self,
        src: ArrayLike,
        tgt: ArrayLike,
        src_mask: ArrayLike | None = None,
        tgt_mask: ArrayLike | None = None,
        memory_mask: ArrayLike | None = None,
        src_key_padding_mask: ArrayLike | None = None,
        tgt_key_padding_mask: ArrayLike | None = None,
        memory_key_padding_mask: ArrayLike | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Variable:
        """src: (S, N, E), tgt: (L, N, E), with ``batch_first`` N first -> the shape of tgt.

        ``src`` is the input of the encoder, ``tgt`` that of the decoder. One sample may come without N. Each of the
        three attentions has a mask, a padding mask and a hint that the mask is causal, as in
        `MultiheadAttention.forward`.
        """
        src = adopt(src, "Transformer", (tgt,))
        tgt = adopt(tgt, "Transformer", (src,))
        batch = 0 if self.batch_first else 1
        if src.ndim != tgt.ndim or src.ndim not in (2, 3) or (src.ndim == 3 and src.shape[batch] != tgt.shape[batch]):
            raise ValueError(
                f"{type(self).__name__}: src {tuple(src.shape)} and tgt {tuple(tgt.shape)} are batches of different "
                f"sizes"
            )
        if not src.shape[-1] == tgt.shape[-1] == self.d_model:
            raise ValueError(
                f"{type(self).__name__}: src {tuple(src.shape)} and tgt {tuple(tgt.shape)} need {self.d_model} features"
            )
        first_layer = next(iter(getattr(self.decoder, "layers", ())), None)
        if isinstance(first_layer, TransformerDecoderLayer) and isinstance(self.encoder, TransformerEncoder):
            first_layer._check_all(
                tgt,
                src,
                tgt_mask,
                memory_mask,
                tgt_key_padding_mask,
                memory_key_padding_mask,
                bool(tgt_is_causal),
                memory_is_causal,
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        output: Variable = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return output

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: str | None = None, dtype: DTypeLike = None) -> Variable:
        """The causal mask, (sz, sz): 0 where a position may see another one, -inf for the positions after it."""
        tuple_of("generate_square_subsequent_mask", "sz", sz, 1, 0)
        dtype = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
        return causal_mask(sz, sz, dtype, resolved_device(device))

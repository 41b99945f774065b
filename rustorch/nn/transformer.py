"""Transformers: layers of attention and of two affine maps, stacked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Integral
from typing import Any

from ..autograd.check import adopt
from ..backends import default_device, dtypes, resolve
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .functional.attention import causal_mask
from .functional.sizes import tuple_of
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Any], Any]


def _activation(name: str, activation: Any) -> Callable[[Any], Any]:
    if isinstance(activation, str):
        known: dict[str, Callable[[Any], Any]] = {"relu": F.relu, "gelu": F.gelu}
        if activation not in known:
            raise ValueError(f"{name}: activation is 'relu', 'gelu' or a function, not {activation!r}")
        return known[activation]
    if not callable(activation):
        raise TypeError(f"{name}: activation is 'relu', 'gelu' or a function, not {activation!r}")
    return activation


class _Layer(Module):
    """What layers of encoder and decoder share: attention to themselves, and two affine maps with an activation
    between.
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
        dtype: Any,
    ):
        super().__init__()
        name = type(self).__name__
        function = _activation(name, activation)
        tuple_of(name, "dim_feedforward", dim_feedforward, 1, 0)
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        for name in attentions:
            self.add_module(name, MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place))
        self.linear1 = Linear(d_model, dim_feedforward, bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **place)
        self.norm_first = norm_first
        blocks = range(1, len(attentions) + 2)
        for i in blocks:
            self.add_module(f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **place))
        for i in blocks:
            self.add_module(f"dropout{i}", Dropout(dropout))
        self.activation = function

    def _check(self, attention: Any, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> None:
        """Raise what an attention will raise, before another one draws a mask."""
        if isinstance(attention, MultiheadAttention):
            attention._check(x, memory, memory, padding, mask, is_causal)

    def _attended(self, attention: Any, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
        return attention(x, memory, memory, padding, False, mask, is_causal=is_causal)[0]

    def _fed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def _through(self, x: Any, *blocks: Callable[[Any], Any]) -> Any:
        """Each block's output is dropped out and added to its input, which is normalized before the block, or the sum
        after it.
        """
        for i, block in enumerate(blocks, 1):
            norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
            x = x + dropout(block(norm(x))) if self.norm_first else norm(x + dropout(block(x)))
        return x


class TransformerEncoderLayer(_Layer):
    """``x = norm1(x + attention(x))``, then ``x = norm2(x + w_2 @ activation(w_1 @ x + b_1) + b_2)``; with
    ``norm_first`` instead ``x = x + attention(norm1(x))`` and ``x = x + w_2 @ activation(w_1 @ norm2(x) + b_1) + b_2``.

    Source: Vaswani et al., 2017, arXiv:1706.03762, section 3.1; ``norm_first``: Xiong et al., 2020, arXiv:2002.04745.

    Parameters
    ----------
    d_model, nhead : int
        Features, and the heads of attention among which they are divided.
    dim_feedforward : int
        Features between the two affine maps.
    dropout : float
        In training, what share is zeroed: of attention's weights, between the affine maps, and of what is added to x.
    activation : {"relu", "gelu"} or callable
    layer_norm_eps : float
    batch_first : bool
        Whether inputs are (batch, length, features) instead of (length, batch, features).
    norm_first : bool
    bias : bool
        Whether all parts have one.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

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
        dtype: Any = None,
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

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """The output, in the shape of src: (length, batch, d_model), (length, d_model), or with ``batch_first`` (batch,
        length, d_model).

        ``src_mask``, ``src_key_padding_mask`` and ``is_causal`` are the ``attn_mask``, ``key_padding_mask`` and
        ``is_causal`` of `rustorch.nn.functional.multi_head_attention_forward`.
        """
        return self._through(
            adopt(src, "TransformerEncoderLayer"),
            lambda x: self._attended(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal),
            self._fed_forward,
        )


class TransformerDecoderLayer(_Layer):
    """As `TransformerEncoderLayer`, with a second attention between the two parts: to the output of an encoder, the
    memory.

    Source: Vaswani et al., 2017, arXiv:1706.03762, section 3.1; ``norm_first``: Xiong et al., 2020, arXiv:2002.04745.

    Parameters
    ----------
    d_model, nhead : int
        Features, and the heads of attention among which they are divided.
    dim_feedforward : int
        Features between the two affine maps.
    dropout : float
        In training, what share is zeroed: of attention's weights, between the affine maps, and of what is added to x.
    activation : {"relu", "gelu"} or callable
    layer_norm_eps : float
    batch_first : bool
        Whether inputs are (batch, length, features) instead of (length, batch, features).
    norm_first : bool
        Whether the parts' inputs are normalized, and not the sums after them.
    bias : bool
        Whether all parts have one.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

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
        dtype: Any = None,
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
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Any:
        """The output, in the shape of tgt, of tgt and the memory, which is an encoder's output.

        Each has a mask, a padding mask and a hint that its mask is causal, as for `TransformerEncoderLayer`.
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
        return self._through(
            tgt,
            lambda x: self._attended(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal),
            lambda x: self._attended(
                self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask, memory_is_causal
            ),
            self._fed_forward,
        )


def _check_layers(name: str, what: str, number: Any) -> None:
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{name}: {what} is a number of layers, not {number!r}")


class _Stack(Module):
    """Copies of one layer, and a norm after the last."""

    norm: Module | None

    def __init__(self, layer: Module, num_layers: int, norm: Module | None):
        super().__init__()
        _check_layers(type(self).__name__, "num_layers", num_layers)
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _normed(self, x: Any) -> Any:
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """Layers one after the other: copies of one, with the same initial values.

    Parameters
    ----------
    encoder_layer : Module
        As `TransformerEncoderLayer`; it is copied.
    num_layers : int
    norm : Module, optional
        What comes after the last layer.
    enable_nested_tensor, mask_check : bool
        For programs written for PyTorch; they change nothing.

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
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        """The last layer's output, normalized by ``norm``; arguments as for `TransformerEncoderLayer`."""
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return self._normed(src)


class TransformerDecoder(_Stack):
    """Layers one after the other: copies of one, with the same initial values; all attend to the same memory.

    Parameters
    ----------
    decoder_layer : Module
        As `TransformerDecoderLayer`; it is copied.
    num_layers : int
    norm : Module, optional
        What comes after the last layer.

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
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """The last layer's output, normalized by ``norm``; arguments as for `TransformerDecoderLayer`."""
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
        return self._normed(tgt)


class Transformer(Module):
    """An encoder, and a decoder that attends to its output.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762.

    Parameters
    ----------
    d_model, nhead : int
        Features, and the heads of attention among which they are divided.
    num_encoder_layers, num_decoder_layers : int
    dim_feedforward, dropout, activation
        As for `TransformerEncoderLayer`.
    custom_encoder, custom_decoder : Module, optional
        To take instead.
    layer_norm_eps, batch_first, norm_first, bias
        As for `TransformerEncoderLayer`.
    device, dtype : optional
        Of the parameters; default: the default device, float32.

    Attributes
    ----------
    encoder : TransformerEncoder
    decoder : TransformerDecoder
        Initially all matrices are uniform as `init.xavier_uniform_`.

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
        dtype: Any = None,
    ):
        super().__init__()
        _check_layers("Transformer", "num_encoder_layers", num_encoder_layers)
        _check_layers("Transformer", "num_decoder_layers", num_decoder_layers)
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
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        """The output, in the shape of tgt: of the encoder's input src, and the decoder's tgt.

        Each of the three attentions has a mask, a padding mask and a hint that its mask is causal, as for
        `TransformerEncoderLayer`.
        """
        src = adopt(src, "Transformer", (tgt,))
        tgt = adopt(tgt, "Transformer", (src,))
        batch = 0 if self.batch_first else 1
        if src.ndim != tgt.ndim or src.ndim not in (2, 3) or (src.ndim == 3 and src.shape[batch] != tgt.shape[batch]):
            raise ValueError(
                f"Transformer: src {tuple(src.shape)} and tgt {tuple(tgt.shape)} are batches of different sizes"
            )
        if not src.shape[-1] == tgt.shape[-1] == self.d_model:
            raise ValueError(
                f"Transformer: src {tuple(src.shape)} and tgt {tuple(tgt.shape)} need {self.d_model} features"
            )
        first = next(iter(getattr(self.decoder, "layers", ())), None)
        if isinstance(first, TransformerDecoderLayer) and isinstance(self.encoder, TransformerEncoder):
            first._check_all(
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
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: str | None = None, dtype: Any = None) -> Any:
        """The mask that lets each position see itself and those before it: 0 there and -inf after, (sz, sz)."""
        tuple_of("generate_square_subsequent_mask", "sz", sz, 1, 0)
        dtype = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
        return causal_mask(sz, sz, dtype, default_device() if device is None else resolve(device))

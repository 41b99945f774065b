"""The multi-head attention layer."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

from .. import ops
from . import functional as F
from . import init
from .functional.multi_head_attention import check_attention
from .linear import Linear
from .module import Module
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike
    from ..variable import Variable

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` with the name that PyTorch's repr shows for the last layer of attention."""


class MultiheadAttention(Module):
    """Attention with several heads: ``concat(head_1, ..., head_n) @ w_o.T + b_o``.

    The features of ``query @ w_q.T``, ``key @ w_k.T`` and ``value @ w_v.T`` are divided into n equal parts. Head i is
    the attention of the i-th parts.

    Source: Vaswani et al., "Attention Is All You Need", 2017, arXiv:1706.03762, section 3.2.

    Parameters
    ----------
    embed_dim, num_heads : int
        The number of features and the number of heads, which divides it.
    dropout : float
        The probability, in training, that a weight of attention becomes 0.
    bias : bool
        Whether the projections have a bias.
    add_bias_kv : bool
        Whether to add one key and one value that are parameters.
    add_zero_attn : bool
        Whether to add one key and one value of zeros.
    kdim, vdim : int, optional
        The numbers of features of key and value. Default: embed_dim.
    batch_first : bool
        Whether the batch is the first dimension: (batch, length, features) instead of (length, batch, features).
    device, dtype : optional
        Of the parameters. Default: the default device, float32.

    Attributes
    ----------
    in_proj_weight : Parameter, (3 * embed_dim, embed_dim), or None
        The rows of w_q, w_k and w_v. Initially filled by `init.xavier_uniform_`.
    q_proj_weight, k_proj_weight, v_proj_weight : Parameter, (embed_dim, features), or None
        Three separate weights, with ``kdim`` or ``vdim``.
    in_proj_bias : Parameter, (3 * embed_dim,), or None
        Initially 0.
    out_proj : Linear
        w_o and b_o. The bias is initially 0.
    bias_k, bias_v : Parameter, (1, 1, embed_dim), or None

    Raises
    ------
    ValueError
        If the number of heads does not divide ``embed_dim``. In a call, if a shape does not match.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.MultiheadAttention(8, 2, batch_first=True)
    >>> x = rustorch.ones((3, 5, 8))
    >>> output, weights = layer(x, x, x)
    >>> output.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__()
        kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        for name, size in (("embed_dim", embed_dim), ("num_heads", num_heads), ("kdim", kdim), ("vdim", vdim)):
            if not isinstance(size, (int, Integral)) or isinstance(size, bool) or size <= 0:
                raise ValueError(f"{type(self).__name__}: {name} is a positive integer, not {size!r}")
        if embed_dim % num_heads:
            raise ValueError(f"{type(self).__name__}: {embed_dim} features cannot be divided among {num_heads} heads")
        if isinstance(dropout, bool) or not isinstance(dropout, (float, Real)) or not 0 <= dropout <= 1:
            raise ValueError(f"{type(self).__name__}: dropout is a share in [0, 1], not {dropout!r}")
        self.embed_dim = embed_dim
        self.kdim = kdim
        self.vdim = vdim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def new(*shape: int) -> Parameter:
            return Parameter(ops.empty(shape, device=device, dtype=dtype))

        is_packed = kdim == vdim == embed_dim
        separate = {"q_proj_weight": embed_dim, "k_proj_weight": kdim, "v_proj_weight": vdim}
        for name, size in separate.items():
            self.register_parameter(name, None if is_packed else new(embed_dim, size))
        self.register_parameter("in_proj_weight", new(3 * embed_dim, embed_dim) if is_packed else None)
        self.register_parameter("in_proj_bias", new(3 * embed_dim) if bias else None)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, new(1, 1, embed_dim) if add_bias_kv else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)  # type: ignore[arg-type]
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def _check(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike,
        key_padding_mask: ArrayLike | None,
        attn_mask: ArrayLike | None,
        is_causal: bool,
    ) -> None:
        """Raise the errors that a call with these arguments would raise, without computing or drawing anything."""
        check_attention(
            query,
            key,
            value,
            (self.embed_dim, self.kdim, self.vdim),
            self.num_heads,
            key_padding_mask,
            attn_mask,
            is_causal,
            self.batch_first,
        )

    def forward(
        self,
        query: ArrayLike,
        key: ArrayLike,
        value: ArrayLike,
        key_padding_mask: ArrayLike | None = None,
        need_weights: bool = True,
        attn_mask: ArrayLike | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Variable, Variable | None]:
        """query: (L, N, E), key: (S, N, kdim), value: (S, N, vdim) -> output (L, N, E), weights (N, L, S).

        L is the number of queries, S the number of keys, E is ``embed_dim``. With ``batch_first``, N comes first. One
        sample may come without N.

        Parameters
        ----------
        query, key, value : Variable or array
        key_padding_mask : Variable or array, (N, S), optional
            A boolean mask is True for keys to ignore. A mask of float32 or of the query's dtype is added to the scores.
        need_weights : bool
            Whether to return the weights. Otherwise None is returned in their place.
        attn_mask : Variable or array, (L, S) or (N * num_heads, L, S), optional
            A boolean mask is True where a query must not see a key. A mask of float32 or of the query's dtype is added
            to the scores.
        average_attn_weights : bool
            Whether to return the mean of the weights over the heads. Otherwise the weights are (N, num_heads, L, S).
        is_causal : bool
            A hint that ``attn_mask``, which must be given, is the causal mask. Without weights and padding, its values
            are not read then.

        Returns
        -------
        output : Variable, (L, N, E)
        weights : Variable, (N, L, S), or None
        """
        return F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            self.in_proj_weight is None,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights,
            is_causal,
            self.batch_first,
        )

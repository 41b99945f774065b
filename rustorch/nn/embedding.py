"""Embeddings: rows of a table by index, and sums, means or maxima of rows."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

from .. import ops
from ..autograd.check import adopt
from ..autograd.modes import no_grad
from ..variable import Variable
from . import functional as F
from . import init
from .functional.embedding import check_norm, padding_of
from .module import Module
from .parameter import Parameter

if TYPE_CHECKING:
    from ..typing import ArrayLike, DTypeLike

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """The base of embeddings: a table of rows. One row may be padding."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        sparse: bool,
        weight: ArrayLike | None,
        freeze: bool,
        device: str | None,
        dtype: DTypeLike,
    ):
        super().__init__()
        name = type(self).__name__
        for argument, size in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 0:
                raise ValueError(f"{name}: {argument} is a number that is not negative, not {size!r}")
        if sparse:
            raise ValueError(f"{name}: sparse=True is not offered; gradients are dense")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        check_norm(name, max_norm, norm_type)
        self.padding_idx = padding_of(name, padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        if weight is None:
            self.weight = Parameter(ops.empty((num_embeddings, embedding_dim), device=device, dtype=dtype), not freeze)
            self.reset_parameters()
            return
        table = weight if isinstance(weight, Variable) else adopt(weight, name)
        if table.shape != (num_embeddings, embedding_dim):
            raise ValueError(f"{name}: the weight has shape {table.shape}, not {(num_embeddings, embedding_dim)}")
        self.weight = table if isinstance(table, Parameter) else Parameter(table.detach(), not freeze)

    def reset_parameters(self) -> None:
        """Draw the rows again from the normal distribution. The row of the padding becomes zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def _from_table(cls, embeddings: ArrayLike, freeze: bool, **options: Any) -> Self:
        """A layer whose weight is a given table."""
        table = embeddings if isinstance(embeddings, Variable) else adopt(embeddings, f"{cls.__name__}.from_pretrained")
        if table.ndim != 2:
            raise ValueError(f"{cls.__name__}.from_pretrained: embeddings are (rows, features), not {table.shape}")
        make: Any = cls  # a subclass has its own arguments
        layer: Self = make(*table.shape, _weight=table, **options)
        layer.weight.requires_grad_(not freeze)
        return layer


class Embedding(_Table):
    """``weight[input]``: the row of a table for each index.

    Parameters
    ----------
    num_embeddings : int
        The number of rows.
    embedding_dim : int
        The number of features in a row.
    padding_idx : int, optional
        The index of a row that is initially zeros and gets no gradient.
    max_norm : float, optional
        The largest norm of a row. Each call scales the longer rows among those that it uses down, in place.
    norm_type : float
        The order of the norm.
    scale_grad_by_freq : bool
        Whether the gradient of a row is the mean over its occurrences instead of the sum.
    sparse : bool
        False; gradients are dense.
    device, dtype : optional
        Of the table. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (num_embeddings, embedding_dim)
        Initially drawn from the standard normal distribution.

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If a size is negative, or ``padding_idx`` is out of range.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.Embedding(10, 3, padding_idx=0)
    >>> out = layer(rustorch.tensor([[1, 2], [0, 9]]))
    >>> out.shape, out[1, 0].tolist()
    ((2, 2, 3), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: ArrayLike | None = None,
        _freeze: bool = False,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, sparse, _weight, _freeze, device, dtype
        )
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """A layer whose weight is an existing table.

        Parameters
        ----------
        embeddings : Variable or array, (rows, features)
            The layer shares its memory.
        freeze : bool
            Whether the table stays as it is in training.
        padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
            As for the class.

        Raises
        ------
        ValueError
            If the table does not have two dimensions.
        """
        return cls._from_table(
            embeddings,
            freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )

    def forward(self, input: ArrayLike) -> Variable:
        """input: any shape, of integers -> (..., embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        return text + (f", scale_grad_by_freq={self.scale_grad_by_freq}" if self.scale_grad_by_freq else "")


class EmbeddingBag(_Table):
    """The sum, mean or maximum of the rows of each bag of indices. An empty bag gives zeros.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        The number of rows and the number of features in a row.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for `Embedding`.
    mode : {"sum", "mean", "max"}
    include_last_offset : bool
        Whether the last offset is the end of the last bag.
    padding_idx : int, optional
        The index of a row that is not part of any result.
    device, dtype : optional
        Of the table. Default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (num_embeddings, embedding_dim)
        Initially drawn from the standard normal distribution.

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If the mode is unknown, or shapes or offsets do not match.

    Examples
    --------
    >>> import rustorch
    >>> layer = rustorch.nn.EmbeddingBag(10, 3, mode="sum")
    >>> layer(rustorch.tensor([1, 2, 4, 5]), rustorch.tensor([0, 3])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: ArrayLike | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: str | None = None,
        dtype: DTypeLike = None,
    ):
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"{type(self).__name__}: mode is 'sum', 'mean' or 'max', not {mode!r}")
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, sparse, _weight, False, device, dtype
        )
        self.scale_grad_by_freq = scale_grad_by_freq
        self.mode = mode
        self.sparse = sparse
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> Self:
        """A layer whose weight is an existing table; see `Embedding.from_pretrained`."""
        return cls._from_table(
            embeddings,
            freeze,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            mode=mode,
            sparse=sparse,
            include_last_offset=include_last_offset,
            padding_idx=padding_idx,
        )

    def forward(
        self, input: ArrayLike, offsets: ArrayLike | None = None, per_sample_weights: ArrayLike | None = None
    ) -> Variable:
        """input: (bags, size), or (n,) with offsets: (bags,) -> (bags, embedding_dim).

        The input holds indices. ``offsets`` holds the position in the input where each bag begins. The optional
        ``per_sample_weights`` have the shape of the input.
        """
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            False,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        return f"{text}, mode={self.mode!r}" + ("" if self.padding_idx is None else f", padding_idx={self.padding_idx}")

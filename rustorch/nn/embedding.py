"""Embeddings: rows of a table by their numbers, and sums, means or maxima of them."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from .. import ops
from ..autograd.check import adopt
from ..autograd.modes import no_grad
from ..variable import Variable
from . import functional as F
from . import init
from .functional.embedding import check_norm, padding_of
from .module import Module
from .parameter import Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """A table of rows, one of which may be padding."""

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        sparse: bool,
        weight: Any,
        freeze: bool,
        device: str | None,
        dtype: Any,
    ):
        super().__init__()
        name = type(self).__name__
        for what, size in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 0:
                raise ValueError(f"{name}: {what} is a number that is not negative, not {size!r}")
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
        given = weight if isinstance(weight, Variable) else adopt(weight, name)
        if given.shape != (num_embeddings, embedding_dim):
            raise ValueError(f"{name}: the weight has shape {given.shape}, not {(num_embeddings, embedding_dim)}")
        self.weight = given if isinstance(given, Parameter) else Parameter(given.detach(), not freeze)

    def reset_parameters(self) -> None:
        """Draw the rows again, normal numbers; the padding is zeros."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    @classmethod
    def _from(cls, embeddings: Any, freeze: bool, **options: Any) -> Any:
        table = embeddings if isinstance(embeddings, Variable) else adopt(embeddings, f"{cls.__name__}.from_pretrained")
        if table.ndim != 2:
            raise ValueError(f"{cls.__name__}.from_pretrained: embeddings are (rows, features), not {table.shape}")
        made: Any = cls  # a subclass's arguments
        layer = made(*table.shape, _weight=table, **options)
        layer.weight.requires_grad_(not freeze)
        return layer


class Embedding(_Table):
    """``weight[input]``: a row of the table for every index.

    Parameters
    ----------
    num_embeddings : int
        The number of rows.
    embedding_dim : int
        The number of features in a row.
    padding_idx : int, optional
        A row that is zeros in the beginning, and gets no gradient.
    max_norm : float, optional
        What the norms of the rows that are asked for are at most: longer ones are scaled down, in place, at each call.
    norm_type : float
        The order of that norm.
    scale_grad_by_freq : bool
        Whether the gradient of a row is the mean over its occurrences, instead of the sum.
    sparse : bool
        False; gradients are dense.
    device, dtype : optional
        Of the table; default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (num_embeddings, embedding_dim)
        Initially normal numbers.

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If a size is negative, or ``padding_idx`` is no row.

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
        _weight: Any = None,
        _freeze: bool = False,
        device: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, sparse, _weight, _freeze, device, dtype
        )
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Any,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer around a table that exists.

        Parameters
        ----------
        embeddings : Variable or array, (rows, features)
            Its memory is shared.
        freeze : bool
            Whether it is not trained.
        padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
            As for the class.

        Raises
        ------
        ValueError
            If the table has not two dimensions.
        """
        return cls._from(
            embeddings,
            freeze,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
        )

    def forward(self, input: Any) -> Any:
        """The rows of the table for indices of any shape: (..., embedding_dim)."""
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
        The numbers of rows and of features.
    max_norm, norm_type, scale_grad_by_freq, sparse
        As for `Embedding`.
    mode : {"sum", "mean", "max"}
    include_last_offset : bool
        Whether the offsets end with the end of the last bag.
    padding_idx : int, optional
        A row whose indices do not count.
    device, dtype : optional
        Of the table; default: the default device, float32.

    Attributes
    ----------
    weight : Parameter, (num_embeddings, embedding_dim)
        Initially normal numbers.

    Raises
    ------
    IndexError
        If an index is out of range.
    ValueError
        If the mode is unknown, or shapes or offsets do not fit.

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
        _weight: Any = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: str | None = None,
        dtype: Any = None,
    ):
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f"EmbeddingBag: mode is 'sum', 'mean' or 'max', not {mode!r}")
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
        embeddings: Any,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer around a table that exists; as `Embedding.from_pretrained`."""
        return cls._from(
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

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        """The sum, mean or maximum of each bag, (bags, embedding_dim).

        Indices are (bags, size), or (n,) with ``offsets``, where each bag begins; ``per_sample_weights`` has their
        shape.
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

"""Calls that layers and functions refuse: each line is a Python expression.

The names are f(...) for an array of floats of this shape, shares(...) for numbers between 0 and 1, b(...) for booleans,
i([...]) for these integers, and at(x) for this one number. A line with {name}, {d} or {z} stands for several lines.
"""

from __future__ import annotations

_CONVOLUTIONS = """
{name}{d}d(4, 6, 3)(f(4))
{name}{d}d(4, 6, 3)(f(1, 1, 4, {z}))
{name}{d}d(4, 6, 3)(f(2, 5, {z}))
{name}{d}d(4, 6, 3)(i([1, 2]))
{name}{d}d(4, 6, 3, groups=3)
{name}{d}d(4, 6, 3, groups=0)
{name}{d}d(0, 6, 3)
{name}{d}d(4, -6, 3)
{name}{d}d(4, 6, 0)
{name}{d}d(4, 6, 3, stride=0)
{name}{d}d(4, 6, 3, padding=-1)
{name}{d}d(4, 6, 3, dilation=0)
"""

_POOLINGS = """
{name}{d}d(2)(f(4))
{name}{d}d(2)(f(1, 1, 4, {z}))
{name}{d}d(9)(f(2, 4, {z}))
{name}{d}d(0)
{name}{d}d(2, stride=-1)
{name}{d}d(2, padding=2)(f(2, 4, {z}))
"""

_ADAPTIVE = """
{name}{d}d(3)(f(4))
{name}{d}d(-1)
"""

_NORMS = """
{name}{d}d(4)(f(4))
{name}{d}d(4, affine=True, track_running_stats=True)(f(2, 5, {z}))
{name}{d}d(4, affine=True, track_running_stats=True)(f(1, 4, *[1] * {d}))
{name}{d}d(0)
{name}{d}d(-4)
"""

_SPATIAL = """
Conv{d}d(4, 6, 9)(f(2, 4, {z}))
Conv{d}d(4, 6, 3, dilation=5)(f(2, 4, {z}))
Conv{d}d(4, 6, 3, padding='full')
Conv{d}d(4, 6, 3, padding='same', stride=2)
Conv{d}d(4, 6, 3, padding=9, padding_mode='reflect')(f(2, 4, {z}))
ConvTranspose{d}d(4, 6, 3, padding=9)(f(2, 4, {z}))
LPPool{d}d(2, 2)(f(4))
LPPool{d}d(2, 9)(f(2, 4, {z}))
LPPool{d}d(2, 0)
MaxUnpool{d}d(2)(f(1, 1, *[2] * {d}), i([10_000] * 2 ** {d}).reshape(1, 1, *[2] * {d}))
MaxUnpool{d}d(2)(f(1, 1, *[2] * {d}), f(1, 1, *[2] * {d}))
ReflectionPad{d}d(1)(f(3))
ReplicationPad{d}d(1)(f(3))
CircularPad{d}d(1)(f(3))
ReflectionPad{d}d(100)(f(2, 4, {z}))
CircularPad{d}d(100)(f(2, 4, {z}))
ZeroPad{d}d(-100)(f(2, 4, {z}))
ConstantPad{d}d(-100, 0.0)(f(2, 4, {z}))
Dropout{d}d(-0.1)
Dropout{d}d(1.5)
Dropout{d}d()(f(3))
F.conv{d}d(f(2, 4, {z}), f(6, 4, *[3] * {d}), groups=0)
F.conv{d}d(f(2, 4, {z}), f(6, 4, *[3] * {d}), groups=3)
F.conv{d}d(f(2, 4, {z}), f(6, 4, *[3] * {d}), f(5))
F.conv{d}d(f(2, 4, {z}), f(6, 4))
F.conv{d}d(f(2, 4, {z}), f(6, 4, *[3] * {d}), stride=0)
F.conv_transpose{d}d(f(2, 6, {z}), f(6, 4, *[3] * {d}), f(5))
F.conv_transpose{d}d(f(2, 6, {z}), f(6, 4, *[3] * {d}), groups=4)
F.max_pool{d}d(f(2, 4, {z}), 9)
F.avg_pool{d}d(f(2, 4, {z}), 0)
F.lp_pool{d}d(f(2, 4, {z}), 2, 9)
"""

_FRACTIONAL = """
FractionalMaxPool{d}d(9, output_size=2)(f(1, 2, {z}))
FractionalMaxPool{d}d(2, output_size=0)
FractionalMaxPool{d}d(2, output_ratio=1.5)
FractionalMaxPool{d}d(2)
"""

_DROPOUTS = """
{name}(-0.1)
{name}(1.5)
{name}(nan)
{name}('half')
{name}()(i([1, 2]))
"""

_DROPPED = """
F.{name}(f(2, 3, 4), 1.5)
F.{name}(f(2, 3, 4), -0.1, False)
"""

_RECURRENT = """
{name}(3, 4, num_layers=2, dropout=0.5)(f(3))
{name}(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 4))
{name}(3, 4, num_layers=2, dropout=0.5)(f(0, 2, 3))
{name}(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), f(1, 2, 4))
{name}(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), f(2, 3, 4))
{name}(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), f(2, 2, 5))
{name}(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), f(2, 4))
{name}(3, 4)(f(5, 2, 3), (f(1, 2, 4), f(1, 2, 4)))
{name}(0, 4)
{name}(3, -4)
{name}(3, 4, 0)
{name}(3, 4, 2, dropout=1.5)
{name}Cell(3, 4)(f(2, 2, 3))
{name}Cell(3, 4)(f(2, 4))
{name}Cell(3, 4)(f(2, 3), f(3, 4))
{name}Cell(3, 4)(f(2, 3), f(2, 5))
{name}Cell(3, 4)(f(2, 3), f(4))
{name}Cell(0, 4)
{name}Cell(3, -4)
"""

_ELEMENTWISE_LOSSES = """
{name}()(shares(2, 3), shares(2, 1))
{name}()(i([1, 0]), i([1, 0]))
{name}()(shares(2), b(2))
{name}(reduction='max')
"""

_CLASS_LOSSES = """
{name}()(f(2, 3), i([0, 3]))
{name}()(f(2, 3), i([0, -1]))
{name}()(f(2, 3), f(2))
{name}()(f(2, 3), b(2))
{name}()(f(2, 3), i([0, 1, 2]))
{name}()(f(), 0)
{name}(reduction='max')
"""

_TRANSFORMER_LAYERS = """
{name}(4, 3)
{name}(4, 2, -1)
{name}(4, 2, 8, 1.5)
{name}(4, 2, 8, activation='swish')
"""

_OTHERS = """
Linear(-1, 3)
Linear(4, -3)
Linear(4, 3)(f(2, 5))
Linear(4, 3)(f())
Linear(4, 3)(i([[1, 2, 3, 4]]))
Bilinear(0, 3, 2)
Bilinear(4, 3, 2)(f(2, 5), f(2, 3))
Bilinear(4, 3, 2)(f(2, 4), f(3, 3))
Flatten(1, 7)(f(2, 3))
Unflatten(1, (2, 5))(f(2, 12))
Unflatten(4, (2, 6))(f(2, 12))
LayerNorm(0)
LayerNorm((3, -1))
LayerNorm((3, 4))(f(2, 4, 3))
RMSNorm(0)
RMSNorm((3, 4))(f(2, 4, 3))
GroupNorm(3, 4)
GroupNorm(0, 4)
GroupNorm(2, -4)
GroupNorm(2, 4)(f(2, 6, 3))
GroupNorm(2, 4)(f(4))
LocalResponseNorm(0)
LocalResponseNorm(2)(f(2, 6))
Embedding(-1, 3)
Embedding(5, -3)
Embedding(5, 3, padding_idx=5)
Embedding(5, 3, padding_idx=1.5)
Embedding(5, 3, max_norm=-1.0)
Embedding(5, 3)(i([1, 5]))
Embedding(5, 3)(i([-1, 2]))
Embedding(5, 3)(f(2))
Embedding(5, 3, max_norm=0.1)(i([1, 7]))
EmbeddingBag(5, 3, mode='median')
EmbeddingBag(5, 3)(i([[1, 5]]))
EmbeddingBag(5, 3)(i([1, 2]))
EmbeddingBag(5, 3)(i([1, 2]), i([0, 9]))
EmbeddingBag(5, 3)(i([1, 2]), i([1]))
EmbeddingBag(5, 3)(f(2, 2))
EmbeddingBag(5, 3, max_norm=0.1)(i([[1, 7]]))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(3))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 4))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(0, 2, 3))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), (f(1, 2, 4), f(1, 2, 4)))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), (f(2, 3, 4), f(2, 3, 4)))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), (f(2, 2, 5), f(2, 2, 5)))
LSTM(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), (f(2, 4), f(2, 4)))
LSTM(3, 4)(f(5, 2, 3), f(1, 2, 4))
LSTM(0, 4)
LSTM(3, -4)
LSTM(3, 4, 0)
LSTM(3, 4, 2, dropout=1.5)
LSTMCell(3, 4)(f(2, 2, 3))
LSTMCell(3, 4)(f(2, 4))
LSTMCell(3, 4)(f(2, 3), (f(3, 4), f(3, 4)))
LSTMCell(3, 4)(f(2, 3), (f(2, 5), f(2, 5)))
LSTMCell(3, 4)(f(2, 3), (f(4), f(4)))
LSTMCell(0, 4)
LSTMCell(3, -4)
LSTM(3, 4, proj_size=4)
LSTM(3, 4, proj_size=2)(f(5, 2, 3), (f(1, 2, 4), f(1, 2, 4)))
MultiheadAttention(4, 3)
MultiheadAttention(4, 0)
MultiheadAttention(0, 2)
MultiheadAttention(4, 2, 1.5)
MultiheadAttention(4, 2, kdim=0)
MultiheadAttention(4, 2, dropout=0.5)(f(4), f(4), f(4))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 5), f(5, 2, 4), f(5, 2, 4))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 5), f(5, 2, 5))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(6, 2, 4))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 3, 4), f(5, 3, 4))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), attn_mask=b(5, 3))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), attn_mask=b(2, 3, 5))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), attn_mask=i([[0] * 5] * 3))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), key_padding_mask=b(5, 2))
MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), is_causal=True)
TransformerEncoderLayer(4, 2, 8)(f(3, 2, 5))
TransformerEncoderLayer(4, 2, 8)(f(3, 2, 4), src_mask=b(4, 3))
TransformerDecoderLayer(4, 2, 8)(f(3, 2, 4), f(5, 2, 5))
TransformerDecoderLayer(4, 2, 8)(f(3, 2, 4), f(5, 3, 4))
TransformerDecoderLayer(4, 2, 8)(f(3, 2, 4), f(5, 2, 4), memory_mask=b(5, 3))
TransformerDecoderLayer(4, 2, 8)(f(3, 2, 4), f(5, 2, 4), memory_key_padding_mask=b(5, 2))
TransformerDecoderLayer(4, 2, 8)(f(3, 2, 4), f(5, 2, 4), tgt_mask=b(5, 3))
Transformer(4, 3, 1, 1, 8)
Transformer(4, 2, -1, 1, 8)
Transformer(4, 2, 1, -1, 8)
Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(3, 3, 4))
Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(3, 2, 5))
Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(5, 2, 4), src_mask=b(5, 5))
Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(5, 2, 4), tgt_mask=b(3, 3))
Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(5, 2, 4), memory_mask=b(3, 5))
CrossEntropyLoss(f(4))(f(2, 3), i([0, 1]))
NLLLoss(f(4))(f(2, 3), i([0, 1]))
MultiMarginLoss(1, 1.0, f(4))(f(2, 3), i([0, 1]))
CrossEntropyLoss(label_smoothing=1.5)
MultiMarginLoss(p=3)
MultiLabelMarginLoss()(f(2, 3), i([[0, 3, -1], [0, 3, -1]]))
MultiLabelMarginLoss()(f(2, 3), i([[0, -2, -1], [0, -2, -1]]))
MultiLabelMarginLoss()(f(2, 3), f(2, 3))
MSELoss(size_average=1.5)
BCELoss()(at(1.5), at(1.0))
BCELoss()(at(0.5), at(3.0))
BCELoss(f(3))(shares(2), shares(2))
HuberLoss(delta=0.0)
SmoothL1Loss(beta=-1.0)
GaussianNLLLoss(eps=0.0)
GaussianNLLLoss()(f(2, 3), f(2, 3), f(4))
GaussianNLLLoss()(f(2, 3), f(2, 3), -1.0)
CosineEmbeddingLoss()(f(2, 3), f(2, 4), i([1, -1]))
CosineEmbeddingLoss()(f(2, 3), f(2, 3), i([1, -1, 1]))
MarginRankingLoss()(f(2), f(3), i([1, -1]))
TripletMarginLoss(margin=0.0)
TripletMarginLoss()(f(2, 3), f(2, 3), f(2, 4))
TripletMarginWithDistanceLoss()(f(2, 3), f(2, 3), f(2, 4))
CosineSimilarity()(f(2, 3), f(2, 4))
CosineSimilarity(5)(f(2, 3), f(2, 3))
PairwiseDistance()(f(2, 3), f(2, 4))
CTCLoss(-1)
CTCLoss()(f(4, 2, 3), i([[1, 2], [2, 1]]), (4, 1), (2, 2))
CTCLoss()(f(4, 2, 3), i([[1, 2], [2, 1]]), (5, 4), (2, 2))
CTCLoss()(f(4, 2, 3), i([[1, 2], [2, 1]]), (4, 4), (3, 2))
CTCLoss()(f(4, 2, 3), i([[1, 3], [2, 1]]), (4, 4), (2, 2))
CTCLoss()(f(4, 2, 3), f(2, 2), (4, 4), (2, 2))
CTCLoss(3)(f(4, 2, 3), i([[1, 2], [2, 1]]), (4, 4), (2, 2))
PixelShuffle(0)
PixelShuffle(2)(f(1, 6, 2, 2))
PixelShuffle(2)(f(4, 2))
PixelUnshuffle(2)(f(1, 1, 3, 4))
ChannelShuffle(0)
ChannelShuffle(3)(f(1, 4, 2, 2))
Upsample(scale_factor=2)(f(3, 4))
Upsample(scale_factor=2, mode='bilinear')(f(1, 1, 4))
Upsample(0)(f(1, 1, 4))
Upsample(scale_factor=0.0)(f(1, 1, 4))
UpsamplingBilinear2d(scale_factor=2)(f(1, 1, 4))
UpsamplingNearest2d(scale_factor=2)(f(1, 4))
Unfold(0)
Unfold(2)(f(2, 3))
Unfold(5)(f(1, 2, 3, 3))
Fold((4, 4), 2)(f(1, 8, 5))
Fold((4, 4), 2)(f(1, 7, 9))
Fold(0, 2)
Softmax(3)(f(2, 3))
LogSoftmax(3)(f(2, 3))
Softmin(3)(f(2, 3))
Softmax2d()(f(2, 3))
PReLU(0)
PReLU(3)(f(2, 4))
GLU()(f(2, 3))
GELU()(i([1, 2]))
AdaptiveLogSoftmaxWithLoss(4, 7, [2, 9])
AdaptiveLogSoftmaxWithLoss(4, 7, [2], div_value=0.0)
AdaptiveLogSoftmaxWithLoss(4, 7, [2, 4])(f(2, 4), i([0, 7]))
AdaptiveLogSoftmaxWithLoss(4, 7, [2, 4])(f(2, 3), i([0, 6]))
F.scaled_dot_product_attention(f(2, 3, 4), f(2, 5, 4), f(2, 5, 4), b(5, 3))
F.scaled_dot_product_attention(f(2, 3, 4), f(2, 5, 3), f(2, 5, 4))
F.scaled_dot_product_attention(f(2, 3, 4), f(2, 5, 4), f(2, 6, 4))
F.scaled_dot_product_attention(f(2, 3, 4), f(2, 5, 4), f(2, 5, 4), dropout_p=1.5)
F.binary_cross_entropy_with_logits(f(2, 3), f(2, 3), pos_weight=f(2))
F.mse_loss(f(2, 3), f(2, 3), weight=f(3))
F.embedding(i([1]), f(3))
F.batch_norm(f(2, 6, 3), f(5), f(6))
F.batch_norm(f(2, 6, 3), None, None)
F.instance_norm(f(2, 6, 1))
F.group_norm(f(2, 6, 3), 4)
F.layer_norm(f(2, 6, 3), (4,))
F.linear(f(2, 4), f(3, 4), f(5))
F.normalize(f(2, 6), dim=4)
F.interpolate(f(1, 1, 4))
F.cross_entropy(f(2, 3), f(2, 4))
F.cross_entropy(f(2, 3, 4), i([[3] * 4] * 2))
"""

_SIZES = {1: "8", 2: "8, 8", 3: "4, 6, 6"}


def _lines(table: str, names: str = "", dimensions: tuple[int, ...] = (2,)) -> list[str]:
    rows, words = table.strip().split("\n"), names.split() or [""]
    return [row.format(name=name, d=d, z=_SIZES[d]) for row in rows for d in dimensions for name in words]


ALL = (1, 2, 3)
LINES = [
    *_lines(_CONVOLUTIONS, "Conv ConvTranspose", ALL),
    *_lines(_POOLINGS, "MaxPool AvgPool", ALL),
    *_lines(_ADAPTIVE, "AdaptiveAvgPool AdaptiveMaxPool", ALL),
    *_lines(_NORMS, "BatchNorm InstanceNorm", ALL),
    *_lines(_SPATIAL, "", ALL),
    *_lines(_FRACTIONAL, "", (2, 3)),
    *_lines(_DROPOUTS, "Dropout AlphaDropout FeatureAlphaDropout"),
    *_lines(_DROPPED, "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout"),
    *_lines(_RECURRENT, "RNN GRU"),
    *_lines(
        _ELEMENTWISE_LOSSES,
        "MSELoss L1Loss SmoothL1Loss HuberLoss BCELoss BCEWithLogitsLoss KLDivLoss PoissonNLLLoss "
        "SoftMarginLoss HingeEmbeddingLoss MultiLabelSoftMarginLoss",
    ),
    *_lines(_CLASS_LOSSES, "CrossEntropyLoss NLLLoss MultiMarginLoss"),
    *_lines(_TRANSFORMER_LAYERS, "TransformerEncoderLayer TransformerDecoderLayer"),
    *_lines(_OTHERS),
]

"""The exact error messages of some lines of `bad_input`, the same on every backend."""

MESSAGES = {
    "Conv2d(4, 6, 3)(f(4))": (
        "ValueError: conv2d: the input has 4 dimensions, (samples, channels, height, width), or 3 without samples; its "
        "shape is (4,)"
    ),
    "Conv2d(4, 6, 3)(f(2, 5, 8, 8))": (
        "ValueError: conv2d: a weight of shape (6, 4, 3, 3) with groups=1 takes 4 channels; the input of shape (2, 5, "
        "8, 8) has 5"
    ),
    "Conv2d(4, 6, 9)(f(2, 4, 8, 8))": (
        "ValueError: conv2d: a kernel of sizes (9, 9) with dilation (1, 1) reaches over (9, 9), more than the padded "
        "input has: (8, 8)"
    ),
    "Conv2d(4, 6, 3, groups=3)": "ValueError: Conv2d: groups=3 do not divide in_channels=4",
    "Conv2d(0, 6, 3)": "ValueError: Conv2d: in_channels is at least 1, not 0",
    "Conv2d(4, 6, 3, stride=0)": "ValueError: Conv2d: stride is at least 1, not 0",
    "ConvTranspose2d(4, 6, 3)(f(2, 5, 8, 8))": (
        "ValueError: conv_transpose2d: a weight of shape (4, 6, 3, 3) with groups=1 takes 4 channels; the input of "
        "shape (2, 5, 8, 8) has 5"
    ),
    "MaxPool2d(9)(f(2, 4, 8, 8))": (
        "ValueError: max_pool2d: a kernel that covers 9 values does not fit into an axis of size 8 with padding 0; the "
        "input's shape is (2, 4, 8, 8)"
    ),
    "AvgPool2d(0)": "ValueError: AvgPool2d: kernel_size is at least 1, not 0",
    "LPPool2d(2, 9)(f(2, 4, 8, 8))": (
        "ValueError: lp_pool2d: a kernel that covers 9 values does not fit into an axis of size 8 with padding 0; the "
        "input's shape is (2, 4, 8, 8)"
    ),
    "AdaptiveAvgPool2d(3)(f(4))": (
        "ValueError: adaptive_avg_pool2d: the input is (batch, channels, size1, size2) or (channels, size1, size2), of "
        "4 or 3 dimensions; its shape is (4,)"
    ),
    "FractionalMaxPool2d(9, output_size=2)(f(1, 2, 8, 8))": (
        "ValueError: fractional_max_pool2d: 2 windows of 9 values do not start at different places of an axis of size "
        "8; the input's shape is (1, 2, 8, 8)"
    ),
    "MaxUnpool2d(2)(f(1, 1, *[2] * 2), i([10_000] * 2 ** 2).reshape(1, 1, *[2] * 2))": (
        "IndexError: max_unpool2d: index 10000 is out of range for an output of sizes (4, 4)"
    ),
    "BatchNorm2d(4)(f(4))": "ValueError: BatchNorm2d: the input has shape (4,); it takes (n, channels, height, width)",
    "BatchNorm2d(4, affine=True, track_running_stats=True)(f(2, 5, 8, 8))": (
        "ValueError: BatchNorm2d: the input has shape (2, 5, 8, 8); its channels are 4, not 5"
    ),
    "BatchNorm2d(4, affine=True, track_running_stats=True)(f(1, 4, *[1] * 2))": (
        "ValueError: batch_norm: training needs more than one value per channel; an input of shape (1, 4, 1, 1) has 1"
    ),
    "InstanceNorm2d(4, affine=True, track_running_stats=True)(f(2, 5, 8, 8))": (
        "ValueError: InstanceNorm2d: the input has shape (2, 5, 8, 8); its channels are 4, not 5"
    ),
    "GroupNorm(3, 4)": "ValueError: GroupNorm: num_channels is a multiple of num_groups, and 4 is none of 3",
    "LayerNorm((3, 4))(f(2, 4, 3))": "ValueError: LayerNorm: the input has shape (2, 4, 3); its last sizes are (3, 4)",
    "RMSNorm((3, 4))(f(2, 4, 3))": "ValueError: RMSNorm: the input has shape (2, 4, 3); its last sizes are (3, 4)",
    "LocalResponseNorm(2)(f(2, 6))": (
        "ValueError: local_response_norm: the input has shape (2, 6); it needs three dimensions at least, (n, "
        "channels, ...)"
    ),
    "ReflectionPad2d(100)(f(2, 4, 8, 8))": (
        "ValueError: ReflectionPad2d: padding (100, 100) does not fit a dimension of 8; reflection does not repeat the "
        "element at the edge: it is smaller than the dimension's size"
    ),
    "Dropout(1.5)": "ValueError: Dropout: p is a probability between 0 and 1, not 1.5",
    "Dropout('half')": "TypeError: Dropout: p is a probability between 0 and 1, not 'half'",
    "F.dropout(f(2, 3, 4), 1.5)": "ValueError: dropout: p is a probability between 0 and 1, not 1.5",
    "Linear(4, 3)(f(2, 5))": (
        "ValueError: linear: the input has shape (2, 5), but a weight of shape (3, 4) takes 4 features in its last "
        "dimension"
    ),
    "Linear(4, 3)(i([[1, 2, 3, 4]]))": (
        "TypeError: linear: the input is of int64 and the weight of float32; layers do not convert silently. Convert "
        "the "
        'input, as in x.float() (of a NumPy array: x.astype("float32"))'
    ),
    "Bilinear(4, 3, 2)(f(2, 5), f(2, 3))": (
        "ValueError: bilinear: the inputs have shapes (2, 5) and (2, 3), but a weight of shape (2, 4, 3) takes 4 and 3 "
        "features in their last dimensions"
    ),
    "Embedding(5, 3)(i([1, 5]))": "IndexError: embedding: index 5 is out of range for a table of 5 rows",
    "Embedding(5, 3)(i([-1, 2]))": "IndexError: embedding: index -1 is out of range for a table of 5 rows",
    "EmbeddingBag(5, 3)(i([1, 2]))": (
        "ValueError: embedding_bag: an input of one dimension needs offsets: where each bag begins"
    ),
    "RNN(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 4))": (
        "ValueError: RNN: the input is (steps, batch, features), or (steps, features) for one sequence, with 3 "
        "features; got the shape (5, 2, 4)"
    ),
    "GRU(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), f(1, 2, 4))": (
        "ValueError: GRU: for an input of shape (5, 2, 3) the hidden state has shape (2, 2, 4), not (1, 2, 4)"
    ),
    "LSTM(3, 4, num_layers=2, dropout=0.5)(f(5, 2, 3), (f(2, 3, 4), f(2, 3, 4)))": (
        "ValueError: LSTM: for an input of shape (5, 2, 3) the hidden state has shape (2, 2, 4), not (2, 3, 4)"
    ),
    "LSTMCell(3, 4)(f(2, 3), (f(3, 4), f(3, 4)))": (
        "ValueError: LSTMCell: for an input of shape (2, 3) the hidden state has shape (2, 4), not (3, 4)"
    ),
    "MultiheadAttention(4, 3)": "ValueError: MultiheadAttention: 4 features cannot be divided among 3 heads",
    "MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), attn_mask=b(5, 3))": (
        "ValueError: MultiheadAttention: attn_mask is (queries, keys), (3, 5), or (batch * heads, queries, keys), (4, "
        "3, 5); got (5, 3)"
    ),
    "MultiheadAttention(4, 2, dropout=0.5)(f(3, 2, 4), f(5, 2, 4), f(5, 2, 4), key_padding_mask=b(5, 2))": (
        "ValueError: MultiheadAttention: key_padding_mask is (batch, keys), (2, 5); got (5, 2)"
    ),
    "F.scaled_dot_product_attention(f(2, 3, 4), f(2, 5, 4), f(2, 5, 4), b(5, 3))": (
        "ValueError: scaled_dot_product_attention: attn_mask has shape (5, 3), which does not broadcast to the scores' "
        "(2, 3, 5)"
    ),
    "TransformerEncoderLayer(4, 3)": "ValueError: MultiheadAttention: 4 features cannot be divided among 3 heads",
    "TransformerDecoderLayer(4, 2, 8)(f(3, 2, 4), f(5, 2, 4), memory_mask=b(5, 3))": (
        "ValueError: MultiheadAttention: attn_mask is (queries, keys), (3, 5), or (batch * heads, queries, keys), (4, "
        "3, 5); got (5, 3)"
    ),
    "Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(3, 3, 4))": (
        "ValueError: Transformer: src (3, 2, 4) and tgt (3, 3, 4) are batches of different sizes"
    ),
    "Transformer(4, 2, 1, 1, 8)(f(3, 2, 4), f(5, 2, 4), tgt_mask=b(3, 3))": (
        "ValueError: MultiheadAttention: attn_mask is (queries, keys), (5, 5), or (batch * heads, queries, keys), (4, "
        "5, 5); got (3, 3)"
    ),
    "CrossEntropyLoss()(f(2, 3), i([0, 3]))": "IndexError: cross_entropy: class index 3 is out of range for 3 classes",
    "CrossEntropyLoss()(f(2, 3), b(2))": (
        "TypeError: cross_entropy: targets are class indices (integers) or probabilities (floats), not bool"
    ),
    "NLLLoss()(f(2, 3), f(2))": (
        "TypeError: nll_loss: class indices are integers, not of float32; convert them, as in y.astype(rustorch.int64)"
    ),
    "MultiLabelMarginLoss()(f(2, 3), i([[0, -2, -1], [0, -2, -1]]))": (
        "IndexError: multilabel_margin_loss: class index -2 is out of range for 3 classes"
    ),
    "MSELoss()(shares(2, 3), shares(2, 1))": (
        "ValueError: mse_loss: the input has shape (2, 3) and the target (2, 1); they must be equal, reshape one of "
        "them"
    ),
    "MSELoss(size_average=1.5)": (
        "TypeError: MSELoss: size_average is True, False or None, not 1.5; name the reduction, as in reduction='sum'"
    ),
    "BCELoss()(at(0.5), at(3.0))": "ValueError: binary_cross_entropy: targets are probabilities, in [0, 1]",
    "CTCLoss()(f(4, 2, 3), i([[1, 2], [2, 1]]), (4, 1), (2, 2))": (
        "ValueError: ctc_loss: a target is longer than its input by 1, and has no alignment; with zero_infinity=True "
        "its loss is 0"
    ),
    "PixelShuffle(2)(f(1, 6, 2, 2))": (
        "ValueError: pixel_shuffle: the number of channels must be a multiple of 2 * 2; the input's shape is "
        "(1, 6, 2, 2)"
    ),
    "F.interpolate(f(1, 1, 4))": "ValueError: interpolate: give either size or scale_factor, one of them",
    "Unfold(5)(f(1, 2, 3, 3))": (
        "ValueError: unfold: a kernel of sizes (5, 5) with dilation (1, 1) reaches over more than the padded image "
        "has: (3, 3)"
    ),
    "CosineSimilarity()(f(2, 3), f(2, 4))": (
        "ValueError: cosine_similarity: the inputs have shapes (2, 3), (2, 4), which do not broadcast"
    ),
    "Softmax(3)(f(2, 3))": "IndexError: softmax: axis 3 is out of range for an array of 2 dimensions",
    "GLU()(f(2, 3))": "ValueError: glu: dimension 1 of the input cannot be halved: its size is odd in shape (2, 3)",
}

"""What a Keras model file may name: classes, operations and functions that compute and do nothing else.

A test goes through all that the installed libraries offer, so that a new one is noticed.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Layers and models of Keras 3 and tf_keras.
LAYERS = _words("""
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AddLoss AddMetric AdditiveAttention AlphaDropout
    Attention AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
    BatchNormalization BatchNormalizationV1 BatchNormalizationV2 Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D
    ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D
    Convolution3DTranspose Cropping1D Cropping2D Cropping3D Cross CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization
    Dot Dropout ELU EinsumDense Embedding Equalization Feature FeatureSpace Flatten Functional GRU GRUCell GaussianDropout
    GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
    GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D
    GroupNormalization GroupQueryAttention GroupedQueryAttention HashedCrossing Hashing Identity InputLayer InputSpec
    IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes
    MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp Model
    MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness
    RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
    RandomFourierFeatures RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective
    RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomWidth RandomZoom
    ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D
    SeparableConvolution1D SeparableConvolution2D Sequential SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract SyncBatchNormalization
    TFDConcat TFDIdentity TextVectorization ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""")

# What layers are given: initialisers, regularisers, constraints, types, quantisers.
PARTS = _words("""
    AWQConfig AWQDTypePolicy AbsMaxQuantizer Constant DTypePolicy DTypePolicyMap Float8QuantizationConfig FloatDTypePolicy
    GPTQConfig GPTQDTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer Int4DTypePolicy
    Int4QuantizationConfig Int8QuantizationConfig L1 L1L2 L2 LecunNormal LecunUniform MaxNorm MinMaxNorm NonNeg Ones Orthogonal
    OrthogonalInitializer OrthogonalRegularizer Policy PolicyV1 QuantizationConfig QuantizedDTypePolicy
    QuantizedFloat8DTypePolicy RadialConstraint RandomGenerator RandomNormal RandomUniform STFT STFTInitializer SeedGenerator
    TruncatedNormal UnitNorm VarianceScaling Zeros
""")

# Activations, and the short names of initialisers, regularisers and constraints.
FUNCTIONS = _words("""
    celu constant elu exponential gelu glorot_normal glorot_uniform glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
    he_normal he_uniform identity l1 l1_l2 l1l2 l2 leaky_relu lecun_normal lecun_uniform linear log_sigmoid log_softmax max_norm
    maxnorm min_max_norm mish non_neg nonneg normal one ones orthogonal orthogonal_regularizer radial_constraint random_normal
    random_uniform relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax
    squareplus stft swish tanh tanh_shrink threshold truncated_normal uniform unit_norm unitnorm variance_scaling zero zeros
""")

# Losses, by which an output's activation may be known.
LOSSES = _words("""
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLD KLDivergence LogCosh MAE
    MAPE MSE MSLE MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky binary_crossentropy binary_focal_crossentropy categorical_crossentropy
    categorical_focal_crossentropy categorical_generalized_cross_entropy categorical_hinge circle cosine_similarity ctc dice
    hinge huber kl_divergence kld kullback_leibler_divergence log_cosh logcosh mae mape mean_absolute_error
    mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error mse msle poisson
    sparse_categorical_crossentropy squared_hinge tversky
""")

# Of keras.ops, in OPERATION_MODULES.
OPERATIONS = _words("""
    Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add AffineTransform All AllClose Amax Amin Angle Any Append Arange Arccos
    Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array ArraySplit Average AveragePool
    BatchNorm BinaryCrossentropy Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift
    BitwiseXor BroadcastTo CDist CTCDecode CTCLoss Cast CategoricalCrossentropy Cbrt Ceil Celu Cholesky CholeskyInverse Clip
    Concatenate Conj Conjugate Conv ConvTranspose ConvertToTensor Copy Corrcoef Correlate Cos Cosh CountNonzero CropImages Cross
    Cumprod Cumsum Deg2rad DepthToSpace DepthwiseConv Det Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot
    DotProductAttention Dsplit Dstack Eig Eigh Einsum ElasticTransform Elu EmptyLike Equal Erf Erfc Erfinv Exp Exp2 ExpandDims
    Expm1 ExtractPatches ExtractSequences FFT FFT2 Fabs Flip Fliplr Flipud Floor FloorDivide Fmax Fmin Fmod Fold Full FullLike
    GaussianBlur Gcd Gelu Geomspace GetItem Glu Greater GreaterEqual HSVToRGB HardShrink HardSigmoid HardSilu HardTanh Heaviside
    Histogram Hsplit Hstack Hypot I0 IFFT2 IRFFT ISTFT Imag InTopK Inner Inv IsIn Isclose Isfinite Isinf Isnan Isneginf Isposinf
    Isreal Kron LayerNorm Lcm Ldexp LeakyRelu LeftShift Less LessEqual Linspace Log Log10 Log1p Log2 LogSigmoid LogSoftmax
    Logaddexp Logaddexp2 Logdet LogicalAnd LogicalNot LogicalOr LogicalXor Logspace Logsumexp Lstsq LuFactor MapCoordinates
    Matmul MatrixRank Max MaxPool Maximum Mean Median Meshgrid Min Minimum Mod Moments Moveaxis MultiHot Multiply NanToNum
    Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin Nanpercentile Nanprod Nanquantile Nanstd Nansum
    Nanvar Ndim Negative Nextafter Nonzero Norm Normalize NotEqual OneHot OnesLike Outer PSNR Pad PadImages Percentile
    PerspectiveTransform Pinv Polar Power Prod Ptp Qr Quantile RFFT RGBToGrayscale RGBToHSV RMSNorm Rad2deg Ravel Real Rearrange
    Reciprocal Relu Relu6 Repeat Reshape Resize RightShift Roll Rot90 Round Rsqrt SSIM STFT SVD SaturateCast ScaleAndTranslate
    Scatter ScatterUpdate SearchSorted SegmentMax SegmentMin SegmentProd SegmentReduction SegmentSum Select Selu SeparableConv
    Sigmoid Sign Signbit Silu Sin Sinc Sinh Size Slice SliceUpdate Slogdet SobelEdges SoftShrink Softmax Softplus Softsign Solve
    SolveTriangular Sort SpaceToDepth SparseCategoricalCrossentropy SparsePlus SparseSigmoid Sparsemax Split Sqrt Square
    Squareplus Squeeze Stack Std StopGradient Subtract Sum Swapaxes Take TakeAlongAxis Tan Tanh TanhShrink Tensordot Threshold
    Tile TopK Trace Transpose Trapezoid Tril Triu TrueDivide Trunc Unfold Unique UnravelIndex Unstack Vander Var Vdot View
    ViewAsComplex ViewAsReal Vsplit Vstack Where ZerosLike
""")

OPERATION_MODULES = frozenset(f"keras.src.ops.{name}" for name in ("core", "numpy", "nn", "math", "image", "linalg", "einops"))

# Layers of tf_keras that call what they name.
OP_LAYERS = frozenset(
    {"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer"}
)
# The namespaces of TensorFlow whose functions all compute and do nothing else.
PURE_NAMESPACES = frozenset({"math", "linalg", "signal", "strings", "bitwise", "sets", "image", "ragged", "sparse"})
# Other functions of TensorFlow, and of tf_keras's backend, by their public names.
TENSORFLOW = _words("""
    Assert __operators__.add __operators__.getitem __operators__.ragged_getitem abs accumulate_n acos acosh add add_n angle
    approx_top_k arg_max arg_min argmax argmin argsort as_string asin asinh assert_equal assert_greater assert_greater_equal
    assert_integer assert_less assert_less_equal assert_near assert_negative assert_non_negative assert_non_positive
    assert_none_equal assert_positive assert_rank assert_rank_at_least assert_rank_in assert_scalar assert_type atan atan2 atanh
    batch_gather batch_to_space batch_to_space_nd betainc bincount bitcast boolean_mask broadcast_dynamic_shape
    broadcast_static_shape broadcast_to cast ceil check_numerics cholesky cholesky_solve clip_by_average_norm
    clip_by_global_norm clip_by_norm clip_by_value complex concat confusion_matrix conj constant convert_to_tensor cos cosh
    count_nonzero cross cumprod cumsum debugging.assert_equal debugging.assert_greater debugging.assert_greater_equal
    debugging.assert_integer debugging.assert_less debugging.assert_less_equal debugging.assert_near debugging.assert_negative
    debugging.assert_non_negative debugging.assert_non_positive debugging.assert_none_equal debugging.assert_positive
    debugging.assert_rank debugging.assert_rank_at_least debugging.assert_rank_in debugging.assert_scalar
    debugging.assert_shapes debugging.assert_type debugging.check_numerics decode_base64 decode_compressed decode_csv decode_raw
    depth_to_space dequantize diag diag_part digamma div div_no_nan divide dtypes.as_string dtypes.cast dtypes.complex
    dtypes.saturate_cast dynamic_partition dynamic_stitch edit_distance eig eigvals einsum encode_base64 ensure_shape equal erf
    erfc exp expand_dims expm1 extract_image_patches extract_volume_patches eye fft fft2d fft3d fftnd fill fingerprint floor
    floor_div floordiv floormod gather gather_nd global_norm greater greater_equal guarantee_const histogram_fixed_width
    histogram_fixed_width_bins identity identity_n ifft ifft2d ifft3d ifftnd igamma igammac imag invert_permutation
    io.decode_and_crop_jpeg io.decode_base64 io.decode_bmp io.decode_compressed io.decode_csv io.decode_gif io.decode_image
    io.decode_jpeg io.decode_png io.decode_raw io.encode_base64 io.encode_jpeg io.encode_png io.extract_jpeg_shape io.is_jpeg
    irfftnd is_finite is_inf is_nan is_non_decreasing is_strictly_increasing keras.backend.abs keras.backend.all
    keras.backend.any keras.backend.argmax keras.backend.argmin keras.backend.batch_dot keras.backend.batch_flatten
    keras.backend.batch_normalization keras.backend.bias_add keras.backend.binary_crossentropy
    keras.backend.binary_focal_crossentropy keras.backend.cast keras.backend.categorical_crossentropy
    keras.backend.categorical_focal_crossentropy keras.backend.clip keras.backend.concatenate keras.backend.conv1d
    keras.backend.conv2d keras.backend.conv2d_transpose keras.backend.conv3d keras.backend.cos keras.backend.cumprod
    keras.backend.cumsum keras.backend.depthwise_conv2d keras.backend.dot keras.backend.dropout keras.backend.elu
    keras.backend.equal keras.backend.exp keras.backend.expand_dims keras.backend.flatten keras.backend.gather
    keras.backend.greater keras.backend.greater_equal keras.backend.hard_sigmoid keras.backend.in_top_k
    keras.backend.l2_normalize keras.backend.less keras.backend.less_equal keras.backend.log keras.backend.max
    keras.backend.maximum keras.backend.mean keras.backend.min keras.backend.minimum keras.backend.not_equal
    keras.backend.one_hot keras.backend.ones_like keras.backend.permute_dimensions keras.backend.pool2d keras.backend.pool3d
    keras.backend.pow keras.backend.prod keras.backend.relu keras.backend.reshape keras.backend.reverse keras.backend.round
    keras.backend.separable_conv2d keras.backend.shape keras.backend.sigmoid keras.backend.sign keras.backend.sin
    keras.backend.softmax keras.backend.softplus keras.backend.softsign keras.backend.sparse_categorical_crossentropy
    keras.backend.sqrt keras.backend.square keras.backend.squeeze keras.backend.stack keras.backend.std
    keras.backend.stop_gradient keras.backend.sum keras.backend.tanh keras.backend.tile keras.backend.transpose
    keras.backend.var keras.backend.zeros_like lbeta less less_equal lgamma lin_space linspace log log1p log_sigmoid logical_and
    logical_not logical_or logical_xor matmul matrix_band_part matrix_determinant matrix_diag matrix_diag_part matrix_inverse
    matrix_set_diag matrix_solve matrix_solve_ls matrix_square_root matrix_transpose matrix_triangular_solve maximum meshgrid
    minimum mod multinomial multiply negative nn.approx_max_k nn.approx_min_k nn.atrous_conv2d nn.atrous_conv2d_transpose
    nn.avg_pool nn.avg_pool1d nn.avg_pool2d nn.avg_pool3d nn.avg_pool_v2 nn.batch_norm_with_global_normalization
    nn.batch_normalization nn.bias_add nn.collapse_repeated nn.compute_average_loss nn.conv1d nn.conv1d_transpose nn.conv2d
    nn.conv2d_transpose nn.conv3d nn.conv3d_transpose nn.conv_transpose nn.convolution nn.crelu nn.ctc_beam_search_decoder
    nn.ctc_beam_search_decoder_v2 nn.ctc_greedy_decoder nn.ctc_loss nn.ctc_loss_v2 nn.ctc_unique_labels nn.depth_to_space
    nn.depthwise_conv2d nn.depthwise_conv2d_native nn.dilation2d nn.dropout nn.elu nn.embedding_lookup
    nn.embedding_lookup_sparse nn.erosion2d nn.fractional_avg_pool nn.fractional_max_pool nn.fused_batch_norm nn.gelu
    nn.in_top_k nn.isotonic_regression nn.l2_loss nn.l2_normalize nn.leaky_relu nn.local_response_normalization
    nn.log_poisson_loss nn.log_softmax nn.lrn nn.max_pool nn.max_pool1d nn.max_pool2d nn.max_pool3d nn.max_pool_v2
    nn.max_pool_with_argmax nn.moments nn.normalize_moments nn.pool nn.relu nn.relu6 nn.relu_layer
    nn.safe_embedding_lookup_sparse nn.selu nn.separable_conv2d nn.sigmoid nn.sigmoid_cross_entropy_with_logits nn.silu
    nn.softmax nn.softmax_cross_entropy_with_logits nn.softmax_cross_entropy_with_logits_v2 nn.softplus nn.softsign
    nn.space_to_batch nn.space_to_depth nn.sparse_softmax_cross_entropy_with_logits nn.sufficient_statistics nn.swish nn.tanh
    nn.top_k nn.weighted_cross_entropy_with_logits nn.weighted_moments nn.with_space_to_batch nn.xw_plus_b nn.zero_fraction
    no_op norm not_equal one_hot ones ones_like pad parallel_stack polygamma pow qr quantization.dequantize
    quantization.fake_quant_with_min_max_args quantization.fake_quant_with_min_max_vars
    quantization.fake_quant_with_min_max_vars_per_channel quantization.quantize quantization.quantize_and_dequantize
    quantization.quantize_and_dequantize_v2 quantize quantize_v2 random.categorical random.gamma random.multinomial
    random.normal random.poisson random.shuffle random.stateless_binomial random.stateless_categorical random.stateless_gamma
    random.stateless_multinomial random.stateless_normal random.stateless_poisson random.stateless_truncated_normal
    random.stateless_uniform random.truncated_normal random.uniform random_crop random_gamma random_normal random_poisson
    random_shuffle random_uniform range rank real realdiv reciprocal reduce_all reduce_any reduce_join reduce_logsumexp
    reduce_max reduce_mean reduce_min reduce_prod reduce_sum regex_replace repeat reshape reverse reverse_sequence reverse_v2
    rfftnd rint roll round rsqrt saturate_cast scalar_mul scatter_nd searchsorted segment_max segment_mean segment_min
    segment_prod segment_sum self_adjoint_eig self_adjoint_eigvals sequence_mask setdiff1d shape shape_n sigmoid sign sin sinh
    size slice sort space_to_batch space_to_batch_nd space_to_depth sparse_add sparse_concat sparse_fill_empty_rows sparse_mask
    sparse_matmul sparse_maximum sparse_minimum sparse_reduce_max sparse_reduce_sum sparse_reorder sparse_reshape sparse_retain
    sparse_segment_mean sparse_segment_sqrt_n sparse_segment_sum sparse_slice sparse_softmax sparse_split
    sparse_tensor_dense_matmul sparse_tensor_to_dense sparse_to_dense sparse_to_indicator sparse_transpose split sqrt square
    squared_difference squeeze stack stop_gradient strided_slice string_join string_split string_strip string_to_hash_bucket
    string_to_hash_bucket_fast string_to_hash_bucket_strong string_to_number substr subtract svd tan tanh tensor_scatter_add
    tensor_scatter_nd_add tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update
    tensor_scatter_sub tensor_scatter_update tensordot tile to_bfloat16 to_complex128 to_complex64 to_double to_float to_int32
    to_int64 transpose truediv truncated_normal truncatediv truncatemod unique unique_with_counts unravel_index
    unsorted_segment_max unsorted_segment_mean unsorted_segment_min unsorted_segment_prod unsorted_segment_sqrt_n
    unsorted_segment_sum unstack verify_tensor_all_finite where where_v2 zeros zeros_like zeta
""")

# Of a ragged tensor, by InstanceProperty and InstanceMethod.
RAGGED = _words("""
    bounding_shape flat_values merge_dims nested_row_lengths nested_row_splits nested_value_rowids nrows row_lengths row_limits
    row_splits row_starts to_sparse to_tensor value_rowids values with_flat_values with_row_splits_dtype with_values
""")


def is_pure(function: object) -> bool:
    """Whether a function of TensorFlow, by its public name, computes and does nothing else."""
    name = str(function).removeprefix("compat.v1.")
    namespace, _, rest = name.rpartition(".")
    return name in TENSORFLOW or (namespace in PURE_NAMESPACES and rest[:1].islower() and rest.isidentifier())

"""Building blocks of the networks, one per file: plain torch on ragged tensors, the reference for the kernels."""

from .attention import Attention
from .attention_block import ClassAttentionBlock, ParticleAttentionBlock
from .batch_norm import RowBatchNorm
from .bilinear import bilinear
from .complex_mixing import ComplexMixing
from .edge_conv import EdgeConv
from .lorentz_block import LorentzBlock, LorentzState
from .lorentz_tensors import LorentzTensors
from .pair_bias import PairBias
from .pairs import Pairs
from .pairwise_block import PairwiseBlock
from .patches import Patch
from .psi import psi
from .segments import segment_mean, segment_sum
from .so2_linear import SO2LinearTensor, SO2LinearVector
from .so3_affine import SO3Affine
from .tensor_features import TensorFeatures
from .tensor_layer import TensorLayer
from .tensor_product import TensorProduct
from .vector_relu import tensor_relu, vector_relu

__all__ = [
    "Attention",
    "ClassAttentionBlock",
    "ComplexMixing",
    "EdgeConv",
    "LorentzBlock",
    "LorentzState",
    "LorentzTensors",
    "PairBias",
    "Pairs",
    "PairwiseBlock",
    "ParticleAttentionBlock",
    "Patch",
    "RowBatchNorm",
    "SO2LinearTensor",
    "SO2LinearVector",
    "SO3Affine",
    "TensorFeatures",
    "TensorLayer",
    "TensorProduct",
    "bilinear",
    "psi",
    "segment_mean",
    "segment_sum",
    "tensor_relu",
    "vector_relu",
]

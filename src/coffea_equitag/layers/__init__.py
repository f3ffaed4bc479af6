"""Building blocks of the networks, one a file: plain torch on ragged tensors, the reference for the kernels."""

from .batch_norm import RowBatchNorm
from .lorentz_block import LorentzBlock, LorentzState
from .pairs import Pairs
from .psi import psi
from .segments import segment_mean, segment_sum

__all__ = ["LorentzBlock", "LorentzState", "Pairs", "RowBatchNorm", "psi", "segment_mean", "segment_sum"]

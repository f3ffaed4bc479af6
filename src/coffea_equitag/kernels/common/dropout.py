"""Which channels of a pair dropout keeps: a hash of a key, the pair and the channel, the same on CPUs and GPUs.

Nothing is drawn per pair, so forward and backward need no stored mask and the order of the work does not matter.
`kept_channels` is the definition in NumPy; the CPU's kernels and `gpu.dropout` compute the same.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from ...array_types import AnyArray

__all__ = ["GOLDEN", "GOLDEN_64", "MIX", "MIX_64", "drop_of", "kept_channels", "threshold_of"]

#: Factors of the hash of a pair, in 64 bits, and of its channels, in 32: the golden ratio and odd mixing constants.
GOLDEN_64, MIX_64 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
GOLDEN = 0x9E3779B9
#: Shifts and factors that mix the bits of a channel.
MIX = ((16, 0x7FEB352D), (15, 0x846CA68B))


def drop_of(dropout: nn.Dropout) -> float:
    """The probability with which it drops now."""
    return dropout.p if dropout.training else 0.0


def threshold_of(probability: float) -> int:
    """The 32-bit hash below which a channel is dropped; a probability of 1 leaves one in 2³²."""
    return min(round(probability * 2**32), 2**32 - 1)


def kept_channels(key: int, pairs: AnyArray, channels: int, threshold: int) -> AnyArray:
    """Whether dropout keeps each channel, (P, C), of the pairs with these numbers, (P,)."""
    with np.errstate(over="ignore"):
        x = np.uint64(key) + pairs.astype(np.uint64) * np.uint64(GOLDEN_64)
        x = (x ^ (x >> np.uint64(32))) * np.uint64(MIX_64)
        x ^= x >> np.uint64(32)
        y = x.astype(np.uint32)[:, None] + np.arange(channels, dtype=np.uint32) * np.uint32(GOLDEN)
        for shift, factor in MIX:
            y = (y ^ (y >> np.uint32(shift))) * np.uint32(factor)
    kept: AnyArray = (y ^ (y >> np.uint32(16))) >= np.uint32(threshold)
    return kept

"""The hash of `common.dropout.kept_channels`."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["kept", "mixed"]


@triton.jit
def mixed(place: tl.tensor, key: tl.tensor) -> tl.tensor:
    """32 bits of some pairs, by their numbers."""
    x = key.to(tl.uint64) + place.to(tl.uint64) * 0x9E3779B97F4A7C15
    x = (x ^ (x >> 32)) * 0xD6E8FEB86659FD93
    return (x ^ (x >> 32)).to(tl.uint32)


@triton.jit
def kept(bits: tl.tensor, c: tl.tensor, threshold: tl.tensor) -> tl.tensor:
    """Whether some channels of pairs with these bits are kept."""
    y = bits + c.to(tl.uint32) * 0x9E3779B9
    y = (y ^ (y >> 16)) * 0x7FEB352D
    y = (y ^ (y >> 15)) * 0x846CA68B
    return (y ^ (y >> 16)) >= threshold.to(tl.uint32)

"""Arrays that LGN's kernels work in, one jet at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS
from .tiles import NODES
from .weights import LevelWeights

__all__ = [
    "BELL_STRIDE",
    "CHANNEL",
    "SENDERS",
    "WIDE",
    "Workspace",
    "make_workspace",
    "scalar_at",
    "stride_of",
    "whole_blocks",
]


#: Receivers whose bells are evaluated at once, and the distance from the bells of one sender to those of the next.
WIDE = 2 * NODES
BELL_STRIDE = WIDE + 8
#: Senders whose bells are evaluated at once.
SENDERS = 8
#: Rows of nodes per channel: 20 components, (Re, Im) of each.
CHANNEL = 40


class Workspace(NamedTuple):
    """Flat arrays for the largest jet; all [channel][component][Re, Im][node] unless stated otherwise."""

    momenta: F8  # p, without channels
    features: F8  # F
    others: F8  # the features after a level, and `features` those after the next
    features_p: F8  # F ⊗ p
    f0_sums: F8  # Σ_j f⁰ F_j
    f1_sums: F8  # Σ_j f¹ F_j
    f1_p_sums: F8  # Σ_j f¹ F_j ⊗ p_j
    falloff: F4  # [bell][sender][receiver]: 1 / (1 + c² |p²|)
    sizes: F4  # [sender][receiver]: |p²|
    bells: F8  # [Re, Im][power][channel][sender][receiver]: f
    sources: F8  # [component][block][channel][Re, Im][node], of one block of nodes
    hidden: F8  # [channel][node], inputs of the perceptron's layers
    activated: F8  # [channel][node], outputs of one of them
    block: F8  # one complex number per node of a block


def make_workspace(largest: int, levels: tuple[LevelWeights, ...]) -> Workspace:
    """Space for jets of up to `largest` nodes."""
    stride = stride_of(largest)
    channels = max(int(level.channels[:2].max()) for level in levels)
    rows = channels + COMPLEX_ROWS
    wide = max(int(level.layers[:, 1:].max()) for level in levels) + SMALL_ROWS
    blocks = max(int(level.channels[0] * level.channels[4]) for level in levels)
    products = max(len(level.times_momentum.component) for level in levels)
    sums = (channels * max(CHANNEL, 2 * products) + 2 * SMALL_ROWS) * stride
    sizes = {
        "momenta": 8 * stride,
        "features": rows * CHANNEL * stride,
        "others": rows * CHANNEL * stride,
        "features_p": sums,
        "f0_sums": sums,
        "f1_sums": sums,
        "f1_p_sums": sums,
        "bells": max(len(level.bells) for level in levels) * largest * BELL_STRIDE,
        "sources": 20 * blocks * 2 * NODES,
        "hidden": wide * stride,
        "activated": wide * stride,
        "block": 2 * NODES,
    }
    arrays = {name: np.zeros(size) for name, size in sizes.items()}
    pairs, falloffs = SENDERS * WIDE, max(level.bells.shape[1] for level in levels)
    return Workspace(falloff=np.zeros(falloffs * pairs, np.float32), sizes=np.zeros(pairs, np.float32), **arrays)


@inner
def stride_of(n: int) -> int:
    """Nodes padded to whole blocks, and by a cache line so that rows fall on different cache sets."""
    return whole_blocks(n) + 8


@inner
def whole_blocks(n: int) -> int:
    """Nodes padded to whole blocks."""
    return (n + NODES - 1) // NODES * NODES


@inner
def scalar_at(row: int, stride: int) -> int:
    """Where scalar `row` of [channel][Re, Im] begins among features."""
    return (row // 2 * CHANNEL + row % 2) * stride

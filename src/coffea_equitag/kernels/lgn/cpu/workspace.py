"""Arrays that LGN's kernels work in, one jet at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner
from ...common.cpu.bilinear_tile import COMPLEX_ROWS, SMALL_ROWS
from .products import NODES
from .weights import LevelWeights

__all__ = ["BELL_STRIDE", "CHANNEL", "SENDERS", "WIDE", "Workspace", "make_workspace", "stride_of"]


#: Receivers whose bells are worked out at once, and the numbers from one sender's to the next's.
WIDE = 2 * NODES
BELL_STRIDE = WIDE + 8
#: Senders whose bells are worked out at once.
SENDERS = 8
#: Numbers a channel takes, in units of nodes: 20 components, real and imaginary.
CHANNEL = 40


class Workspace(NamedTuple):
    """Flat arrays for the largest jet; all [channel][component][Re, Im][node] but where said."""

    momenta: F8  # no channels
    features: F8
    others: F8  # what a level makes of `features`, and the next of these
    moments: F8  # features times momentum
    plain: F8  # Σ_j f⁰ F_j
    weighted: F8  # Σ_j f¹ F_j
    moved: F8  # Σ_j f¹ F_j ⊗ p_j
    falloff: F8  # [bell][sender][receiver]: 1 / (1 + c² |p²|)
    sizes: F4  # [sender][receiver]: |p²|
    bells: F8  # [power][channel][sender][Re, Im][receiver]
    mixed: F8  # [component][block][channel][Re, Im][node], of one block of nodes
    hidden: F8  # [channel][node]
    activated: F8
    block: F8  # one complex number a node of a block


def make_workspace(largest: int, levels: tuple[LevelWeights, ...]) -> Workspace:
    """Space for jets of up to so many nodes."""
    stride = stride_of(largest)
    channels = max(int(level.channels[:2].max()) for level in levels)
    rows = channels + COMPLEX_ROWS
    wide = max(int(level.layers[:, 1:].max()) for level in levels) + SMALL_ROWS
    blocks = max(int(level.channels[0] * level.channels[4]) for level in levels)
    products = max(len(level.moments.component) for level in levels)
    moments = (channels * max(CHANNEL, 2 * products) + 2 * SMALL_ROWS) * stride
    sizes = {
        "momenta": 8 * stride,
        "features": rows * CHANNEL * stride,
        "others": rows * CHANNEL * stride,
        "moments": moments,
        "plain": moments,
        "weighted": moments,
        "moved": moments,
        "falloff": max(level.bells.shape[2] for level in levels) * SENDERS * WIDE,
        "bells": max(level.bells.shape[1] for level in levels) * largest * 2 * BELL_STRIDE,
        "mixed": 20 * blocks * 2 * NODES,
        "hidden": wide * stride,
        "activated": wide * stride,
        "block": 2 * NODES,
    }
    arrays = {name: np.zeros(size) for name, size in sizes.items()}
    return Workspace(sizes=np.zeros(SENDERS * WIDE, np.float32), **arrays)


@inner
def stride_of(n: int) -> int:
    """Nodes padded to whole blocks, and by a cache line so that rows fall on different cache sets."""
    return (n + NODES - 1) // NODES * NODES + 8

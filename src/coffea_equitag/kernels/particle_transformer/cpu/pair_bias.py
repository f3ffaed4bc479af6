"""The bias of attention of one group of jets: the pairs' network, a few pairs at a time."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from ...common.cpu.row_layers import GELU, row_layer
from .weights import PairNetwork
from .workspace import PAIR_CHUNK, Workspace, shaped

__all__ = ["bias_of_pairs"]

_ZERO = np.float32(0)


@njit
def bias_of_pairs(weights: PairNetwork, features: F4, offsets: I8, work: Workspace) -> None:
    """Write the bias (heads, i, j) of a group's jets to the workspace, one n × n block after the other.

    `features` (T, 4) are those of the group's pairs j ≤ i.
    """
    base, pair, end = 0, 0, len(weights.layers) - 1
    for jet in range(len(offsets) - 1):
        n, i, j = offsets[jet + 1] - offsets[jet], 0, 0
        begin, pair = pair, pair + n * (n + 1) // 2
        for start in range(begin, pair, PAIR_CHUNK):
            count = min(PAIR_CHUNK, pair - start)
            x, at, here, there = features, start, work.pairs, work.pairs_spare
            for level in range(end + 1):
                layer = weights.layers[level]
                out = shaped(here, layer.width)
                row_layer(x, at, layer, weights.last_kind if level == end else GELU, out, 0, count)
                x, at, here, there = out, 0, there, here
            for row in range(count):
                for head in range(weights.heads):
                    work.bias[head, base + i * n + j] = x[row, head]
                j += 1
                if j > i:
                    i, j = i + 1, 0
        _complete(work.bias, base, n, weights.with_self)
        base += n * n


@inner
def _complete(bias: F4, base: int, n: int, with_self: bool) -> None:
    """What stands above the diagonal of a jet's blocks, and 0 on it where no constituent is a pair with itself.

    Last, and block by block: as the pairs come, each would write to as many cache lines as there are heads.
    """
    for head in range(len(bias)):
        block = bias[head, base : base + n * n]
        for i in range(n):
            for j in range(i):
                block[j * n + i] = block[i * n + j]
            if not with_self:
                block[i * n + i] = _ZERO

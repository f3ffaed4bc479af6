"""A Lorentz-symmetric patch (`layers.patches.Patch`) for evaluation: from invariants to features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import nn

from ....array_types import F4, F8
from ....compiled import njit
from .elementary import psi
from .folding import blocks, double, padded
from .wide_dense import MARGIN, RELU, layer

__all__ = ["PatchWeights", "fold_patch", "patch_features", "patch_rows"]

#: Rows worked on at once: whole tiles of 6 and of 12.
_ROWS = 48


class PatchWeights(NamedTuple):
    """Two dense layers: matrices in blocks, biases; (0, 0, 0) and (0,) where there is no patch."""

    first: F4
    first_bias: F4
    second: F4
    second_bias: F4
    width: int  # features per row


def fold_patch(layers: nn.Sequential | None) -> PatchWeights:
    """Weights of a patch's `layers`; None for no patch."""
    if layers is None:
        nothing = np.empty((0, 0, 0), np.float32), np.empty(0, np.float32)
        return PatchWeights(*nothing, *nothing, 0)
    first, second = (layer for layer in layers if isinstance(layer, nn.Linear))
    return PatchWeights(
        blocks(double(first.weight)), padded(double(first.bias)),
        blocks(double(second.weight)), padded(double(second.bias)), second.out_features,
    )  # fmt: skip


@njit
def patch_rows(weights: PatchWeights, scalars: F8, first: int, count: int, spare: F4, out: F4) -> None:
    """Features (count, width), in the first columns of `out`, of rows ``first:first + count`` of the invariants.

    `spare` and `out` are as wide as the padded layers and the invariants, with a margin of rows.
    """
    depth = scalars.shape[1]
    for row in range(count):
        for s in range(depth):
            out[row, s] = psi(scalars[first + row, s])
    layer(out, 0, depth, weights.first, weights.first_bias, RELU, spare, 0, count)
    layer(spare, 0, weights.width, weights.second, weights.second_bias, RELU, out, 0, count)


@njit
def patch_features(weights: PatchWeights, scalars: F8, out: F4, first: int, last: int) -> None:
    """The same of rows ``first:last``, into those rows of `out`, (R, width)."""
    width = max(scalars.shape[1], len(weights.first_bias))
    here, spare = np.empty((_ROWS + MARGIN, width), np.float32), np.empty((_ROWS + MARGIN, width), np.float32)
    for start in range(first, last, _ROWS):
        count = min(_ROWS, last - start)
        patch_rows(weights, scalars, start, count, spare, here)
        for row in range(count):
            for c in range(weights.width):
                out[start + row, c] = here[row, c]

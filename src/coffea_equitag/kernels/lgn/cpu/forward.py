"""LGN's levels, jet after jet: sums of their invariants over each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....compiled import inner, njit
from .nodes_forward import (
    enter,
    gather,
    keep_features,
    keep_sums,
    mix,
    perceive,
    square,
    sum_norms,
    sum_scalars,
    whole_blocks,
)
from .pairs_forward import moments_of, pair_sums, ring
from .products import NODES
from .stacked import member
from .weights import LevelWeights
from .workspace import WIDE, Workspace, stride_of

__all__ = ["forward", "sums_kept"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]


@njit
def forward(
    level_0: LevelWeights,
    levels: _I8,
    work: Workspace,
    p4: _F8,
    entering: _F8,
    offsets: _I8,
    places: _I8,
    squares: _F8,
    kept: _F4,
    kept_from: _I8,
    rows: _I8,
    sums: _F8,
    first: int,
    last: int,
) -> None:  # pragma: no cover
    """Sums over jets `first` to `last` (J, K); what backward needs goes to `kept`, if that is not empty.

    `levels` is the `table_of` all.
    """
    for jet in range(first, last):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        stride = stride_of(n)
        enter(p4, entering, start, n, stride, work.momenta, work.features)
        at = sum_scalars(work.features, entering.shape[1] // 2, n, stride, sums[jet], 0)
        for level in range(len(levels)):
            weights = member(level_0, levels, level)
            before = work.others if level % 2 == 1 else work.features
            found = work.features if level % 2 == 1 else work.others
            kept_at = kept_from[jet] * rows[-1] + rows[level] * whole_blocks(n)
            moments_of(weights, before, n, stride, work)
            for i in range(0, n, WIDE):
                ring(weights, squares, places[jet], n, i, work)
                pair_sums(
                    weights, n, stride, i, work.bells, before, before, work.moments,
                    work.plain, work.weighted, work.moved, False,
                )  # fmt: skip
            for i in range(0, n, NODES):
                gather(weights, before, stride, i, work)
                if len(kept) > 0:
                    keep_sums(weights, work.mixed, n, i, kept, kept_at)
                square(weights, before, stride, i, work)
                mix(weights, work.mixed, found, stride, i)
            if len(kept) > 0:
                kept_at += sums_kept(weights) * whole_blocks(n)
                keep_features(weights.channels[1], weights.channels[3], found, n, stride, kept, kept_at)
            perceive(weights, found, n, stride, work, 0, 0)
            at = sum_scalars(found, weights.channels[1], n, stride, sums[jet], at)
            at = sum_norms(weights, found, n, stride, work.block, sums[jet], at)


@inner
def sums_kept(weights: LevelWeights) -> int:  # pragma: no cover
    """Numbers that sums over pairs are for each node."""
    channels, components = weights.channels[0], weights.channels[2]
    found: int = 2 * channels * (components + len(weights.moments.component))
    return found

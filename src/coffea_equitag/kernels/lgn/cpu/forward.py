"""LGN's levels, jet after jet: sums of their invariants over each."""

from __future__ import annotations

from ....array_types import F4, F8, I8
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


@njit
def forward(
    level_0: LevelWeights,
    levels: I8,
    work: Workspace,
    p4: F8,
    entering: F8,
    offsets: I8,
    places: I8,
    squares: F8,
    kept: F4,
    kept_from: I8,
    rows: I8,
    sums: F8,
    first: int,
    last: int,
) -> None:
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
def sums_kept(weights: LevelWeights) -> int:
    """Numbers that sums over pairs are for each node."""
    channels, components = weights.channels[0], weights.channels[2]
    found: int = 2 * channels * (components + len(weights.moments.component))
    return found

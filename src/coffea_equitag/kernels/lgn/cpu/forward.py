"""LGN's levels, jet after jet: sums of their invariants over each."""

from __future__ import annotations

from ....array_types import F8, I8
from ....compiled import njit
from .bells import evaluate_bells, sum_pairs
from .jets import Jets
from .nodes import gather_sources, load_inputs, mix, perceptron, saturate, square_features, times_momentum
from .readout import sum_inputs, sum_norms, sum_scalars
from .stored import Stored, place_of, store_features, store_sums
from .tiles import NODES
from .tuple_table import member
from .weights import LevelWeights
from .workspace import WIDE, Workspace, stride_of

__all__ = ["forward"]


@njit
def forward(
    level_0: LevelWeights, levels: I8, jets: Jets, stored: Stored, work: Workspace, sums: F8, first: int, last: int
) -> None:
    """Invariants summed over jets `first` to `last`, `sums` (J, K); what backward needs goes to `stored`.

    `levels` is the `table_of` all levels.
    """
    stores = len(stored.values) > 0
    for jet in range(first, last):
        n = jets.offsets[jet + 1] - jets.offsets[jet]
        stride = stride_of(n)
        load_inputs(jets, jet, n, stride, work.momenta, work.features)
        at = sum_inputs(jets, work.features, work.momenta, n, stride, sums[jet])
        for level in range(len(levels)):
            weights = member(level_0, levels, level)
            before = work.others if level % 2 == 1 else work.features
            after = work.features if level % 2 == 1 else work.others
            stored_at = place_of(stored, jet, level, n)
            times_momentum(weights, before, n, stride, work)
            for i in range(0, n, WIDE):
                evaluate_bells(weights, jets.sizes, jets.pair_offsets[jet], n, i, work)
                sum_pairs(
                    weights, n, stride, i, work.bells, before, before, work.features_p,
                    work.f0_sums, work.f1_sums, work.f1_p_sums, False,
                )  # fmt: skip
            for i in range(0, n, NODES):
                gather_sources(weights, before, stride, i, work)
                if stores:
                    store_sums(weights, work.sources, n, i, stored.values, stored_at)
                square_features(weights, before, stride, i, work)
                mix(weights, work.sources, after, stride, i)
            if stores:
                store_features(weights, after, n, stride, stored.values, stored_at)
            saturate(weights, after, stride)
            perceptron(weights, after, n, stride, work, 0, 0)
            at = sum_scalars(after, weights.channels[1], n, stride, sums[jet], at)
            at = sum_norms(weights, after, n, stride, work.block, sums[jet], at)

"""A batch in the pieces that are processed at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ...array_types import I8
from ...jets.ragged import RaggedJets

__all__ = ["pieces"]


def pieces(jets: RaggedJets, most: int, budget: int | None, extra: int) -> Iterator[RaggedJets]:
    """Consecutive pieces of at most `most` jets and `budget` pairs, about equally large.

    They follow from the jets and these numbers alone. A jet that exceeds the budget forms a piece of its own.

    Parameters
    ----------
    jets : RaggedJets
        J jets.
    most : int
        Most jets.
    budget : int, optional
        Most pairs Σ(n + extra)².
    extra : int
        Reference vectors that the network adds to each jet.
    """
    for first in range(0, jets.num_jets, most):
        group = jets if most >= jets.num_jets else jets.slice(first, min(first + most, jets.num_jets))
        yield from [group] if budget is None else _within(group, budget, extra)


def _within(jets: RaggedJets, budget: int, extra: int) -> Iterator[RaggedJets]:
    """The fewest pieces within the budget, and of these cuts the one whose largest piece is the smallest."""
    work = np.cumsum((jets.counts.cpu().numpy() + extra) ** 2)
    fewest, low, high = len(_cuts(work, budget)), 0, budget
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if len(_cuts(work, middle)) == fewest else (middle + 1, high)
    for first, last in pairwise(_cuts(work, high)):
        yield jets if last - first == jets.num_jets else jets.slice(first, last)


def _cuts(work: I8, budget: int) -> list[int]:
    """Where jets are cut into consecutive pieces, each as large as the budget allows and of at least one jet."""
    cuts = [0]
    while cuts[-1] < len(work):
        done = work[cuts[-1] - 1] if cuts[-1] else 0
        cuts.append(max(cuts[-1] + 1, int(np.searchsorted(work, done + budget, side="right"))))
    return cuts

"""A batch of jets cut into groups that do not depend on the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import I8
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets

__all__ = ["JetGroups"]


#: Fewest pairs of a group, and most groups: each group has its own gradients of the weights.
_GROUP, _GROUPS = 8192, 64


@dataclass(frozen=True)
class JetGroups:
    """Jets, their pairs, and groups of jets: sums are taken per group, and then added up in the order of the groups.

    Attributes
    ----------
    offsets : ndarray of int64, shape (J + 1,)
        Nodes before each jet.
    squares : ndarray of int64, shape (J + 1,)
        n² before each jet.
    groups : ndarray of int64, shape (G + 1,)
        The first jet of each group.
    """

    offsets: I8
    squares: I8
    groups: I8

    @classmethod
    def of(cls, offsets: Tensor) -> JetGroups:
        """Group jets with the given boundaries (J + 1,)."""
        bounds = np.ascontiguousarray(offsets.numpy())
        squares = pair_offsets(bounds)
        size = max(_GROUP, -(-int(squares[-1]) // _GROUPS))
        starts = np.searchsorted(squares, np.arange(0, max(int(squares[-1]), 1), size))
        jets = len(bounds) - 1
        return cls(bounds, squares, np.unique(np.minimum([*starts, 0, jets], jets)))

    @property
    def num_nodes(self) -> int:
        """N."""
        return int(self.offsets[-1])

    @property
    def num_pairs(self) -> int:
        """Pairs i ≠ j."""
        return int(self.squares[-1] - self.offsets[-1])

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.groups) - 1

    def over_groups(self, function: Callable[[int, int], Any]) -> None:
        """Call ``function(first, last)`` over ranges of groups, on as many threads as torch uses."""
        if self.num_groups:
            over_jets(function, self.squares[self.groups], torch.get_num_threads())

    def over_jets(self, function: Callable[[int, int], Any]) -> None:
        """Call ``function(first, last)`` over ranges of jets."""
        over_jets(function, self.squares, torch.get_num_threads())

    def sums(self, shape: tuple[int, ...], add: Callable[[Any, int, int], Any]) -> Any:
        """Add up what ``add(out, first, last)`` puts into an array for the jets of each group."""
        parts = np.zeros((self.num_groups, *shape))

        def run(first: int, last: int) -> None:
            for group in range(first, last):
                add(parts[group], self.groups[group], self.groups[group + 1])

        self.over_groups(run)
        return parts.sum(axis=0)

"""A batch's edges in groups of whole jets, over which sums are taken before they are added up in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from ....array_types import I8
from ....compiled import over_jets

__all__ = ["EdgeGroups"]

#: Groups of jets that sums are taken in: as many threads find work.
_GROUPS = 16
#: What an edge costs, in the pairs that threads are given.
_PAIRS = 64


class EdgeGroups(NamedTuple):
    """Edges by receiver, and where groups of whole jets begin among constituents and among edges.

    Groups do not depend on the number of threads.
    """

    offsets: I8  # (N + 1,): boundaries of the receivers' edges
    receiver: I8  # (P,)
    sender: I8
    nodes_of: I8  # (G + 1,)
    edges_of: I8

    @classmethod
    def of(cls, bounds: I8, offsets: I8, sender: I8) -> EdgeGroups:
        """From jet boundaries (J + 1,), boundaries of the receivers' edges (N + 1,) and senders (P,)."""
        at_jets = offsets[bounds]
        wanted = np.linspace(0, at_jets[-1], _GROUPS + 1)[1:-1]
        cuts = np.unique([0, *np.searchsorted(at_jets, wanted).tolist(), len(bounds) - 1])
        receiver = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        return cls(offsets, receiver, sender, bounds[cuts], at_jets[cuts])

    @property
    def num_edges(self) -> int:
        """P."""
        return len(self.sender)

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.edges_of) - 1

    def each(self, function: Callable[[int, int, int], Any], *, nodes: bool = False) -> None:
        """Call ``function(group, first, last)`` with each group's edges, or constituents, on torch's threads."""
        bounds = self.nodes_of if nodes else self.edges_of

        def run(first: int, last: int) -> None:
            for group in range(first, last):
                function(group, bounds[group], bounds[group + 1])

        over_jets(run, self.edges_of * _PAIRS, torch.get_num_threads())

"""What Φ keeps of a training batch: rows of its constituents, in groups of whole jets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from ....array_types import F4, I8
from ....compiled import over_jets
from ...common.cpu.aligned import empty_rows
from ...common.cpu.wide_dense import MARGIN

__all__ = ["CHUNK", "Groups", "Rows", "padded_to", "rows_of"]

#: Constituents worked on at once: whole tiles of 6 and of 12 rows, and no more than 64, for the columns' bits.
CHUNK = 60
#: Groups of jets at most, and constituents of a group at least: each has its own gradients of the weights.
_GROUPS, _GROUP = 16, 512
#: What a constituent costs, in the pairs that threads are given.
_PAIRS = 100


class Groups(NamedTuple):
    """Jets in groups that do not depend on the number of threads; sums are taken per group, then over groups.

    Group g's rows begin at its first constituent + g `MARGIN`: tiles may write beyond its last one.
    """

    offsets: I8  # (J + 1,): jet boundaries
    first_jets: I8  # (G + 1,)

    @classmethod
    def of(cls, offsets: I8) -> Groups:
        """Cut jets with the given boundaries into groups of whole jets."""
        total = int(offsets[-1])
        count = max(1, min(_GROUPS, total // _GROUP))
        cuts = np.searchsorted(offsets, np.linspace(0, total, count + 1)[1:-1])
        return cls(offsets, np.unique([0, *cuts.tolist(), len(offsets) - 1]))

    def each(self, function: Callable[[int, int], Any]) -> None:
        """Call ``function(first, last)`` over ranges of groups, on as many threads as torch uses."""
        if self.num_groups:
            over_jets(function, self.offsets[self.first_jets] * _PAIRS, torch.get_num_threads())

    @property
    def num_groups(self) -> int:
        """G."""
        return len(self.first_jets) - 1


class Rows(NamedTuple):
    """Values of Φ, each in rows (N + G margins, whole tiles); without a BatchNorm, z^l and a^l are one array."""

    a: tuple[F4, ...]  # a⁰ … a^L; then the patch's features, then zeros
    z: tuple[F4, ...]  # z¹ … z^L


def padded_to(width: int, words: int) -> int:
    """The next multiple of a number of channels."""
    return -(-width // words) * words


def rows_of(groups: Groups, inputs: int, extra: int, widths: list[int], normalised: bool) -> Rows:
    """Room for features of `inputs` and a patch of `extra` channels, and layers of `widths`, whole tiles."""
    total = int(groups.offsets[-1]) + groups.num_groups * MARGIN
    columns = [padded_to(width + extra, 16) for width in (inputs, *widths[:-1])]
    a = [empty_rows(total, width) for width in (*columns, widths[-1])]
    return Rows(tuple(a), tuple(empty_rows(total, width) for width in widths) if normalised else tuple(a[1:]))

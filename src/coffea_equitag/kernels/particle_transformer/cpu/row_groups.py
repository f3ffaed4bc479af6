"""Rows in groups that do not depend on the number of threads: gradients of weights are summed per group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, I8
from ....compiled import over_jets

__all__ = ["array_of", "groups_of", "over_groups"]

#: Rows of a group at least, groups at most, and what a row costs in the pairs that threads are given.
_GROUP, _GROUPS, _PAIRS = 1024, 8, 100


def groups_of(rows: int) -> I8:
    """The first row of each group, and the number of rows."""
    number = max(1, min(_GROUPS, rows // _GROUP))
    return np.linspace(0, rows, number + 1).astype(np.int64)


def over_groups(groups: I8, function: Callable[[int, int, int], Any]) -> None:
    """Call ``function(group, first, last)`` for all groups, on as many threads as torch uses."""

    def run(first: int, last: int) -> None:
        for group in range(first, last):
            function(group, int(groups[group]), int(groups[group + 1]))

    over_jets(run, groups * _PAIRS, torch.get_num_threads())


def array_of(tensor: Tensor) -> F4:
    """Its numbers, contiguous."""
    return np.ascontiguousarray(tensor.detach().numpy())

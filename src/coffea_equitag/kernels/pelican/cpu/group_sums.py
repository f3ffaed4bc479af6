"""Sums over groups of jets, in their order."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import njit

__all__ = ["in_order"]


def in_order(groups: F4) -> F8:
    """Sum over the first axis, in float64; NumPy takes several times as long."""
    total = np.zeros(groups.shape[1:])
    _add(groups.reshape(len(groups), total.size), total.reshape(-1))
    return total


@njit
def _add(groups: F4, total: F8) -> None:
    for group in groups:
        for k in range(len(total)):
            total[k] += group[k]

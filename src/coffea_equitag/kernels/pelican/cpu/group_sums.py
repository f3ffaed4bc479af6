"""Sums over groups of jets, in their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....compiled import njit

__all__ = ["in_order"]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_F8 = np.ndarray[Any, np.dtype[np.float64]]


def in_order(groups: _F4) -> _F8:
    """Sum over the first axis, in float64; numpy takes several times as long."""
    total = np.zeros(groups.shape[1:])
    _add(groups.reshape(len(groups), total.size), total.reshape(-1))
    return total


@njit
def _add(groups: _F4, total: _F8) -> None:  # pragma: no cover
    for group in groups:
        for k in range(len(total)):
            total[k] += group[k]

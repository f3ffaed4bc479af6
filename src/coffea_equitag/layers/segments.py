"""Sums and means over the constituents of each jet, ragged."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["segment_mean", "segment_sum"]


def segment_sum(values_NC: Tensor, offsets: Tensor) -> Tensor:
    """Sum rows ``offsets[s]:offsets[s + 1]`` for each segment s; empty segments give 0.

    Parameters
    ----------
    values_NC : Tensor, shape (N, C)
        Rows, grouped by segment.
    offsets : Tensor of int64, shape (S + 1,)
        Segment boundaries.

    Returns
    -------
    Tensor, shape (S, C)
    """
    if values_NC.shape[0] == 0:
        # segment_reduce has no backward without rows; the empty sum keeps the graph connected
        return values_NC.new_zeros((len(offsets) - 1, values_NC.shape[1])) + values_NC.sum()
    return torch.segment_reduce(values_NC, "sum", offsets=offsets, axis=0, initial=0)


def segment_mean(values_NC: Tensor, offsets: Tensor) -> Tensor:
    """Mean over the rows of each segment; empty segments give 0 (not NaN). Shapes as in `segment_sum`."""
    counts = (offsets[1:] - offsets[:-1]).clamp(min=1)
    return segment_sum(values_NC, offsets) / counts[:, None]

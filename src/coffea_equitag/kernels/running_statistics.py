"""Running statistics of a BatchNorm whose batch was normalised by a kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["follow"]


def follow(norm: nn.BatchNorm1d, mean: Tensor, unbiased: Tensor) -> None:
    """Update the running statistics with the batch's, as `torch.nn.BatchNorm1d` does, if the norm has any.

    Parameters
    ----------
    norm : BatchNorm1d
        Of C channels.
    mean, unbiased : Tensor, shape (C,)
        The batch's mean and its unbiased variance, in any precision.
    """
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)
        share = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        for running, found in ((norm.running_mean, mean), (norm.running_var, unbiased)):
            running.mul_(1 - share).add_(found.to(running), alpha=share)

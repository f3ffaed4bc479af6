"""Complex-weighted sums over the constituents of each jet, ragged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["pair_sum"]


def pair_sum(weight_QC2: Tensor, x: Tensor, counts: Sequence[int]) -> Tensor:
    """y_i = Σ_j w_ij x_j for each channel, complex.

    Parameters
    ----------
    weight_QC2 : Tensor, shape (Q, C, 2)
        (Re, Im) weights in the square layout of `Pairs`: an n × n block per jet.
    x : Tensor, shape (2, N, C, d)
        (Re, Im) features.
    counts : sequence of int
        Number of constituents of each jet. Consecutive jets of equal n are multiplied together.

    Returns
    -------
    Tensor, shape (2, N, C, d)
    """
    _, _, channels, d = x.shape
    sums = []
    row = place = first = 0
    while first < len(counts):
        n, last = counts[first], first
        while last < len(counts) and counts[last] == n:
            last += 1
        jets, first = last - first, last
        if n == 0:
            continue
        w = weight_QC2[place : place + jets * n * n].to(x.dtype).view(jets, n, n, channels, 2)
        z = x[:, row : row + jets * n].reshape(2, jets, n, channels, d)
        row, place = row + jets * n, place + jets * n * n
        w = w.permute(0, 3, 4, 1, 2).reshape(jets * channels, 2 * n, n)
        z = z.permute(1, 3, 2, 0, 4).reshape(jets * channels, n, 2 * d)
        y = torch.bmm(w, z).view(jets, channels, 2, n, 2, d)
        real = y[:, :, 0, :, 0] - y[:, :, 1, :, 1]
        imaginary = y[:, :, 0, :, 1] + y[:, :, 1, :, 0]
        sums.append(torch.stack([real, imaginary]).transpose(2, 3).reshape(2, jets * n, channels, d))
    if not sums:
        return x + weight_QC2.sum().to(x.dtype)
    return torch.cat(sums, dim=1)

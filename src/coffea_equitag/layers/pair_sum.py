"""Complex-weighted sums over the constituents of each jet, ragged."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["pair_sum"]


def pair_sum(weight_QC2: Tensor, x: Tensor, runs: Sequence[tuple[int, int]]) -> Tensor:
    """y_i = Σ_j w_ij x_j for each channel, complex.

    Parameters
    ----------
    weight_QC2 : Tensor, shape (Q, C, 2)
        (Re, Im) weights in the square layout of `Pairs`: an n × n block per jet.
    x : Tensor, shape (2, N, C, d)
        (Re, Im) features.
    runs : sequence of (int, int)
        (B, n) of each run of B consecutive jets of n constituents, which are multiplied together.

    Returns
    -------
    Tensor, shape (2, N, C, d)
    """
    _, _, channels, d = x.shape
    sums = []
    # one run is not cut: a graph of its lengths as symbols knows no slices
    weights = [weight_QC2] if len(runs) == 1 else torch.split(weight_QC2, [jets * n * n for jets, n in runs])
    features = [x] if len(runs) == 1 else torch.split(x, [jets * n for jets, n in runs], dim=1)
    for (jets, n), w, z in zip(runs, weights, features, strict=True):
        if n == 0:
            continue
        w = w.to(x.dtype).view(jets, n, n, channels, 2)
        z = z.reshape(2, jets, n, channels, d)
        w = w.permute(0, 3, 4, 1, 2).reshape(jets * channels, 2 * n, n)
        z = z.permute(1, 3, 2, 0, 4).reshape(jets * channels, n, 2 * d)
        y = torch.bmm(w, z).view(jets, channels, 2, n, 2, d)
        real = y[:, :, 0, :, 0] - y[:, :, 1, :, 1]
        imaginary = y[:, :, 0, :, 1] + y[:, :, 1, :, 0]
        sums.append(torch.stack([real, imaginary]).transpose(2, 3).reshape(2, jets * n, channels, d))
    if not sums:
        return x + weight_QC2.sum().to(x.dtype)
    return torch.cat(sums, dim=1)

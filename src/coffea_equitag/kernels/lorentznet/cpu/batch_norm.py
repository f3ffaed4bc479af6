"""The batch normalisation of LorentzNet's edges, in closed form: forth and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ....array_types import F4, F8
from ...common.cpu.jet_groups import JetGroups
from ...running_statistics import follow
from .edge_statistics import ScalarSums, centred_sums, node_sums, scalar_sums

__all__ = ["Statistics"]


@dataclass(frozen=True)
class Statistics:
    """Mean and variance of z_ij = U_i + V_j + a·ν_ij + b·π_ij, of the batch's pairs or as they run.

    Attributes
    ----------
    mean, var : ndarray, shape (C,)
        The statistics that normalise.
    eps : float
        Added to the variance.
    means : ndarray, shape (2, C)
        Of U and V over pairs; zeros for running statistics.
    scalar_means : ndarray, shape (2,)
        Of ν and π over pairs; zeros for running statistics.
    rows : ndarray, shape (N, 2)
        Row sums of ν and π; zeros for running statistics.
    scalar_slopes : ndarray, shape (2, C)
        Σ (z − mean) ν and Σ (z − mean) π over pairs.
    of_batch : bool
        Whether the statistics are the batch's, and gradients go through them.
    """

    mean: F8
    var: F8
    eps: float
    means: F8
    scalar_means: F8
    rows: F8
    scalar_slopes: F8
    of_batch: bool

    @classmethod
    def running(cls, norm: nn.BatchNorm1d, nodes: int) -> Statistics:
        """As they run."""
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, var = norm.running_mean.double().numpy().copy(), norm.running_var.double().numpy().copy()
        zeros = np.zeros((2, len(mean)))
        return cls(mean, var, norm.eps, zeros, np.zeros(2), np.zeros((nodes, 2)), zeros, False)

    @classmethod
    def of_pairs(cls, norm: nn.BatchNorm1d, u: F4, v: F4, slopes: F8, gram: F8, layout: JetGroups) -> Statistics:
        """Those of at least two pairs; `slopes` (2, C) are a and b, `gram` (Q,) the Gram matrices."""
        pairs, channels = layout.num_pairs, u.shape[1]
        sums = ScalarSums(np.empty((len(u), 2)), np.empty((len(layout.offsets) - 1, 3)))
        offsets, squares = layout.offsets, layout.squares
        layout.over_jets(lambda first, last: scalar_sums(gram, offsets, squares, sums, first, last))
        scalar_means = sums.rows.sum(axis=0) / pairs
        means = layout.sums((2, channels), lambda out, a, b: node_sums(u, v, offsets, out, a, b)) / pairs
        found = layout.sums(
            (3, channels),
            lambda out, a, b: centred_sums(u, v, offsets, sums.rows, means, scalar_means, out, a, b),
        )
        first, mixed, second = sums.squares.sum(axis=0)
        norm_mean, dot_mean = scalar_means
        first, second = first - pairs * norm_mean**2, second - pairs * dot_mean**2
        mixed = mixed - pairs * norm_mean * dot_mean
        with_norm = found[1] + slopes[0] * first + slopes[1] * mixed
        with_dot = found[2] + slopes[0] * mixed + slopes[1] * second
        square = found[0] + slopes[0] * (found[1] + with_norm) + slopes[1] * (found[2] + with_dot)
        return cls(
            mean=means[0] + means[1] + scalar_means @ slopes,
            var=np.maximum(square / pairs, 0.0),
            eps=norm.eps,
            means=means,
            scalar_means=scalar_means,
            rows=sums.rows,
            scalar_slopes=np.stack([with_norm, with_dot]),
            of_batch=True,
        )

    def follow(self, norm: nn.BatchNorm1d, pairs: int) -> None:
        """Let the running statistics of `norm` follow these."""
        follow(norm, torch.from_numpy(self.mean), torch.from_numpy(self.var * (pairs / (pairs - 1))))

    @property
    def inverse(self) -> F8:
        """1 / σ."""
        return 1 / np.sqrt(self.var + self.eps)

"""BatchNorm of LorentzNet's edges in closed form: its statistics, and what its backward pass needs of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ....array_types import F8
from ...common.cpu.jet_groups import JetGroups
from ...running_statistics import follow
from ..scalar_kinds import NOTHING
from .buffers import Jets
from .edge_statistics import PairMeans, ScalarSums, centred_sums, node_sums, scalar_sums

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
    means : PairMeans
        Of what z is made of; zeros for running statistics.
    scalar_sums : ndarray, shape (2, C)
        Σ (z − mean) ν and Σ (z − mean) π over pairs.
    of_batch : bool
        Whether the statistics are the batch's, and gradients go through them.
    """

    mean: F8
    var: F8
    eps: float
    means: PairMeans
    scalar_sums: F8
    of_batch: bool

    @classmethod
    def of(cls, norm: nn.BatchNorm1d, jets: Jets, scalar_weights: F8, groups: JetGroups) -> Statistics:
        """The batch's where `norm` trains and there are two pairs or more, else those that run, which follow."""
        if not norm.training or groups.num_pairs < 2:
            return cls._running(norm, groups.num_nodes)
        found = cls._of_pairs(norm, jets, scalar_weights, groups)
        pairs = groups.num_pairs
        follow(norm, torch.from_numpy(found.mean), torch.from_numpy(found.var * (pairs / (pairs - 1))))
        return found

    @classmethod
    def _running(cls, norm: nn.BatchNorm1d, nodes: int) -> Statistics:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, var = norm.running_mean.double().numpy().copy(), norm.running_var.double().numpy().copy()
        zeros = np.zeros((2, len(mean)))
        return cls(mean, var, norm.eps, PairMeans(zeros, np.zeros(2), np.zeros((nodes, 2))), zeros, False)

    @classmethod
    def _of_pairs(cls, norm: nn.BatchNorm1d, jets: Jets, scalar_weights: F8, groups: JetGroups) -> Statistics:
        pairs, channels = groups.num_pairs, jets.u.shape[1]
        sums = ScalarSums(np.zeros((groups.num_nodes, 2)), np.zeros((len(groups.offsets) - 1, 3)))
        if jets.kind != NOTHING:
            groups.over_jets(lambda first, last: scalar_sums(jets, sums, first, last))
        of_nodes = groups.sums((2, channels), lambda out, a, b: node_sums(jets, out, a, b)) / pairs
        means = PairMeans(of_nodes, sums.rows.sum(axis=0) / pairs, sums.rows)
        square, with_nu, with_pi = groups.sums((3, channels), lambda out, a, b: centred_sums(jets, means, out, a, b))
        (a, b), (nu_mean, pi_mean) = scalar_weights, means.scalars
        nu_nu, nu_pi, pi_pi = sums.squares.sum(axis=0)
        nu_nu, pi_pi = nu_nu - pairs * nu_mean**2, pi_pi - pairs * pi_mean**2
        nu_pi = nu_pi - pairs * nu_mean * pi_mean
        z_nu = with_nu + a * nu_nu + b * nu_pi
        z_pi = with_pi + a * nu_pi + b * pi_pi
        square = square + a * (with_nu + z_nu) + b * (with_pi + z_pi)
        return cls(
            mean=of_nodes[0] + of_nodes[1] + means.scalars @ scalar_weights,
            var=np.maximum(square / pairs, 0.0),
            eps=norm.eps,
            means=means,
            scalar_sums=np.stack([z_nu, z_pi]),
            of_batch=True,
        )

    @property
    def inverse(self) -> F8:
        """1 / σ."""
        return 1 / np.sqrt(self.var + self.eps)

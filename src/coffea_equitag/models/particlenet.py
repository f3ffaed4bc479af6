"""ParticleNet.

Qu, Gouskos, "ParticleNet: Jet Tagging via Particle Clouds", Phys. Rev. D 101 (2020) 056019, arXiv:1902.08570.

A jet is a cloud of constituents. Three edge convolutions look at each one's nearest neighbours: first in (Δη, Δφ),
then in the space of the features just computed. The mean over the constituents is classified. The patches are those
of Li et al., Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814.

Departures from the official code, where following it would be wrong: a jet of n constituents has min(k, n − 1)
neighbours per constituent, all real, where the official code makes up featureless ones below n = k + 2; batch
normalisation sees no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.friends import Nodewise, check_nodewise, friend_scalars
from ..invariants.kinematic import kinematic_features, relative_angles
from ..invariants.neighbours import Neighbours, nearest
from ..invariants.pair_scalars import Pairwise, pair_scalar
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.batch_norm import RowBatchNorm
from ..layers.edge_conv import EdgeConv
from ..layers.patches import Patch
from ..layers.segments import segment_mean

__all__ = ["ParticleNet"]

#: Widths of the edge networks, and of the classifier.
_FULL = (((64,) * 3, (128,) * 3, (256,) * 3), 256)
_LITE = (((32,) * 3, (64,) * 3), 128)


class ParticleNet(JetModel):
    """ParticleNet on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    lite : bool
        ParticleNet-Lite: two edge convolutions (32, 64 channels), k = 7, 128 units in the classifier (26,416
        parameters); else three (64, 128, 256), k = 16, 256 units (366,160 parameters).
    k : int or None
        Neighbours; None for the paper's.
    pairwise : {None, "mass", "delta_r", "delta_r_pt", "energy"}
        Pairwise patch: one scalar per edge, embedded and concatenated to the edges of each convolution.
    nodewise : {None, "mass", "energy"}
        Node-wise patch: invariant masses (or, as a control, energies) of each constituent's friend groups, embedded
        and concatenated to its features in each convolution. The graphs do not see them.
    friends : sequence of int
        Sizes of the friend groups.
    patch_width : int
        Channels of a patch.
    dropout : float
        In the classifier, while training.
    """

    kind: ClassVar[str] = "particlenet"
    paper: ClassVar[str] = "Qu, Gouskos, Phys. Rev. D 101 (2020) 056019, arXiv:1902.08570"
    symmetry: ClassVar[str] = "permutations, rotations about the beam; patches add a Lorentz-invariant part"

    def __init__(
        self,
        n_classes: int = 2,
        lite: bool = False,
        k: int | None = None,
        pairwise: Pairwise | None = None,
        nodewise: Nodewise | None = None,
        friends: Sequence[int] = (2, 4, 8),
        patch_width: int = 16,
        dropout: float = 0.1,
    ) -> None:
        k = (7 if lite else 16) if k is None else k
        super().__init__(
            n_classes=n_classes,
            lite=lite,
            k=k,
            pairwise=pairwise,
            nodewise=nodewise,
            friends=list(friends),
            patch_width=patch_width,
            dropout=dropout,
        )
        check_nodewise(nodewise, friends)
        if k < 1:
            raise TaggerError(explain(f"k = {k} neighbours", "at least 1", "leave it out for the paper's"))
        widths, units = _LITE if lite else _FULL
        inputs = [7, *(channels[-1] for channels in widths[:-1])]
        n_pair, n_node = (patch_width if patch else 0 for patch in (pairwise, nodewise))
        self.input_norm = RowBatchNorm(7)
        self.blocks = nn.ModuleList(
            EdgeConv(before + n_node, channels, n_pair) for before, channels in zip(inputs, widths, strict=True)
        )
        self.head = nn.Sequential(
            nn.Linear(widths[-1][-1], units), nn.ReLU(), nn.Dropout(dropout), nn.Linear(units, n_classes)
        )
        self.pair_patches = nn.ModuleList(Patch(1, patch_width) for _ in widths if pairwise)
        self.node_patch = Patch(len(friends), patch_width) if nodewise else None

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes)."""
        pairwise, nodewise = self.options["pairwise"], self.options["nodewise"]
        gram_Q = kernels.gram(jets) if pairwise == "mass" or nodewise else jets.p4.new_empty(0)
        groups = friend_scalars(nodewise, jets, self.options["friends"], gram_Q) if nodewise else None
        return self.network(
            kinematic_features(jets).to(self.dtype),
            torch.stack(relative_angles(jets), dim=1),
            jets.offsets,
            priority=torch.hypot(jets.p4[:, 1], jets.p4[:, 2]),
            p4_N4=jets.p4,
            gram_Q=gram_Q,
            groups_NG=groups,
        )

    def network(
        self,
        features_N7: Tensor,
        points_N2: Tensor,
        offsets: Tensor,
        *,
        priority: Tensor | None = None,
        p4_N4: Tensor | None = None,
        gram_Q: Tensor | None = None,
        groups_NG: Tensor | None = None,
    ) -> Tensor:
        """The network itself, given its inputs.

        Parameters
        ----------
        features_N7 : Tensor, shape (N, 7)
            Features of the constituents.
        points_N2 : Tensor of float64, shape (N, 2)
            (Δη, Δφ), for the first graph.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries.
        priority : Tensor, shape (N,), optional
            pT, which decides between equally near neighbours.
        p4_N4, gram_Q : Tensor of float64, optional
            Four-momenta and their products in the square layout: what the pairwise patch is made of.
        groups_NG : Tensor of float64, shape (N, len(friends)), optional
            Friend groups' m² or energies: what the node-wise patch is made of.

        Returns
        -------
        Tensor, shape (J, n_classes)
        """
        nodes = None if self.node_patch is None else self.node_patch(groups_NG)

        def patched_edges(layer: int, points: Tensor) -> tuple[Tensor, Tensor]:
            edges = nearest(points, offsets, self.options["k"], priority, torch.get_num_threads())
            return edges.sender, self.pair_features(layer, edges, p4_N4, gram_Q)

        edges_of = patched_edges if self.pair_patches else None
        fused: Tensor | None = kernels.run(self, features_N7, points_N2, offsets, priority, nodes, edges_of)
        if fused is not None:
            return fused
        x = self.input_norm(features_N7)
        for layer, block in enumerate(self.blocks):
            edges = nearest(points_N2 if layer == 0 else x, offsets, self.options["k"], priority)
            pairs = self.pair_features(layer, edges, p4_N4, gram_Q) if self.pair_patches else None
            x = block(x if nodes is None else torch.cat([x, nodes], dim=1), edges, pairs)
        logits: Tensor = self.head(segment_mean(x, offsets))
        return logits

    def pair_features(self, layer: int, edges: Neighbours, p4_N4: Tensor | None, gram_Q: Tensor | None) -> Tensor:
        """The pairwise patch on the edges of one convolution: shape (P, patch_width)."""
        assert p4_N4 is not None
        assert gram_Q is not None
        scalar_P = pair_scalar(
            self.options["pairwise"], p4_N4, gram_Q, edges.receiver, edges.sender, edges.place, edges.diagonal
        )
        features: Tensor = self.pair_patches[layer](scalar_P[:, None])
        return features

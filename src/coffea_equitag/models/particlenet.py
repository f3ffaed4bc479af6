"""ParticleNet.

Qu, Gouskos, "ParticleNet: Jet Tagging via Particle Clouds", Phys. Rev. D 101 (2020) 056019, arXiv:1902.08570.

A jet is a cloud of constituents. Three edge convolutions look at each one's nearest neighbours: first in (Δη, Δφ),
then in the space of the features just computed. The mean over the constituents is classified. The patches are those
of Li et al., Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814.

Departures from the official code, where following it would be wrong: a jet of n constituents has min(k, n − 1)
neighbours per constituent, all real, where the official code makes up k − (n − 1) more from padding if n ≤ k; batch
normalisation sees no padding. A network trained by the official code expects its phantoms: ``phantom_neighbours``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise as steps
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.friends import Nodewise, check_nodewise
from ..invariants.neighbours import Neighbours, nearest, with_phantoms
from ..invariants.pair_scalars import Pairwise, pair_scalar
from ..invariants.weaver_variables import Inputs, columns_of, plain, variables_of, weaver_features
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.batch_norm import RowBatchNorm
from ..layers.edge_conv import EdgeConv
from ..layers.patches import Patch
from ..layers.segments import segment_mean
from ..recording import constituent_rows, jet_rows

__all__ = ["ParticleNet"]

#: Neighbours, widths of the edge networks, and of the classifier.
_FULL = (16, ((64,) * 3, (128,) * 3, (256,) * 3), (256,))
_LITE = (7, ((32,) * 3, (64,) * 3), (128,))
#: Coordinates in which the first neighbours are found.
_POINT = ("part_deta", "part_dphi")


class ParticleNet(JetModel):
    """ParticleNet on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    lite : bool
        ParticleNet-Lite: two edge convolutions (32, 64 channels), k = 7, 128 units in the classifier (26,416
        parameters); else three (64, 128, 256), k = 16, 256 units (366,160 parameters).
    k : int, sequence of int, or None
        Neighbours, in all convolutions or in each; None for the paper's.
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
    channels : sequence of sequences of int, or None
        Widths of each convolution's edge network; None for the paper's.
    units : sequence of int, or None
        Widths of the classifier's hidden layers; None for the paper's.
    fusion : bool
        weaver's fusion block: the outputs of all convolutions, concatenated, pass through a layer before the mean.
    input_norm : bool
        Whether the features are normalised (BatchNorm).
    phantom_neighbours : bool
        Whether constituents with fewer than k neighbours get the missing ones from padding, as in the official code:
        edges [x_i, 0 − x_i]. On for converted checkpoints, which were trained with them.
    inputs : "kinematic" or sequence
        The paper's seven features; or variables with their standardisation as in weaver's data configurations
        (`invariants.weaver_variables`).
    mirrored : bool
        Whether Δη has the sign of the jet's η, as in weaver's data sets.

    Raises
    ------
    TaggerError
        For k < 1, or one k too many or too few; an empty list of widths; unknown inputs or patches; the pairwise patch
        with phantoms, which have no momenta.
    """

    kind: ClassVar[str] = "particlenet"
    paper: ClassVar[str] = "Qu, Gouskos, Phys. Rev. D 101 (2020) 056019, arXiv:1902.08570"
    symmetry: ClassVar[str] = "permutations, rotations about the beam; patches add a Lorentz-invariant part"
    embeds: ClassVar[str] = "features after the last convolution (with fusion, of all), averaged over constituents"

    def __init__(
        self,
        n_classes: int = 2,
        lite: bool = False,
        k: int | Sequence[int] | None = None,
        pairwise: Pairwise | None = None,
        nodewise: Nodewise | None = None,
        friends: Sequence[int] = (2, 4, 8),
        patch_width: int = 16,
        dropout: float = 0.1,
        channels: Sequence[Sequence[int]] | None = None,
        units: Sequence[int] | None = None,
        fusion: bool = False,
        input_norm: bool = True,
        phantom_neighbours: bool = False,
        inputs: Inputs = "kinematic",
        mirrored: bool = False,
    ) -> None:
        usual_k, usual_channels, usual_units = _LITE if lite else _FULL
        k = usual_k if k is None else k
        super().__init__(
            n_classes=n_classes,
            lite=lite,
            k=k,
            pairwise=pairwise,
            nodewise=nodewise,
            friends=list(friends),
            patch_width=patch_width,
            dropout=dropout,
            channels=channels if channels is None else [list(widths) for widths in channels],
            units=units if units is None else list(units),
            fusion=fusion,
            input_norm=input_norm,
            phantom_neighbours=phantom_neighbours,
            inputs=plain(inputs),
            mirrored=mirrored,
        )
        check_nodewise(nodewise, friends)
        widths, hidden = usual_channels if channels is None else channels, usual_units if units is None else units
        self.neighbours = (k,) * len(widths) if isinstance(k, int) else tuple(k)
        self._check_options(widths, hidden)
        self.fields = columns_of(inputs)
        before = [len(variables_of(inputs)), *(block[-1] for block in widths)]
        n_pair, n_node = (patch_width if patch else 0 for patch in (pairwise, nodewise))
        self.input_norm = RowBatchNorm(before[0]) if input_norm else nn.Identity()
        self.blocks = nn.ModuleList(
            EdgeConv(given + n_node, block, n_pair) for given, block in zip(before, widths, strict=False)
        )
        fused = min(max(sum(before[1:]) // 128 * 128, 128), 1024)  # weaver's
        self.fusion = (
            nn.Sequential(nn.Linear(sum(before[1:]), fused, bias=False), RowBatchNorm(fused), nn.ReLU())
            if fusion
            else None
        )
        self.head = nn.Sequential()
        for size, after in steps([fused if fusion else before[-1], *hidden]):
            self.head.extend([nn.Linear(size, after), nn.ReLU(), nn.Dropout(dropout)])
        self.head.append(nn.Linear(hidden[-1], n_classes))
        self.pair_patches = nn.ModuleList(Patch(1, patch_width) for _ in widths if pairwise)
        self.node_patch = Patch(len(friends), patch_width) if nodewise else None

    def _check_options(self, widths: Sequence[Sequence[int]], hidden: Sequence[int]) -> None:
        if min(self.neighbours, default=1) < 1:
            raise TaggerError(
                explain(f"k = {self.options['k']} neighbours", "at least 1", "leave it out for the paper's")
            )
        if len(self.neighbours) != len(widths):
            raise TaggerError(
                explain(f"k = {self.options['k']} for {len(widths)} convolutions", "one for each", "give one number")
            )
        if any(width < 1 for row in (*widths, hidden) for width in row) or not all((widths, hidden, *widths)):
            raise TaggerError(
                explain(
                    f"channels = {self.options['channels']}, units = {self.options['units']}",
                    "widths of 1 or more, and one at least for each convolution and for the classifier",
                    "leave them out for the paper's",
                )
            )
        if self.options["phantom_neighbours"] and self.options["pairwise"]:
            raise TaggerError(
                explain(
                    "the pairwise patch with phantom_neighbours",
                    "neighbours with momenta, which phantoms do not have",
                    "leave out one of the two",
                )
            )

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes)."""
        pairwise, nodewise = self.options["pairwise"], self.options["nodewise"]
        gram_Q = kernels.gram(jets) if pairwise == "mass" or nodewise else jets.p4.new_empty(0)
        groups = kernels.friend_scalars(nodewise, jets, self.options["friends"], gram_Q) if nodewise else None
        return self.network(
            *self.features_and_points(jets),
            jets.offsets,
            priority=torch.hypot(jets.p4[:, 1], jets.p4[:, 2]),
            p4_N4=jets.p4,
            gram_Q=gram_Q,
            groups_NG=groups,
        )

    def features_and_points(self, jets: RaggedJets) -> tuple[Tensor, Tensor]:
        """Features (N, F) and, in float64, points (Δη, Δφ) (N, 2) of the constituents."""
        mirrored = self.options["mirrored"]
        features = weaver_features(jets, self.options["inputs"], mirrored, self.dtype)
        return features, weaver_features(jets, _POINT, mirrored)

    def network(
        self,
        features_NF: Tensor,
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
        features_NF : Tensor, shape (N, F)
            Features of the constituents: seven, or as many as `inputs` names.
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
        fused: Tensor | None = kernels.run(self, features_NF, points_N2, offsets, priority, groups_NG, p4_N4, gram_Q)
        if fused is not None:
            return fused
        nodes = None if self.node_patch is None else self.node_patch(groups_NG)
        x, found = self.input_norm(features_NF), []
        for layer, (block, k) in enumerate(zip(self.blocks, self.neighbours, strict=True)):
            edges = nearest(points_N2 if layer == 0 else x, offsets, k, priority)
            pairs = self.pair_features(layer, edges, p4_N4, gram_Q) if self.pair_patches else None
            if self.options["phantom_neighbours"]:
                edges = with_phantoms(edges, k)
            x = block(x if nodes is None else torch.cat([x, nodes], dim=1), edges, pairs)
            found.append(x)
        return self.classify(found, offsets)

    def classify(self, found: Sequence[Tensor], offsets: Tensor) -> Tensor:
        """Logits (J, n_classes) from the outputs (N, C) of the convolutions."""
        x = found[-1] if self.fusion is None else self.fusion(torch.cat(list(found), dim=1))
        constituent_rows.record(x)
        mean_JC = segment_mean(x, offsets)
        jet_rows.record(mean_JC)
        logits: Tensor = self.head(mean_JC)
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

"""LorentzNet_base and its Lorentz-symmetric patches.

Li, Qu, Qian, Meng, Gong, Zhang, Liu, Li, "Does Lorentz-symmetric design boost network performance in jet physics?",
Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814.

LorentzNet without its symmetry: nodes carry ParticleNet's seven features and the constituent's mass, edges carry
nothing, and there are no beams. With m²_ij on the edges, or the masses of friend groups on the nodes, part of the
network is Lorentz-invariant again; ΔR_ij, ΔR_ij (pT_i + pT_j), E_ij and E_G are there for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.friends import Nodewise, check_nodewise
from ..invariants.pair_scalars import Pairwise
from ..invariants.weaver_variables import kinematic_features
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.lorentz_block import LorentzState
from ..layers.pairs import Pairs
from ..layers.pairwise_block import PairwiseBlock
from ..layers.patches import Patch
from ..layers.psi import psi
from ..layers.segments import segment_mean
from ..recording import constituent_rows, jet_rows

__all__ = ["LorentzNetBase"]

#: ParticleNet's seven features and the mass.
_SCALARS = 8


class LorentzNetBase(JetModel):
    """LorentzNet_base on ragged jets; 226,232 parameters.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    pairwise : {None, "mass", "delta_r", "delta_r_pt", "energy"}
        The scalar on the edges of each block.
    nodewise : {None, "mass", "energy"}
        Node-wise patch: invariant masses (or, as a control, energies) of each constituent's friend groups, embedded
        and concatenated to the input scalars that every block sees.
    friends : sequence of int
        Sizes of the friend groups.
    patch_width : int
        Channels of the node-wise patch.
    c_weight : float
        Step of the vectors.
    hidden, n_layers : int
        Channels and blocks.
    dropout : float
        In the classifier, while training.
    """

    kind: ClassVar[str] = "lorentznet_base"
    paper: ClassVar[str] = "Li et al., Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814"
    symmetry: ClassVar[str] = "permutations, rotations about the beam; patches add a Lorentz-invariant part"
    embeds: ClassVar[str] = "scalars after the last block, averaged over the constituents"

    def __init__(
        self,
        n_classes: int = 2,
        pairwise: Pairwise | None = None,
        nodewise: Nodewise | None = None,
        friends: Sequence[int] = (2, 4, 8),
        patch_width: int = 16,
        c_weight: float = 5e-3,
        hidden: int = 72,
        n_layers: int = 6,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            n_classes=n_classes,
            pairwise=pairwise,
            nodewise=nodewise,
            friends=list(friends),
            patch_width=patch_width,
            c_weight=c_weight,
            hidden=hidden,
            n_layers=n_layers,
            dropout=dropout,
        )
        check_nodewise(nodewise, friends)
        if n_layers < 1 or hidden < 1:
            given = f"n_layers = {n_layers}, hidden = {hidden}"
            raise TaggerError(explain(given, "positive numbers", "use 6 and 72 as in the paper"))
        self.node_patch = Patch(len(friends), patch_width) if nodewise else None
        n_scalar = _SCALARS + (patch_width if nodewise else 0)
        self.embedding = nn.Linear(_SCALARS, hidden)
        self.blocks = nn.ModuleList(
            PairwiseBlock(hidden, n_scalar, c_weight=c_weight, pairwise=pairwise, last=layer == n_layers - 1)
            for layer in range(n_layers)
        )
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, n_classes)
        )

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes)."""
        return jets.by_multiplicity(self._logits)

    def _logits(self, jets: RaggedJets) -> Tensor:
        scalars = torch.cat([kinematic_features(jets), psi(jets.mass)[:, None]], dim=1).to(self.dtype)
        pairwise, nodewise = self.options["pairwise"], self.options["nodewise"]
        gram_Q = kernels.gram(jets) if pairwise == "mass" or nodewise else jets.p4.new_empty(0)
        groups = kernels.friend_scalars(nodewise, jets, self.options["friends"], gram_Q) if nodewise else None
        return self.network(jets.p4, scalars, jets.offsets, gram_Q, groups)

    def network(
        self, p4_N4: Tensor, scalars_N8: Tensor, offsets: Tensor, gram_Q: Tensor, groups_NG: Tensor | None = None
    ) -> Tensor:
        """The network itself, given its inputs.

        Parameters
        ----------
        p4_N4 : Tensor of float64, shape (N, 4)
            (E, px, py, pz), for the pair scalars other than the mass.
        scalars_N8 : Tensor, shape (N, 8)
            ParticleNet's seven features and ψ(mass).
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries.
        gram_Q : Tensor of float64, shape (Q,)
            p_i·p_j, jet after jet, n × n, for the pairwise mass.
        groups_NG : Tensor of float64, shape (N, len(friends)), optional
            Friend groups' m² or energies: what the node-wise patch is made of.

        Returns
        -------
        Tensor, shape (J, n_classes)
        """
        fused: Tensor | None = kernels.run(self, p4_N4, scalars_N8, offsets, gram_Q, groups_NG)
        if fused is not None:
            return fused
        pairs = Pairs.of(offsets)
        state = LorentzState(self.embedding(scalars_N8), gram_Q, p4_N4)
        if self.node_patch is not None:
            scalars_N8 = torch.cat([scalars_N8, self.node_patch(groups_NG)], dim=1)
        for block in self.blocks:
            state = block(state, scalars_N8, pairs)
        constituent_rows.record(state.h)
        mean_JC = segment_mean(state.h, offsets)
        jet_rows.record(mean_JC)
        logits: Tensor = self.head(mean_JC)
        return logits

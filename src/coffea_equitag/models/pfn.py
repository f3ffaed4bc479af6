"""Particle Flow Network.

Komiske, Metodiev, Thaler, "Energy Flow Networks: Deep Sets for Particle Jets", JHEP 01 (2019) 121,
arXiv:1810.05165.

A network Φ acts on each constituent separately; its outputs are summed over the jet and classified by a network F.
The seven inputs are those of ParticleNet (Qu, Gouskos, Phys. Rev. D 101 (2020) 056019, Table 1), scaled as in
their published configuration. For b-tagging the inputs are those of Shimmin, Li, Smith, arXiv:2303.11288.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.friends import Nodewise, check_nodewise
from ..invariants.track_features import PARTICLE_TYPES, TRACK_COLUMNS, particle_types, track_features
from ..invariants.weaver_variables import Inputs, columns_of, plain, variables_of, weaver_features
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.batch_norm import RowBatchNorm
from ..layers.patches import Patch
from ..layers.segments import segment_sum
from ..recording import constituent_rows, jet_rows

__all__ = ["PFN"]


class PFN(JetModel):
    """PFN on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    batch_norm : bool
        Normalise the inputs and the hidden layers of Φ.
    phi, f : sequence of int
        Widths of Φ (the last is the latent dimension) and of F; 83,842 parameters with the defaults.
    inputs : "kinematic", "btag", or sequence
        Seven kinematic features; or twelve of jet and track (`track_features` and the type embedded in three); or
        variables with their standardisation as in weaver's data configurations (`invariants.weaver_variables`).
    nodewise : {None, "mass", "energy"}
        Patch of Li et al. (arXiv:2208.07814): invariant masses (or, as a control, energies) of each constituent's
        friend groups, embedded and concatenated to the inputs of every layer of Φ.
    friends : sequence of int
        Sizes of the friend groups.
    patch_width : int
        Channels of the patch.
    mirrored : bool
        Whether Δη has the sign of the jet's η, as in weaver's data sets; not with ``"btag"``.

    Raises
    ------
    TaggerError
        For unknown inputs or an unknown patch.
    """

    kind: ClassVar[str] = "pfn"
    paper: ClassVar[str] = "Komiske, Metodiev, Thaler, JHEP 01 (2019) 121, arXiv:1810.05165"
    symmetry: ClassVar[str] = "permutations; rotations about the beam and boosts along it only approximately"
    embeds: ClassVar[str] = "Φ, summed over the constituents"
    sees_pairs: ClassVar[bool] = False

    def __init__(
        self,
        n_classes: int = 2,
        batch_norm: bool = False,
        phi: Sequence[int] = (128, 128, 128),
        f: Sequence[int] = (128, 128, 128),
        inputs: Inputs | Literal["btag"] = "kinematic",
        nodewise: Nodewise | None = None,
        friends: Sequence[int] = (2, 4, 8),
        patch_width: int = 16,
        mirrored: bool = False,
    ) -> None:
        check_nodewise(nodewise, friends)
        super().__init__(
            n_classes=n_classes,
            batch_norm=batch_norm,
            phi=list(phi),
            f=list(f),
            inputs=plain(inputs),
            nodewise=nodewise,
            friends=list(friends),
            patch_width=patch_width,
            mirrored=mirrored,
        )
        if inputs == "btag" and mirrored:
            raise TaggerError(explain('mirrored inputs "btag"', "inputs without the jet's own η", "leave out mirrored"))
        self.fields = TRACK_COLUMNS if inputs == "btag" else columns_of(inputs)
        self.type_embedding = nn.Embedding(len(PARTICLE_TYPES), 3) if inputs == "btag" else None
        widths = [9 + 3 if inputs == "btag" else len(variables_of(inputs)), *phi]
        self.input_norm = RowBatchNorm(widths[0]) if batch_norm else nn.Identity()
        self.phi = nn.Sequential()
        n_node = patch_width if nodewise else 0
        for before, after in pairwise(widths):
            norm = RowBatchNorm(after) if batch_norm else nn.Identity()
            self.phi.extend([nn.Linear(before + n_node, after), norm, nn.ReLU()])
        widths = [phi[-1], *f]
        self.f = nn.Sequential()
        for before, after in pairwise(widths):
            self.f.extend([nn.Linear(before, after), nn.ReLU()])
        self.f.append(nn.Linear(widths[-1], n_classes))
        self.node_patch = Patch(len(friends), patch_width) if nodewise else None

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes)."""
        return self.network(self.features(jets), jets.offsets, self.groups(jets))

    def features(self, jets: RaggedJets) -> Tensor:
        """What Φ sees of each constituent: shape (N, 7), (N, 12), or as many columns as `inputs` names."""
        if self.type_embedding is None:
            return weaver_features(jets, self.options["inputs"], self.options["mirrored"], self.dtype)
        types = self.type_embedding(particle_types(jets))
        return torch.cat([track_features(jets).to(self.dtype), types], dim=1)

    def groups(self, jets: RaggedJets) -> Tensor | None:
        """The friend groups' m² or energies, (N, len(friends)), that a patch sees."""
        nodewise = self.options["nodewise"]
        return kernels.friend_scalars(nodewise, jets, self.options["friends"], kernels.gram(jets)) if nodewise else None

    def network(self, features_NF: Tensor, offsets: Tensor, groups_NG: Tensor | None = None) -> Tensor:
        """The network itself, given its inputs.

        Features (N, F), jet boundaries (J + 1,) and, for the patch, the friend groups' m² or energies
        (N, len(friends)) to logits (J, n_classes).
        """
        fused: Tensor | None = kernels.run(self, features_NF, offsets, groups_NG)
        if fused is not None:
            return fused
        nodes = None if self.node_patch is None else self.node_patch(groups_NG)
        latent_NL = self.input_norm(features_NF)
        if nodes is None:
            latent_NL = self.phi(latent_NL)
        else:
            for layer in self.phi:
                latent_NL = layer(torch.cat([latent_NL, nodes], dim=1) if isinstance(layer, nn.Linear) else latent_NL)
        constituent_rows.record(latent_NL)
        latent_JL = segment_sum(latent_NL, offsets)
        jet_rows.record(latent_JL)
        logits: Tensor = self.f(latent_JL)
        return logits

"""LorentzNet.

Gong, Meng, Zhang, Qu, Li, Qian, Du, Ma, Liu, "An efficient Lorentz equivariant graph neural network for jet
tagging", JHEP 07 (2022) 030, arXiv:2201.08187.

Scalars h_i and vectors x_i on a fully connected graph of constituents (and beams). Six blocks pass messages
that depend only on ‖x_i − x_j‖² and x_i·x_j, move the vectors along x_i − x_j, and update the scalars; the mean of
the scalars over the nodes is classified.

Departures from the official code, where following it would be wrong: the mean is over a jet's own nodes, not
over the padded length; the components of the vectors' step are clamped only if asked (``clamp=100.0``, for
checkpoints that were trained so), since clamping breaks the symmetry; masses come from the jets, not from
rounding.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.lorentz_block import LorentzBlock, LorentzState
from ..layers.pairs import Pairs
from ..layers.psi import psi
from ..layers.segments import segment_mean, segment_sum
from .beams import BEAMS, with_beams

__all__ = ["PARTICLES", "LorentzNet"]

#: |PDG id| of the one-hot particle identification, in the order of its columns.
PARTICLES = (11, 13, 22, 130, 211, 321, 2112, 2212)


class LorentzNet(JetModel):
    """LorentzNet on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    n_scalar : int
        Scalars per node: ψ(mass) in the column of its kind. With beams, column 0 is constituents and 1 the beams;
        with `pid`, one column for each of `PARTICLES`.
    c_weight : float
        Step of the vectors: 5e-3 for top tagging, 1e-3 for quark/gluon in the paper.
    beams : bool
        Put the two beams into each jet, which leaves the symmetry SO(2) × boosts along z unless the beams are
        transformed with the jet.
    clamp : float or None
        Component clamp of the official code (100.0); breaks the symmetry.
    pid : bool
        One-hot particle identification from ``pdgId`` (8 scalars).
    mass_noise : bool
        Where a constituent's mass is 0, take √|E² − p²| of the numbers as stored, rounding and all. For official
        checkpoints only: they learned that noise from the massless reference jets, and lose accuracy without it.
    output : {"classes", "momentum"}
        Logits, or one covariant four-momentum per jet: Σ_i c_i x_i over the constituents, the c_i from the scalars.
    hidden, n_layers : int
        Channels and blocks; 72 and 6 in the paper (224,072 parameters with two scalars).
    dropout : float
        In the classifier, while training.
    """

    kind: ClassVar[str] = "lorentznet"
    paper: ClassVar[str] = "Gong et al., JHEP 07 (2022) 030, arXiv:2201.08187"
    symmetry: ClassVar[str] = "Lorentz SO⁺(1,3); with beams, what leaves the beams alone"

    def __init__(
        self,
        n_classes: int = 2,
        n_scalar: int | None = None,
        c_weight: float = 5e-3,
        beams: bool = True,
        clamp: float | None = None,
        pid: bool = False,
        mass_noise: bool = False,
        output: Literal["classes", "momentum"] = "classes",
        hidden: int = 72,
        n_layers: int = 6,
        dropout: float = 0.2,
    ) -> None:
        kinds = (len(PARTICLES) if pid else 1) + (1 if beams else 0)
        n_scalar = kinds if n_scalar is None else n_scalar
        super().__init__(
            n_classes=n_classes,
            n_scalar=n_scalar,
            c_weight=c_weight,
            beams=beams,
            clamp=clamp,
            pid=pid,
            mass_noise=mass_noise,
            output=output,
            hidden=hidden,
            n_layers=n_layers,
            dropout=dropout,
        )
        if n_scalar < kinds:
            raise TaggerError(
                explain(
                    f"n_scalar = {n_scalar} with beams = {beams} and pid = {pid}",
                    f"at least {kinds} scalars, one per kind of node",
                    f"leave n_scalar out, or set it to {kinds} or more",
                )
            )
        if n_layers < 1 or hidden < 1:
            raise TaggerError(
                explain(
                    f"n_layers = {n_layers}, hidden = {hidden}",
                    "positive numbers",
                    "use 6 and 72 as in the paper",
                )
            )
        self.extra_nodes = len(BEAMS) if beams else 0
        self.fields = ("pdgId",) if pid else ()
        self.embedding = nn.Linear(n_scalar, hidden)
        self.blocks = nn.ModuleList(
            LorentzBlock(hidden, n_scalar, c_weight=c_weight, clamp=clamp, last=layer == n_layers - 1)
            for layer in range(n_layers)
        )
        self.head = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, n_classes if output == "classes" else 1),
        )

    def logits(self, jets: RaggedJets, *, beams: Tensor | None = None, **keywords: Any) -> Tensor:
        """Logits (J, n_classes), or momenta (J, 4) as (E, px, py, pz) in GeV, float64.

        Parameters
        ----------
        jets : RaggedJets
            The batch.
        beams : Tensor of float64, shape (2, 4), optional
            The beams' (E, px, py, pz) if they are not along z: boosted or rotated together with the jets. Their
            masses are 1.
        """

        def of_sorted(jets: RaggedJets) -> Tensor:
            nodes = with_beams(jets, beams) if self.options["beams"] else jets
            reference = nodes.columns.get("reference")
            return self.network(nodes.p4, self.scalars(nodes), nodes.offsets, kernels.gram(nodes), reference)

        return jets.by_multiplicity(of_sorted)

    def scalars(self, nodes: RaggedJets) -> Tensor:
        """ψ(mass) of each node in the column of its kind: shape (N, n_scalar)."""
        if self.options["pid"]:
            particles = nodes.columns["pdgId"].abs()[:, None]
            kinds = [particles == particles.new_tensor(PARTICLES)]
        else:
            kinds = [torch.ones_like(nodes.mass, dtype=torch.bool)[:, None]]
        if self.options["beams"]:
            reference = nodes.columns["reference"][:, None]
            kinds = [kinds[0] & ~reference, reference]
        mass = nodes.mass
        if self.options["mass_noise"]:
            square = (nodes.p4 * nodes.p4 * nodes.p4.new_tensor([1.0, -1.0, -1.0, -1.0])).sum(1)
            mass = torch.where(mass > 0, mass, square.abs().sqrt())
        values = torch.cat(kinds, dim=1) * psi(mass)[:, None]
        unused = self.options["n_scalar"] - values.shape[1]
        return nn.functional.pad(values, (0, unused)).to(self.dtype)

    def network(
        self, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, gram_Q: Tensor, reference: Tensor | None = None
    ) -> Tensor:
        """The network itself, given its nodes (beams included).

        Parameters
        ----------
        p4_N4 : Tensor of float64, shape (N, 4)
            (E, px, py, pz) of the nodes, only used with `clamp` or ``output="momentum"``.
        scalars : Tensor, shape (N, n_scalar)
            Node scalars.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries, beams counted.
        gram_Q : Tensor of float64, shape (Q,)
            p_i·p_j, jet after jet, n × n.
        reference : Tensor of bool, shape (N,), optional
            Which nodes are beams; they are left out of a momentum.

        Returns
        -------
        Tensor, shape (J, n_classes) or (J, 4)
        """
        fused: Tensor | None = kernels.run(self, p4_N4, scalars, offsets, gram_Q)
        if fused is not None:
            return fused
        pairs = Pairs.of(offsets)
        x = p4_N4 if self.options["clamp"] is not None or self.output == "momentum" else None
        state = LorentzState(self.embedding(scalars), gram_Q, x)
        for block in self.blocks:
            state = block(state, scalars, pairs)
        if self.output == "momentum":
            assert state.x is not None
            weight_N1 = self.head(state.h).double()
            if reference is not None:
                weight_N1 = weight_N1.masked_fill(reference[:, None], 0.0)
            return segment_sum(weight_N1 * state.x, offsets)
        logits: Tensor = self.head(segment_mean(state.h, offsets))
        return logits

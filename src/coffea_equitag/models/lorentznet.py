"""LorentzNet.

Gong, Meng, Zhang, Qu, Li, Qian, Du, Ma, Liu, "An efficient Lorentz equivariant graph neural network for jet
tagging", JHEP 07 (2022) 030, arXiv:2201.08187.

Scalars h_i and vectors x_i on a fully connected graph of constituents (and beams). Six blocks pass messages
that depend only on ‖x_i − x_j‖² and x_i·x_j, move the vectors along x_i − x_j, and update the scalars; the mean of
the scalars over the nodes is classified.

Departures from the official code, where following it would be wrong: the mean is over a jet's own nodes, not
over the padded length; the components of the vectors' step are clamped only if asked (``clamp=100.0``, for
checkpoints that were trained so), since clamping breaks the symmetry; masses and charges come from the jets, not from
rounding or a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.lorentz_block import LorentzBlock, LorentzState
from ..layers.momentum_weights import begin_with_sum
from ..layers.pairs import Pairs
from ..layers.psi import psi
from ..layers.segments import segment_mean, segment_sum
from ..recording import constituent_rows, jet_rows
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
        Scalars per node: ψ(mass) of constituents, or what `pid` and `use_one_hot` put in its place; with `beams`,
        ψ(mass) of the beams in a column of its own after these. Further columns are 0.
    c_weight : float
        Step of the vectors: 5e-3 for top tagging, 1e-3 for quark/gluon in the paper.
    beams : bool
        Put the two beams into each jet, which leaves the symmetry SO(2) × boosts along z unless the beams are
        transformed with the jet.
    clamp : float or None
        Component clamp of the official code (100.0); breaks the symmetry.
    pid : bool
        A constituent's scalars are its particle identification: 1 in the column of its |``pdgId``| among the eight
        `PARTICLES`, and 0 elsewhere. The paper's choice for quark/gluon tagging.
    use_one_hot : bool
        False: a constituent's scalars are [ψ(mass), ψ(charge)], whatever `pid`. The official quark/gluon code's other
        choice.
    pid_times_mass : bool
        With `pid`, ψ(mass) in place of 1, so that massless candidates are all alike. For networks that version 0.1
        trained with ``pid=True``; set when they are loaded.
    mass_noise : bool
        Where a constituent's mass is 0, take √|E² − p²| of the numbers as stored, rounding and all. For official
        checkpoints only: they learned that noise from the massless reference jets, and lose accuracy without it.
    output : {"classes", "momentum"}
        Logits, or one covariant four-momentum per jet: Σ_i c_i x_i over the constituents, the c_i, which
        begin near 1, from the scalars.
    hidden, n_layers : int
        Channels and blocks; 72 and 6 in the paper (224,072 parameters with two scalars).
    dropout : float
        In the classifier, while training.
    """

    kind: ClassVar[str] = "lorentznet"
    paper: ClassVar[str] = "Gong et al., JHEP 07 (2022) 030, arXiv:2201.08187"
    symmetry: ClassVar[str] = "Lorentz SO⁺(1,3); with beams, what leaves the beams alone"
    embeds: ClassVar[str] = "scalars after the last block, averaged over a jet's nodes, beams too"

    def __init__(
        self,
        n_classes: int = 2,
        n_scalar: int | None = None,
        c_weight: float = 5e-3,
        beams: bool = True,
        clamp: float | None = None,
        pid: bool = False,
        use_one_hot: bool = True,
        pid_times_mass: bool = False,
        mass_noise: bool = False,
        output: Literal["classes", "momentum"] = "classes",
        hidden: int = 72,
        n_layers: int = 6,
        dropout: float = 0.2,
    ) -> None:
        kinds = (2 if not use_one_hot else len(PARTICLES) if pid else 1) + (1 if beams else 0)
        n_scalar = kinds if n_scalar is None else n_scalar
        super().__init__(
            n_classes=n_classes,
            n_scalar=n_scalar,
            c_weight=c_weight,
            beams=beams,
            clamp=clamp,
            pid=pid,
            use_one_hot=use_one_hot,
            pid_times_mass=pid_times_mass,
            mass_noise=mass_noise,
            output=output,
            hidden=hidden,
            n_layers=n_layers,
            dropout=dropout,
        )
        if n_scalar < kinds:
            raise TaggerError(
                explain(
                    f"n_scalar = {n_scalar} with beams = {beams}, pid = {pid} and use_one_hot = {use_one_hot}",
                    f"at least {kinds} scalars per node",
                    f"leave n_scalar out, or set it to {kinds} or more",
                )
            )
        if pid_times_mass and not (pid and use_one_hot):
            raise TaggerError(
                explain(
                    f"pid_times_mass = True with pid = {pid} and use_one_hot = {use_one_hot}",
                    "a one-hot to multiply",
                    "leave pid_times_mass out, or set pid=True",
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
        self.references = BEAMS if beams else ()
        self.extra_nodes = len(self.references)
        self.fields = ("charge",) if not use_one_hot else ("pdgId",) if pid else ()
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
        if output == "momentum":
            begin_with_sum(self.head[-1])

    @classmethod
    def stored_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """See `JetModel`; version 0.1, whose ``pid`` multiplied by ψ(mass), did not know `pid_times_mass`."""
        return super().stored_options({"pid_times_mass": options.get("pid", False)} | dict(options))

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
        """Node scalars: of constituents, of the beams, and columns of 0 up to (N, n_scalar)."""
        mass_N1 = psi(self._masses(nodes))[:, None]
        if not self.options["use_one_hot"]:
            values = torch.cat([mass_N1, psi(nodes.columns["charge"].to(mass_N1))[:, None]], dim=1)
        elif self.options["pid"]:
            particles = nodes.columns["pdgId"].long().abs()[:, None]
            values = (particles == particles.new_tensor(PARTICLES)).to(mass_N1)
            values = values * mass_N1 if self.options["pid_times_mass"] else values
        else:
            values = mass_N1
        if self.options["beams"]:
            reference = nodes.columns["reference"][:, None]
            values = torch.cat([values.masked_fill(reference, 0.0), mass_N1.masked_fill(~reference, 0.0)], dim=1)
        unused = self.options["n_scalar"] - values.shape[1]
        return nn.functional.pad(values, (0, unused)).to(self.dtype)

    def _masses(self, nodes: RaggedJets) -> Tensor:
        if not self.options["mass_noise"]:
            return nodes.mass
        square = (nodes.p4 * nodes.p4 * nodes.p4.new_tensor([1.0, -1.0, -1.0, -1.0])).sum(1)
        return torch.where(nodes.mass > 0, nodes.mass, square.abs().sqrt())

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
        constituent_rows.record(state.h, reference)
        if jet_rows.wanted():
            jet_rows.record(segment_mean(state.h, offsets))
        if self.output == "momentum":
            assert state.x is not None
            weight_N1 = self.head(state.h).double()
            if reference is not None:
                weight_N1 = weight_N1.masked_fill(reference[:, None], 0.0)
            return segment_sum(weight_N1 * state.x, offsets)
        logits: Tensor = self.head(segment_mean(state.h, offsets))
        return logits

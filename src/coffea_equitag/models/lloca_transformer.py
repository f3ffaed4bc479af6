"""LLoCa-Transformer: a transformer in local frames.

Spinner, Favaro, Lippmann, Pitz, Gerhartz, Plehn, Hamprecht, "Lorentz Local Canonicalization: How to make any network
Lorentz-equivariant", NeurIPS 2025, arXiv:2505.20280; Favaro, Gerhartz, Hamprecht, Lippmann, Pitz, Plehn, Qiu, Spinner,
"Lorentz-Equivariance without Limitations", arXiv:2508.14898.

A small equivariant network predicts a local frame for each constituent, in which its features are invariant. Ten
blocks of attention pass tensors from frame to frame; the mean over the constituents is classified.

Departures from the official code: all momenta are taken in the rest frame of the jet and its references, computed from
numerically stable invariants, since the result is the same in every frame but for rounding; what defines no axis is
replaced by the constituent's own momentum, not by random numbers; log m²_ij is standardised with constants, not with
the first batch; gradients do not change that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.frame_features import frame_features
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.frame_prediction import FramePrediction
from ..layers.momentum_weights import begin_with_sum
from ..layers.polar_frame import products
from ..layers.rest_frame import RestFrame
from ..layers.segments import segment_mean, segment_sum
from ..layers.squares import Squares
from ..layers.tensorial_attention import LocalFrames, TensorialAttention, TensorialBlock
from ..recording import constituent_rows, jet_rows
from .lloca_inputs import reference_vectors, with_least_mass, with_references
from .lorentznet import PARTICLES
from .pelican_inputs import columns_as_scalars

__all__ = ["LLoCaTransformer"]

_FEATURES = 7
#: Added in quadrature to the jet's mass where γ is divided by it, GeV.
_MASS_FLOOR = 1e-2
#: Reached by a jet without mass, which has no γ.
_LEAST_GAMMA = 0.1


class LLoCaTransformer(JetModel):
    """LLoCa-Transformer on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    scalars, vectors, tensors : int
        Channels of each head, by their rank under the Lorentz group: invariant, vectors and tensors of rank 2. The
        official 8x0n+2x1n is 8 and 2.
    heads, blocks : int
        Attention heads and blocks. There are heads · (scalars + 4 vectors + 16 tensors) channels.
    mlp_factor : int
        By how much each block's perceptron is wider.
    beams : bool
        Put the two beams and the time direction into each jet when frames are predicted, which leaves rotations about
        the beam unless they are transformed with the jet.
    laboratory : bool
        Frames are predicted from the seven kinematic features in the laboratory frame, too, as published for top
        tagging; leaves rotations about the beam.
    fields : sequence of str
        Constituent columns that the network sees: ``"pdgId"`` as one-hot of |id| among `PARTICLES`, others
        (``"charge"``, ...) as the numbers they are.
    preserve_variance : bool
        Divide vectors and tensors by the jet's Lorentz factor in each frame, as lloca 2.0 does by default; 1.0 did not.
    least_mass : float
        Lighter constituents get this mass, in GeV, and the energy that goes with it, which breaks the Lorentz symmetry.
        For official checkpoints, which were trained with 5e-3.
    output : {"classes", "momentum"}
        Logits, or one covariant four-momentum per jet: Σ_i c_i p_i, the c_i, which begin near 1, from each
        constituent's channels.
    frame_width, frame_layers : int
        Width and number of the hidden layers that predict the frames.
    dropout : float
        In all perceptrons and after attention, while training.

    Raises
    ------
    TaggerError
        For numbers of channels, heads, blocks or layers that make no network.
    """

    kind: ClassVar[str] = "lloca_transformer"
    paper: ClassVar[str] = "Spinner et al., NeurIPS 2025, arXiv:2505.20280; Favaro et al., arXiv:2508.14898"
    symmetry: ClassVar[str] = "rotations about the beam; Lorentz SO⁺(1,3) with beams=False and laboratory=False"
    embeds: ClassVar[str] = "channels after the last block, averaged over constituents"

    def __init__(
        self,
        n_classes: int = 2,
        scalars: int = 8,
        vectors: int = 2,
        tensors: int = 0,
        heads: int = 8,
        blocks: int = 10,
        mlp_factor: int = 4,
        beams: bool = True,
        laboratory: bool = True,
        fields: Sequence[str] = (),
        preserve_variance: bool = True,
        least_mass: float = 0.0,
        output: Literal["classes", "momentum"] = "classes",
        frame_width: int = 128,
        frame_layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            n_classes=n_classes,
            scalars=scalars,
            vectors=vectors,
            tensors=tensors,
            heads=heads,
            blocks=blocks,
            mlp_factor=mlp_factor,
            beams=beams,
            laboratory=laboratory,
            fields=list(fields),
            preserve_variance=preserve_variance,
            least_mass=least_mass,
            output=output,
            frame_width=frame_width,
            frame_layers=frame_layers,
            dropout=dropout,
        )
        self._check_options()
        self.fields = tuple(fields)
        self.references = tuple(map(tuple, reference_vectors(least_mass)[0].tolist())) if beams else ()
        self.extra_nodes = len(self.references)
        columns = sum(len(PARTICLES) if name == "pdgId" else 1 for name in fields)
        channels = heads * (scalars + 4 * vectors + 16 * tensors)
        self.frames = FramePrediction(columns + _FEATURES * laboratory, frame_width, frame_layers, dropout)
        self.embedding = nn.Linear(columns + _FEATURES, channels)
        self.blocks = nn.ModuleList(
            TensorialBlock(
                TensorialAttention(channels, heads, scalars, vectors, tensors), channels, mlp_factor, dropout
            )
            for _ in range(blocks)
        )
        self.head = nn.Linear(channels, n_classes if output == "classes" else 1)
        if output == "momentum":
            begin_with_sum(self.head)

    def _check_options(self) -> None:
        options = self.options
        counts = {name: options[name] for name in ("heads", "blocks", "mlp_factor", "frame_width", "frame_layers")}
        ranks = {name: options[name] for name in ("scalars", "vectors", "tensors")}
        if min(counts.values()) < 1 or min(ranks.values()) < 0 or not any(ranks.values()):
            raise TaggerError(
                explain(
                    ", ".join(f"{name} = {value}" for name, value in (counts | ranks).items()),
                    "numbers of 1 or more; of scalars, vectors and tensors none below 0, and one above",
                    "leave them out for the paper's",
                )
            )
        if not 0 <= options["least_mass"] <= 1:
            raise TaggerError(
                explain(
                    f"least_mass = {options['least_mass']}", "a mass from 0 to 1 GeV", "use 0, or 5e-3 as published"
                )
            )

    def logits(self, jets: RaggedJets, *, beams: Tensor | None = None, **keywords: Any) -> Tensor:
        """Logits (J, n_classes), or momenta (J, 4) as (E, px, py, pz) in GeV, float64.

        Parameters
        ----------
        jets : RaggedJets
            The batch.
        beams : Tensor of float64, shape (3, 4), optional
            The (E, px, py, pz) of beams and time direction where they are not those of `reference_vectors`: boosted or
            rotated together with the jets.
        """

        def of_sorted(jets: RaggedJets) -> Tensor:
            heavy = with_least_mass(jets, self.options["least_mass"])
            found = self.network(heavy, columns_as_scalars(heavy, self.fields, self.dtype), beams)
            if self.output == "momentum":
                return segment_sum(found.double() * jets.p4, jets.offsets)
            return found

        return jets.by_multiplicity(of_sorted)

    def network(self, jets: RaggedJets, own_NS: Tensor, beams: Tensor | None = None) -> Tensor:
        """Logits (J, n_classes), or the c_i (N, 1), of jets whose constituents have columns (N, S)."""
        nodes = with_references(jets, self.options["least_mass"], beams) if self.extra_nodes else jets
        gram_Q, total_J4 = kernels.gram(nodes), segment_sum(nodes.p4, nodes.offsets)
        rest_M4 = _at_rest(nodes, gram_Q)
        found: Tensor | None = kernels.run(self, jets, own_NS, rest_M4, gram_Q, total_J4)
        if found is None:
            found = self._layers(jets, own_NS, rest_M4, gram_Q, total_J4)
        return found

    def _layers(self, jets: RaggedJets, own_NS: Tensor, rest_M4: Tensor, gram_Q: Tensor, total_J4: Tensor) -> Tensor:
        nodes = Squares.of(jets.offsets + self.extra_nodes * torch.arange(jets.num_jets + 1, device=jets.device))
        scalars_MS = self.node_scalars(jets, own_NS, total_J4, nodes)
        frames_N44 = self.frames(rest_M4, gram_Q, scalars_MS, nodes, self.extra_nodes)
        seen_NF, frames = self.seen(jets, own_NS, rest_M4[self.is_own(nodes)], frames_N44)
        h_NC: Tensor = self.embedding(seen_NF)
        squares = Squares.of(jets.offsets)
        for block in self.blocks:
            h_NC = block(h_NC, frames, squares)
        constituent_rows.record(h_NC)
        if jet_rows.wanted() or self.output == "classes":
            mean_JC = segment_mean(h_NC, jets.offsets)
            jet_rows.record(mean_JC)
        found: Tensor = self.head(h_NC if self.output == "momentum" else mean_JC)
        return found

    def is_own(self, nodes: Squares) -> Tensor:
        """Which nodes (M,) are constituents."""
        first_M = nodes.offsets[:-1][nodes.jet]
        return torch.arange(nodes.num_nodes, device=first_M.device) - first_M >= self.extra_nodes

    def node_scalars(self, jets: RaggedJets, own_NS: Tensor, total_J4: Tensor, nodes: Squares) -> Tensor:
        """What predicts frames of each node, (M, S): columns, features in the laboratory; 0 for references."""
        scalars_NS = own_NS
        if self.options["laboratory"]:
            total_N4 = total_J4.repeat_interleave(jets.counts, dim=0)
            scalars_NS = torch.cat([own_NS, frame_features(jets.p4, total_N4).to(self.dtype)], dim=1)
        given = scalars_NS.new_zeros(nodes.num_nodes, scalars_NS.shape[1])
        return given.index_put((self.is_own(nodes).nonzero()[:, 0],), scalars_NS)

    def seen(self, jets: RaggedJets, own_NS: Tensor, rest_N4: Tensor, frames_N44: Tensor) -> tuple[Tensor, LocalFrames]:
        """What the embedding sees of the constituents in their frames, (N, S + 7), and these as attention uses them."""
        total_J4 = segment_sum(rest_N4, jets.offsets)
        both = torch.stack([rest_N4, total_J4.repeat_interleave(jets.counts, dim=0)], dim=2)
        own, jet = products(frames_N44, both).unbind(2)
        features = frame_features(own, jet).to(self.dtype)
        frames = LocalFrames.of(frames_N44, self.gamma(jet, both[:, :, 1]), self.dtype)
        return torch.cat([own_NS, features], dim=1), frames

    def gamma(self, local_N4: Tensor, rest_N4: Tensor) -> Tensor | None:
        """The jet's Lorentz factor in each constituent's frame, (N,), from its momentum there and at rest.

        A constant in training, as in the official code.
        """
        if not self.options["preserve_variance"]:
            return None
        energy_N, rest_N4 = local_N4.detach()[:, 0], rest_N4.detach()
        square_N = (rest_N4[:, 0].square() - rest_N4[:, 1:].square().sum(1)).clamp(min=0)
        return (energy_N / (square_N + _MASS_FLOOR**2).sqrt()).clamp(min=_LEAST_GAMMA)


def _at_rest(nodes: RaggedJets, gram_Q: Tensor) -> Tensor:
    """Momenta (M, 4) of the nodes in the rest frame of jet and references, float64."""
    rest_M4 = RestFrame.of(nodes, gram_Q).p4
    # a constituent alone is at rest but for rounding, which has a direction
    alone = (nodes.counts == 1).repeat_interleave(nodes.counts)
    return torch.where(alone[:, None], rest_M4 * rest_M4.new_tensor([1.0, 0.0, 0.0, 0.0]), rest_M4)

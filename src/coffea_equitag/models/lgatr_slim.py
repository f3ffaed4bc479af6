"""L-GATr-slim.

Petitjean, Plehn, Spinner, Köthe, "Economical Jet Taggers – Equivariant, Slim, and Quantized", arXiv:2512.17011; after
Brehmer, Bresó, de Haan, Plehn, Qu, Spinner, Thaler, "A Lorentz-Equivariant Transformer for All of the LHC",
arXiv:2411.00446.

A transformer on the constituents of a jet whose features are scalars and Lorentz vectors. Attention weighs nodes by
the Minkowski products of their vectors and the products of their scalars; gates and norms are invariants. A token of
its own in every jet is classified. Spurions beside the constituents, the beams and the direction of time, reduce the
symmetry to rotations about the beam.

Departures from the official code: nothing is padded. The network runs in the rest frame of the jet (with spurions, of
the jet and the two beams), found from numerically stable invariants: the same outputs in exact arithmetic, and in
single precision the symmetry holds at any boost. Vectors that no output sees (those of the last block's perceptron)
have no weights.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.weaver_variables import Inputs, columns_of, plain, variables_of, weaver_features
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.momentum_weights import begin_with_sum
from ..layers.rest_frame import RestFrame
from ..layers.row_linear import RowLinear
from ..layers.saturation import saturated
from ..layers.segments import segment_mean, segment_sum
from ..layers.slim import SlimActivation, SlimLinear
from ..layers.slim_block import SlimBlock, SlimSizes
from ..layers.squares import Squares
from ..recording import constituent_rows, jet_rows

__all__ = ["LARGEST", "LGATrSlim"]

#: The two light-like vectors (E, px, py, pz) along the beams that all spurions are combinations of.
_BEAMS = ((1.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, -1.0))

#: Combinations of these: the beam along +z, as each option has it. Along −z the two change places.
_ALONG = {
    "lightlike": (1.0, 0.0),
    "timelike": ((2**0.5 + 1) / 2, (2**0.5 - 1) / 2),
    "spacelike": (0.5, -0.5),
}
_TIME = (0.5, 0.5)

#: Largest component of a vector that enters the network, in its unit: squares of sums of them stay finite in float32.
LARGEST = 1e6


class LGATrSlim(JetModel):
    """L-GATr-slim on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    beams : {"lightlike", "timelike", "spacelike"} or None
        Spurions along the beam: (1, 0, 0, ±1), (√2, 0, 0, ±1) or (0, 0, 0, ±1), in the network's unit.
    both_beams : bool
        Along +z and −z; otherwise along +z only.
    time : bool
        The spurion (1, 0, 0, 0). Without it and without beams the network is Lorentz invariant.
    inputs : "kinematic", "kinpid", "kinpidplus", "full", sequence or None
        Scalars of the constituents: variables of weaver's data configurations. Those of the momenta (``part_pt_log``,
        ``part_deta``, ...) reduce the symmetry to rotations about the beam; charge and particle identification do not.
    mirrored : bool
        Whether Δη in `inputs` has the sign of the jet's η, as in weaver's data sets.
    aggregation : {"token", "mean"}
        What is classified: the scalars of a token in each jet, or the mean of those of all nodes (spurions too).
        Without a token the nodes need scalars of their own.
    output : {"classes", "momentum"}
        Logits, or one covariant four-momentum per jet: Σ_i c_i p_i over the constituents, the c_i, which begin near 1,
        from the scalars, and the token's own vector (or the nodes' mean).
    vectors, scalars : int
        Channels of the two streams.
    n_layers, n_heads : int
        Blocks, and heads of their attention.
    mlp_ratio, mlp_layers, attention_ratio : int
        Width and number of layers of the perceptrons, and width of the attention, by that of the streams. The defaults
        give 2,013,826 parameters, the published 2.0 million.
    activation, vector_activation : str
        Of the gates of scalars and of vectors.
    gains : bool
        Whether the norms before attention and perceptron have a gain for each channel.
    unit : float
        Constituents' momenta are divided by it (GeV).
    dropout : float
        After attention and gates, while training.
    """

    kind: ClassVar[str] = "lgatr_slim"
    paper: ClassVar[str] = "Petitjean et al., arXiv:2512.17011"
    symmetry: ClassVar[str] = "rotations about the beam; Lorentz SO⁺(1,3) without spurions and kinematic inputs"
    embeds: ClassVar[str] = "scalars of the token after the last block (or the mean of the nodes')"

    def __init__(
        self,
        n_classes: int = 2,
        beams: Literal["lightlike", "timelike", "spacelike"] | None = "lightlike",
        both_beams: bool = True,
        time: bool = True,
        inputs: Inputs | None = None,
        mirrored: bool = False,
        aggregation: Literal["token", "mean"] = "token",
        output: Literal["classes", "momentum"] = "classes",
        vectors: int = 32,
        scalars: int = 96,
        n_layers: int = 12,
        n_heads: int = 8,
        mlp_ratio: int = 4,
        mlp_layers: int = 2,
        attention_ratio: int = 1,
        activation: SlimActivation = "gelu",
        vector_activation: SlimActivation = "sigmoid",
        gains: bool = True,
        unit: float = 20.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            n_classes=n_classes,
            beams=beams,
            both_beams=both_beams,
            time=time,
            inputs=None if inputs is None else plain(inputs),
            mirrored=mirrored,
            aggregation=aggregation,
            output=output,
            vectors=vectors,
            scalars=scalars,
            n_layers=n_layers,
            n_heads=n_heads,
            mlp_ratio=mlp_ratio,
            mlp_layers=mlp_layers,
            attention_ratio=attention_ratio,
            activation=activation,
            vector_activation=vector_activation,
            gains=gains,
            unit=unit,
            dropout=dropout,
        )
        self._check()
        along = [] if beams is None else [_ALONG[beams], _ALONG[beams][::-1]][: 1 + both_beams]
        self.spurions = [*along, *[_TIME] * time]
        self.references = _BEAMS if self.spurions else ()
        self.token = int(aggregation == "token")
        self.extra_nodes = self.token + len(self.spurions)
        self.fields = () if inputs is None else columns_of(inputs)
        features = 0 if inputs is None else len(variables_of(inputs))
        sizes = SlimSizes(
            vectors=vectors,
            scalars=scalars,
            heads=n_heads,
            attention_ratio=attention_ratio,
            mlp_ratio=mlp_ratio,
            mlp_layers=mlp_layers,
            activation=activation,
            vector_activation=vector_activation,
            gains=gains,
            dropout=dropout,
        )
        self.embedding = SlimLinear((1, vectors), (features + self.token, scalars))
        self.blocks = nn.ModuleList(
            SlimBlock(sizes, keeps_vectors=output == "momentum" or layer < n_layers - 1) for layer in range(n_layers)
        )
        made = (vectors, int(output == "momentum")), (scalars, n_classes if output == "classes" else 1)
        last = SlimLinear(*made, linear=RowLinear)
        assert last.scalars is not None
        self.head, self.vector_head = last.scalars, last.vectors
        if output == "momentum":
            begin_with_sum(self.head)

    def _check(self) -> None:
        positive = ("vectors", "scalars", "n_layers", "n_heads", "mlp_ratio", "attention_ratio", "unit")
        small = [f"{name} = {self.options[name]}" for name in positive if self.options[name] <= 0]
        if self.options["mlp_layers"] < 2:
            small.append(f"mlp_layers = {self.options['mlp_layers']}")
        if not 0 <= self.options["dropout"] < 1:
            small.append(f"dropout = {self.options['dropout']}")
        if small:
            raise TaggerError(
                explain(
                    f"{', '.join(small)} for lgatr_slim",
                    "positive numbers, two or more mlp_layers, dropout from 0 to below 1",
                    "leave them out for the paper's",
                )
            )
        if self.options["aggregation"] == "mean" and self.options["inputs"] is None:
            raise TaggerError(
                explain(
                    "aggregation = 'mean' without inputs for lgatr_slim",
                    "scalars at the nodes, which otherwise only the token has",
                    "set inputs, or aggregation='token'",
                )
            )

    def logits(self, jets: RaggedJets, *, beams: Tensor | None = None, **keywords: Any) -> Tensor:
        """Logits (J, n_classes), or momenta (J, 4) as (E, px, py, pz) in GeV, float64.

        Parameters
        ----------
        jets : RaggedJets
            The batch.
        beams : Tensor of float64, shape (2, 4), optional
            What (1, 0, 0, 1) and (1, 0, 0, −1) have become, if they are transformed together with the jets.
        """
        return jets.by_multiplicity(lambda jets: self._outputs(jets, beams))

    def _outputs(self, jets: RaggedJets, beams: Tensor | None) -> Tensor:
        frame, framed = self._rest_frame(jets, beams)
        nodes = self._nodes(jets)
        vectors_N4 = self._place(nodes, framed, frame)
        vectors, scalars = self.features(vectors_N4, self.scalars(jets, nodes), nodes.offsets)
        own = ~nodes.columns["reference"]
        constituent_rows.record(scalars[own])
        pooled = self._pooled(scalars, nodes)
        jet_rows.record(pooled)
        if self.output == "classes":
            logits: Tensor = self.head(pooled)
            return logits
        assert self.vector_head is not None
        weight_N1 = self.head(scalars[own]).double()
        moved = self._pooled(self.vector_head(vectors)[..., 0], nodes).double() * self.options["unit"]
        return segment_sum(weight_N1 * jets.p4, jets.offsets) + frame.to_laboratory(moved)

    def features(self, vectors_N4: Tensor, scalars: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """The network itself, given its nodes: features after the last block.

        Parameters
        ----------
        vectors_N4 : Tensor, shape (N, 4)
            (E, px, py, pz) of the nodes in units of `unit`, token and spurions included, in any frame.
        scalars : Tensor, shape (N, F)
            Their scalars.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries, token and spurions counted.

        Returns
        -------
        (Tensor, Tensor)
            Vectors (N, 4, V), or (N, 4, 0) in a classifier, and scalars (N, S).
        """
        fused: tuple[Tensor, Tensor] | None = kernels.run(self, vectors_N4, scalars, offsets)
        if fused is not None:
            return fused
        squares = Squares.of(offsets)
        vectors, scalars = self.embedding(vectors_N4[..., None], scalars)
        for block in self.blocks:
            vectors, scalars = block(vectors, scalars, squares)
        return vectors, scalars

    def scalars(self, jets: RaggedJets, nodes: RaggedJets) -> Tensor:
        """Scalars of the nodes: `inputs` of the constituents, 0 for the others, and 1 for the token: (N, F)."""
        features = 0 if self.options["inputs"] is None else len(variables_of(self.options["inputs"]))
        found = nodes.p4.new_zeros(len(nodes.p4), features + self.token)
        if features:
            own = weaver_features(jets, self.options["inputs"], self.options["mirrored"])
            found[~nodes.columns["reference"], :features] = own
        if self.token:
            found[nodes.offsets[:-1], -1] = 1.0
        return found.to(self.dtype)

    def _nodes(self, jets: RaggedJets) -> RaggedJets:
        """The jets with places for the token and the spurions."""
        return jets.prepend(jets.p4.new_zeros(self.extra_nodes, 4), jets.p4.new_zeros(self.extra_nodes))

    def _rest_frame(self, jets: RaggedJets, beams: Tensor | None) -> tuple[RestFrame, RaggedJets]:
        """Rest frame of each jet, the beams counted where there are spurions, and the nodes that it is of."""
        front = jets.p4.new_tensor(self.references).view(-1, 4) if beams is None else beams.to(jets.p4)
        front = front if self.spurions else front[:0]
        framed = jets.prepend(front, front.new_zeros(len(front)))
        return RestFrame.of(framed, kernels.gram(framed)), framed

    def _place(self, nodes: RaggedJets, framed: RaggedJets, frame: RestFrame) -> Tensor:
        """Vectors of the nodes (N, 4) in the rest frame and in the network's unit: token, spurions, constituents."""
        reference = framed.columns["reference"]
        found = frame.p4.new_zeros(len(nodes.p4), 4)
        found[~nodes.columns["reference"]] = frame.p4[~reference] / self.options["unit"]
        if self.spurions:
            beams = frame.p4[reference].view(framed.num_jets, 2, 4)
            spurions = frame.p4.new_tensor(self.spurions) @ beams
            front = nn.functional.pad(spurions, (0, 0, self.token, 0))
            found[nodes.columns["reference"]] = front.flatten(0, 1)
        return saturated(found, LARGEST).to(self.dtype)

    def _pooled(self, rows_NC: Tensor, nodes: RaggedJets) -> Tensor:
        """Rows of the tokens, or the mean over the nodes: (J, C)."""
        return rows_NC[nodes.offsets[:-1]] if self.token else segment_mean(rows_NC, nodes.offsets)

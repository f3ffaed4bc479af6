"""PELICAN.

Bogatskiy, Hoffman, Miller, Offermann, "PELICAN: Permutation Equivariant and Lorentz Invariant or Covariant Aggregator
Network for Particle Physics", arXiv:2211.00454; and with Liu, "Explainable Equivariant Neural Networks for Particle
Physics: PELICAN", JHEP 03 (2024) 113, arXiv:2307.16506; reduced symmetries by spurions and by inputs, arXiv:2310.16121.

The network sees only the matrix of products p_i·p_j of a jet. Five blocks act on it, each a message (pair by pair) and
the general permutation-equivariant linear map from pairs to pairs. For classification the pairs are reduced to one
vector per jet; for regression to one weight per constituent, and P = Σ c_i p_i. One departure, in the first weights:
the c_i begin near 1, and P near the sum of the constituents.

The symmetry may be reduced to a subgroup: by *spurions*, fixed vectors put beside the constituents with labels of
their own, or by *inputs*, invariants r of the subgroup that enter as further pair channels r_i r_j. The channels
r_i r_j start with weight zero: networks with inputs that were built from the same seed give the same outputs whatever
the symmetry, SO(1,3) among them, until they are trained; ``"1_0"``, which lacks p_i·p_j, starts from others. With
spurions, all weights but those of the embedding are the
same draws again; the outputs are not, since the spurions take part in every mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import awkward as ak
import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets, boundaries
from ..layers.aggregates import Aggregation
from ..layers.broken_symmetry import SYMMETRIES, SymmetryName
from ..layers.equivariant_1to2 import Equivariant1to2
from ..layers.equivariant_2to2 import Equivariant2to2
from ..layers.equivariant_readout import Equivariant2to0, Equivariant2to1
from ..layers.jet_frame import jet_frame
from ..layers.momentum_weights import begin_with_sum
from ..layers.pair_encoder import PairEncoder
from ..layers.pair_message import PairMessage, kaiming_linear
from ..layers.segments import segment_mean
from ..layers.squares import Squares
from ..recording import constituent_rows, jet_rows
from .lorentznet import PARTICLES
from .pelican_inputs import columns_as_scalars, first_linear, products_with_inputs, products_with_spurions, with_labels
from .pelican_momentum import momenta, of_constituents
from .pelican_options import SIZES, Size, check_combination

__all__ = ["PELICAN", "SIZES"]

_LAYERS = 5


class PELICAN(JetModel):
    """PELICAN on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    size : str or three int
        One of `SIZES`, named for the parameters that they have with two spurions (3,510, 5,933, 11,347, 26,494, 48,482,
        208,797), or the three channel numbers themselves.
    symmetry : str
        ``"so13"`` (Lorentz), ``"so3"``, ``"so12"``, ``"se2"``, ``"so2"``, ``"so2_0"``, ``"R"`` (boosts along z),
        ``"1"``, ``"11"``, ``"1_0"`` or ``"11_0"`` (none): the part of the symmetry that is kept, by the names of the
        official ``--stabilizer``.
    method : str
        ``"spurions"`` or ``"input"``: how it is broken; the same for so13, where nothing is broken.
    factorize : bool
        Factorise the coefficients; otherwise there are several times as many parameters.
    irc_safe : bool
        Infrared and collinear safe: the network sees angles 2 d_ij/(E_i E_j) in the jet's frame, and each aggregate
        is weighted with the energy fractions E_i/M. Not with the input method.
    output : str
        ``"classes"``, or ``"momentum"``: a four-momentum (J, 4) in GeV, covariant under the symmetry that is kept.
    fields : sequence of str
        Constituent columns that the network sees: ``"pdgId"`` as one-hot of |id| among `PARTICLES`, others
        (``"charge"``, ...) as the numbers they are.
    aggregation : str, optional
        ``"mean"``: means with trainable powers of n/n̄, as published. ``"sum"``: sums over n̄; default, and
        required, if `irc_safe`, since n is not safe.
    mean_count : float
        n̄; the official code takes 49 for top tagging and 20 for regression.
    diagonal : bool, optional
        Keep the operations that act on the diagonal of the matrix alone; default, unless `irc_safe`: they tell two
        collinear constituents from one. The official code keeps them there too.
    dropout : float
        On every message and before the last layer, while training.

    Raises
    ------
    TaggerError
        For values that are not allowed, or not together.
    """

    kind: ClassVar[str] = "pelican"
    paper: ClassVar[str] = "Bogatskiy et al., arXiv:2211.00454; JHEP 03 (2024) 113, arXiv:2307.16506; arXiv:2310.16121"
    symmetry: ClassVar[str] = (
        "Lorentz SO⁺(1,3), or a subgroup of choice: SO(3), SO(1,2), SE(2), SO(2), boosts along z, none"
    )
    embeds: ClassVar[str] = "the last aggregation over pairs (for momenta, over each node's, then their mean)"

    def __init__(
        self,
        n_classes: int = 2,
        size: Size | Sequence[int] = "11k",
        symmetry: SymmetryName = "so2",
        method: Literal["spurions", "input"] = "spurions",
        factorize: bool = True,
        irc_safe: bool = False,
        output: Literal["classes", "momentum"] = "classes",
        fields: Sequence[str] = (),
        aggregation: Literal["mean", "sum"] | None = None,
        mean_count: float = 49.0,
        diagonal: bool | None = None,
        dropout: float = 0.025,
    ) -> None:
        aggregation = ("sum" if irc_safe else "mean") if aggregation is None else aggregation
        diagonal = not irc_safe if diagonal is None else diagonal
        super().__init__(
            n_classes=n_classes,
            size=size if isinstance(size, str) else list(size),
            symmetry=symmetry,
            method=method,
            factorize=factorize,
            irc_safe=irc_safe,
            output=output,
            fields=list(fields),
            aggregation=aggregation,
            mean_count=mean_count,
            diagonal=diagonal,
            dropout=dropout,
        )
        check_combination(self.options)
        self.fields = tuple(fields)
        self.broken = SYMMETRIES[symmetry]
        self.by_spurions = method == "spurions"
        self.extra_nodes = len(self.broken.spurions) if self.by_spurions else 0
        scalars = sum(len(PARTICLES) if name == "pdgId" else 1 for name in fields)
        scalars += 1 + self.extra_nodes if self.extra_nodes else 0

        wide, narrow, embedded = SIZES[size] if isinstance(size, str) else size
        embedded = embedded if scalars else 0
        self.message_channels = narrow
        how = Aggregation(aggregation, mean_count)

        channels = SYMMETRIES["so13"] if self.by_spurions else self.broken
        self.embedding = first_linear(channels.first_weights, wide - embedded)
        self.encoder = PairEncoder(wide - embedded, angles=irc_safe)
        self.messages = nn.ModuleList(PairMessage(wide, narrow, dropout=dropout) for _ in range(_LAYERS + 1))
        self.blocks = nn.ModuleList(
            Equivariant2to2(narrow, wide, factorize=factorize, aggregation=how, diagonal=diagonal)
            for _ in range(_LAYERS)
        )
        self.readout: Equivariant2to0 | Equivariant2to1
        if output == "classes":
            self.readout = Equivariant2to0(narrow, wide, aggregation=how)
            outputs = n_classes
        else:
            self.readout = Equivariant2to1(narrow, wide, factorize=factorize, aggregation=how)
            outputs = 1 if self.by_spurions else len(self.broken.blocks)
        # the official code ends on an activation, logits and weights alike
        self.head = nn.Sequential(nn.Dropout(dropout), kaiming_linear(wide, outputs), nn.LeakyReLU(0.01))
        if output == "momentum":
            begin_with_sum(self.head[1])
        # last, so that all other weights are the same with and without it
        self.scalars_to_pairs = (
            Equivariant1to2(scalars, embedded, aggregation=how, diagonal=diagonal) if scalars else None
        )

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes); with ``output="momentum"``, four-momenta (J, 4) in GeV, float64."""
        fused: Tensor | None = kernels.run(self, jets, entry="network_from_jets")
        return jets.by_multiplicity(self._outputs) if fused is None else self._of_jets(jets, fused)

    def _outputs(self, jets: RaggedJets) -> Tensor:
        return self._of_jets(jets, self.network(self.products(jets), self.scalars(jets), self._offsets(jets)))

    def _of_jets(self, jets: RaggedJets, out: Tensor) -> Tensor:
        """What `network` gives, as it is or summed to momenta."""
        if self.output == "classes":
            return out
        blocks = (self.broken if not self.by_spurions else SYMMETRIES["so13"]).blocks
        return momenta(jets, out, blocks, self.broken.spurions[: self.extra_nodes])

    def products(self, jets: RaggedJets) -> Tensor:
        """What the network sees of the momenta: pair channels (Q, R), float64, spurions before the constituents.

        The last channel is p_i·p_j in GeV² (``"1_0"`` has none); those before it are r_i r_j for each input r.
        """
        if self.by_spurions:
            return products_with_spurions(jets, self.broken, self._offsets(jets))
        return products_with_inputs(jets, self.broken)

    def scalars(self, jets: RaggedJets) -> Tensor | None:
        """Scalars of each node, (N, S): the columns of `fields`, then a one-hot: constituent, first spurion, ..."""
        if self.scalars_to_pairs is None:
            return None
        own = self.own_scalars(jets)
        return with_labels(own, jets.offsets, self._offsets(jets), self.extra_nodes) if self.extra_nodes else own

    def own_scalars(self, jets: RaggedJets) -> Tensor:
        """The columns of `fields` as scalars of the constituents, without spurions and labels."""
        return columns_as_scalars(jets, self.fields, self.dtype)

    def network(self, products_QR: Tensor, scalars_NS: Tensor | None, offsets: Tensor) -> Tensor:
        """The network itself, given its inputs.

        Parameters
        ----------
        products_QR : Tensor of float64, shape (Q, R)
            Pair channels, see `products`.
        scalars_NS : Tensor, shape (N, S), or None
            Node scalars, see `scalars`.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries, spurions counted.

        Returns
        -------
        Tensor, shape (J, n_classes), or (N, B) with ``output="momentum"``
            Logits, or the weights of each node.
        """
        fused: Tensor | None = kernels.run(self, products_QR, scalars_NS, offsets)
        if fused is not None:
            return fused
        return self.on_squares(products_QR, scalars_NS, Squares.of(offsets))

    def on_squares(self, products_QR: Tensor, scalars_NS: Tensor | None, squares: Squares) -> Tensor:
        """The layers of `network`, on jets that are laid out."""
        weight_N = None
        if self.options["irc_safe"]:
            products_QR, weight_N = jet_frame(products_QR, squares)
            weight_N = weight_N.to(self.dtype)
        pairs = self.encoder(self.embedding(products_QR.to(self.dtype)))
        if self.scalars_to_pairs is not None:
            pairs = torch.cat([pairs, self.scalars_to_pairs(scalars_NS, squares, weight_N)], dim=1)
        *messages, last_message = self.messages
        for message, block in zip(messages, self.blocks, strict=True):
            pairs = block(message(pairs), squares, weight_N)
        pairs = last_message(pairs)
        if constituent_rows.wanted():
            constituent_rows.record(self._rows(pairs, squares, weight_N), self._is_spurion(squares.offsets))
        found = self.readout(pairs, squares, weight_N)
        if jet_rows.wanted():
            jet_rows.record(found if self.output == "classes" else segment_mean(found, squares.offsets))
        out: Tensor = self.head(found)
        return out

    def _rows(self, pairs_QC: Tensor, squares: Squares, weight_N: Tensor | None) -> Tensor:
        """X_ii, and X_ij and X_ji summed over j: what the last messages say of each node, (N, 3 C)."""
        sums = self.readout.aggregation(pairs_QC, squares, weight_N)
        return torch.cat([sums.diagonal, sums.row, sums.column], dim=1).to(pairs_QC)

    def _is_spurion(self, offsets: Tensor) -> Tensor:
        """Which nodes are spurions, the first of each jet: (N,)."""
        first = torch.arange(self.extra_nodes, device=offsets.device)
        nodes = torch.zeros(int(offsets[-1]), dtype=torch.bool, device=offsets.device)
        return nodes.index_fill(0, (offsets[:-1, None] + first).flatten(), True)

    def weights(self, jets: ak.Array | RaggedJets, *, references: bool = False) -> Tensor:
        """The c_i of P = Σ c_i p_i: the contribution of each constituent to the momentum.

        Parameters
        ----------
        jets : ak.Array or RaggedJets
            Canonical jets.
        references : bool
            Keep the rows of the spurions, which come first in each jet and are part of the sum.

        Returns
        -------
        Tensor, shape (N, B)
            B = 1 with spurions. With inputs, one for each block that the momentum falls into under the symmetry.

        Raises
        ------
        TaggerError
            If the network's output is not a momentum.
        """
        if self.options["output"] != "momentum":
            raise TaggerError(
                explain("weights of a network for classes", "output='momentum'", "build it with output='momentum'")
            )
        ragged = jets if isinstance(jets, RaggedJets) else RaggedJets.from_awkward(jets, self.fields)
        ragged = ragged.to(self.device)
        out = self.network(self.products(ragged), self.scalars(ragged), self._offsets(ragged))
        if references or not self.extra_nodes:
            return out
        return of_constituents(out, ragged, self.extra_nodes)

    def _offsets(self, jets: RaggedJets) -> Tensor:
        """Boundaries (J + 1,) of the jets with their spurions."""
        return boundaries(jets.counts + self.extra_nodes) if self.extra_nodes else jets.offsets

"""Particle Transformer.

Qu, Li, Qian, "Particle Transformer for Jet Tagging", ICML 2022, arXiv:2202.03772.

Constituents attend to each other, with a bias that a small network makes of ln kT, ln z, ln ΔR and ln m² of each pair;
a class token then attends to the constituents and is classified.

Departures from the official code: attention, and the statistics of batch normalisation, are over a jet's own
constituents and pairs, without padding; m² of a pair is made of numerically stable products (`invariants.minkowski`)
and ΔR of stable rapidities, where the official code subtracts squares: it takes m² of a collinear or boosted pair from
the rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..errors import TaggerError, explain
from ..invariants.pair_logarithms import PAIR_LOGARITHMS, pair_logarithms
from ..invariants.weaver_variables import Inputs, columns_of, plain, variables_of, weaver_features
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.attention_block import ClassAttentionBlock, ParticleAttentionBlock
from ..layers.batch_norm import RowBatchNorm
from ..layers.pair_bias import PairBias
from ..layers.squares import Squares
from ..layers.unordered_pairs import UnorderedPairs
from ..recording import constituent_rows, jet_rows

__all__ = ["ParticleTransformer"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}


class ParticleTransformer(JetModel):
    """Particle Transformer on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    inputs : "kinematic", "kinpid", "kinpidplus", "full" or sequence
        The constituents' variables with their standardisation (`invariants.weaver_variables`). 2,142,166 parameters
        with the seven "kinematic" ones and ten classes.
    mirrored : bool
        Whether Δη has the sign of the jet's η, as in weaver's data sets.
    embed_widths : sequence of int
        Widths of the embedding of the constituents; the last is that of the network, a multiple of `heads`.
    pair_widths : sequence of int, or None
        Hidden widths of the embedding of the pairs; None: attention without their bias.
    heads : int
        Heads of the attention.
    layers, class_layers : int
        Number of particle attention blocks, and of class attention blocks.
    ratio : int
        Width of the blocks' feed-forward networks over that of the network.
    units : sequence of int
        Widths of the classifier's hidden layers.
    activation : {"gelu", "relu"}
        Of the constituents' embedding and the blocks; that of the pairs has GELU.
    pair_activation : bool
        Whether the bias passes through the activation at last, as in the published networks; off in the default of
        weaver-core, ``use_pre_activation_pair=True``.
    self_pairs : bool
        Whether a constituent with itself is a pair: weaver's ``remove_self_pair=False``.
    dropout : float
        In the particle attention blocks, while training.

    Raises
    ------
    TaggerError
        For unknown inputs, sizes below 1, or a width that the heads do not divide.
    """

    kind: ClassVar[str] = "particle_transformer"
    paper: ClassVar[str] = "Qu, Li, Qian, ICML 2022, arXiv:2202.03772"
    symmetry: ClassVar[str] = "permutations, rotations about the beam; the bias has a Lorentz-invariant part"
    embeds: ClassVar[str] = "the class token after the last block, normalised"

    def __init__(
        self,
        n_classes: int = 2,
        inputs: Inputs = "kinematic",
        mirrored: bool = False,
        embed_widths: Sequence[int] = (128, 512, 128),
        pair_widths: Sequence[int] | None = (64, 64, 64),
        heads: int = 8,
        layers: int = 8,
        class_layers: int = 2,
        ratio: int = 4,
        units: Sequence[int] = (),
        activation: Literal["gelu", "relu"] = "gelu",
        pair_activation: bool = True,
        self_pairs: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            n_classes=n_classes,
            inputs=plain(inputs),
            mirrored=mirrored,
            embed_widths=list(embed_widths),
            pair_widths=pair_widths if pair_widths is None else list(pair_widths),
            heads=heads,
            layers=layers,
            class_layers=class_layers,
            ratio=ratio,
            units=list(units),
            activation=activation,
            pair_activation=pair_activation,
            self_pairs=self_pairs,
            dropout=dropout,
        )
        self._check_sizes()
        self.fields = columns_of(inputs)
        act, width = _ACTIVATIONS[activation], embed_widths[-1]
        features = len(variables_of(inputs))
        self.embedding = nn.Sequential(RowBatchNorm(features))
        for before, after in pairwise([features, *embed_widths]):
            self.embedding.extend([nn.LayerNorm(before), nn.Linear(before, after), act()])
        last = {"last_activation": pair_activation, "with_self": self_pairs}
        self.pair_bias = None if pair_widths is None else PairBias(len(PAIR_LOGARITHMS), pair_widths, heads, **last)
        self.blocks = nn.ModuleList(
            ParticleAttentionBlock(width, heads, ratio * width, act, dropout) for _ in range(layers)
        )
        self.class_blocks = nn.ModuleList(
            ClassAttentionBlock(width, heads, ratio * width, act, dropout=0.0) for _ in range(class_layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential()
        for before, after in pairwise([width, *units]):
            self.head.extend([nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)])
        self.head.append(nn.Linear([width, *units][-1], n_classes))
        self.class_token = nn.Parameter(torch.zeros(width))
        self._initialise()

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes)."""
        fused: Tensor | None = kernels.run(self, jets, entry="logits_from_jets")
        return jets.by_multiplicity(self._of_sorted) if fused is None else fused

    def _of_sorted(self, jets: RaggedJets) -> Tensor:
        return self.network(self.features(jets), jets.offsets, self.pair_features(jets))

    def features(self, jets: RaggedJets) -> Tensor:
        """What the network sees of each constituent: (N, F), as many columns as `inputs` names."""
        return weaver_features(jets, self.options["inputs"], self.options["mirrored"], self.dtype)

    def pair_features(self, jets: RaggedJets) -> Tensor | None:
        """Four logarithms (T, 4) of each pair j ≤ i, computed in float64; None without the bias."""
        if self.pair_bias is None:
            return None
        pairs = UnorderedPairs.of(Squares.of(jets.offsets))
        rows = pairs.first, pairs.second, pairs.place, pairs.diagonal
        return pair_logarithms(jets.p4, kernels.gram(jets), *rows).to(self.dtype)

    def network(self, features_NF: Tensor, offsets: Tensor, pairs_T4: Tensor | None = None) -> Tensor:
        """The network itself, given its inputs.

        Parameters
        ----------
        features_NF : Tensor, shape (N, F)
            Features of the constituents.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries; jets of equal n are processed together if they are consecutive.
        pairs_T4 : Tensor, shape (T, 4), optional
            ln kT, ln z, ln ΔR and ln m² of the pairs j ≤ i (`layers.unordered_pairs`), unless `pair_widths` is None.

        Returns
        -------
        Tensor, shape (J, n_classes)
        """
        fused: Tensor | None = kernels.run(self, features_NF, offsets, pairs_T4)
        if fused is not None:
            return fused
        squares = Squares.of(offsets)
        bias_QH = None if self.pair_bias is None else self.pair_bias(pairs_T4, UnorderedPairs.of(squares))
        x_NC = self.embedding(features_NF)
        for block in self.blocks:
            x_NC = block(x_NC, squares, bias_QH)
        constituent_rows.record(x_NC)
        token_JC = self.class_token.expand(len(squares.counts), -1)
        for block in self.class_blocks:
            token_JC = block(token_JC, x_NC, squares)
        token_JC = self.norm(token_JC)
        jet_rows.record(token_JC)
        logits: Tensor = self.head(token_JC)
        return logits

    def _check_sizes(self) -> None:
        names = ("heads", "layers", "class_layers", "ratio", "embed_widths", "units", "pair_widths")
        sizes = {name: self.options[name] for name in names}
        wrong = [
            f"{name} = {value}"
            for name, value in sizes.items()
            if value is not None and min([value] if isinstance(value, int) else value, default=1) < 1
        ]
        if wrong or not sizes["embed_widths"]:
            given = ", ".join(wrong) or "embed_widths = []"
            raise TaggerError(explain(given, "sizes of 1 or more", "leave them out for the paper's"))
        width = sizes["embed_widths"][-1]
        if width % sizes["heads"]:
            given = f"{width} channels for {sizes['heads']} heads"
            raise TaggerError(explain(given, "a multiple of the heads", "change heads, or the last width"))

    @torch.no_grad()
    def _initialise(self) -> None:
        """Xavier's weights, less the deeper a block is, as weaver-core begins."""
        nn.init.trunc_normal_(self.class_token, std=0.02)
        parts = [self.embedding, self.blocks, self.class_blocks, self.head]
        for layer in (module for part in parts for module in part.modules() if isinstance(module, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for block in (*self.blocks, *self.class_blocks):
            for third in block.attention.in_proj.weight.chunk(3):
                nn.init.xavier_uniform_(third)
        for depth, block in enumerate(self.blocks, start=1):
            for name in ("attention.out_proj", "feed_forward.5"):
                block.get_submodule(name).get_parameter("weight").div_((2 * depth) ** 0.5)

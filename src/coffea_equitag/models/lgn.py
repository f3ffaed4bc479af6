"""LGN, the Lorentz group network, and CLARIANT, its ancestor.

Bogatskiy, Anderson, Offermann, Roussi, Miller, Kondor, "Lorentz group equivariant neural network for particle
physics", ICML 2020, arXiv:2006.04780.

Every constituent (and beam) carries complex features in tensors of the Lorentz group of rank at most 2. Each level
multiplies them by the momentum differences of all pairs, weighted by learned bell functions of (p_i − p_j)², and with
themselves, keeps the irreducible parts, mixes the channels, and passes the scalars through a perceptron. The
scalars and the squares of all tensors at all levels, summed over the constituents, are classified linearly.

Three things differ from the official code, none of which changes the function: the tensors are real
Cartesian ones, s, v^μ, F^{μν} and S^{μν}, twice for (Re, Im), in place of spherical ones and Clebsch-Gordan
coefficients; they are taken in the rest frame of the jet, reached from stable invariants, and in float64, so that
the invariance holds to rounding at every boost; and nothing is padded, where the official perceptron's biases act
on padding and change the logits. One choice: a pair i ≠ j with (p_i − p_j)² exactly 0 (two collinear massless
constituents) sees the bells at 0, where the official code takes it for i = j.

The readout ``top="pmlp"`` of the official code mixes up its array of (Re, Im) of all nodes of all jets of a batch, so
that its scores depend on the batch and on the order of the constituents. Ours reads each node's own numbers, unless
`interleaved` asks for what the official code gives for a jet alone, which its checkpoints need.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers import lgn_invariants as invariants
from ..layers.activations import ActivationName
from ..layers.complex_mixing import ComplexMixing
from ..layers.lgn_level import LGNLevel
from ..layers.lorentz_tensors import LorentzTensors
from ..layers.node_readout import NodeReadout, real_parts_first
from ..layers.pairs import Pairs
from ..layers.rest_frame import RestFrame
from ..layers.saturation import saturated
from ..layers.segments import segment_sum
from ..layers.tensor_product import TensorProduct
from ..recording import constituent_rows, jet_rows
from .beams import BEAMS, with_beams
from .lgn_options import KEPT, check_levels, check_vectors, for_each

__all__ = ["LGN"]


class LGN(JetModel):
    """LGN on ragged jets.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    levels : int
        Number of levels: 3 in the paper (4,646 parameters), 4 give 6,482; CLARIANT
        is ``levels=2, channels=(2, 2, 2)`` or near.
    channels : sequence of int or int
        Complex channels of each tensor, before the first level and after each; the last is repeated if short.
    maxdim : int or sequence of int
        Keep irreps (k, n) with k, n < maxdim: 3 for scalars, vectors and rank 2; 2 for scalars and vectors; 1 for
        scalars. One for all levels, or one for each; the last is repeated if short.
    n_bells : int
        Half the number of bells per level.
    mlp_depth, mlp_width : int
        Hidden layers of each perceptron, and their width in units of its inputs.
    beams : bool
        Put the two beams into each jet, which leaves the symmetry SO(2) × boosts along z unless the beams are
        transformed with the jet.
    scale : float
        Factor on momenta and beams.
    output : str
        ``"classes"`` for logits, ``"momentum"`` for one four-vector per jet, covariant.
    max_zf : int
        Highest power of p_i − p_j that multiplies the features: 1, or 2 for its traceless square as well.
    pmu_in : bool, optional
        Give the first level the momenta themselves (and with ``max_zf=2`` their traceless squares), besides scalars.
        By default only for ``output="momentum"``: what follows from the differences p_i − p_j alone has no part along
        the sum of the momenta.
    mlp : bool
        Whether there are perceptrons at all.
    activation : str
        Of the perceptrons: ``"leakyrelu"``, ``"relu"``, ``"elu"``, ``"sigmoid"``, ``"logsigmoid"`` or ``"atan"``.
    full_scalars : bool
        Read out the squares of all tensors, or only scalars.
    top : str
        Readout: ``"linear"`` in sums over the jet; ``"pmlp"`` with one perceptron for nodes and one for their sum,
        which is `mlp_width` times as wide as the invariants.
    interleaved : bool
        For ``top="pmlp"``: take the nodes' numbers in the order in which the official code reads them.
    """

    kind: ClassVar[str] = "lgn"
    paper: ClassVar[str] = "Bogatskiy et al., ICML 2020, arXiv:2006.04780"
    symmetry: ClassVar[str] = "Lorentz SO⁺(1,3); with beams, what leaves the beams alone"
    embeds: ClassVar[str] = (
        "scalars and squares of the other tensors of all levels, summed over a jet's nodes (pmlp: what it sums)"
    )

    def __init__(
        self,
        n_classes: int = 2,
        levels: int = 3,
        channels: Sequence[int] | int = (2, 3, 4, 3),
        maxdim: Sequence[int] | int = 3,
        n_bells: int = 10,
        mlp_depth: int = 3,
        mlp_width: int = 2,
        beams: bool = True,
        scale: float = 0.005,
        output: Literal["classes", "momentum"] = "classes",
        max_zf: Literal[1, 2] = 1,
        pmu_in: bool | None = None,
        mlp: bool = True,
        activation: ActivationName = "leakyrelu",
        full_scalars: bool = True,
        top: Literal["linear", "pmlp"] = "linear",
        interleaved: bool = False,
    ) -> None:
        widths = for_each(channels, levels + 1)
        pmu_in = output == "momentum" if pmu_in is None else pmu_in
        super().__init__(
            n_classes=n_classes,
            levels=levels,
            channels=widths,
            maxdim=maxdim if isinstance(maxdim, int) else list(maxdim),
            n_bells=n_bells,
            mlp_depth=mlp_depth,
            mlp_width=mlp_width,
            beams=beams,
            scale=scale,
            output=output,
            max_zf=max_zf,
            pmu_in=pmu_in,
            mlp=mlp,
            activation=activation,
            full_scalars=full_scalars,
            top=top,
            interleaved=interleaved,
        )
        dims = for_each(maxdim, levels)
        check_levels(levels, widths, dims)
        self.references = BEAMS if beams else ()
        self.extra_nodes = len(self.references)
        scalars = 2 if beams else 1
        irreps: tuple[str, ...] = ("s", "v", "S")[: 1 + max_zf * pmu_in]
        self.input = (
            ComplexMixing(dict.fromkeys(irreps, 1) | {"s": scalars}, widths[0])
            if pmu_in
            else nn.Linear(scalars, 2 * widths[0])
        )
        self.levels, self.norms = nn.ModuleList(), nn.ModuleList()
        self.input_norm = invariants.squares(irreps if full_scalars else ())
        vectors = widths[0] * ("v" in irreps)
        for (before, after), dim in zip(itertools.pairwise(widths), dims, strict=True):
            level = LGNLevel(
                irreps,
                before,
                after,
                keep=KEPT[dim],
                max_zf=max_zf,
                n_bells=n_bells,
                mlp=mlp,
                mlp_depth=mlp_depth,
                mlp_width=mlp_width,
                activation=activation,
            )
            irreps = level.irreps
            vectors += after * ("v" in irreps)
            self.levels.append(level)
            self.norms.append(invariants.squares(irreps if full_scalars else ()))
        count = invariants.count(self.norms_of_levels(), widths)
        if output == "momentum":
            check_vectors(vectors)
            self.vector_weight = nn.Parameter(torch.randn(2, vectors) / vectors**0.5)
        else:
            self.head = nn.Linear(2 * count, n_classes) if top == "linear" else NodeReadout(count, mlp_width, n_classes)

    @classmethod
    def stored_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """See `JetModel`; networks that were stored before `pmu_in` had another default have it False."""
        return super().stored_options({"pmu_in": False} | dict(options))

    def logits(self, jets: RaggedJets, *, beams: Tensor | None = None, **keywords: Any) -> Tensor:
        """Logits (J, n_classes), or momenta (J, 4) in GeV as (E, px, py, pz).

        Parameters
        ----------
        jets : RaggedJets
            The batch.
        beams : Tensor of float64, shape (2, 4), optional
            The beams' (E, px, py, pz) if they are not along z: boosted or rotated together with the jets. Their
            masses are 1.
        """

        def of_sorted(jets: RaggedJets) -> Tensor:
            return self._outputs(with_beams(jets, beams) if self.options["beams"] else jets)

        return jets.by_multiplicity(of_sorted)

    def _outputs(self, nodes: RaggedJets) -> Tensor:
        scale = self.options["scale"]
        gram_Q = kernels.gram(nodes)
        frame = RestFrame.of(nodes, gram_Q)
        scalars = self.scalars(nodes)
        fused: Tensor | None = kernels.run(self, scale * frame.p4, scalars, nodes.offsets, gram_Q, scale**2)
        if fused is not None:
            return fused
        pairs = Pairs.of(nodes.offsets)
        features = self.tensors(scale * frame.p4, scalars, scale**2 * _differences(gram_Q, pairs), pairs)
        if constituent_rows.wanted():
            rows = saturated(invariants.by_level(features, self.norms_of_levels()).permute(1, 2, 0).flatten(1))
            constituent_rows.record(rows.to(self.dtype), nodes.columns.get("reference"))
        if self.options["output"] == "momentum":
            if jet_rows.wanted():
                jet_rows.record(self._sums(self._rows(features, nodes.offsets), nodes.offsets))
            found = frame.to_laboratory(self.momentum(features, nodes.offsets))
            return saturated(found, torch.finfo(self.dtype).max).to(self.dtype)
        return self.classify(features, nodes.offsets)

    def scalars(self, nodes: RaggedJets) -> Tensor:
        """√|m²|, and with beams the label +1 for them and −1 for constituents: shape (N, 1 or 2)."""
        columns = [self.options["scale"] * nodes.mass]
        if self.options["beams"]:
            columns.append(2.0 * nodes.columns["reference"].to(nodes.mass) - 1.0)
        return torch.stack(columns, dim=1)

    def network(self, p4_N4: Tensor, scalars: Tensor, offsets: Tensor, square_Q: Tensor) -> Tensor:
        """The network itself, given its nodes (beams included).

        Parameters
        ----------
        p4_N4 : Tensor of float64, shape (N, 4)
            Scaled (E, px, py, pz) of the nodes.
        scalars : Tensor, shape (N, 1 or 2)
            Node scalars.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries, beams counted.
        square_Q : Tensor of float64, shape (Q,)
            Scaled (p_i − p_j)², jet after jet, n × n.

        Returns
        -------
        Tensor, shape (J, n_classes)
        """
        fused: Tensor | None = kernels.run(self, p4_N4, scalars, offsets, square_Q)
        if fused is not None:
            return fused
        return self.classify(self.tensors(p4_N4, scalars, square_Q, Pairs.of(offsets)), offsets)

    def tensors(self, p4_N4: Tensor, scalars: Tensor, square_Q: Tensor, pairs: Pairs) -> list[LorentzTensors]:
        """Features before the first level and after each, shapes (2, N, C, d), float64."""
        features = [self.first_tensors(p4_N4, scalars)]
        for level in self.levels:
            features.append(level(features[-1], p4_N4, square_Q, pairs))
        return features

    def first_tensors(self, p4_N4: Tensor, scalars: Tensor) -> LorentzTensors:
        """Features before the first level."""
        if not self.options["pmu_in"]:
            first = torch.unflatten(self.input(scalars.to(self.dtype)).to(p4_N4.dtype), 1, (-1, 2)).permute(2, 0, 1)
            return LorentzTensors(s=first[..., None])
        real = LorentzTensors(s=scalars.to(p4_N4.dtype)[..., None], v=p4_N4[:, None, :])
        if self.options["max_zf"] > 1:
            square = TensorProduct(("v",), ("v",), ("S",))(real, real)
            real = LorentzTensors(s=real.s, v=real.v, S=square.S)
        mixed: LorentzTensors = self.input(real.map(lambda part: torch.stack([part, torch.zeros_like(part)])))
        return mixed

    def classify(self, features: list[LorentzTensors], offsets: Tensor) -> Tensor:
        """Scalars, and squares of the other tensors, of each node: logits (J, n_classes)."""
        rows = self._rows(features, offsets)
        logits: Tensor
        if self.options["top"] == "pmlp":
            logits = self.head(saturated(rows).to(self.dtype), offsets)
        else:
            sums_JC = self._sums(rows, offsets)
            jet_rows.record(sums_JC)
            logits = self.head(sums_JC)
        return logits

    def _rows(self, features: list[LorentzTensors], offsets: Tensor) -> Tensor:
        """Scalars, and squares of the other tensors, of each node: (N, 2 × invariants), float64."""
        if self.options["top"] == "pmlp" and self.options["interleaved"]:
            return real_parts_first(invariants.by_chirality(features, self.norms_of_levels()), offsets)
        return invariants.by_level(features, self.norms_of_levels()).permute(1, 2, 0).flatten(1)

    def _sums(self, rows: Tensor, offsets: Tensor) -> Tensor:
        return saturated(segment_sum(rows, offsets)).to(self.dtype)

    def norms_of_levels(self) -> list[TensorProduct]:
        """Squares of the features before the first level and after each."""
        return [self.input_norm, *self.norms.children()]  # type: ignore[list-item]

    def momentum(self, features: list[LorentzTensors], offsets: Tensor) -> Tensor:
        """Re Σ w v over channels, levels and nodes: (J, 4) in GeV, in the frame of the features."""
        return segment_sum(self.mixed_vectors(features), offsets) / float(self.options["scale"])

    def mixed_vectors(self, features: list[LorentzTensors]) -> Tensor:
        """Re Σ w v over channels and levels: (N, 4), scaled."""
        vectors = torch.cat([level.v for level in features if level.v is not None], dim=2)
        real, imaginary = self.vector_weight.to(vectors.dtype)
        return torch.einsum("c,ncd->nd", real, vectors[0]) - torch.einsum("c,ncd->nd", imaginary, vectors[1])


def _differences(gram_Q: Tensor, pairs: Pairs) -> Tensor:
    """(p_i − p_j)² = m_i² + m_j² − 2 p_i·p_j."""
    square_N = gram_Q[pairs.diagonal]
    squares = torch.zeros_like(gram_Q)
    at = pairs.place
    return squares.index_copy(0, at, square_N[pairs.receiver] + square_N[pairs.sender] - 2 * gram_Q[at])

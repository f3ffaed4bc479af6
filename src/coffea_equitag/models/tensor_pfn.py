"""Vector and Tensor Particle Flow Networks.

Shimmin, Li, Smith, "Rethinking SO(3)-equivariance with Bilinear Tensor Networks", arXiv:2303.11288.

A Particle Flow Network for b-tagging whose features are scalars, 3-vectors and (Tensor PFN) order-2 tensors. Each
track comes with the momentum of its jet, its own, and its three-dimensional impact parameter; tensors start from all
their outer products. The affine and bilinear layers commute with all rotations; a linear layer between them commutes
only with rotations about the jet axis ĵ, which makes the network more expressive at no cost in symmetry that the data
have: ĵ is part of the jet and rotates with it, so that the network as a whole is still invariant under SO(3), and
under SO(2) if ĵ is held fixed.

Everything is computed in the jets' frames, with z along ĵ, into which the inputs are rotated once;
F, which acts on one row per jet, in float64.

Where the paper is silent we take: input vectors compressed in length (`compress`); latent features as many as hidden
ones. One departure: five layers of products make logits polynomials of degree 32 in the scalars, and the sum over
tracks has no bound here, where the paper takes 30 at most; so scalars above 1 grow logarithmically by default, as
vectors above 1 do not grow at all. ``scalar_activation="relu"`` is the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from .. import kernels
from ..invariants.track_features import PARTICLE_TYPES, VECTOR_COLUMNS, particle_types, track_vectors
from ..jet_model import JetModel
from ..jets.ragged import RaggedJets
from ..layers.double import in_double
from ..layers.segments import segment_sum
from ..layers.so2_linear import axis_frames
from ..layers.so3_affine import SO3Affine
from ..layers.tensor_features import TensorFeatures
from ..layers.tensor_layer import TensorLayer
from ..layers.vector_relu import log_relu
from ..recording import constituent_rows, jet_rows

__all__ = ["TensorPFN", "VectorPFN"]

#: Activation of the scalars, the first weights' gains and the divisor of the latent features' that go with it: with
#: the former, logits start at the same size for jets of 15 to 200 tracks.
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[float, ...] | None, float]] = {
    "log_relu": (log_relu, (1.0, 1.75, 1.75), 5.0),
    "relu": (torch.relu, None, 1.0),
}


#: Divides the first weights of the MLP's last layer with ``output="momentum"``: corrections begin at per cent.
_FIRST_CORRECTION = 100.0

#: GeV²; keeps the gradient of an energy of 0 finite.
_SMALLEST_SQUARE = 1e-30


class VectorPFN(JetModel):
    """Vector PFN on ragged jets; without a limit on the number of tracks.

    Parameters
    ----------
    n_classes : int
        Logits per jet.
    features : int
        F: hidden layers are 2F wide before their products; 64 in the paper.
    latent : int, optional
        Features of each representation that are summed over tracks; `features` by default.
    phi_layers, f_layers : int
        Hidden layers before and after the sum; 2 and 3 in the paper.
    mlp : sequence of int
        Widths of the network that classifies the invariants.
    output : "classes", "vector" or "momentum"
        Logits; or a 3-vector (J, 3) that rotates with the jet: the sum of the last layer's vectors, weighted by the
        MLP's outputs; or a four-momentum (J, 4): the jet's own p⃗ plus such a sum, in units of |p⃗|, and the jet's
        mass plus one more output in the same units, so that a network with small last weights returns the jet.
    scalar_activation : "log_relu" or "relu"
        `log_relu`, or the paper's ReLU: then logits of jets with many tracks grow without bound (10⁹ and more, for
        Tensor PFN from the start) and the loss jumps during training; use it for jets of few tracks only.
    products : bool
        Whether hidden layers multiply their features. If not, the 2F features of each representation pass from the
        linear maps straight to the activation, so that hidden layers have 2F outputs, not 3F (Vector PFN has 2F in
        any case), and representations first meet in the invariants. Runs on the layers; there are no kernels.
    axis_map : bool
        Whether hidden layers have the linear map that knows the jet axis. If not, they commute with all rotations:
        the axis enters as the jet's momentum, one of the vectors, and as nothing else.

    Raises
    ------
    TaggerError
        For an unknown output or activation.
    """

    kind: ClassVar[str] = "vector_pfn"
    paper: ClassVar[str] = "Shimmin, Li, Smith, arXiv:2303.11288"
    symmetry: ClassVar[str] = "permutations; SO(3) rotations of all, SO(2) about a jet axis held fixed"
    embeds: ClassVar[str] = "after F: scalars, squares of the vectors and (Tensor PFN) of the tensors"
    sees_pairs: ClassVar[bool] = False
    has_tensors: ClassVar[bool] = False
    fields = VECTOR_COLUMNS

    def __init__(
        self,
        n_classes: int = 2,
        features: int = 64,
        latent: int | None = None,
        phi_layers: int = 2,
        f_layers: int = 3,
        mlp: Sequence[int] = (128, 128),
        output: Literal["classes", "vector", "momentum"] = "classes",
        scalar_activation: Literal["log_relu", "relu"] = "log_relu",
        products: bool = True,
        axis_map: bool = True,
    ) -> None:
        latent = features if latent is None else latent
        super().__init__(
            n_classes=n_classes,
            features=features,
            latent=latent,
            phi_layers=phi_layers,
            f_layers=f_layers,
            mlp=list(mlp),
            output=output,
            scalar_activation=scalar_activation,
            products=products,
            axis_map=axis_map,
        )
        scalar_relu, gains, divisor = _ACTIVATIONS[scalar_activation]

        def hidden(inputs: tuple[int, ...]) -> TensorLayer:
            return TensorLayer(inputs, features, scalar_relu, gains, products, axis_map)

        self.type_embedding = nn.Embedding(len(PARTICLE_TYPES), 3)
        widths: tuple[int, ...] = (1 + 3, 3, 9) if self.has_tensors else (1 + 3, 3)
        self.phi = nn.Sequential()
        for _ in range(phi_layers):
            layer = hidden(widths)
            self.phi.append(layer)
            widths = layer.outputs
        self.phi.append(SO3Affine(widths, latent))
        widths = (latent,) * len(widths)
        self.f = nn.Sequential()
        for _ in range(f_layers):
            layer = hidden(widths)
            self.f.append(layer)
            widths = layer.outputs
        self.mlp = nn.Sequential()
        for before, after in pairwise([sum(widths), *mlp]):
            self.mlp.extend([nn.Linear(before, after), nn.ReLU()])
        outputs = {"classes": n_classes, "vector": widths[1], "momentum": widths[1] + 1}[output]
        self.mlp.append(nn.Linear([sum(widths), *mlp][-1], outputs))
        with torch.no_grad():
            if output == "momentum":
                for weights in self.mlp[-1].parameters():
                    weights.div_(_FIRST_CORRECTION)
            for weights in self.phi[-1].parameters():
                weights.div_(divisor)

    def logits(self, jets: RaggedJets, **keywords: Any) -> Tensor:
        """Logits (J, n_classes); vectors (J, 3), or four-momenta (J, 4) in GeV, float64, as `output` says."""
        # p⊥ weighted by |p|: a jet's transverse momenta themselves would add up to nothing
        momenta = jets.p4[:, 1:]
        towards = segment_sum(momenta * momenta.norm(dim=1, keepdim=True), jets.offsets)
        frames = axis_frames(jets.jet_p4[:, 1:], towards)
        out, vectors_J3 = self._outputs(self.scalars(jets), track_vectors(jets), frames, jets.offsets)
        if self.output == "momentum":
            return corrected(jets.jet_p4, vectors_J3, out[:, -1])
        return (vectors_J3 if self.output == "vector" else out).to(self.dtype)

    def scalars(self, jets: RaggedJets) -> Tensor:
        """The charge and the embedded type of each constituent: shape (N, 4)."""
        charge = jets.columns["charge"].to(self.dtype)
        return torch.cat([charge[:, None], self.type_embedding(particle_types(jets))], dim=1)

    def network(self, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor) -> Tensor:
        """The network itself, given its inputs.

        Parameters
        ----------
        scalars : Tensor, shape (N, 4)
        vectors : Tensor of float64, shape (N, 3, 3)
            Component along the detector's axes, then vector.
        frames_J33 : Tensor of float64, shape (J, 3, 3)
            Rows x̂, ŷ, ẑ = ĵ; where x̂ points makes no difference.
        offsets : Tensor of int64, shape (J + 1,)
            Jet boundaries.

        Returns
        -------
        Tensor, shape (J, n_classes), or (J, 3) with ``output="vector"`` or ``"momentum"``
        """
        out, vectors_J3 = self._outputs(scalars, vectors, frames_J33, offsets)
        return (out if self.output == "classes" else vectors_J3).to(self.dtype)

    def _outputs(self, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """The MLP's outputs, and the last layer's vectors weighted by them, along the detector's axes: (J, 3)."""
        inputs = scalars, vectors, frames_J33, offsets
        out, last_vectors = kernels.run(self, *inputs, entry="outputs_and_vectors") or self._layers(*inputs)
        if self.output == "classes":
            return out, out.new_empty((len(out), 3))
        vectors_J3 = (last_vectors * out[:, None, : last_vectors.shape[2]]).sum(2)
        return out, (frames_J33.mT @ vectors_J3[:, :, None])[:, :, 0]

    def _layers(self, scalars: Tensor, vectors: Tensor, frames_J33: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs, and vectors in the jets' frames, by the layers: from the sum over each jet on in float64."""
        turned = (torch.repeat_interleave(frames_J33, offsets.diff(), dim=0) @ vectors).to(self.dtype)
        tensors = (turned[:, :, None, :, None] * turned[:, None, :, None, :]).flatten(3) if self.has_tensors else None
        tracks: TensorFeatures = self.phi(TensorFeatures(scalars, turned, tensors))
        constituent_rows.record(tracks.invariants())
        jets: TensorFeatures = in_double(self.f, tracks.sum(offsets))
        invariants_JC = jets.invariants()
        jet_rows.record(invariants_JC.to(self.dtype))
        return in_double(self.mlp, invariants_JC), jets.vectors


def corrected(jet_p4: Tensor, vectors_J3: Tensor, scalars_J: Tensor) -> Tensor:
    """Jets' momenta plus vectors, and their masses plus scalars, both in units of |p⃗|: (J, 4) in GeV, float64."""
    three = jet_p4[:, 1:]
    size = three.norm(dim=1)
    mass = (jet_p4[:, 0].square() - size.square()).clamp(min=0).sqrt() + size * scalars_J.double()
    three = three + size[:, None] * vectors_J3.double()
    energy = (mass.square() + three.square().sum(1)).clamp(min=_SMALLEST_SQUARE).sqrt()
    return torch.cat([torch.where(size > 0, energy, jet_p4[:, 0])[:, None], three], dim=1)


class TensorPFN(VectorPFN):
    """Tensor PFN: a Vector PFN that carries order-2 tensors too; parameters as there."""

    kind: ClassVar[str] = "tensor_pfn"
    has_tensors: ClassVar[bool] = True

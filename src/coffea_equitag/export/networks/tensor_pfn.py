"""Vector and Tensor PFN on padded jets."""

from __future__ import annotations

from torch import Tensor

from ...invariants.track_features import track_vectors
from ...layers.double import in_double
from ...layers.so2_linear import axis_frames
from ...layers.tensor_features import TensorFeatures
from ...models.tensor_pfn import VectorPFN, corrected
from ..padded_jets import PaddedJets

__all__ = ["outputs"]


def outputs(model: VectorPFN, jets: PaddedJets) -> Tensor:
    """Logits (J, n_classes), vectors (J, 3) or momenta (J, 4)."""
    rows, three = jets.rows(), jets.p4[..., 1:]
    frames_J33 = axis_frames(jets.jet_p4[:, 1:], jets.sum(three * three.norm(dim=2, keepdim=True)))
    turned = (frames_J33[:, None] @ track_vectors(rows).view(*jets.size, 3, 3)).flatten(0, 1).to(model.dtype)
    tensors = (turned[:, :, None, :, None] * turned[:, None, :, None, :]).flatten(3) if model.has_tensors else None
    tracks: TensorFeatures = model.phi(TensorFeatures(model.scalars(rows), turned, tensors))
    found: TensorFeatures = in_double(model.f, tracks.map(lambda values: _sum(values, jets)))
    out: Tensor = in_double(model.mlp, found.invariants())
    if model.output == "classes":
        return out.to(model.dtype)
    vectors_J3 = (found.vectors * out[:, None, : found.vectors.shape[2]]).sum(2)
    vectors_J3 = (frames_J33.mT @ vectors_J3[:, :, None])[:, :, 0]
    return vectors_J3.to(model.dtype) if model.output == "vector" else corrected(jets.jet_p4, vectors_J3, out[:, -1])


def _sum(values: Tensor, jets: PaddedJets) -> Tensor:
    """Σ over the constituents in float64, as the layers add them."""
    rows = values.double().flatten(1)
    return jets.sum(rows.view(*jets.size, rows.shape[1])).view(-1, *values.shape[1:])

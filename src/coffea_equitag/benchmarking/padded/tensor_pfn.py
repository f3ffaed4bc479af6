"""Vector and Tensor PFN in plain torch on padded jets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...invariants.track_features import track_vectors
from ...jets.ragged import RaggedJets
from ...layers.segments import segment_sum
from ...layers.so2_linear import axis_frames
from ...layers.tensor_features import TensorFeatures
from ...models.tensor_pfn import VectorPFN
from .masking import pad, real

__all__ = ["padded"]


def padded(model: VectorPFN, jets: RaggedJets, width: int) -> Callable[[], Tensor]:
    """Vector or Tensor PFN on (J, width) padded tracks, with this package's layers; padding is masked in the sum.

    Tracks in the frames of their jets are given. After the sum, with one row per jet, everything is in float64 as in
    the reference, with which float32 would not agree.
    """
    momenta = jets.p4[:, 1:]
    towards = segment_sum(momenta * momenta.norm(dim=1, keepdim=True), jets.offsets)
    frames = torch.repeat_interleave(axis_frames(jets.jet_p4[:, 1:], towards), jets.counts, dim=0)
    mask = real(jets, width)
    vectors = pad((frames @ track_vectors(jets)).to(model.dtype), mask).flatten(0, 1)
    number = jets.num_jets

    def summed(values: Tensor) -> Tensor:
        by_jet = torch.unflatten(values, 0, (number, width))
        here: Tensor = mask.view(number, width, *[1] * (by_jet.ndim - 2)).to(values)
        return (by_jet * here).double().sum(1)

    def run() -> Tensor:
        scalars = pad(model.scalars(jets), mask).flatten(0, 1)
        outer = vectors[:, :, None, :, None] * vectors[:, None, :, None, :] if model.has_tensors else None
        tracks = TensorFeatures(scalars, vectors, None if outer is None else outer.flatten(3))
        found = _in_double(model.f, model.phi(tracks).map(summed))
        logits: Tensor = _in_double(model.mlp, found.invariants())
        return logits.to(model.dtype)

    return run


def _in_double(module: torch.nn.Module, inputs: Any) -> Any:
    weights = {name: weight.double() for name, weight in module.named_parameters()}
    return torch.func.functional_call(module, weights, (inputs,))

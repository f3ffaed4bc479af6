"""A Lorentz-symmetric patch (`layers.patches.Patch`) for evaluation, each row by itself."""

from __future__ import annotations

from torch import Tensor, nn

from ....layers.psi import psi
from .dense import dense

__all__ = ["PatchWeights", "fold_patch", "patch_features"]

#: Matrices (inputs, outputs) and biases of the two layers; none without a patch.
PatchWeights = tuple[tuple[Tensor, Tensor], ...]


def fold_patch(layers: nn.Sequential | None) -> PatchWeights:
    """Weights of a patch's `layers`; None for no patch."""
    linears = [layer for layer in layers or () if isinstance(layer, nn.Linear)]
    return tuple((linear.weight.T.contiguous(), linear.bias.clone()) for linear in linears)


def patch_features(weights: PatchWeights, scalars_RS: Tensor, precision: str) -> Tensor:
    """Features (R, width) in float32 from invariants (R, n_scalar) in float64."""
    features = psi(scalars_RS).float()
    for matrix, bias in weights:
        features = dense(features, matrix, bias, slope=0.0, precision=precision)
    return features

"""Lorentz-symmetric patches: small networks that turn invariants into features for a base network.

Li, Qu, Qian, Meng, Gong, Zhang, Liu, Li, "Does Lorentz-symmetric design boost network performance in jet physics?",
Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814. The paper does not give the widths; these are our choice.
"""

from __future__ import annotations

from torch import Tensor, nn

from .psi import psi

__all__ = ["Patch"]


class Patch(nn.Module):
    """From invariants of pairs or constituents to features: ψ, then two layers.

    Parameters
    ----------
    n_scalar : int
        Number of invariants per row: 1 for pairs, one per friend group for constituents.
    width : int
        Number of features per row.
    """

    def __init__(self, n_scalar: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_scalar, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())

    def forward(self, scalars_RS: Tensor) -> Tensor:
        """Features (R, width), in the network's precision, from invariants (R, n_scalar) in float64."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        features: Tensor = self.layers(psi(scalars_RS).to(first.weight.dtype))
        return features

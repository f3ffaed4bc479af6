"""Lorentz-symmetric patches: small networks that turn invariants into features of a base network.

Li, Qu, Qian, Meng, Gong, Zhang, Liu, Li, "Does Lorentz-symmetric design boost network performance in jet physics?",
Phys. Rev. D 109 (2024) 056003, arXiv:2208.07814. The paper does not print the widths; they are ours.
"""

from __future__ import annotations

from torch import Tensor, nn

from .psi import psi

__all__ = ["Patch"]


class Patch(nn.Module):
    """Invariants of pairs or constituents to features: ψ, then two layers.

    Parameters
    ----------
    n_scalar : int
        Invariants a row: 1 for a pair, one a friend group for a constituent.
    width : int
        Features a row.
    """

    def __init__(self, n_scalar: int, width: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_scalar, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())

    def forward(self, scalars_RS: Tensor) -> Tensor:
        """Features (R, width), in the network's precision, of invariants (R, n_scalar) in float64."""
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        features: Tensor = self.layers(psi(scalars_RS).to(first.weight.dtype))
        return features

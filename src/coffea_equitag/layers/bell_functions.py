"""LGN's Lorentzian bells: learned functions of the squared momentum difference of a pair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["BellFunctions"]


class BellFunctions(nn.Module):
    """f(p²) = linear(b / (1 + c² |p²|) + a), complex, for each channel and each power of p.

    The paper writes n = sgn(p²) √|p²| and b / (1 + (c n)²) + a, where the sign drops out. For i = j only the bias of
    the linear layer remains.

    Parameters
    ----------
    channels : int
        Number of complex functions for each power of p.
    n_bells : int
        Half the number of bells (the paper's 10 means 20 bells).
    powers : sequence of str
        The powers of p: ``"s"`` for p⁰, ``"v"`` for p¹, ``"S"`` for the traceless part of p ⊗ p.
    """

    def __init__(self, channels: int, n_bells: int = 10, powers: Sequence[str] = ("s", "v")) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.randn(2 * n_bells)) for _ in range(3))
        self.linear = nn.ModuleDict({power: nn.Linear(2 * n_bells, 2 * channels) for power in powers})

    def forward(self, square_Q: Tensor, diagonal: Tensor) -> dict[str, Tensor]:
        """Evaluate.

        Parameters
        ----------
        square_Q : Tensor, shape (Q,)
            (p_i − p_j)² of all pairs.
        diagonal : Tensor of int64, shape (N,)
            Indices of the pairs i = j.

        Returns
        -------
        dict of Tensor, shape (Q, C, 2) each
            By power; the last axis is (Re, Im).
        """
        size = square_Q.abs().to(self.a.dtype)[:, None]
        bells = self.b / (1 + self.c.square() * size) + self.a
        bells = bells.index_fill(0, diagonal, 0.0)
        return {power: torch.unflatten(layer(bells), -1, (-1, 2)) for power, layer in self.linear.items()}

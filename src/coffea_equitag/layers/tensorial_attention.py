"""LLoCa's attention: queries, keys and values are tensors, carried from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .attention import attend
from .squares import Squares

__all__ = ["LocalFrames", "TensorialAttention", "TensorialBlock"]


@dataclass(frozen=True)
class LocalFrames:
    """The local frames of constituents, as attention uses them.

    Attributes
    ----------
    to_common, to_local : Tensor, shape (N, 4, 4)
        Matrices out of each local frame into a common one, and back. Both may carry a factor (see `of`).
    """

    to_common: Tensor
    to_local: Tensor

    @classmethod
    def of(cls, matrices_N44: Tensor, gamma_N: Tensor | None, dtype: torch.dtype) -> LocalFrames:
        """From Lorentz transformations into the local frames, float64; with γ both ways are divided by it.

        γ is the invariant Lorentz factor of the jet in each frame: a tensor of rank r is divided by γ^r, so that boosts
        do not inflate it.
        """
        inverse = _lowered(_lowered(matrices_N44).mT)
        scale = 1.0 if gamma_N is None else (1 / gamma_N)[:, None, None]
        return cls((inverse * scale).to(dtype), (matrices_N44 * scale).to(dtype))


def _lowered(matrices: Tensor) -> Tensor:
    """First index lowered: space components change sign."""
    return matrices * matrices.new_tensor([1.0, -1.0, -1.0, -1.0])[:, None]


class TensorialAttention(nn.Module):
    """Multi-head attention within each jet, where each head's channels are scalars, vectors and tensors of rank 2.

    Queries, keys and values of each constituent are carried from its local frame to one common to the jet, where the
    scores are Minkowski products, and what arrives is carried into the receiver's frame (arXiv:2505.20280).

    Parameters
    ----------
    channels : int
        Of inputs and outputs.
    heads : int
        Number of heads.
    scalars, vectors, tensors : int
        Of each head.
    """

    def __init__(self, channels: int, heads: int, scalars: int, vectors: int, tensors: int = 0) -> None:
        super().__init__()
        self.heads, self.sizes = heads, [scalars, 4 * vectors, 16 * tensors]
        size = heads * sum(self.sizes)
        self.qkv = nn.Linear(channels, 3 * size)
        self.out = nn.Linear(size, channels)

    def forward(self, h_NC: Tensor, frames: LocalFrames, squares: Squares) -> Tensor:
        """Attend; shapes (N, channels), of jets laid out as in `squares`."""
        # the official order: heads run fastest
        q, k, v = self.qkv(h_NC).view(-1, 3, sum(self.sizes), self.heads).permute(1, 0, 3, 2)
        q, v = (self._carried(values, frames.to_common) for values in (q, v))
        k = self._carried(k, _lowered(frames.to_common))
        carried = self._carried(attend(q, k, v, squares), frames.to_local)
        out: Tensor = self.out(carried.flatten(1))
        return out

    def _carried(self, values_NHC: Tensor, matrices_N44: Tensor) -> Tensor:
        """Values of each head in another frame."""
        scalars, vectors, tensors = torch.split(values_NHC, self.sizes, dim=2)
        parts = [scalars]
        if vectors.shape[2]:
            parts.append((torch.unflatten(vectors, 2, (-1, 4)) @ matrices_N44.mT[:, None]).flatten(2))
        if tensors.shape[2]:
            both = matrices_N44[:, None, None]
            parts.append((both @ torch.unflatten(tensors, 2, (-1, 4, 4)) @ both.mT).flatten(2))
        return torch.cat(parts, dim=2)


class TensorialBlock(nn.Module):
    """Tensorial attention and a perceptron, each after a LayerNorm without parameters and beside a shortcut.

    Parameters
    ----------
    attention : TensorialAttention
        The attention.
    channels, factor : int
        Channels, and by how much the perceptron is wider.
    dropout : float
        After attention and after both layers of the perceptron, while training.
    """

    def __init__(self, attention: TensorialAttention, channels: int, factor: int, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.dropout = nn.Dropout(dropout)
        self.mlp = nn.Sequential(
            nn.Linear(channels, factor * channels),
            nn.Dropout(dropout),
            nn.GELU(),
            nn.Linear(factor * channels, channels),
            nn.Dropout(dropout),
        )

    def forward(self, h_NC: Tensor, frames: LocalFrames, squares: Squares) -> Tensor:
        """One block; (N, channels)."""
        h_NC = h_NC + self.dropout(self.attention(_normalised(h_NC), frames, squares))
        out: Tensor = h_NC + self.mlp(_normalised(h_NC))
        return out


def _normalised(h_NC: Tensor) -> Tensor:
    return nn.functional.layer_norm(h_NC, h_NC.shape[1:])

"""Particle Transformer's blocks: attention and a feed-forward network, normalised before and after (NormFormer)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .attention import Attention
from .squares import Squares

__all__ = ["ClassAttentionBlock", "ParticleAttentionBlock"]


class _Block(nn.Module):
    """What both blocks are made of: its parameters are those of `ParticleAttentionBlock`."""

    def __init__(
        self, width: int, heads: int, hidden: int, activation: type[nn.Module] = nn.GELU, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.head_scale = nn.Parameter(torch.ones(heads))
        self.after = nn.Sequential(nn.LayerNorm(width), nn.Dropout(dropout))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            activation(),
            nn.Dropout(dropout),
            nn.LayerNorm(hidden),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )
        self.residual_scale = nn.Parameter(torch.ones(width))

    def completed(self, rows: Tensor, attended: Tensor) -> Tensor:
        """What follows the attention, the same for constituents and tokens."""
        per_head = self.head_scale.repeat_interleave(rows.shape[1] // self.heads)
        rows = rows + self.after(attended * per_head)
        out: Tensor = self.residual_scale * rows + self.feed_forward(rows)
        return out


class ParticleAttentionBlock(_Block):
    """Constituents attend to those of their jet.

    Parameters
    ----------
    width : int
        Channels C, a multiple of `heads`.
    heads : int
        Heads of the attention.
    hidden : int
        Width of the feed-forward network.
    activation : type of Module
        Of the feed-forward network.
    dropout : float
        Of attention weights, hidden units and both outputs, while training.
    """

    def forward(self, x_NC: Tensor, squares: Squares, bias_QH: Tensor | None = None) -> Tensor:
        """New rows (N, C) of constituents (N, C), with a bias (Q, H) in the square layout."""
        return self.completed(x_NC, self.attention(self.before(x_NC), squares, bias_QH))


class ClassAttentionBlock(_Block):
    """One token per jet attends to itself and to the jet's constituents; parameters as in `ParticleAttentionBlock`.

    Queries are the tokens as they are, as in the official code; keys and values are normalised.
    """

    def forward(self, tokens_JC: Tensor, x_NC: Tensor, squares: Squares) -> Tensor:
        """New tokens (J, C) of tokens (J, C) and constituents (N, C)."""
        keys = self.before(tokens_JC), self.before(x_NC)
        return self.completed(tokens_JC, self.attention.from_tokens(tokens_JC, *keys, squares))

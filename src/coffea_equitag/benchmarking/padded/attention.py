"""Attention of padded jets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["attention", "heads_of", "joined"]


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """Attention (J, H, W, D) of padded jets to the real ones of `mask` (J, W'), with a bias (J, H, W, W'), if any."""
    none = query.new_zeros(()).masked_fill(~mask, -torch.inf)[:, None, None]
    added = none if bias is None else bias + none
    return nn.functional.scaled_dot_product_attention(query, key, value, added, dropout)


def heads_of(rows: Tensor, heads: int) -> Tensor:
    """Rows (J, W, H·D) as (J, H, W, D)."""
    return torch.unflatten(rows, 2, (heads, -1)).transpose(1, 2)


def joined(rows: Tensor) -> Tensor:
    """The inverse of `heads_of`."""
    return rows.transpose(1, 2).flatten(2)

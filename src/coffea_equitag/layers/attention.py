"""Multi-head attention between the constituents of each jet, ragged: a softmax per jet, never over padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .segments import segment_sum
from .squares import Squares

__all__ = ["Attention", "attend", "attend_from_jets"]


def attend(
    query_NHD: Tensor,
    key_NHD: Tensor,
    value_NHE: Tensor,
    squares: Squares,
    bias_QH: Tensor | None = None,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Σ_j softmax_j(scale q_i·k_j + b_ij) v_j over the constituents j of the jet of i.

    Parameters
    ----------
    query_NHD, key_NHD : Tensor, shape (N, H, D)
        Queries and keys of H heads.
    value_NHE : Tensor, shape (N, H, E)
        Values.
    squares : Squares
        The jets. Consecutive jets of equal n are processed together.
    bias_QH : Tensor, shape (Q, H), optional
        b in the square layout.
    scale : float, optional
        1/√D if not given.
    dropout : float
        Share of the weights to drop.

    Returns
    -------
    Tensor, shape (N, H, E)
    """
    n_heads, scale = query_NHD.shape[1], query_NHD.shape[2] ** -0.5 if scale is None else scale

    def runs(rows: Tensor) -> list[Tensor]:
        return [run.view(*run.shape[:2], *rows.shape[1:]).transpose(1, 2) for run in squares.rows(rows.flatten(1))]

    biases = [None] * len(squares.runs) if bias_QH is None else [*squares.blocks(bias_QH)]
    found = []
    for q, k, v, bias in zip(*map(runs, (query_NHD * scale, key_NHD, value_NHE)), biases, strict=True):
        scores = squares.hidden(q @ k.transpose(2, 3))  # (B, H, n, n)
        weights = torch.softmax(scores if bias is None else scores + bias.permute(0, 3, 1, 2), dim=3)
        found.append((nn.functional.dropout(weights, dropout) @ v).transpose(1, 2).reshape(-1, n_heads, v.shape[3]))
    return torch.cat(found) if found else value_NHE


def attend_from_jets(
    query_JHD: Tensor,
    keys: tuple[Tensor, Tensor],
    values: tuple[Tensor, Tensor],
    squares: Squares,
    *,
    dropout: float = 0.0,
) -> Tensor:
    """As `attend`, with one query per jet, which attends to the jet's own key and to its constituents.

    Parameters
    ----------
    query_JHD : Tensor, shape (J, H, D)
        One query per jet.
    keys, values : tuple of two Tensor, shapes (J, H, D) and (N, H, D)
        Those of the jets, and of their constituents.
    squares : Squares
        The jets.
    dropout : float
        Share of the weights to drop.

    Returns
    -------
    Tensor, shape (J, H, D)
        For an empty jet, its own value.
    """
    scaled, jet_N = query_JHD * query_JHD.shape[2] ** -0.5, squares.jet
    own_JH, score_NH = (scaled * keys[0]).sum(2), (scaled[jet_N] * keys[1]).sum(2)
    largest_JH = torch.segment_reduce(score_NH.detach(), "max", offsets=squares.offsets, axis=0, initial=-torch.inf)
    largest_JH = torch.maximum(own_JH.detach(), largest_JH)
    own_JH, weight_NH = torch.exp(own_JH - largest_JH), torch.exp(score_NH - largest_JH[jet_N])
    total_JH = own_JH + segment_sum(weight_NH, squares.offsets)
    own_JH = nn.functional.dropout(own_JH / total_JH, dropout)
    weight_NH = nn.functional.dropout(weight_NH / total_JH[jet_N], dropout)
    sum_JX = segment_sum((weight_NH[:, :, None] * values[1]).flatten(1), squares.offsets)
    return own_JH[:, :, None] * values[0] + sum_JX.view(*query_JHD.shape)


class Attention(nn.Module):
    """Multi-head attention with its projections: from each constituent, or from one token per jet.

    Parameters
    ----------
    width : int
        Channels C, a multiple of `heads`.
    heads : int
        Heads H.
    dropout : float
        Share of the attention weights to drop, while training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x_NC: Tensor, squares: Squares, bias_QH: Tensor | None = None) -> Tensor:
        """Attention between all constituents of a jet: (N, C) from (N, C) and a bias (Q, H)."""
        query, key, value = self.projected(x_NC)
        out: Tensor = self.out_proj(attend(query, key, value, squares, bias_QH, dropout=self._dropped).flatten(1))
        return out

    def projected(self, x_NC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (N, H, D) of rows (N, C)."""
        query, key, value = self._split(self.in_proj(x_NC), 3)
        return query, key, value

    def from_tokens(self, query_JC: Tensor, tokens_JC: Tensor, x_NC: Tensor, squares: Squares) -> Tensor:
        """Attention of one query per jet to the jet's token and its constituents: (J, C)."""
        width = query_JC.shape[1]
        weight, bias = self.in_proj.weight, self.in_proj.bias
        (query,) = self._split(nn.functional.linear(query_JC, weight[:width], bias[:width]), 1)
        rest = torch.cat([tokens_JC, x_NC])
        key, value = self._split(nn.functional.linear(rest, weight[width:], bias[width:]), 2)
        keys, values = ((rows[: len(query)], rows[len(query) :]) for rows in (key, value))
        out: Tensor = self.out_proj(attend_from_jets(query, keys, values, squares, dropout=self._dropped).flatten(1))
        return out

    @property
    def _dropped(self) -> float:
        return self.dropout if self.training else 0.0

    def _split(self, rows: Tensor, parts: int) -> tuple[Tensor, ...]:
        return rows.view(rows.shape[0], parts, self.heads, rows.shape[1] // (parts * self.heads)).unbind(1)

"""Matrices over the constituents of each jet, ragged: consecutive n × n blocks in one flat tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .segments import segment_sum

__all__ = ["Squares"]


@dataclass(frozen=True)
class Squares:
    """The square layout: one row-major n × n block per jet, Q = Σ n² rows of C channels.

    Consecutive jets of equal n form a run and are processed together, as (B, n, n, C) views: sort jets by n to have
    few runs. There is no padding and there are no index lists.

    Attributes
    ----------
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries among the N nodes.
    counts : Tensor of int64, shape (J,)
        Number of nodes of each jet.
    jet : Tensor of int64, shape (N,)
        The jet of each node.
    runs : tuple of (int, int)
        (B, n) of each run of B jets of n nodes.
    """

    offsets: Tensor
    counts: Tensor
    jet: Tensor
    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, offsets: Tensor) -> Squares:
        """Layout of jets with the given boundaries (J + 1,)."""
        counts = offsets[1:] - offsets[:-1]
        sizes, repeats = torch.unique_consecutive(counts, return_counts=True)
        return cls(
            offsets=offsets,
            counts=counts,
            jet=torch.repeat_interleave(torch.arange(len(counts), device=offsets.device), counts),
            runs=tuple(zip(repeats.tolist(), sizes.tolist(), strict=True)),
        )

    @property
    def num_nodes(self) -> int:
        """Number of nodes N."""
        return len(self.jet)

    @property
    def num_pairs(self) -> int:
        """Number of pairs Q, i = j included."""
        return sum(jets * n * n for jets, n in self.runs)

    def blocks(self, values_QC: Tensor) -> Iterator[Tensor]:
        """Views (B, n, n, C) of pair values (Q, C), run by run."""
        at = 0
        for jets, n in self.runs:
            size = jets * n * n
            yield values_QC[at : at + size].view(jets, n, n, values_QC.shape[1])
            at += size

    def rows(self, values_NC: Tensor) -> Iterator[Tensor]:
        """Views (B, n, C) of node values (N, C), run by run."""
        at = 0
        for jets, n in self.runs:
            yield values_NC[at : at + jets * n].view(jets, n, values_NC.shape[1])
            at += jets * n

    def sums(self, values_QC: Tensor, weight_N: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Σ_j w_j X_ij, Σ_j w_j X_ji and X_ii of each node i.

        Parameters
        ----------
        values_QC : Tensor, shape (Q, C)
            X.
        weight_N : Tensor, shape (N,), optional
            w; 1 if not given.

        Returns
        -------
        tuple of three Tensor of float64, shape (N, C)
            Single precision would lose digits in the sums, and nodes are few.
        """
        row, column, diagonal = _sums(self, values_QC, weight_N)
        return row, column, diagonal

    def over_jets(self, values_NC: Tensor) -> Tensor:
        """Sum over the nodes of each jet, (J, C) from (N, C)."""
        return segment_sum(values_NC, self.offsets)

    def hidden(self, scores_BHnn: Tensor) -> Tensor:
        """Scores of attention between the nodes of a run, −∞ for nodes that are none: here all are."""
        return scores_BHnn

    def assemble(self, both_QC: Tensor | None, row_NC: Tensor, column_NC: Tensor, diagonal_NC: Tensor) -> Tensor:
        """A_ij + B_ji + u_i + v_j + δ_ij d_i: two matrices plus the adjoint of `sums`.

        Parameters
        ----------
        both_QC : Tensor, shape (Q, 2C), or None
            A and B, concatenated, if any.
        row_NC, column_NC, diagonal_NC : Tensor, shape (N, C)
            u, v, d.

        Returns
        -------
        Tensor, shape (Q, C)
        """
        out: Tensor = _assemble(self, both_QC, row_NC, column_NC, diagonal_NC)
        return out


class _Sums(torch.autograd.Function):
    """Row sums, column sums and diagonal, as an autograd function that needs no temporary of the size of X."""

    @staticmethod
    def forward(ctx: Any, squares: Squares, values: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        ctx.squares, ctx.weight = squares, weight
        ctx.dtype = values.dtype
        ctx.save_for_backward(values if weight is not None and weight.requires_grad else None)
        row = values.new_empty(squares.num_nodes, values.shape[1], dtype=torch.float64)
        column, diagonal = torch.empty_like(row), torch.empty_like(row)
        weight = row.new_ones(len(row)) if weight is None else weight.to(row)
        for x, r, c, d, w in zip(
            squares.blocks(values), *map(squares.rows, (row, column, diagonal, weight[:, None])), strict=True
        ):
            if ctx.weight is None:
                torch.sum(x, dim=2, dtype=torch.float64, out=r)
                torch.sum(x, dim=1, dtype=torch.float64, out=c)
            else:
                torch.sum(x * w[:, None], dim=2, out=r)
                torch.sum(x * w[:, :, None], dim=1, out=c)
            d.copy_(x.diagonal(dim1=1, dim2=2).transpose(1, 2))
        return row, column, diagonal

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_row: Tensor, grad_column: Tensor, grad_diagonal: Tensor
    ) -> tuple[None, Tensor, Tensor | None]:
        squares = ctx.squares
        row, column, diagonal = grad_row.to(ctx.dtype), grad_column.to(ctx.dtype), grad_diagonal.to(ctx.dtype)
        grad_values = row.new_empty(squares.num_pairs, row.shape[1])
        weight = row.new_ones(len(row)) if ctx.weight is None else ctx.weight.to(row)
        for x, r, c, d, w in zip(
            squares.blocks(grad_values), *map(squares.rows, (row, column, diagonal, weight[:, None])), strict=True
        ):
            if ctx.weight is None:
                torch.add(r[:, :, None], c[:, None], out=x)
            else:
                torch.add(r[:, :, None] * w[:, None], c[:, None] * w[:, :, None], out=x)
            x.diagonal(dim1=1, dim2=2).add_(d.transpose(1, 2))
        (values,) = ctx.saved_tensors
        if values is None:
            return None, grad_values, None
        grad_weight = grad_row.new_empty(len(grad_row), 1)
        for x, r, c, g in zip(
            squares.blocks(values), *map(squares.rows, (grad_row, grad_column, grad_weight)), strict=True
        ):
            g[..., 0] = torch.einsum("bijc,bic->bj", x.to(r), r) + torch.einsum("bijc,bjc->bi", x.to(c), c)
        return None, grad_values, grad_weight[:, 0].to(ctx.weight)


class _Assemble(torch.autograd.Function):
    """A_ij + B_ji + u_i + v_j + δ_ij d_i."""

    @staticmethod
    def forward(
        ctx: Any, squares: Squares, both: Tensor | None, row: Tensor, column: Tensor, diagonal: Tensor
    ) -> Tensor:
        ctx.squares, ctx.full = squares, both is not None
        channels = row.shape[1]
        out = row.new_empty(squares.num_pairs, channels)
        matrices = squares.blocks(both) if both is not None else repeat(None, len(squares.runs))
        for x, ab, r, c, d in zip(
            squares.blocks(out), matrices, *map(squares.rows, (row, column, diagonal)), strict=True
        ):
            torch.add(r[:, :, None], c[:, None], out=x)
            if ab is not None:
                x.add_(ab[..., :channels]).add_(ab[..., channels:].transpose(1, 2))
            x.diagonal(dim1=1, dim2=2).add_(d.transpose(1, 2))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[None, Tensor | None, Tensor, Tensor, Tensor]:
        squares, channels, grad_output = ctx.squares, grad_output.shape[1], grad_output.contiguous()
        grad_row = grad_output.new_empty(squares.num_nodes, channels)
        grad_column, grad_diagonal = torch.empty_like(grad_row), torch.empty_like(grad_row)
        grad_both = grad_output.new_empty(len(grad_output), 2 * channels) if ctx.full else None
        matrices = squares.blocks(grad_both) if grad_both is not None else repeat(None, len(squares.runs))
        for x, ab, r, c, d in zip(
            squares.blocks(grad_output),
            matrices,
            *map(squares.rows, (grad_row, grad_column, grad_diagonal)),
            strict=True,
        ):
            if ab is not None:
                ab[..., :channels].copy_(x)
                ab[..., channels:].copy_(x.transpose(1, 2))
            torch.sum(x, dim=2, out=r)
            torch.sum(x, dim=1, out=c)
            d.copy_(x.diagonal(dim1=1, dim2=2).transpose(1, 2))
        return None, grad_both, grad_row, grad_column, grad_diagonal


_sums: Callable[..., tuple[Tensor, Tensor, Tensor]] = _Sums.apply
_assemble: Callable[..., Tensor] = _Assemble.apply

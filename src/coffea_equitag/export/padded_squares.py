"""The square layout of jets padded to one width, on which the layers of PELICAN and the transformers run."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..layers.squares import Squares
from .padded_jets import PaddedJets

__all__ = ["PaddedSquares", "per_row"]


class PaddedSquares(Squares):
    """One run of J blocks of W × W; sums and attention leave the padding out."""

    def __init__(self, jets: PaddedJets) -> None:
        j, w = jets.size
        super().__init__(
            offsets=torch.arange(j + 1) * w,
            counts=jets.counts,
            jet=torch.arange(j)[:, None].expand(-1, w).flatten(),
            runs=((j, w),),
        )
        object.__setattr__(self, "jets", jets)  # the base is frozen

    jets: PaddedJets

    def blocks(self, values_QC: Tensor) -> Iterator[Tensor]:
        """The one block (J, W, W, C), as a view."""
        j, w = self.jets.size
        yield values_QC.view(j, w, w, values_QC.shape[1])

    def rows(self, values_NC: Tensor) -> Iterator[Tensor]:
        """The one view (J, W, C)."""
        yield values_NC.view(*self.jets.size, values_NC.shape[1])

    def sums(self, values_QC: Tensor, weight_N: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Σ_j w_j X_ij, Σ_j w_j X_ji and X_ii, (J·W, C) each, float64."""
        (x,) = self.blocks(values_QC)
        real = self.jets.real
        weight = real.double() if weight_N is None else torch.where(real, weight_N.double().view(real.shape), 0.0)
        x = torch.where((real[:, :, None] & real[:, None])[..., None], x.double(), 0.0)
        row = (weight[:, None] @ x.transpose(2, 3).flatten(1, 2).transpose(1, 2)).view(x.shape[0], x.shape[1], -1)
        column = (weight[:, None] @ x.flatten(2))[:, 0].view(x.shape[0], x.shape[1], -1)
        diagonal = x.diagonal(dim1=1, dim2=2).transpose(1, 2)
        return row.flatten(0, 1), column.flatten(0, 1), diagonal.flatten(0, 1)

    def over_jets(self, values_NC: Tensor) -> Tensor:
        """Sum over the nodes of each jet, (J, C)."""
        return self.jets.sum(values_NC.view(*self.jets.size, values_NC.shape[1]))

    def hidden(self, scores_BHnn: Tensor) -> Tensor:
        """Scores with a number for padding that no softmax sees, finite since a jet may have no nodes."""
        return torch.where(self.jets.real[:, None, None], scores_BHnn, -1e30)

    def assemble(self, both_QC: Tensor | None, row_NC: Tensor, column_NC: Tensor, diagonal_NC: Tensor) -> Tensor:
        """A_ij + B_ji + u_i + v_j + δ_ij d_i."""
        (row,), (column,), (diagonal,) = map(self.rows, (row_NC, column_NC, diagonal_NC))
        itself = torch.eye(row.shape[1], dtype=torch.bool)[..., None]
        out = row[:, :, None] + column[:, None] + torch.where(itself, diagonal[:, :, None], 0.0)
        if both_QC is not None:
            (both,) = self.blocks(both_QC)
            first, second = both.chunk(2, dim=3)
            out = out + first + second.transpose(1, 2)
        return out.flatten(0, 2)


def per_row(module: torch.nn.Module, values: Tensor) -> Tensor:
    """A module of rows (N, C) on values (..., C)."""
    out: Tensor = module(values.flatten(0, -2))
    return out.view(*values.shape[:-1], out.shape[-1])

"""A linear layer that computes each row in the same order, however many there are."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["RowLinear"]


class RowLinear(nn.Linear):
    """As `torch.nn.Linear`, for few outputs: a row's are the same to the last bit in any batch.

    A matrix product by BLAS takes another order of sums for one row than for many.
    """

    def forward(self, rows: Tensor) -> Tensor:
        """Outputs (..., out) of rows (..., in)."""
        sums = (rows[..., None, :] * self.weight).sum(-1)
        bias: Tensor | None = self.bias
        return sums if bias is None else sums + bias

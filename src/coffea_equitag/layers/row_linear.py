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
        sums = _halved(rows[..., None, :] * self.weight)[..., 0]
        bias: Tensor | None = self.bias
        return sums if bias is None else sums + bias


def _halved(terms: Tensor) -> Tensor:
    """Sums over the last axis, the second half onto the first until one is left.

    GPUs divide a sum among threads in a way that depends on how many sums there are.
    """
    while (width := terms.shape[-1]) > 1:
        half = (width + 1) // 2
        terms = terms[..., :half] + nn.functional.pad(terms[..., half:], (0, 2 * half - width))
    return terms

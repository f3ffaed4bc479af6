"""Batch normalisation over ragged rows."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["RowBatchNorm"]


class RowBatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over the rows that exist: constituents or pairs, never padding.

    With fewer than two rows there is no variance to take: the running statistics are used, and left as they are.
    """

    def forward(self, rows_NC: Tensor) -> Tensor:
        """Normalise rows of shape (N, C)."""
        if self.training and rows_NC.shape[0] < 2:
            return nn.functional.batch_norm(
                rows_NC, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        out: Tensor = super().forward(rows_NC)
        return out

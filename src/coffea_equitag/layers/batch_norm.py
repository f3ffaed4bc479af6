"""Batch normalization over ragged rows."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["RowBatchNorm"]


class RowBatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over real rows only: constituents or pairs, never padding.

    With fewer than two rows there is no variance: the running statistics are used instead, and are not updated.
    """

    def forward(self, rows_NC: Tensor) -> Tensor:
        """Normalize rows of shape (N, C)."""
        if self.training and rows_NC.shape[0] < 2:
            return nn.functional.batch_norm(
                rows_NC, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        out: Tensor = super().forward(rows_NC)
        return out

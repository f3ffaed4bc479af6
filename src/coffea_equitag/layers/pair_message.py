"""The message layer of PELICAN, applied to each pair separately."""

from __future__ import annotations

from torch import Tensor, nn

from .batch_norm import RowBatchNorm

__all__ = ["PairMessage", "kaiming_linear"]


def kaiming_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with Kaiming-normal initial weights for LeakyReLU."""
    linear = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(linear.weight, a=0.01, mode="fan_in", nonlinearity="leaky_relu")
    return linear


class PairMessage(nn.Module):
    """Linear, LeakyReLU, BatchNorm over real pairs, dropout.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    dropout : float
        Probability of dropping a channel of a pair during training.
    """

    def __init__(self, inputs: int, outputs: int, *, dropout: float) -> None:
        super().__init__()
        self.linear = kaiming_linear(inputs, outputs)
        self.norm = RowBatchNorm(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pairs_QC: Tensor) -> Tensor:
        """From pairs (Q, C) to pairs (Q, outputs)."""
        out: Tensor = self.dropout(self.norm(nn.functional.leaky_relu_(self.linear(pairs_QC))))
        return out

"""Running statistics of batch normalisation, updated once per batch whatever pieces it is processed in."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["BatchStatistics", "has_batch_norm"]


def has_batch_norm(model: nn.Module) -> bool:
    """Whether what the network computes in training depends on which jets are processed at once."""
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())


class BatchStatistics:
    """The running statistics of a network while a batch is processed piece by piece.

    Every piece starts from the statistics before the batch, and the batch's result is the mean over its pieces,
    weighted by their jets. So it does not depend on which process a piece was processed in: `sums` of several
    processes add up.

    Parameters
    ----------
    model : Module
        The network, in training mode.
    """

    def __init__(self, model: nn.Module) -> None:
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        found = [norm.get_buffer(name) for norm in norms for name, _ in norm.named_buffers(recurse=False)]
        self._buffers = [buffer for buffer in found if buffer.is_floating_point()]
        self._counts = [buffer for buffer in found if not buffer.is_floating_point()]
        self._before = [buffer.clone() for buffer in self._buffers + self._counts]
        self.sums: list[Tensor] = [torch.zeros_like(buffer) for buffer in self._buffers]

    def reset(self) -> None:
        """Go back to the statistics before the batch."""
        with torch.no_grad():
            for buffer, before in zip(self._buffers + self._counts, self._before, strict=True):
                buffer.copy_(before)

    def start(self) -> None:
        """Go back to the statistics before the batch, and forget the pieces."""
        self.reset()
        for total in self.sums:
            total.zero_()

    def add(self, share: float) -> None:
        """Take in a piece with this share of the batch's jets, which the network has just seen, and go back."""
        with torch.no_grad():
            for total, buffer in zip(self.sums, self._buffers, strict=True):
                total.add_(buffer, alpha=share)
        self.reset()

    def finish(self) -> None:
        """Set the statistics after the batch."""
        with torch.no_grad():
            for buffer, total in zip(self._buffers, self.sums, strict=True):
                buffer.copy_(total)
            for count in self._counts:
                count.add_(1)

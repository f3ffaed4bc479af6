"""What the dropout of PELICAN's messages draws: the same on CPUs and GPUs, see `cpu.pair_dropout.kept_channels`."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from ...layers.pair_message import PairMessage

__all__ = ["drop_of", "message_keys", "threshold_of"]


def drop_of(dropout: nn.Dropout) -> float:
    """The probability with which it drops now."""
    return dropout.p if dropout.training else 0.0


def message_keys(model: Any) -> list[int]:
    """What the dropout of each message draws: from torch's generator, once a call, and only if something drops."""
    layers = [cast(PairMessage, message) for message in model.messages]
    if not any(drop_of(layer.dropout) for layer in layers):
        return [0] * len(layers)
    return cast(list[int], torch.randint(2**63 - 1, (len(layers),)).tolist())


def threshold_of(probability: float) -> int:
    """The hash, of 32 bits, below which a channel is dropped; a probability of 1 leaves one in 2³²."""
    return min(round(probability * 2**32), 2**32 - 1)

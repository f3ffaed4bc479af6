"""The keys of PELICAN's dropout; `common.dropout` tells what they keep."""

from __future__ import annotations

from typing import cast

import torch

from ..common.dropout import drop_of
from .network import PelicanNetwork

__all__ = ["message_keys"]


def message_keys(model: PelicanNetwork) -> list[int]:
    """One key per message layer: from torch's generator, once per call, and only if something is dropped."""
    if not any(drop_of(layer.dropout) for layer in model.messages):
        return [0] * len(model.messages)
    return cast(list[int], torch.randint(2**63 - 1, (len(model.messages),)).tolist())

"""State dicts: parameter names and weights."""

from __future__ import annotations

import re

from torch import Tensor

__all__ = ["StateDict", "numbered"]

StateDict = dict[str, Tensor]


def numbered(state: StateDict, pattern: str) -> list[Tensor]:
    """The tensors whose whole name matches, in the order of the number that the pattern captures."""
    matches = [(re.fullmatch(pattern, name), tensor) for name, tensor in state.items()]
    found = [(int(match[1]), tensor) for match, tensor in matches if match]
    return [tensor for _, tensor in sorted(found, key=lambda pair: pair[0])]

"""weaver's ParticleNet as in the paper, without the fusion block that weaver adds by default."""

from __future__ import annotations

import re

from .state_dict import StateDict

__all__ = ["translate"]

_NAMES = (
    (r"^bn_fts\.", "input_norm."),
    (r"^edge_convs\.", "blocks."),
    (r"\.convs\.", ".linears."),
    (r"\.bns\.", ".norms."),
    (r"\.sc\.", ".shortcut.0."),
    (r"\.sc_bn\.", ".shortcut.1."),
    (r"^fc\.0\.0\.", "head.0."),
    (r"^fc\.1\.", "head.3."),
)


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours; convolutions of width 1 become linear layers."""
    renamed = {}
    for key, value in state.items():
        for pattern, name in _NAMES:
            key = re.sub(pattern, name, key)
        renamed[key] = value.flatten(1) if value.ndim > 2 else value
    return renamed

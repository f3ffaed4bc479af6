"""weaver's ParticleFlowNetwork."""

from __future__ import annotations

import re

from .state_dict import StateDict

__all__ = ["translate"]


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours; convolutions of width 1 become linear layers."""
    renamed = {}
    for key, value in state.items():
        # weaver stores Φ as [convolution, normalization, ReLU] blocks and F as [linear, ReLU] blocks
        key = re.sub(r"^input_bn\.", "input_norm.", key)
        key = re.sub(r"^phi\.(\d+)\.(\d+)\.", lambda m: f"phi.{3 * int(m[1]) + int(m[2])}.", key)
        key = re.sub(r"^fc\.(\d+)\.(?:0\.)?", lambda m: f"f.{2 * int(m[1])}.", key)
        renamed[key] = value.squeeze(-1) if key.startswith("phi.") and value.ndim == 3 else value
    return renamed

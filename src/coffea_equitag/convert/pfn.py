"""weaver's ParticleFlowNetwork."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .state_dict import StateDict, numbered
from .weaver_inputs import check_inputs

__all__ = ["infer_options", "translate"]


def infer_options(state: StateDict, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights' shapes tell: the widths of Φ and F, and whether there is BatchNorm."""
    check_inputs("PFN", state["phi.0.0.weight"].shape[1], given)
    return {
        "n_classes": len(numbered(state, r"fc\.(\d+)\.weight")[0]),
        "phi": [len(weight) for weight in numbered(state, r"phi\.(\d+)\.0\.weight")],
        "f": [len(weight) for weight in numbered(state, r"fc\.(\d+)\.0\.weight")],
        "batch_norm": "input_bn.weight" in state,
    }


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

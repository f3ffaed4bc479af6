"""weaver's ParticleNet, with or without its fusion block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .state_dict import StateDict, numbered
from .weaver_inputs import check_inputs

__all__ = ["infer_options", "translate"]

_NAMES = (
    (r"^bn_fts\.", "input_norm."),
    (r"^edge_convs\.", "blocks."),
    (r"\.convs\.", ".linears."),
    (r"\.bns\.", ".norms."),
    (r"\.sc\.", ".shortcut.0."),
    (r"\.sc_bn\.", ".shortcut.1."),
    (r"^fusion_block\.", "fusion."),
)


def infer_options(state: StateDict, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights' shapes tell: the network's widths, and which of weaver's parts it has.

    It was trained with phantom neighbours, whatever its shapes. They do not tell how many neighbours there are:
    weaver's examples have 16, its default network of two convolutions 7.
    """
    channels = [
        [len(weight) for weight in numbered(state, rf"edge_convs\.{block}\.convs\.(\d+)\.weight")]
        for block, _ in enumerate(numbered(state, r"edge_convs\.(\d+)\.convs\.0\.weight"))
    ]
    check_inputs("ParticleNet", state["edge_convs.0.convs.0.weight"].shape[1] // 2, given)
    return {
        "n_classes": len(_last(state)),
        "k": 7 if len(channels) == 2 else 16,
        "channels": channels,
        "units": [len(weight) for weight in numbered(state, r"fc\.(\d+)\.0\.weight")],
        "fusion": "fusion_block.0.weight" in state,
        "input_norm": "bn_fts.weight" in state,
        "phantom_neighbours": True,
    }


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours; convolutions of width 1 become linear layers."""
    renamed, hidden = {}, numbered(state, r"fc\.(\d+)\.0\.weight")
    for key, value in state.items():
        for pattern, name in _NAMES:
            key = re.sub(pattern, name, key)
        # [linear, ReLU, dropout] blocks, and a linear layer at the end
        key = re.sub(r"^fc\.(\d+)\.(?:0\.)?", lambda m: f"head.{3 * int(m[1])}.", key)
        key = re.sub(r"^fc_out\.", f"head.{3 * len(hidden)}.", key)
        renamed[key] = value.flatten(1) if value.ndim > 2 else value
    return renamed


def _last(state: StateDict) -> Any:
    """The last layer's weights; weaver's example of fine-tuning keeps them apart."""
    return state["fc_out.weight"] if "fc_out.weight" in state else numbered(state, r"fc\.(\d+)\.weight")[0]

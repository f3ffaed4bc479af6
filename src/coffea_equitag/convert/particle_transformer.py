"""weaver's Particle Transformer (version 1, that of the paper), with or without a classifier of its own beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .state_dict import StateDict, numbered
from .weaver_inputs import check_inputs

__all__ = ["infer_options", "translate"]

_NAMES = (
    (r"^embed\.input_bn\.", "embedding.0."),
    (r"^embed\.embed\.(\d+)\.", lambda match: f"embedding.{int(match[1]) + 1}."),
    (r"^pair_embed\.", "pair_bias."),
    (r"^cls_blocks\.", "class_blocks."),
    (r"^cls_token$", "class_token"),
    (r"\.attn\.in_proj_", ".attention.in_proj."),
    (r"\.attn\.", ".attention."),
    (r"\.pre_attn_norm\.", ".before."),
    (r"\.post_attn_norm\.", ".after.0."),
    (r"\.pre_fc_norm\.", ".feed_forward.0."),
    (r"\.fc1\.", ".feed_forward.1."),
    (r"\.post_fc_norm\.", ".feed_forward.4."),
    (r"\.fc2\.", ".feed_forward.5."),
    (r"\.c_attn$", ".head_scale"),
    (r"\.w_resid$", ".residual_scale"),
)


def infer_options(state: StateDict, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the weights' shapes tell: all widths, and the numbers of blocks and heads.

    They do not tell the activation, whether it follows the bias, and whether a constituent with itself is a pair.
    """
    check_inputs("ParticleTransformer", state["embed.input_bn.weight"].numel(), given)
    embed_widths = [len(weight) for weight in numbered(state, r"embed\.embed\.(\d+)\.weight") if weight.ndim == 2]
    pair_widths = [len(weight) for weight in numbered(state, r"pair_embed\.embed\.(\d+)\.weight") if weight.ndim == 3]
    return {
        "n_classes": len(numbered(state, r"fc\.(\d+)\.weight")[0]),
        "embed_widths": embed_widths,
        "pair_widths": pair_widths[:-1] if pair_widths else None,
        "heads": len(state["blocks.0.c_attn"]),
        "layers": len(numbered(state, r"blocks\.(\d+)\.c_attn")),
        "class_layers": len(numbered(state, r"cls_blocks\.(\d+)\.c_attn")),
        "ratio": len(state["blocks.0.fc1.weight"]) // embed_widths[-1],
        "units": [len(weight) for weight in numbered(state, r"fc\.(\d+)\.0\.weight")],
    }


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours; convolutions of width 1 become linear layers."""
    renamed = {}
    for key, value in state.items():
        for pattern, name in _NAMES:
            key = re.sub(pattern, name, key)
        # [linear, ReLU, dropout] blocks, and a linear layer at the end
        key = re.sub(r"^fc\.(\d+)\.(?:0\.)?", lambda match: f"head.{3 * int(match[1])}.", key)
        renamed[key] = value.flatten() if key == "class_token" else value.flatten(1) if value.ndim > 2 else value
    return renamed

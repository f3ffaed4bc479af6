"""The authors' PELICAN: classifier and regression."""

from __future__ import annotations

import re
from typing import Any

import torch

from ..models.pelican import SIZES
from .state_dict import StateDict

__all__ = ["infer_options", "translate"]

_NAMES = (
    (r"^linear\.", "embedding."),
    (r"^input_encoder\.rank2_alphas$", "encoder.alpha"),
    (r"^net2to2\.message_layers\.", "messages."),
    (r"^net2to2\.eq_layers\.", "blocks."),
    (r"^msg_2to[01]\.", "messages.{last}."),
    (r"^agg_2to[01]\.", "readout."),
    (r"^mlp_out(?:_1)?\.linear\.0\.", "head.1."),
    (r"^eq1to2\.", "scalars_to_pairs."),
    (r"\.normlayer\.", ".norm."),
    (r"^(messages\..*)\.linear\.0\.", r"\1.linear."),
    (r"\.alphas\.0$", ".power.exponent"),
    (r"\.coefs$", ".mixing.coefficients"),
    (r"\.coefs00$", ".mixing.operation_of_input"),
    (r"\.coefs01$", ".mixing.operation_of_output"),
    (r"\.coefs10$", ".mixing.channels_by_input"),
    (r"\.coefs11$", ".mixing.channels_by_output"),
    (r"\.diag_bias$", ".diagonal_bias"),
)


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours.

    With all four components as inputs, the official code uses E_i E_j and the product of each momentum component; ours
    uses p_i·p_j instead of the first, which is equivalent up to a change of basis of the embedding.
    """
    last = _layers(state)
    renamed = {}
    for name, value in state.items():
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours.replace("{last}", str(last)), name)
        if name.endswith(".power.exponent"):
            value = value.reshape(value.shape[1], value.shape[2])
        elif name == "readout.bias":
            value = value.reshape(-1)
        elif name == "embedding.weight" and value.ndim == 2 and value.shape[1] == 4:
            value = torch.cat([value[:, 1:] + value[:, :1], value[:, :1]], dim=1)
        renamed[name] = value
    return renamed


def infer_options(state: StateDict) -> dict[str, Any]:
    """Options that can be inferred from the shapes of an official checkpoint; others are left out.

    The symmetry can be inferred only if it is "so13" or "1": so3, so12 and se2 have the same shapes, as have so2 and
    so2_0. n̄, `irc_safe` and dropout leave no trace in the weights.
    """
    wide, narrow = state[
        "msg_2to0.linear.0.weight" if "mlp_out.linear.0.weight" in state else "msg_2to1.linear.0.weight"
    ].T.shape
    options: dict[str, Any] = {
        "factorize": "net2to2.eq_layers.0.coefs00" in state,
        "output": "classes" if "mlp_out.linear.0.weight" in state else "momentum",
        "aggregation": "mean" if "net2to2.eq_layers.0.alphas.0" in state else "sum",
    }
    embedded = state["eq1to2.bias"].shape[0] if "eq1to2.bias" in state else 10
    channels = (wide, narrow, embedded)
    options["size"] = next((name for name, known in SIZES.items() if known[:2] == channels[:2]), list(channels))
    if options["output"] == "classes":
        options["n_classes"] = state["mlp_out.linear.0.weight"].shape[0]
    inputs, labelled = state["linear.weight"].shape[1], "eq1to2.bias" in state
    options["method"] = "spurions" if labelled and inputs == 1 else "input"
    if inputs == 4:
        options["symmetry"] = "1"
    elif inputs == 1 and not labelled:
        options["symmetry"] = "so13"
    return options


def _layers(state: StateDict) -> int:
    found = (re.match(r"net2to2\.message_layers\.(\d+)\.", name) for name in state)
    return 1 + max((int(match[1]) for match in found if match), default=-1)

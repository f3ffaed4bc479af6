"""L-GATr-slim of the package lgatr: class `LGATrSlim`, alone or as the ``net`` of a tagger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from ..errors import CheckpointError, explain
from ..layers.slim_block import SlimSizes
from .state_dict import StateDict

__all__ = ["infer_options", "translate"]

_NAMES = (
    (r"^linear_in\.", "embedding."),
    (r"^linear_out\.linear_s\.", "head."),
    (r"^linear_out\.weight_v$", "vector_head.weight"),
    (r"\.norm1\.weight_v$", ".first_norm.vectors"),
    (r"\.norm1\.weight_s$", ".first_norm.scalars"),
    (r"\.norm2\.weight_v$", ".second_norm.vectors"),
    (r"\.norm2\.weight_s$", ".second_norm.scalars"),
    (r"\.attention\.linear_in\.", ".attention.inputs."),
    (r"\.attention\.linear_out\.", ".attention.outputs."),
    (r"weight_v$", "vectors.weight"),
    (r"linear_s\.", "scalars."),
)


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours; those without effect on the outputs are left out.

    A single output, the logit of the signal, becomes two: 0 and that logit, with the same probability.
    """
    state = _own(state)
    gates, last = _gates(state), _layers(state) - 1
    unseen = re.compile(rf"blocks\.{last}\.(norm2|mlp\..*)\.weight_v$|linear_out\.weight_v$")
    classes = not state["linear_out.weight_v"].numel()
    renamed = {}
    for name, value in state.items():
        if classes and unseen.match(name):
            continue
        name = re.sub(r"\.mlp\.layers\.(\d+)\.", lambda found: _layer(int(found[1]), gates), name)
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        alone = classes and name.startswith("head.") and len(value) == 1
        renamed[name] = torch.cat([torch.zeros_like(value), value]) if alone else value
    return renamed


def infer_options(state: StateDict, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options that the shapes of the weights tell.

    The number of heads, activations, unit, spurions and dropout leave no trace; nor does the aggregation, which decides
    with the number of scalars whether `inputs` have to be given.

    Raises
    ------
    CheckpointError
        If the network takes or returns more than one vector per node, or other scalars than the options make.
    """
    state = _own(state)
    vectors, scalars = state["linear_in.weight_v"], state["linear_in.linear_s.weight"]
    outputs = state["linear_out.weight_v"].shape[0], len(state.get("linear_out.linear_s.weight", ()))
    if vectors.shape[1] != 1 or outputs[0] > 1 or outputs[1] < 1 or (outputs[0] and outputs[1] != 1):
        raise CheckpointError(
            explain(
                f"an L-GATr-slim with {vectors.shape[1]} vectors in, {outputs[0]} vectors and {outputs[1]} scalars out",
                "1 vector in; out, one scalar per class and no vector, or 1 scalar and 1 vector (a momentum)",
                "convert a network for jets: in_v_channels=1, out_v_channels=0",
            )
        )
    token = given.get("aggregation", "token") == "token"
    inputs = scalars.shape[1] - token
    if inputs and given.get("inputs") is None:
        raise CheckpointError(
            explain(
                f"an L-GATr-slim with {inputs} scalars per constituent, without inputs",
                "what these scalars are: inputs='kinematic' (7) or a sequence of variables, in their order",
                "give inputs as in the training, or aggregation='mean' if it had no token",
            )
        )
    wide = state["blocks.0.mlp.layers.0.linear.linear_s.weight"].shape[0] // (2 * len(scalars))
    options: dict[str, Any] = {
        "output": "momentum" if outputs[0] else "classes",
        "vectors": len(vectors),
        "scalars": len(scalars),
        "n_layers": _layers(state),
        "mlp_ratio": wide,
        "mlp_layers": len(_gates(state)) + 1,
        "attention_ratio": _attention_ratio(state, given.get("n_heads", SlimSizes.heads)),
        "gains": "blocks.0.norm1.weight_s" in state,
    }
    return options if outputs[0] else options | {"n_classes": max(outputs[1], 2)}


def _attention_ratio(state: StateDict, heads: int) -> int:
    """Width of the attention for a number of heads; 1 if none fits, and the shapes will say so."""
    out = state["blocks.0.attention.linear_out.weight_v"], state["blocks.0.attention.linear_out.linear_s.weight"]
    (vectors, wide_vectors), (scalars, wide_scalars) = (weight.shape for weight in out)
    for ratio in range(1, 1 + wide_vectors + wide_scalars):
        v, s = SlimSizes(vectors, scalars, heads, ratio).head_channels
        if (heads * v, heads * s) == (wide_vectors, wide_scalars):
            return ratio
    return 1


def _own(state: StateDict) -> StateDict:
    """The network's own entries: a tagger's ``net``; earlier versions stored the metric beside the weights."""
    nested = any(name.startswith("net.") for name in state)
    own = {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net." * nested)}
    return {name: value for name, value in own.items() if not re.search(r"(^|\.)metric$", name)}


def _layer(number: int, gates: list[int]) -> str:
    return f".perceptron.gates.{gates.index(number)}." if number in gates else ".perceptron.outputs."


def _layers(state: StateDict) -> int:
    return 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))


def _gates(state: StateDict) -> list[int]:
    """Numbers of the gated layers of a perceptron: dropout, if any, is a layer between them."""
    found = (re.fullmatch(r"blocks\.0\.mlp\.layers\.(\d+)\.linear\.weight_v", name) for name in state)
    return sorted(int(match[1]) for match in found if match)

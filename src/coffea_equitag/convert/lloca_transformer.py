"""The authors' LLoCa-Transformer: frame prediction and transformer of the package lloca, in their tagger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError, explain
from ..models.lorentznet import PARTICLES
from .state_dict import StateDict, numbered

__all__ = ["infer_options", "translate"]

_FEATURES = 7
_PERCEPTRON = r"framesnet\.equivectors\.block\.mlp\.mlp\.(\d+)"
_NAMES = (
    (r"^framesnet\.equivectors\.block\.edge_(mean|std)$", r"frames.edge_\1"),
    (r"^net\.linear_in\.", "embedding."),
    (r"^net\.linear_out\.", "head."),
    (r"^net\.blocks\.(\d+)\.attention\.qkv_linear\.linear\.", r"blocks.\1.attention.qkv."),
    (r"^net\.blocks\.(\d+)\.attention\.out_linear\.", r"blocks.\1.attention.out."),
    (r"^net\.blocks\.(\d+)\.mlp\.", r"blocks.\1.mlp."),
)
#: Buffers that say how something was done, not what was learned.
_NO_WEIGHTS = re.compile(r"\.edge_inited$|\.parity_odd$")


def infer_options(state: StateDict, given: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes, and whether frames were predicted from laboratory features, from the shapes of the weights.

    They do not tell how a head's channels are divided between scalars, vectors and tensors, nor whether beams were
    among the nodes, nor `preserve_variance`.

    Raises
    ------
    CheckpointError
        If the channels of a head are not given, or are not those of the checkpoint; if it has other scalars than the
        options make, or attention of another kind.
    """
    size = _head_size(state)
    scalars, vectors, tensors = (int(given.get(name, 0)) for name in ("scalars", "vectors", "tensors"))
    if scalars + 4 * vectors + 16 * tensors != size:
        raise CheckpointError(
            explain(
                f"a LLoCa-Transformer with {size} channels per head, and scalars = {scalars}, vectors = {vectors}, "
                f"tensors = {tensors}",
                f"scalars + 4 vectors + 16 tensors = {size}",
                "give them as trained: the official 8x0n+2x1n is scalars=8, vectors=2, and 12x0n+1x1n is 12 and 1",
            )
        )
    blocks = numbered(state, r"net\.blocks\.(\d+)\.mlp\.0\.weight")
    hidden = numbered(state, rf"{_PERCEPTRON}\.weight")
    columns = sum(len(PARTICLES) if name == "pdgId" else 1 for name in given.get("fields", ()))
    inputs, predicting = state["net.linear_in.weight"].shape[1], (hidden[0].shape[1] - 1) // 2
    if inputs != columns + _FEATURES or predicting not in (columns, columns + _FEATURES):
        raise CheckpointError(
            explain(
                f"a LLoCa-Transformer with {inputs} features per constituent, {predicting} of them for its frames, and "
                f"{columns} columns of constituents",
                f"the {_FEATURES} kinematic features and {inputs - _FEATURES} columns",
                "give the columns that it was trained with as fields",
            )
        )
    return {
        "n_classes": len(state["net.linear_out.weight"]),
        "tensors": tensors,
        "heads": len(state["net.linear_in.weight"]) // size,
        "blocks": len(blocks),
        "mlp_factor": blocks[0].shape[0] // blocks[0].shape[1],
        "laboratory": predicting > columns,
        "frame_width": len(hidden[0]),
        "frame_layers": len(hidden) - 1,
        "least_mass": 5e-3,
    }


def _head_size(state: StateDict) -> int:
    """Channels of a head; the queries of all heads must be as wide as the network."""
    weight = state["net.blocks.0.attention.qkv_linear.linear.weight"]
    if weight.shape[0] != 3 * weight.shape[1]:
        raise CheckpointError(
            explain(
                f"a LLoCa-Transformer whose attention has {weight.shape[0] // 3} channels of {weight.shape[1]}",
                "attention_factor = 1",
                "train it so: no published LLoCa-Transformer differs",
            )
        )
    return int(state["net.attention.transform.parity_odd"].shape[1])


def translate(state: StateDict) -> StateDict:
    """Rename the official parameters to ours; attention is stored once in the whole and once in each block."""
    renamed = {}
    layers = sorted({int(found[1]) for name in state if (found := re.match(_PERCEPTRON, name))})
    for key, value in state.items():
        if _NO_WEIGHTS.search(key):
            continue
        for pattern, name in _NAMES:
            key = re.sub(pattern, name, key)
        renamed[re.sub(_PERCEPTRON, lambda found: _layer(layers.index(int(found[1]))), key)] = value
    return renamed


def _layer(index: int) -> str:
    """Ours of the linear layers of the perceptron, which has dropout between them."""
    return "frames.first" if index == 0 else f"frames.rest.{3 * index - 1}"

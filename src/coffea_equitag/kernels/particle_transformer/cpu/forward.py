"""Particle Transformer forward, one group of jets at a time: every row of constituents stays in the workspace."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.dropout_row import NO_DROP
from ...common.cpu.ragged_attention import Rows, attend_jets
from ...common.cpu.row_layers import LINEAR, RELU, row_layer, row_layer_add
from ...common.cpu.row_norms import layer_norm_rows
from .weights import BlockWeights, Embedding, Head
from .workspace import CHUNK, Workspace, shaped

__all__ = ["attend_block", "embed", "head_of_tokens"]

_EPSILON = 1e-5
_NONE = np.empty(0, np.float32)


@njit
def embed(weights: Embedding, features: F4, start: int, rows: int, work: Workspace) -> None:
    """Write the embedded constituents ``start : start + rows`` to the workspace."""
    last = len(weights.layers) - 1
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        here, there = work.hidden, work.spare
        x = shaped(here, features.shape[1])
        _standardise(features, start + first, count, weights.scale, weights.shift, x)
        for level in range(last):
            layer = weights.layers[level]
            out = shaped(there, layer.width)
            row_layer(x, 0, layer, weights.kind, out, 0, count)
            layer_norm_rows(out, 0, count, _NONE, _NONE, _EPSILON, out, 0)
            x, here, there = out, there, here
        row_layer(x, 0, weights.layers[last], weights.kind, work.x, first, count)


@njit
def attend_block(weights: BlockWeights, offsets: I8, work: Workspace, of_tokens: bool) -> None:
    """One block on the group's jets, in place: constituents attend to each other, or tokens to themselves and those.

    One function for both, so that what they share is compiled once.
    """
    rows, jets, width, pairs = offsets[-1], len(offsets) - 1, work.x.shape[1], work.bias.shape[1]
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        layer_norm_rows(work.x, first, count, _NONE, _NONE, _EPSILON, work.normed, first)
        if not of_tokens:
            row_layer(work.normed, first, weights.query, LINEAR, work.query, first, count)
        row_layer(work.normed, first, weights.key, LINEAR, work.key, first, count)
        row_layer(work.normed, first, weights.value, LINEAR, work.value, first, count)
    x, query, own_key, own_value, attended = work.x, work.query, work.key[:0], work.value[:0], work.attended
    if of_tokens:
        x, query, own_key, own_value, attended = (
            work.tokens, work.token_query, work.token_key, work.token_value, work.token_normed
        )  # fmt: skip
        layer_norm_rows(x, 0, jets, _NONE, _NONE, _EPSILON, attended, 0)
        row_layer(x, 0, weights.query, LINEAR, query, 0, jets)
        row_layer(attended, 0, weights.key, LINEAR, own_key, 0, jets)
        row_layer(attended, 0, weights.value, LINEAR, own_value, 0, jets)
        rows, pairs = jets, 0
    scale = 1 / np.sqrt(np.float64(width // weights.heads))
    attend_jets(
        query, Rows(own_key, work.key), Rows(own_value, work.value), offsets, 0, jets, weights.heads, scale,
        work.bias.T[:pairs], 0, NO_DROP, attended,
    )  # fmt: skip
    _complete(weights, x, attended, query, rows, work.hidden)


@njit
def head_of_tokens(weights: Head, jets: int, work: Workspace, logits: F4) -> None:
    """Write the logits of the group's tokens."""
    layer_norm_rows(work.tokens, 0, jets, _NONE, _NONE, _EPSILON, work.token_normed, 0)
    x, here, there = work.token_normed, work.hidden, work.spare
    last = len(weights.layers) - 1
    for level in range(last + 1):
        layer = weights.layers[level]
        out = shaped(here, layer.width)
        row_layer(x, 0, layer, LINEAR if level == last else RELU, out, 0, jets)
        x, here, there = out, there, here
    for jet in range(jets):
        for c in range(logits.shape[1]):
            logits[jet, c] = x[jet, c]


@inner
def _complete(weights: BlockWeights, x: F4, attended: F4, spare: F4, rows: int, hidden: F4) -> None:
    """What follows the attention, in place: x + norm, then with the feed-forward network."""
    wide = shaped(hidden, weights.first.width)
    for first in range(0, rows, CHUNK):
        count = min(CHUNK, rows - first)
        row_layer(attended, first, weights.out, LINEAR, spare, first, count)
        layer_norm_rows(spare, first, count, weights.scale, weights.shift, _EPSILON, spare, first)
        _add(x, spare, first, count)
        layer_norm_rows(x, first, count, _NONE, _NONE, _EPSILON, spare, first)
        row_layer(spare, first, weights.first, weights.kind, wide, 0, count)
        layer_norm_rows(wide, 0, count, _NONE, _NONE, _EPSILON, wide, 0)
        _scale_rows(x, weights.residual, first, count)
        row_layer_add(wide, 0, weights.second, x, first, count)


@inner
def _add(x: F4, more: F4, first: int, rows: int) -> None:
    for row in range(first, first + rows):
        target, source = x[row], more[row]
        for c in range(len(source)):
            target[c] += source[c]


@inner
def _scale_rows(x: F4, factors: F4, first: int, rows: int) -> None:
    for row in range(first, first + rows):
        target = x[row]
        for c in range(len(factors)):
            target[c] *= factors[c]


@inner
def _standardise(features: F4, start: int, count: int, scale: F8, shift: F8, out: F4) -> None:
    """BatchNorm of the features, then each row normalised, in float64: they are few."""
    width = features.shape[1]
    row = np.empty(width)
    for i in range(count):
        mean, square = 0.0, 0.0
        for c in range(width):
            row[c] = features[start + i, c] * scale[c] + shift[c]
            mean += row[c]
        mean /= width
        for c in range(width):
            square += (row[c] - mean) ** 2
        inverse = 1 / np.sqrt(square / width + _EPSILON)
        for c in range(width):
            out[i, c] = np.float32((row[c] - mean) * inverse)

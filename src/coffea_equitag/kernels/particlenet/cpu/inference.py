"""ParticleNet's evaluation on the CPU: graphs, fused edge convolutions and the classifier.

A jet's sums run over its own constituents and edges in a fixed order, so its logits are the same to the last bit
whatever jets stand beside it and however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ....array_types import F4, F8, I8, AnyArray
from ....compiled import njit, over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ...common.cpu.folding import batch_norm_of, blocks, double, folded, padded
from ...common.cpu.wide_dense import LINEAR, MARGIN, RELU, block_of, layer
from .forward import EdgeConvWeights, convolve
from .nearest import edge_offsets, nearest_senders

__all__ = ["logits"]


class _Head(NamedTuple):
    hidden: F4
    hidden_bias: F4
    out: F4
    out_bias: F4
    inputs: int
    units: int


class _Weights(NamedTuple):
    convolutions: tuple[EdgeConvWeights, ...]
    channels: tuple[int, ...]
    head: _Head


def logits(
    model: JetModel,
    features_N7: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    nodes_NE: Tensor | None,
    edges_of: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None = None,
) -> Tensor:
    """Logits of a float32 `ParticleNet` in evaluation mode.

    Parameters
    ----------
    model : ParticleNet
        Of the layers it is built of.
    features_N7 : Tensor of float32, shape (N, 7)
        Features of the constituents, before their normalisation.
    points_N2 : Tensor, shape (N, 2)
        (Δη, Δφ), for the first graph.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    priority : Tensor, shape (N,), or None
        pT, which decides between equally near neighbours.
    nodes_NE : Tensor of float32, shape (N, E), or None
        The node-wise patch's features, which enter each convolution.
    edges_of : callable, optional
        From a convolution's number and its graph's points to the edges' senders (P,), receiver after receiver, and
        the pairwise patch's features (P, E).

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    weights = folded(model, _fold)
    threads = torch.get_num_threads()
    bounds = np.ascontiguousarray(offsets.numpy())
    total, inputs = features_N7.shape
    squares, edges = pair_offsets(bounds), edge_offsets(bounds, model.options["k"])
    first = np.zeros(total) if priority is None else priority.detach().double().contiguous().numpy()
    sender, pairs = np.empty(edges[-1], np.int64), np.empty((0, 0), np.float32)
    x = _with_nodes(inputs, total, nodes_NE)
    x[:total, :inputs] = features_N7.detach().numpy()
    points: AnyArray = points_N2.detach().double().contiguous().numpy()
    dimension = points.shape[1]
    for level, (weight, channels) in enumerate(zip(weights.convolutions, weights.channels, strict=True)):
        out = _with_nodes(len(weight.shortcut_bias), total, nodes_NE)
        if edges_of is not None:
            found = edges_of(level, torch.from_numpy(points[:total, :dimension]))
            sender, pairs = found[0].numpy(), found[1].detach().contiguous().numpy()
        seek = None if edges_of else partial(nearest_senders, points, dimension, first, bounds, edges, sender)
        over_jets(
            partial(_run, seek, partial(convolve, weight, x, bounds, edges, sender, pairs, out)), squares, threads
        )
        x, points, dimension = out, out, channels
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)
    over_jets(partial(_classify, weights.head, x, bounds, logits), squares, threads)
    return torch.from_numpy(logits)


def _with_nodes(width: int, total: int, nodes_NE: Tensor | None) -> F4:
    """Rows for the constituents' features, and a margin; the patch's stand behind."""
    extra = 0 if nodes_NE is None else nodes_NE.shape[1]
    rows = np.empty((total + MARGIN, width + extra), np.float32)
    rows[total:] = 0
    if nodes_NE is not None:
        rows[:total, width:] = nodes_NE.detach().numpy()
    return rows


def _run(seek: Callable[[int, int], None] | None, form: Callable[[int, int], None], first: int, last: int) -> None:
    if seek is not None:
        seek(first, last)
    form(first, last)


@njit
def _classify(head: _Head, x: F4, offsets: I8, logits: F4, first: int, last: int) -> None:
    jets = last - first
    mean = np.zeros((jets + MARGIN, x.shape[1]), np.float32)
    for jet in range(jets):
        start, n = offsets[first + jet], offsets[first + jet + 1] - offsets[first + jet]
        for i in range(n):
            for c in range(head.inputs):
                mean[jet, c] += x[start + i, c]
        for c in range(head.inputs):
            mean[jet, c] /= np.float32(max(n, 1))
    hidden = np.zeros((jets + MARGIN, len(head.hidden_bias)), np.float32)
    out = np.zeros((jets + MARGIN, len(head.out_bias)), np.float32)
    layer(mean, 0, head.inputs, head.hidden, head.hidden_bias, RELU, hidden, 0, jets)
    layer(hidden, 0, head.units, head.out, head.out_bias, LINEAR, out, 0, jets)
    for jet in range(jets):
        for c in range(logits.shape[1]):
            logits[first + jet, c] = out[jet, c]


def _fold(model: Any) -> _Weights:
    first, last = model.head[0], model.head[3]
    channels = tuple(block.linears[-1].out_features for block in model.blocks)
    extra = model.options["patch_width"] if model.node_patch is not None else 0
    scale, shift = batch_norm_of(model.input_norm)
    convolutions: list[EdgeConvWeights] = []
    for block, n_input in zip(model.blocks, (len(scale), *channels), strict=False):
        # what comes in is padded to whole tiles, but for the features themselves
        gap = 0 if not convolutions else -n_input % block_of(n_input)
        convolutions.append(_fold_block(block, n_input, gap, extra, scale, shift))
        scale, shift = np.ones(1), np.zeros(1)
    head = _Head(
        hidden=blocks(double(first.weight)),
        hidden_bias=padded(double(first.bias)),
        out=blocks(double(last.weight)),
        out_bias=padded(double(last.bias)),
        inputs=first.in_features,
        units=last.in_features,
    )
    return _Weights(tuple(convolutions), channels, head)


def _fold_block(block: Any, n_input: int, gap: int, extra: int, scale: F8, shift: F8) -> EdgeConvWeights:
    """Fold one `EdgeConv`; `scale` and `shift` are those of a normalisation before it."""

    def spaced(matrix: F8) -> tuple[F8, F8]:
        """The matrix for inputs as they come, and what the shift makes of them."""
        own = matrix[:, :n_input]
        shifted = own @ np.broadcast_to(shift, n_input)
        return np.hstack([own * scale, np.zeros((len(matrix), gap)), matrix[:, n_input:]]), shifted

    norms = [batch_norm_of(norm) for norm in block.norms]
    weights = [
        double(linear.weight) * norm_scale[:, None]
        for linear, (norm_scale, _) in zip(block.linears, norms, strict=True)
    ]
    f = n_input + extra
    w_own, w_step, w_pair = np.split(weights[0], [f, 2 * f], axis=1)
    own, own_shift = spaced(w_own - w_step)
    other, other_shift = spaced(w_step)
    short, short_bias = np.eye(f), np.zeros(f)
    if not isinstance(block.shortcut, nn.Identity):
        short_scale, short_bias = batch_norm_of(block.shortcut[1])
        short = double(block.shortcut[0].weight) * short_scale[:, None]
    short, short_shift = spaced(short)
    return EdgeConvWeights(
        own=blocks(own),
        own_bias=padded(norms[0][1] + own_shift + other_shift),
        other=blocks(other),
        zeros=padded(np.zeros(len(other))),
        shortcut=blocks(short),
        shortcut_bias=padded(short_bias + short_shift),
        pair=blocks(w_pair),
        edge=tuple(blocks(weight) for weight in weights[1:]),
        edge_bias=tuple(padded(norm_shift) for _, norm_shift in norms[1:]),
        edge_inputs=tuple(weight.shape[1] for weight in weights[1:]),
    )

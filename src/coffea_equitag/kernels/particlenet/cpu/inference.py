"""ParticleNet's evaluation on the CPU: graphs, fused edge convolutions and the classifier.

A jet's sums run over its own constituents and edges in a fixed order, so its logits are the same to the last bit
whatever jets stand beside it and however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....array_types import F4, I8, AnyArray
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ...common.cpu.patch import PatchWeights, fold_patch, patch_features
from ...common.cpu.wide_dense import MARGIN
from .classifier import average, classify, fused_average
from .edge_scalars import EdgeScalars
from .forward import convolve
from .nearest import edge_offsets, nearest_senders
from .weights import bf16_edges_of, weights_of

__all__ = ["logits"]


def logits(
    model: JetModel,
    features_NF: Tensor,
    points_N2: Tensor,
    offsets: Tensor,
    priority: Tensor | None,
    groups_NG: Tensor | None,
    p4_N4: Tensor | None,
    gram_Q: Tensor | None,
    *,
    bf16: bool = False,
) -> Tensor:
    """Logits of a float32 `ParticleNet` in evaluation mode.

    Parameters
    ----------
    model : ParticleNet
        Of the layers it is built of.
    features_NF : Tensor of float32, shape (N, F)
        Features of the constituents, before their normalisation.
    points_N2 : Tensor, shape (N, 2)
        (Δη, Δφ), for the first graph.
    offsets : Tensor of int64, shape (J + 1,)
        Jet boundaries.
    priority : Tensor, shape (N,), or None
        pT, which decides between equally near neighbours.
    groups_NG : Tensor of float64, shape (N, G), or None
        The friend groups' m² or energies: what the node-wise patch sees.
    p4_N4, gram_Q : Tensor of float64, or None
        Momenta and their products in the square layout: what the pairwise patch sees.
    bf16 : bool
        Multiply the edge networks' layers after the first in bf16.

    Returns
    -------
    Tensor of float32, shape (J, n_classes)
    """
    network: Any = model
    weights = weights_of(model)
    coarse = bf16_edges_of(model) if bf16 else None
    threads = torch.get_num_threads()
    bounds = np.ascontiguousarray(offsets.numpy())
    total, inputs = features_NF.shape
    squares, phantoms = pair_offsets(bounds), model.options["phantom_neighbours"]
    first = np.zeros(total) if priority is None else priority.detach().double().contiguous().numpy()
    scalars, found = np.empty((0, 1)), []
    pairs = None if not weights.pair_patches else EdgeScalars.of(model, p4_N4, gram_Q, bounds)
    nodes = None if groups_NG is None else _node_features(weights.node_patch, groups_NG, bounds)
    x = _with_nodes(inputs, total, nodes)
    x[:total, :inputs] = features_NF.detach().numpy()
    points: AnyArray = points_N2.detach().double().contiguous().numpy()
    dimension = points.shape[1]
    for level, (weight, k) in enumerate(zip(weights.convolutions, network.neighbours, strict=True)):
        edges = edge_offsets(bounds, k, phantoms)
        # what no neighbour takes is left to phantoms
        sender = np.full(edges[-1], total)
        out = _with_nodes(len(weight.shortcut_bias), total, nodes)
        seek = partial(nearest_senders, points, dimension, first, bounds, edges, sender)
        if pairs is not None:
            over_jets(seek, squares, threads)
            scalars = pairs.on(bounds, edges, sender)
        patch = weights.pair_patches[level] if pairs else fold_patch(None)
        form = partial(
            convolve, weight, None if coarse is None else coarse[level], patch, x, bounds, edges, sender, scalars, out
        )
        over_jets(form if pairs else partial(_run, seek, form), squares, threads)
        x, points, dimension = out, out, weights.channels[level]
        found.append(out)
    logits = np.empty((len(bounds) - 1, model.n_classes), np.float32)

    def finish(first: int, last: int) -> None:
        if weights.fusion is None:
            mean = average(x, bounds, first, last)
        else:
            mean = fused_average(weights.fusion, tuple(found), bounds, first, last)
        classify(weights.head, mean, logits, first, last)

    over_jets(finish, squares, threads)
    return torch.from_numpy(logits)


def _node_features(patch: PatchWeights, groups_NG: Tensor, bounds: I8) -> F4:
    """The node-wise patch's features, (N, E)."""
    groups = groups_NG.detach().double().contiguous().numpy()
    found = np.empty((len(groups), patch.width), np.float32)
    over_jets(lambda first, last: patch_features(patch, groups, found, bounds[first], bounds[last]), bounds)
    return found


def _with_nodes(width: int, total: int, nodes: F4 | None) -> F4:
    """Rows for the constituents' features, and a margin; the patch's stand behind."""
    extra = 0 if nodes is None else nodes.shape[1]
    rows = np.empty((total + MARGIN, width + extra), np.float32)
    rows[total:] = 0
    if nodes is not None:
        rows[:total, width:] = nodes
    return rows


def _run(seek: Callable[[int, int], None], form: Callable[[int, int], None], first: int, last: int) -> None:
    seek(first, last)
    form(first, last)

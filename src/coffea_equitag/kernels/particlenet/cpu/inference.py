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

from ....array_types import F4, AnyArray
from ....compiled import over_jets
from ....invariants.minkowski import pair_offsets
from ....jet_model import JetModel
from ...common.cpu.wide_dense import MARGIN
from .classifier import average, classify, fused_average
from .forward import convolve
from .nearest import edge_offsets, nearest_senders
from .weights import weights_of

__all__ = ["logits"]


def logits(
    model: JetModel,
    features_NF: Tensor,
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
    features_NF : Tensor of float32, shape (N, F)
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
    network: Any = model
    weights = weights_of(model)
    threads = torch.get_num_threads()
    bounds = np.ascontiguousarray(offsets.numpy())
    total, inputs = features_NF.shape
    squares, phantoms = pair_offsets(bounds), model.options["phantom_neighbours"]
    first = np.zeros(total) if priority is None else priority.detach().double().contiguous().numpy()
    pairs, found = np.empty((0, 0), np.float32), []
    x = _with_nodes(inputs, total, nodes_NE)
    x[:total, :inputs] = features_NF.detach().numpy()
    points: AnyArray = points_N2.detach().double().contiguous().numpy()
    dimension = points.shape[1]
    for level, (weight, k) in enumerate(zip(weights.convolutions, network.neighbours, strict=True)):
        edges = edge_offsets(bounds, k, phantoms)
        # what no neighbour takes is left to phantoms
        sender = np.full(edges[-1], total)
        out = _with_nodes(len(weight.shortcut_bias), total, nodes_NE)
        if edges_of is not None:
            senders, scalars = edges_of(level, torch.from_numpy(points[:total, :dimension]))
            sender, pairs = senders.numpy(), scalars.detach().contiguous().numpy()
        seek = None if edges_of else partial(nearest_senders, points, dimension, first, bounds, edges, sender)
        over_jets(
            partial(_run, seek, partial(convolve, weight, x, bounds, edges, sender, pairs, out)), squares, threads
        )
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

"""Three vectors of each constituent as an autograd function of the nodes' parts and the weights of the pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ....array_types import F4, F8, AnyArray
from ....compiled import njit
from ....layers.frame_prediction import FramePrediction
from ...common.cpu.aligned import aligned
from ...common.cpu.jet_groups import JetGroups
from ...common.cpu.row_layers import RowLayer, pack
from ...common.cpu.wide_dense import MARGIN
from .frame_vectors import VECTORS, frame_sums, pair_shares
from .pair_gradient import PairGradients, Shares, jet_gradient
from .pair_network import PairBuffers, pair_buffers, pair_logits, write_edges
from .weights import PairWeights, stacked, whole

__all__ = ["frame_vectors", "nodes_of", "vectors_of"]


class _Nodes(NamedTuple):
    """Of all jets: groups, momenta (M, 4) and products (Q,) of the nodes, references per jet, log m²'s mean and std."""

    groups: JetGroups
    p4: F8
    gram: F8
    references: int
    mean: float
    std: float


def frame_vectors(
    frames: FramePrediction, rest_M4: Tensor, gram_Q: Tensor, nodes: Tensor, references: int, scalars_MS: Tensor,
    is_own: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Vectors v_i of the constituents before they are normalised, (3, N, 4), and their squares (3, N), float64.

    Parameters
    ----------
    frames : FramePrediction
        Of two hidden layers.
    rest_M4, gram_Q : Tensor of float64, shapes (M, 4) and (Q,)
        Nodes and their products.
    nodes : Tensor of int64, shape (J + 1,)
        Nodes before each jet.
    references : int
        How many nodes of each jet, the first, have no frame.
    scalars_MS : Tensor of float32, shape (M, S)
        Scalars of the nodes.
    is_own : Tensor of bool, shape (M,)
        Which are constituents.
    """
    hidden, last = (layer for layer in frames.rest if isinstance(layer, nn.Linear))
    of_i, of_j, of_edge = torch.split(frames.first.weight, [frames.n_scalars, frames.n_scalars, 1], dim=1)
    gap = whole(len(of_i)) - len(of_i)
    columns, both = (0, gap), (0, gap, 0, gap)
    received = nn.functional.linear(scalars_MS[is_own], of_i, frames.first.bias)
    vectors, squares = vectors_of(
        nodes_of(frames, rest_M4, gram_Q, nodes, references),
        nn.functional.pad(received, columns),
        nn.functional.pad(scalars_MS @ of_j.T, columns),
        nn.functional.pad(of_edge[:, 0], columns),
        nn.functional.pad(hidden.weight, both),
        nn.functional.pad(hidden.bias, columns),
        nn.functional.pad(last.weight, columns),
        last.bias,
    )
    return vectors, squares


def nodes_of(frames: FramePrediction, rest_M4: Tensor, gram_Q: Tensor, nodes: Tensor, references: int) -> _Nodes:
    """What `vectors_of` needs besides tensors, of the same arguments as in `frame_vectors`."""
    momenta = rest_M4.contiguous().numpy(), gram_Q.contiguous().numpy()
    return _Nodes(JetGroups.of(nodes), *momenta, references, float(frames.edge_mean), float(frames.edge_std))


class _Vectors(torch.autograd.Function):
    """Of the nodes' parts (N, W), (M, W), the edges' (W,), a layer's (W, W), (W,), and the last one's (3, W), (3,)."""

    @staticmethod
    def forward(ctx: Any, given: _Nodes, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        ctx.given = given
        ctx.save_for_backward(*tensors)
        received, sent, weights = _arrays(given, tensors)
        vectors, squares = np.empty((VECTORS, len(received), 4)), np.empty((VECTORS, len(received)))
        groups, found = given.groups, (vectors, squares)

        def run(first: int, last: int) -> None:
            buffers = pair_buffers(_most(groups, first, last), received.shape[1])
            _forward(weights, _plain(given), received, sent, buffers, found, first, last)

        groups.over_groups(run)
        return torch.from_numpy(vectors), torch.from_numpy(squares)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_vectors: Tensor, grad_squares: Tensor) -> tuple[Tensor | None, ...]:
        given: _Nodes = ctx.given
        received, sent, weights = _arrays(given, ctx.saved_tensors)
        groups, width = given.groups, received.shape[1]
        arriving = grad_vectors.contiguous().numpy(), grad_squares.contiguous().numpy()
        transposed, count = pack(ctx.saved_tensors[3].detach().numpy().T), groups.num_groups
        grads = PairGradients(
            np.zeros_like(received), np.zeros_like(sent), _zeros(count, width), _zeros(count, width + MARGIN, width),
            _zeros(count, width), _zeros(count, VECTORS, width), _zeros(count, VECTORS),
        )  # fmt: skip

        def run(first: int, last: int) -> None:
            buffers = pair_buffers(_most(groups, first, last), width)
            spare, logits = aligned(np.zeros_like(buffers.here)), np.empty_like(buffers.logits)
            _backward(
                weights, transposed, _plain(given), received, sent, buffers, spare, logits, arriving, grads, first, last
            )

        groups.over_groups(run)
        of_edge, hidden, *rest = (parts.sum(axis=0) for parts in grads[2:])
        found = (grads.received, grads.sent, of_edge, hidden[:width], *rest)
        return None, *(torch.from_numpy(np.ascontiguousarray(values)) for values in found)


#: Vectors and squares, as `frame_vectors`, of nodes and of what `_Vectors` says.
vectors_of: Callable[..., tuple[Tensor, Tensor]] = _Vectors.apply


def _arrays(given: _Nodes, tensors: tuple[Tensor, ...]) -> tuple[F4, F4, PairWeights]:
    received, sent, of_edge, hidden, hidden_bias, last, last_bias = (
        tensor.detach().contiguous().numpy() for tensor in tensors
    )
    layers = stacked([pack(hidden, hidden_bias)])
    return (
        received,
        sent,
        PairWeights(aligned(of_edge), *layers, aligned(last), aligned(last_bias), given.mean, given.std),
    )


def _plain(given: _Nodes) -> tuple[AnyArray, AnyArray, AnyArray, F8, F8, int]:
    groups = given.groups
    return groups.groups, groups.offsets, groups.squares, given.p4, given.gram, given.references


def _most(groups: JetGroups, first: int, last: int) -> int:
    """Nodes of the largest jet of some groups."""
    jets = groups.offsets[groups.groups[first] : groups.groups[last] + 1]
    return int(np.diff(jets).max(initial=0))


def _zeros(*shape: int) -> F4:
    return np.zeros(shape, np.float32)


@njit
def _forward(
    weights: PairWeights, given: tuple[AnyArray, AnyArray, AnyArray, F8, F8, int], received: F4, sent: F4,
    buffers: PairBuffers, found: tuple[F8, F8], first: int, last: int,
) -> None:  # fmt: skip
    groups, offsets, squares, p4, gram, references = given
    most = len(buffers.received)
    shares, products, sums, square = (
        np.empty((VECTORS, most)), np.empty((VECTORS, most)), np.empty((VECTORS, 4)), np.empty(VECTORS),
    )  # fmt: skip
    for jet in range(groups[first], groups[last]):
        start, nodes = offsets[jet], offsets[jet + 1] - offsets[jet]
        if nodes == references:
            continue
        own, products_of_jet = start - jet * references, gram[squares[jet] : squares[jet + 1]]
        _copy_parts(received, own, sent, start, nodes, references, buffers)
        write_edges(weights, products_of_jet, nodes, references, buffers)
        pair_logits(weights, nodes, references, buffers)
        for i in range(nodes - references):
            pair_shares(buffers, nodes, references, i, shares)
            frame_sums(shares, p4, start, products_of_jet, nodes, sums, square, products)
            found[0][:, own + i] = sums
            found[1][:, own + i] = square


@njit
def _backward(
    weights: PairWeights, transposed: RowLayer, given: tuple[AnyArray, AnyArray, AnyArray, F8, F8, int],
    received: F4, sent: F4, buffers: PairBuffers, spare: F4, grad_logits: F4, arriving: tuple[F8, F8],
    grads: PairGradients, first: int, last: int,
) -> None:  # fmt: skip
    groups, offsets, squares, p4, gram, references = given
    most = len(buffers.received)
    room = Shares(np.empty((VECTORS, most)), np.empty((VECTORS, most)), np.empty((VECTORS, 4)), np.empty(VECTORS))
    for group in range(first, last):
        for jet in range(groups[group], groups[group + 1]):
            start, nodes = offsets[jet], offsets[jet + 1] - offsets[jet]
            if nodes == references:
                continue
            own, products_of_jet = start - jet * references, gram[squares[jet] : squares[jet + 1]]
            _copy_parts(received, own, sent, start, nodes, references, buffers)
            write_edges(weights, products_of_jet, nodes, references, buffers)
            jet_gradient(
                weights, transposed, (p4, products_of_jet), (group, own, start, nodes, references), arriving,
                buffers, spare, grad_logits, room, grads,
            )  # fmt: skip


@njit
def _copy_parts(
    received: F4, own: int, sent: F4, start: int, nodes: int, references: int, buffers: PairBuffers
) -> None:
    """A jet's parts of the first layer."""
    count = nodes - references
    buffers.received[:count] = received[own : own + count]
    buffers.sent[:nodes] = sent[start : start + nodes]

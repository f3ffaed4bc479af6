"""BatchNorm of LorentzNet's edges on a GPU: its statistics by sums over nodes, forward and backward."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor, nn

from ...common.gpu.tiles import RECEIVERS, Tiles
from ..scalar_kinds import NOTHING
from .backward import EdgeGradients
from .edge_statistics import Norm, Normalised, PairSums, jet_sums_kernel, normalise_kernel, scalar_sums_kernel
from .edge_statistics_gradient import (
    NodeGradients,
    NormGradients,
    ScalarTerms,
    gradient_sums_kernel,
    nodes_backward_kernel,
)

__all__ = ["COLUMNS", "Setting", "norm_backward", "norm_of", "normalise", "sums_over_pairs"]

#: Nodes and channels, or receivers and senders, that the kernels of the statistics work on at once.
_ROWS, _WIDTH, COLUMNS = 16, 32, 32
_FEW_ROWS, _MANY_ROWS = 8, 64


@dataclass(frozen=True)
class Setting:
    """What a block's edges depend on besides tensors with gradients.

    Attributes
    ----------
    tiles : Tiles
        The jets.
    shares : Tensor of int64, shape (J + 1,)
        n times its tiles, before each jet.
    num_shares : int
        That of all jets.
    norm : BatchNorm1d
        Of the edges.
    c_weight : float
        The vectors' step.
    clamps : bool
        Whether a clamp of it follows, which wants φ_x.
    kind : int
        Of the edge scalars, see ``../scalar_kinds.py``.
    precision : str
        Of the products.
    """

    tiles: Tiles
    shares: Tensor
    num_shares: int
    norm: nn.BatchNorm1d
    c_weight: float
    clamps: bool
    kind: int
    precision: str

    @property
    def num_pairs(self) -> int:
        """Pairs i ≠ j."""
        return self.tiles.num_pairs - self.tiles.num_nodes


def norm_of(norm: nn.BatchNorm1d, source: Tensor, weight: Tensor, bias: Tensor, eps: Tensor | None = None) -> Norm:
    """A BatchNorm's weight, bias and running statistics for the kernels; `eps` where it is on the GPU already."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    eps = source.new_full((1,), norm.eps) if eps is None else eps
    return Norm(weight, bias, norm.running_mean, norm.running_var, eps)


def sums_over_pairs(setting: Setting, first_layer: Tensor, source: Tensor, hidden: int, of_batch: bool) -> PairSums:
    """Sums over the batch's pairs; zeros if not wanted."""
    tiles = setting.tiles
    if not of_batch:
        return PairSums(source.new_empty(0, 5), source.new_zeros(5), source.new_zeros(5, hidden))
    rows, by_jet = source.new_zeros(tiles.num_nodes, 5), source.new_empty(tiles.num_jets, 5, hidden)
    if setting.kind != NOTHING:
        scalar_sums_kernel[(len(tiles.jet),)](
            source, tiles.arguments, rows, KIND=setting.kind, ROWS=RECEIVERS, COLUMNS=COLUMNS
        )
    jet_sums_kernel[(tiles.num_jets, triton.cdiv(hidden, _WIDTH))](
        first_layer, rows, tiles.offsets, by_jet, hidden, ROWS=_ROWS, WIDTH=_WIDTH
    )
    return PairSums(rows, rows.sum(0), by_jet.sum(0))


def normalise(
    setting: Setting,
    first_layer: Tensor,
    scalar_weights: Tensor,
    norm: Norm,
    sums: PairSums,
    channels: int,
    of_batch: bool,
) -> Normalised:
    """The first layer and a, b with BatchNorm in them."""
    nodes, hidden = setting.tiles.num_nodes, len(norm.weight)
    out = Normalised(
        first_layer=first_layer.new_empty(nodes, 2 * channels),
        scalar_weights=first_layer.new_empty(2, channels),
        statistics=norm.eps.new_empty(2, hidden),
    )
    if nodes:
        normalise_kernel[(triton.cdiv(nodes, _MANY_ROWS), triton.cdiv(channels, _WIDTH))](
            first_layer, nodes, hidden, sums, setting.num_pairs, scalar_weights, scalar_weights.stride(0), norm, out,
            OF_BATCH=of_batch, CHANNELS=channels, ROWS=_MANY_ROWS, WIDTH=_WIDTH,
        )  # fmt: skip
    return out


def norm_backward(
    setting: Setting,
    first_layer: Tensor,
    sums: PairSums,
    statistics: Tensor,
    scalar_weights: Tensor,
    norm: Norm,
    edges: EdgeGradients,
    vectors: Tensor,
    of_batch: bool,
) -> NormGradients:
    """Through BatchNorm to U, V, a and b; `vectors` are Σ dL/dẑ ν and Σ dL/dẑ π."""
    tiles, hidden, channels, pairs = setting.tiles, len(norm.weight), edges.u.shape[1], max(setting.num_pairs, 1)
    grads = NodeGradients(edges.u, edges.shared_v, first_layer.new_empty(tiles.num_nodes, hidden))
    by_jet = norm.eps.new_empty(tiles.num_jets, 2, hidden)
    gradient_sums_kernel[(tiles.num_jets, triton.cdiv(hidden, _WIDTH))](
        first_layer, tiles.offsets, setting.shares, sums, pairs, grads, by_jet, hidden, CHANNELS=channels,
        RECEIVERS=RECEIVERS, ROWS=_ROWS, WIDTH=_WIDTH,
    )  # fmt: skip
    out = NormGradients(
        first_layer=torch.empty_like(first_layer),
        norm=first_layer.new_empty(2, hidden),
        scalar_weights=first_layer.new_empty(hidden, 2),
        terms=ScalarTerms(norm.eps.new_empty(tiles.num_nodes, 4), norm.eps.new_empty(3)),
    )
    nodes_backward_kernel[(tiles.num_jets,)](
        first_layer, tiles.offsets, sums, pairs, statistics, scalar_weights, scalar_weights.stride(0), norm, grads,
        by_jet.sum(0), vectors, hidden, out, OF_BATCH=of_batch, CHANNELS=channels, ROWS=_FEW_ROWS,
        WIDTH=max(triton.next_power_of_2(hidden), _WIDTH),
    )  # fmt: skip
    return out

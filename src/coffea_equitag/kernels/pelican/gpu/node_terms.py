"""PELICAN's layers on nodes and jets on a GPU, with gradients: u_i, v_j and δ_ij d_i, and the readout.

All in float64, as in the layers, and by torch: nothing here has the size of pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ....layers.aggregates import Aggregation
from ....layers.equivariant_1to2 import Equivariant1to2
from ....layers.equivariant_2to2 import Equivariant2to2
from ....layers.equivariant_readout import Equivariant2to0
from ....layers.multiplicity_power import MultiplicityPower
from ...common.gpu.tiles import Tiles
from .jet_sums import over_jets, to_nodes

__all__ = ["block_terms", "read_out", "scalar_terms"]


def scalar_terms(layer: Equivariant1to2, scalars_NS: Tensor, tiles: Tiles, encoded: int, wide: int) -> Tensor:
    """u, v and d of the 1→2 layer, (3, N, wide) in float32, its channels behind the `encoded` ones."""
    w1, w2, w3, w4, w5 = layer.mixing().double()
    x = scalars_NS.double()
    mean = over_jets(x, tiles) / _norm(layer.aggregation, tiles)
    of_nodes, of_jets = _factors(layer.power, tiles, 3, 2)
    f1, f2, f3 = of_nodes
    f4, f5 = of_jets
    u = (x * f3) @ w3 + to_nodes((mean * f5) @ w5 + layer.bias, tiles)
    d = (x * f1) @ w1 + to_nodes((mean * f4) @ w4, tiles) if layer.diagonal else torch.zeros_like(u)
    return _placed(u, (x * f2) @ w2, d, encoded, wide)


def block_terms(
    block: Equivariant2to2, coefficients: Tensor, tiles: Tiles, sums: Tensor, counts: Tensor, norm: Tensor, wide: int
) -> Tensor:
    """u, v and d of a 2→2 layer, (3, N, wide) in float32; all between is computed again in the backward pass.

    Parameters
    ----------
    block : Equivariant2to2
        The layer.
    coefficients : Tensor of float32, shape (15, D, S)
        Its coefficients.
    tiles : Tiles
        The jets.
    sums, counts : Tensor, shape (N, 3, D) or, if nothing is dropped, (N, 3, 1)
        See `layer.Messages`.
    norm : Tensor of float64, shape (2, D)
        Scale and shift of the messages.
    wide : int
        S with padding.
    """
    found: Tensor = checkpoint(
        _block_terms, block, coefficients, tiles, sums, counts, norm, wide, use_reentrant=False,
        preserve_rng_state=False,
    )  # fmt: skip
    return found


def _block_terms(
    block: Equivariant2to2, coefficients: Tensor, tiles: Tiles, sums: Tensor, counts: Tensor, norm: Tensor, wide: int
) -> Tensor:
    _, _, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15 = coefficients.double()
    diagonal, column, row, trace, total = _aggregates(block.aggregation, tiles, sums, counts, norm)
    of_nodes, of_jets = _factors(block.power, tiles, 6, 4)
    f6, f7, f8, f9, f10, f11 = of_nodes
    f12, f13, f14, f15 = of_jets
    whole = (trace * f12) @ w12 + (total * f14) @ w14 + block.bias
    u = diagonal @ w5 + (column * f8) @ w8 + (row * f11) @ w11 + to_nodes(whole, tiles)
    v = diagonal @ w4 + (column * f7) @ w7 + (row * f10) @ w10
    d = torch.zeros_like(u)
    if block.diagonal:
        whole = (trace * f13) @ w13 + (total * f15) @ w15 + block.diagonal_bias
        d = diagonal @ w3 + (column * f6) @ w6 + (row * f9) @ w9 + to_nodes(whole, tiles)
    return _placed(u, v, d, 0, wide)


def read_out(layer: Equivariant2to0, tiles: Tiles, sums: Tensor, counts: Tensor, norm: Tensor) -> Tensor:
    """The 2→0 layer, (J, S) in float32; arguments as for `block_terms`."""
    _, _, _, trace, total = _aggregates(layer.aggregation, tiles, sums, counts, norm)
    operations = torch.stack([total, trace], dim=2)
    if layer.power is not None:
        operations = operations * layer.power(tiles.offsets.diff())
    mixed = torch.einsum("jdb,bds->js", nn.functional.leaky_relu(operations), layer.mixing().double())
    return (mixed + layer.bias).float()


def _aggregates(how: Aggregation, tiles: Tiles, sums: Tensor, counts: Tensor, norm: Tensor) -> tuple[Tensor, ...]:
    """Of X: diagonal, columns, rows, traces and totals."""
    scale, shift = norm
    diagonal, column, row = (sums * scale + counts * shift).unbind(1)
    of_jets = _norm(how, tiles)
    of_nodes = of_jets[tiles.node_jet] if isinstance(of_jets, Tensor) else of_jets
    column, row = column / of_nodes, row / of_nodes
    trace, total = over_jets(torch.cat([diagonal, row], dim=1), tiles).chunk(2, dim=1)
    return diagonal, column, row, trace / of_jets, total / of_jets


def _norm(how: Aggregation, tiles: Tiles) -> Tensor | float:
    return how.norm(tiles.offsets.diff())


def _factors(
    power: MultiplicityPower | None, tiles: Tiles, of_nodes: int, of_jets: int
) -> tuple[tuple[Tensor | float, ...], tuple[Tensor | float, ...]]:
    """Powers of n/n̄ for operations on nodes, (N, D) each, and on jets, (J, D) each; 1 without."""
    if power is None:
        return (1.0,) * of_nodes, (1.0,) * of_jets
    factors = power(tiles.offsets.diff())
    found = to_nodes(factors[:, :, :of_nodes].flatten(1), tiles)
    return found.view(len(found), factors.shape[1], of_nodes).unbind(2), factors[:, :, of_nodes:].unbind(2)


def _placed(u: Tensor, v: Tensor, d: Tensor, before: int, wide: int) -> Tensor:
    """Stacked in float32, with zeros before and behind."""
    return nn.functional.pad(torch.stack([u, v, d]).float(), (before, wide - before - u.shape[1]))

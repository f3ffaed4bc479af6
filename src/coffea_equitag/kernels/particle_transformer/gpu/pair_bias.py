"""The bias of the attention: the pairs of a few constituents pass through all layers of their network in registers."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from ....invariants.pair_logarithms import pair_kinematics
from ....jets.ragged import RaggedJets, boundaries
from ...common.gpu.activations import activated
from ...common.gpu.arithmetic import product
from ...common.gpu.pair_products import pair_products
from ...common.gpu.tiles import RECEIVERS, JetTiles, Tiles, own_tile
from .weights import PairLayers, PairNetwork

__all__ = ["LARGEST", "PairSource", "pair_bias", "pair_bias_kernel", "source_of_features", "source_of_jets"]

#: The widest layer of the embedding.
LARGEST = 128
_ROWS, _COLUMNS = 4, 16


class PairSource(NamedTuple):
    """Where a pair's features come from: rows of four (T, 4), or products (Q,) and (y, pT, φ) of each constituent."""

    features: Any
    first: Any  # (J + 1,): boundaries of the jets' unordered pairs
    products: Any
    kinematics: Any  # (N, 3)


def source_of_features(pairs_T4: Tensor, offsets: Tensor) -> PairSource:
    """Features of the unordered pairs j ≤ i, as the layers compute them."""
    counts = offsets.diff()
    features = pairs_T4.contiguous()
    return PairSource(features, boundaries(counts * (counts + 1) // 2), features, features)


def source_of_jets(jets: RaggedJets, tiles: Tiles) -> PairSource:
    """Momenta, from which the kernel computes the features in float64."""
    products = pair_products(jets)
    kinematics = torch.stack(pair_kinematics(jets.p4, products[tiles.diagonal]), dim=1)
    return PairSource(products, tiles.offsets, products, kinematics)


@triton.jit
def _log_of(x: tl.tensor, FLOOR: tl.constexpr) -> tl.tensor:
    return tl.log(tl.where(x < FLOOR, FLOOR, x))


@triton.jit
def _features(
    source: PairSource, block: tl.tensor, start: tl.tensor, n: tl.tensor, i: tl.tensor, j: tl.tensor, real: tl.tensor
) -> tuple[tl.tensor, tl.tensor, tl.tensor, tl.tensor]:
    """The ln kT, ln z, ln ΔR and ln m² of some pairs, as `invariants.pair_logarithms`."""
    own, other = source.kinematics + 3 * (start + i)[:, None], source.kinematics + 3 * (start + j)[None, :]
    in_i, in_j = (i < n)[:, None], (j < n)[None, :]
    rapidity = tl.load(own, mask=in_i, other=0.0) - tl.load(other, mask=in_j, other=0.0)
    pt_i, pt_j = tl.load(own + 1, mask=in_i, other=1.0), tl.load(other + 1, mask=in_j, other=1.0)
    angle = tl.load(own + 2, mask=in_i, other=0.0) - tl.load(other + 2, mask=in_j, other=0.0)
    angle -= 6.283185307179586 * tl.floor(angle / 6.283185307179586 + 0.5)
    delta2 = rapidity * rapidity + angle * angle
    softer = tl.where(pt_j < pt_i, pt_j, pt_i)
    pt = pt_i + pt_j
    z = softer / tl.where(pt < 1e-8, 1e-8, pt)
    mass2 = tl.load(source.products + block + i[:, None] * (n + 1), mask=in_i, other=0.0)
    mass2 += tl.load(source.products + block + j[None, :] * (n + 1), mask=in_j, other=0.0)
    mass2 += 2.0 * tl.load(source.products + block + i[:, None] * n + j[None, :], mask=real, other=0.0)
    kt = 0.5 * _log_of(softer * softer * delta2, 1e-16)
    return kt, _log_of(z, 1e-8), 0.5 * _log_of(delta2, 1e-16), _log_of(mass2, 1e-8)


@triton.jit
def pair_bias_kernel(
    source: PairSource,
    layers: PairLayers,
    tiles: JetTiles,
    out: tl.tensor,
    MOMENTA: tl.constexpr,
    LAYERS: tl.constexpr,
    HEADS: tl.constexpr,
    SELF: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDTH: tl.constexpr,
    BH: tl.constexpr,
    RECEIVERS: tl.constexpr,
    BI: tl.constexpr,
    BJ: tl.constexpr,
) -> None:
    """The biases (i, j) and (j, i), which are the same, of some constituents i of one jet and all j ≤ i.

    Parameters
    ----------
    source : PairSource
        Momenta if MOMENTA, else features.
    layers : PairLayers
        With LAYERS hidden ones after the first, (WIDTH, WIDTH).
    out : flat, HEADS Q entries
        Jet after jet a block (HEADS, n, n); 0 on the diagonal unless SELF.
    """
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = tl.load(tiles.pairs + jet)
    c, h = tl.arange(0, WIDTH), tl.arange(0, BH)
    last = tl.minimum(begin + RECEIVERS, n)
    for group in range(begin, last, BI):
        i = group + tl.arange(0, BI)
        for first in range(0, tl.minimum(group + BI, n), BJ):
            j = first + tl.arange(0, BJ)
            real = (i < n)[:, None] & (j[None, :] <= i[:, None])
            if MOMENTA:
                kt, z, delta, mass = _features(source, block, start, n, i, j, real)
            else:
                row = tl.load(source.first + jet) + (i.to(tl.int64) * (i + 1) // 2)[:, None] + j[None, :]
                place = source.features + 4 * row
                kt = tl.load(place, mask=real, other=0.0)
                z = tl.load(place + 1, mask=real, other=0.0)
                delta = tl.load(place + 2, mask=real, other=0.0)
                mass = tl.load(place + 3, mask=real, other=0.0)
            x = kt.to(tl.float32)[:, :, None] * tl.load(layers.first + c)[None, None, :]
            x += z.to(tl.float32)[:, :, None] * tl.load(layers.first + WIDTH + c)[None, None, :]
            x += delta.to(tl.float32)[:, :, None] * tl.load(layers.first + 2 * WIDTH + c)[None, None, :]
            x += mass.to(tl.float32)[:, :, None] * tl.load(layers.first + 3 * WIDTH + c)[None, None, :]
            x = tl.reshape(x, (BI * BJ, WIDTH)) + tl.load(layers.first_bias + c)[None, :]
            x = activated(x, "gelu")
            for layer in range(LAYERS):
                matrix = tl.load(layers.hidden + (layer * WIDTH + c)[:, None] * WIDTH + c[None, :])
                total = tl.zeros((BI * BJ, WIDTH), tl.float32)
                total = product(x, matrix, total, PRECISION)
                x = activated(total + tl.load(layers.hidden_bias + layer * WIDTH + c)[None, :], "gelu")
            total = tl.zeros((BI * BJ, BH), tl.float32)
            total = product(x, tl.load(layers.last + c[:, None] * BH + h[None, :]), total, PRECISION)
            total += tl.load(layers.last_bias + h)[None, :]
            if ACTIVATION:
                total = activated(total, "gelu")
            total = tl.reshape(total, (BI, BJ, BH))
            if not SELF:
                total = tl.where((i[:, None] == j[None, :])[:, :, None], 0.0, total)
            heads = out + block * HEADS + h.to(tl.int64)[None, None, :] * n * n
            known = real[:, :, None] & (h < HEADS)[None, None, :]
            tl.store(heads + (i[:, None] * n + j[None, :])[:, :, None], total, mask=known)
            tl.store(heads + (j[None, :] * n + i[:, None])[:, :, None], total, mask=known)


def pair_bias(weights: PairNetwork, source: PairSource, tiles: Tiles, precision: str) -> Tensor:
    """The bias, flat, H Q entries: jet after jet a block (H, n, n).

    Parameters
    ----------
    weights : PairNetwork
        Folded.
    source : PairSource
        The pairs.
    tiles : Tiles
        The jets, in tiles of `RECEIVERS`.
    precision : str
        Of the products.
    """
    layers, momenta = weights.layers, source.kinematics is not source.features
    out = layers.first.new_empty(weights.heads * tiles.num_pairs)
    if len(tiles.jet):
        pair_bias_kernel[(len(tiles.jet),)](
            source, layers, tiles.arguments, out, MOMENTA=momenta, LAYERS=len(layers.hidden), HEADS=weights.heads,
            SELF=weights.with_self, ACTIVATION=weights.last_activation, PRECISION=precision,
            WIDTH=layers.first.shape[1], BH=layers.last.shape[1], RECEIVERS=RECEIVERS, BI=_ROWS, BJ=_COLUMNS,
            num_warps=8, num_stages=1,
        )  # fmt: skip
    return out

"""LGN's sums over the senders of each receiver; what belongs to a pair exists in registers only."""

from __future__ import annotations

from typing import Any, NamedTuple

import triton
import triton.language as tl

from ...common.gpu.arithmetic import product
from ...common.gpu.tiles import JetTiles, own_tile
from .weights import Bells

__all__ = ["SENDERS", "LevelShape", "pair_sums_kernel"]

#: Senders worked on at once.
SENDERS = 16


class LevelShape(NamedTuple):
    """Planes of a channel, components of F among them, of F ⊗ p, and the number of bells."""

    channel: Any
    components: Any
    products: Any
    bells: Any


# the same code for any number of nodes
@triton.jit(do_not_specialize=["nodes", "factor"])
def pair_sums_kernel(
    products: tl.tensor,
    planes: tl.tensor,
    bells: Bells,
    tiles: JetTiles,
    shape: LevelShape,
    nodes: tl.tensor,
    factor: tl.tensor,
    SQUARES: tl.constexpr,
    EXACT: tl.constexpr,
    PRECISION: tl.constexpr,
    OWN: tl.constexpr,
    ALL: tl.constexpr,
    RECEIVERS: tl.constexpr,
    SENDERS: tl.constexpr,
) -> None:
    """Σ_j f⁰ F_j, Σ_j f¹ F_j and Σ_j f¹ F_j ⊗ p_j of one channel, for some receivers of one jet.

    Parameters
    ----------
    products : (Q,), float64
        p_i·p_j, or with SQUARES (p_i − p_j)²; times `factor`.
    planes : (C, channel, 2, `nodes`), float64
        In: the components of F, then those of F ⊗ p. Out, after them: Σ f⁰ F, Σ f¹ F, Σ f¹ F ⊗ p.
    bells : Bells
        In float32: weights (C, bells, 5), c² of each bell, then its weights in f⁰ and f¹ (Re, Im); and constants
        (C, 2, 4), those added to f⁰ and f¹, and the f⁰ and f¹ of i = j.
    OWN, ALL
        Powers of two, 16 or more, that hold the components of F, and those of F and of F ⊗ p.
    EXACT
        Sums in float64.
    """
    KIND: tl.constexpr = tl.float64 if EXACT else tl.float32
    jet, start, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    block = products + tl.load(tiles.pairs + jet)
    i = begin + tl.arange(0, RECEIVERS)
    real_i = i < n
    row = block + i.to(tl.int64) * n
    c = tl.program_id(1)
    components, total = shape.components, shape.components + shape.products
    x = planes + (2 * c * shape.channel).to(tl.int64) * nodes + start
    weights, added = bells.weights + c * shape.bells * 5, bells.constants + 8 * c
    own, every = tl.arange(0, OWN), tl.arange(0, ALL)
    f0_sum_re, f0_sum_im = tl.zeros((RECEIVERS, OWN), KIND), tl.zeros((RECEIVERS, OWN), KIND)
    f1_sum_re, f1_sum_im = tl.zeros((RECEIVERS, ALL), KIND), tl.zeros((RECEIVERS, ALL), KIND)
    square_i = tl.load(row + i, mask=real_i, other=0.0)
    for sender in range(0, n, SENDERS):
        j = sender + tl.arange(0, SENDERS)
        real_j = j < n
        inside = real_i[:, None] & real_j[None, :]
        size = tl.load(row[:, None] + j[None, :], mask=inside, other=0.0)
        if not SQUARES:
            square_j = tl.load(block + j.to(tl.int64) * (n + 1), mask=real_j, other=0.0)
            size = square_i[:, None] + square_j[None, :] - 2.0 * size
        size = tl.abs(factor * size).to(tl.float32)
        f0_re = tl.zeros((RECEIVERS, SENDERS), tl.float32) + tl.load(added)
        f0_im = tl.zeros((RECEIVERS, SENDERS), tl.float32) + tl.load(added + 1)
        f1_re = tl.zeros((RECEIVERS, SENDERS), tl.float32) + tl.load(added + 2)
        f1_im = tl.zeros((RECEIVERS, SENDERS), tl.float32) + tl.load(added + 3)
        for b in range(shape.bells):
            bell = 1.0 / (1.0 + tl.load(weights + 5 * b) * size)
            f0_re += tl.load(weights + 5 * b + 1) * bell
            f0_im += tl.load(weights + 5 * b + 2) * bell
            f1_re += tl.load(weights + 5 * b + 3) * bell
            f1_im += tl.load(weights + 5 * b + 4) * bell
        same = i[:, None] == j[None, :]
        f0_re = _weight(f0_re, added + 4, same, inside).to(KIND)
        f0_im = _weight(f0_im, added + 5, same, inside).to(KIND)
        f1_re = _weight(f1_re, added + 6, same, inside).to(KIND)
        f1_im = _weight(f1_im, added + 7, same, inside).to(KIND)
        x_re, x_im = _senders(x, j, own, n, components, nodes)
        x_re, x_im = x_re.to(KIND), x_im.to(KIND)
        f0_sum_re = product(-f0_im, x_im, product(f0_re, x_re, f0_sum_re, PRECISION), PRECISION)
        f0_sum_im = product(f0_im, x_re, product(f0_re, x_im, f0_sum_im, PRECISION), PRECISION)
        x_re, x_im = _senders(x, j, every, n, total, nodes)
        x_re, x_im = x_re.to(KIND), x_im.to(KIND)
        f1_sum_re = product(-f1_im, x_im, product(f1_re, x_re, f1_sum_re, PRECISION), PRECISION)
        f1_sum_im = product(f1_im, x_re, product(f1_re, x_im, f1_sum_im, PRECISION), PRECISION)
    out = x + i[:, None] + 2 * total.to(tl.int64) * nodes + 2 * own[None, :].to(tl.int64) * nodes
    known = real_i[:, None] & (own < components)[None, :]
    tl.store(out, f0_sum_re.to(tl.float64), mask=known)
    tl.store(out + nodes, f0_sum_im.to(tl.float64), mask=known)
    out = x + i[:, None] + 2 * (total + components).to(tl.int64) * nodes + 2 * every[None, :].to(tl.int64) * nodes
    known = real_i[:, None] & (every < total)[None, :]
    tl.store(out, f1_sum_re.to(tl.float64), mask=known)
    tl.store(out + nodes, f1_sum_im.to(tl.float64), mask=known)


@triton.jit
def _weight(f: tl.tensor, own: tl.tensor, same: tl.tensor, inside: tl.tensor) -> tl.tensor:
    """A bell function of the pairs: a constant where i = j, 0 where there is no pair."""
    return tl.where(inside, tl.where(same, tl.load(own), f), 0.0)


@triton.jit
def _senders(
    x: tl.tensor, j: tl.tensor, d: tl.tensor, n: tl.tensor, components: tl.tensor, nodes: tl.tensor
) -> tuple[tl.tensor, tl.tensor]:
    """Some components of some nodes, (Re, Im); 0 beyond them."""
    place = x + j[:, None] + 2 * d[None, :].to(tl.int64) * nodes
    known = (j < n)[:, None] & (d < components)[None, :]
    return tl.load(place, mask=known, other=0.0), tl.load(place + nodes, mask=known, other=0.0)

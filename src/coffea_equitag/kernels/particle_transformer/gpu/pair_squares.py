"""The last norm and activation of the pairs' network, from rows (T, H) to the square of each jet and head, and back."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from ....jets.ragged import boundaries
from ...common.gpu.activations import activated, activated_and_slope
from ...common.gpu.tiles import RECEIVERS, JetTiles, Tiles, own_tile

__all__ = ["from_squares", "from_squares_kernel", "pair_rows", "to_squares", "to_squares_kernel"]

_COLUMNS = 16


def pair_rows(offsets: Tensor, *, with_self: bool) -> Tensor:
    """Boundaries (J + 1,) of the jets' rows: pairs j ≤ i, or j < i."""
    counts = offsets.diff()
    return boundaries(counts * (counts + (1 if with_self else -1)) // 2)


@triton.jit
def _row(first: tl.tensor, i: tl.tensor, j: tl.tensor, SELF: tl.constexpr) -> tl.tensor:
    """Where the pair (i, j) stands."""
    above = i.to(tl.int64) * (i + 1 if SELF else i - 1) // 2
    return first + above[:, None] + j[None, :]


@triton.jit
def to_squares_kernel(
    z: tl.tensor,
    norm: tl.tensor,
    first: tl.tensor,
    tiles: JetTiles,
    out: tl.tensor,
    ACTIVATION: tl.constexpr,
    SELF: tl.constexpr,
    HEADS: tl.constexpr,
    BH: tl.constexpr,
    RECEIVERS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """The biases (i, j) and (j, i), which are the same, of some constituents i of one jet and all j ≤ i."""
    jet, _, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    h, i = tl.arange(0, BH), begin + tl.arange(0, RECEIVERS)
    scale = tl.load(norm + h, mask=h < HEADS, other=0.0)[None, None, :]
    shift = tl.load(norm + HEADS + h, mask=h < HEADS, other=0.0)[None, None, :]
    heads = out + tl.load(tiles.pairs + jet) * HEADS + h.to(tl.int64)[None, None, :] * n * n
    for start in range(0, tl.minimum(begin + RECEIVERS, n), COLUMNS):
        j = start + tl.arange(0, COLUMNS)
        below = j[None, :] <= i[:, None] if SELF else j[None, :] < i[:, None]
        known = ((i < n)[:, None] & below)[:, :, None] & (h < HEADS)[None, None, :]
        place = _row(tl.load(first + jet), i, j, SELF)[:, :, None] * HEADS + h[None, None, :]
        y = tl.load(z + place, mask=known, other=0.0) * scale + shift
        if ACTIVATION:
            y = activated(y, "gelu")
        tl.store(heads + (i[:, None] * n + j[None, :])[:, :, None], y, mask=known)
        tl.store(heads + (j[None, :] * n + i[:, None])[:, :, None], y, mask=known)


@triton.jit
def from_squares_kernel(
    grad: tl.tensor,
    z: tl.tensor,
    norm: tl.tensor,
    first: tl.tensor,
    tiles: JetTiles,
    out: tl.tensor,
    sums: tl.tensor,
    ACTIVATION: tl.constexpr,
    SELF: tl.constexpr,
    HEADS: tl.constexpr,
    BH: tl.constexpr,
    RECEIVERS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Gradients dy (T, H) of the norm's outputs, and each program's Σ dy and Σ dy ẑ, (2, H)."""
    jet, _, n, begin = own_tile(tiles.offsets, tiles.jet, tiles.first)
    h, i = tl.arange(0, BH), begin + tl.arange(0, RECEIVERS)
    scale = tl.load(norm + h, mask=h < HEADS, other=0.0)[None, None, :]
    shift = tl.load(norm + HEADS + h, mask=h < HEADS, other=0.0)[None, None, :]
    inverse = tl.load(norm + 2 * HEADS + h, mask=h < HEADS, other=0.0)[None, None, :]
    offset = tl.load(norm + 3 * HEADS + h, mask=h < HEADS, other=0.0)[None, None, :]
    heads = grad + tl.load(tiles.pairs + jet) * HEADS + h.to(tl.int64)[None, None, :] * n * n
    one, two = tl.zeros((BH,), tl.float64), tl.zeros((BH,), tl.float64)
    for start in range(0, tl.minimum(begin + RECEIVERS, n), COLUMNS):
        j = start + tl.arange(0, COLUMNS)
        below = j[None, :] <= i[:, None] if SELF else j[None, :] < i[:, None]
        known = ((i < n)[:, None] & below)[:, :, None] & (h < HEADS)[None, None, :]
        place = _row(tl.load(first + jet), i, j, SELF)[:, :, None] * HEADS + h[None, None, :]
        rows = tl.load(z + place, mask=known, other=0.0)
        twice = known & (j[None, :] < i[:, None])[:, :, None]
        found = tl.load(heads + (i[:, None] * n + j[None, :])[:, :, None], mask=known, other=0.0)
        found += tl.load(heads + (j[None, :] * n + i[:, None])[:, :, None], mask=twice, other=0.0)
        if ACTIVATION:
            _value, slope = activated_and_slope(rows * scale + shift, "gelu")
            found = found * slope
        tl.store(out + place, found, mask=known)
        exact = tl.where(known, found, 0.0).to(tl.float64)
        one += tl.sum(tl.sum(exact, axis=1), axis=0)
        two += tl.sum(tl.sum(exact * (rows * inverse + offset), axis=1), axis=0)
    place = sums + tl.program_id(0) * 2 * HEADS + h
    tl.store(place, one, mask=h < HEADS)
    tl.store(place + HEADS, two, mask=h < HEADS)


def to_squares(z_TH: Tensor, norm: Tensor, tiles: Tiles, *, activation: bool, with_self: bool) -> Tensor:
    """The bias, flat, H Q entries: jet after jet a block (H, n, n); 0 on its diagonal unless `with_self`.

    Parameters
    ----------
    z_TH : Tensor of float32, shape (T, H)
        What the last norm sees.
    norm : Tensor of float32, shape (4, H)
        Its scale, shift, inverse and offset.
    tiles : Tiles
        The jets, in tiles of `RECEIVERS`.
    activation, with_self : bool
        Whether GELU follows; whether rows are pairs j ≤ i, or j < i.
    """
    size = z_TH.shape[1] * tiles.num_pairs
    out = z_TH.new_empty(size) if with_self else z_TH.new_zeros(size)
    if len(tiles.jet):
        to_squares_kernel[(len(tiles.jet),)](
            z_TH, norm, pair_rows(tiles.offsets, with_self=with_self), tiles.arguments, out,
            **_sizes(z_TH.shape[1], activation, with_self),
        )  # fmt: skip
    return out


def from_squares(
    grad: Tensor, z_TH: Tensor, norm: Tensor, tiles: Tiles, *, activation: bool, with_self: bool
) -> tuple[Tensor, Tensor]:
    """Gradients (T, H) behind the last norm, and Σ dy, Σ dy ẑ, (2, H) in float64, of those of the bias."""
    out, heads = torch.empty_like(z_TH), z_TH.shape[1]
    sums = norm.new_empty(len(tiles.jet), 2, heads, dtype=torch.float64)
    if len(tiles.jet):
        from_squares_kernel[(len(tiles.jet),)](
            grad.contiguous(), z_TH, norm, pair_rows(tiles.offsets, with_self=with_self), tiles.arguments, out, sums,
            **_sizes(heads, activation, with_self),
        )  # fmt: skip
    return out, sums.sum(0)


def _sizes(heads: int, activation: bool, with_self: bool) -> dict[str, int | bool]:
    return {
        "ACTIVATION": activation, "SELF": with_self, "HEADS": heads, "BH": triton.next_power_of_2(heads),
        "RECEIVERS": RECEIVERS, "COLUMNS": _COLUMNS,
    }  # fmt: skip

"""The weights of a block of LorentzNet's edges as the kernels of its training want them."""

from __future__ import annotations

from typing import NamedTuple

import triton
import triton.language as tl
from torch import Tensor

__all__ = ["EdgeWeights", "pack", "pack_kernel"]

_ROWS = 16


class EdgeWeights(NamedTuple):
    """φ_e's second layer, φ_m and φ_x in float32, filled up with zeros to C channels."""

    edge: Tensor  # (C, C), inputs first
    edge_back: Tensor  # (C, C), outputs first
    step: Tensor  # (C, C), inputs first
    step_back: Tensor  # (C, C), outputs first, times the last layer
    edge_bias: Tensor  # (C,), as the rest
    gate: Tensor
    step_bias: Tensor
    step_out: Tensor


@triton.jit
def pack_kernel(
    edge: tl.tensor,
    edge_bias: tl.tensor,
    gate: tl.tensor,
    step: tl.tensor,
    step_bias: tl.tensor,
    step_out: tl.tensor,
    out: tl.tensor,
    hidden: tl.tensor,
    MOVES: tl.constexpr,
    CHANNELS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
) -> None:
    """Some rows of each matrix of `EdgeWeights`, and the vectors; (4 CHANNELS + 4, CHANNELS)."""
    row, column = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, WIDTH)
    known = (row < hidden)[:, None] & (column < hidden)[None, :]
    inside = (row < CHANNELS)[:, None] & (column < CHANNELS)[None, :]
    here, turned = row[:, None] * hidden + column[None, :], column[None, :] * hidden + row[:, None]
    place = out + row[:, None] * CHANNELS + column[None, :]
    size: tl.constexpr = CHANNELS * CHANNELS
    tl.store(place, tl.load(edge + turned, mask=known, other=0.0), mask=inside)
    tl.store(place + size, tl.load(edge + here, mask=known, other=0.0), mask=inside)
    if MOVES:
        last = tl.load(step_out + row, mask=row < hidden, other=0.0)
        tl.store(place + 2 * size, tl.load(step + turned, mask=known, other=0.0), mask=inside)
        back = tl.load(step + here, mask=known, other=0.0) * last[:, None]
        tl.store(place + 3 * size, back, mask=inside)
    if tl.program_id(0) == 0:
        vectors, filled, real = out + 4 * size + column, column < CHANNELS, column < hidden
        tl.store(vectors, tl.load(edge_bias + column, mask=real, other=0.0), mask=filled)
        tl.store(vectors + CHANNELS, tl.load(gate + column, mask=real, other=0.0), mask=filled)
        if MOVES:
            tl.store(vectors + 2 * CHANNELS, tl.load(step_bias + column, mask=real, other=0.0), mask=filled)
            tl.store(vectors + 3 * CHANNELS, tl.load(step_out + column, mask=real, other=0.0), mask=filled)


def pack(channels: int, edge: Tensor, edge_bias: Tensor, gate: Tensor, *phi_x: Tensor) -> EdgeWeights:
    """Weights of a block for so many channels, a multiple of 16; without φ_x its matrices hold nothing of use."""
    hidden = len(edge_bias)
    step, step_bias, step_out = (tensor.contiguous() for tensor in phi_x or (edge, edge_bias, gate))
    out = edge.new_empty(4 * channels + 4, channels)
    pack_kernel[(channels // _ROWS,)](
        edge.contiguous(), edge_bias.contiguous(), gate.contiguous(), step, step_bias, step_out, out, hidden,
        MOVES=bool(phi_x), CHANNELS=channels, ROWS=_ROWS, WIDTH=triton.next_power_of_2(channels),
    )  # fmt: skip
    return EdgeWeights(*(out[k * channels : (k + 1) * channels] for k in range(4)), *out[4 * channels :])

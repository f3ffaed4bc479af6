"""What is done to a chunk of a jet's pairs: rows made, masked, taken back through gates and ReLUs, and summed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit
from .backward_rows import (
    MASKS,
    MASKS_NARROW,
    add_row,
    add_row_narrow,
    edge_back,
    edge_back_narrow,
    gate_back,
    gate_back_narrow,
    keep_mask,
    keep_mask_narrow,
    spread_mask,
    spread_mask_narrow,
)
from .outer import OUTER_ROWS, OUTER_ROWS_NARROW, outer, outer_narrow, weighted_sum, weighted_sum_narrow
from .shapes import WIDE_BLOCK
from .tile import edge_row, edge_row_narrow, gate_row, gate_row_narrow

__all__ = [
    "add_messages",
    "add_outer",
    "add_weighted",
    "back_through_edges",
    "back_through_gates",
    "keep_masks",
    "list_pairs",
    "make_rows",
    "messages_slopes",
    "spread_masks",
]

_F4 = np.ndarray[Any, np.dtype[np.float32]]
_I8 = np.ndarray[Any, np.dtype[np.int64]]
_U2 = np.ndarray[Any, np.dtype[np.uint16]]


@njit
def list_pairs(i: int, j: int, n: int, count: int, receiver: _I8, sender: _I8) -> tuple[int, int]:  # pragma: no cover
    """The next `count` pairs of a jet from (i, j) on; the pair after them."""
    for row in range(count):
        receiver[row], sender[row] = i, j
        j += 1
        if j == i:
            j += 1
        if j >= n:
            i, j = i + 1, 0
    return i, j


@njit
def make_rows(
    from_i: _F4,
    from_j: _F4,
    slopes: _F4,
    psi_norm: _F4,
    psi_product: _F4,
    receiver: _I8,
    sender: _I8,
    count: int,
    block: int,
    scalars: _F4,
    rows: _F4,
) -> None:  # pragma: no cover
    """ReLU(U_i + V_j + a·norm + b·product), and the two scalars of each pair."""
    channels = rows.shape[1]
    for row in range(count):
        i, j = receiver[row], sender[row]
        norm, product = psi_norm[i, j], psi_product[i, j]
        scalars[row, 0], scalars[row, 1] = norm, product
        for c in range(0, channels, block):
            if block == WIDE_BLOCK:
                edge_row(from_i, i * channels + c, from_j, j * channels + c, slopes, c, channels, norm, product,
                         rows, row * channels + c)  # fmt: skip
            else:
                edge_row_narrow(from_i, i * channels + c, from_j, j * channels + c, slopes, c, channels, norm, product,
                                rows, row * channels + c)  # fmt: skip


@njit
def add_messages(
    rows: _F4, gate: _F4, receiver: _I8, count: int, block: int, totals: _F4
) -> None:  # pragma: no cover
    """Scale the rows by their gates, and add them to their receivers'."""
    channels = rows.shape[1]
    for row in range(count):
        total = receiver[row] * channels
        for c in range(0, channels, block):
            if block == WIDE_BLOCK:
                gate_row(rows, row * channels + c, gate[row], totals, total + c)
            else:
                gate_row_narrow(rows, row * channels + c, gate[row], totals, total + c)


@njit
def keep_masks(rows: _F4, count: int, block: int, masks: _U2, at: int) -> None:  # pragma: no cover
    """Which numbers of the rows are above 0."""
    channels = rows.shape[1]
    for row in range(count):
        for c in range(0, channels, block):
            if block == WIDE_BLOCK:
                keep_mask(rows, row * channels + c, masks, at)
                at += MASKS
            else:
                keep_mask_narrow(rows, row * channels + c, masks, at)
                at += MASKS_NARROW


@njit
def spread_masks(masks: _U2, at: int, numbers: _F4, count: int, block: int, rows: _F4) -> None:  # pragma: no cover
    """Rows of a number each, where their masks are set."""
    channels = rows.shape[1]
    for row in range(count):
        for c in range(0, channels, block):
            if block == WIDE_BLOCK:
                spread_mask(masks, at, numbers[row], rows, row * channels + c)
                at += MASKS
            else:
                spread_mask_narrow(masks, at, numbers[row], rows, row * channels + c)
                at += MASKS_NARROW


@njit
def messages_slopes(
    slopes: _F4, totals_slopes: _F4, rows: _F4, receiver: _I8, count: int, block: int, products: _F4
) -> None:  # pragma: no cover
    """Add the slopes of the receivers' sums to those of the messages; their products with the rows."""
    channels = rows.shape[1]
    for row in range(count):
        total, found = receiver[row] * channels, np.float32(0)
        for c in range(0, channels, block):
            at = row * channels + c
            if block == WIDE_BLOCK:
                found += add_row(slopes, at, totals_slopes, total + c, rows, at)
            else:
                found += add_row_narrow(slopes, at, totals_slopes, total + c, rows, at)
        products[row] = found


@njit
def back_through_gates(
    slopes: _F4, rows: _F4, gate: _F4, logit_slopes: _F4, gate_weight: _F4, count: int, block: int
) -> None:  # pragma: no cover
    """Slopes of messages to slopes of what the second edge layer gave before its ReLU; rows to messages."""
    channels = rows.shape[1]
    for row in range(count):
        for c in range(0, channels, block):
            at = row * channels + c
            if block == WIDE_BLOCK:
                gate_back(slopes, at, rows, at, gate[row], logit_slopes[row], gate_weight, c)
            else:
                gate_back_narrow(slopes, at, rows, at, gate[row], logit_slopes[row], gate_weight, c)


@njit
def back_through_edges(
    slopes: _F4, rows: _F4, weights: _F4, sender: _I8, count: int, block: int, senders: _F4, scalars_slopes: _F4
) -> None:  # pragma: no cover
    """Slopes of the first layer's outputs to slopes of its sums: into the senders' and the pairs' two scalars."""
    channels = rows.shape[1]
    for row in range(count):
        scalars_slopes[row, 0] = scalars_slopes[row, 1] = 0
        for c in range(0, channels, block):
            at, into = row * channels + c, sender[row] * channels + c
            if block == WIDE_BLOCK:
                edge_back(slopes, at, rows, at, senders, into, weights, c, channels, scalars_slopes, 2 * row,
                          2 * row + 1)  # fmt: skip
            else:
                edge_back_narrow(slopes, at, rows, at, senders, into, weights, c, channels, scalars_slopes, 2 * row,
                                 2 * row + 1)  # fmt: skip


@njit
def add_outer(x: _F4, y: _F4, count: int, block: int, out: _F4) -> None:  # pragma: no cover
    """out += xᵀ y over the first `count` rows."""
    channels = x.shape[1]
    for c in range(0, channels, block):
        if block == WIDE_BLOCK:
            for k in range(0, channels, OUTER_ROWS):
                outer(x, k, 1, channels, y, c, channels, count, out, k * channels + c, channels)
        else:
            for k in range(0, channels, OUTER_ROWS_NARROW):
                outer_narrow(x, k, 1, channels, y, c, channels, count, out, k * channels + c, channels)


@njit
def add_weighted(
    x: _F4, x_at: int, x_step: int, y: _F4, y_row: int, count: int, block: int, out: _F4, out_row: int
) -> None:  # pragma: no cover
    """Add `count` rows of y, from `y_row` on and with weights x, to a row of `out`."""
    channels = y.shape[1]
    for c in range(0, channels, block):
        at, into = y_row * channels + c, out_row * channels + c
        if block == WIDE_BLOCK:
            weighted_sum(x, x_at, 0, x_step, y, at, channels, count, out, into, 0)
        else:
            weighted_sum_narrow(x, x_at, 0, x_step, y, at, channels, count, out, into, 0)

"""What is done to a chunk of up to 64 of a jet's pairs, forth and back.

A row is C channels long, in whole vectors of 16, of which the first `hidden` count; W words of 16 bits tell which of
its numbers are not 0. Arrays of rows and weights are C wide.
"""

from __future__ import annotations

import numpy as np

from ....array_types import F4, I8, U2, U8
from ....compiled import inner
from ...common.cpu.sparse import (
    columns_of_bits,
    hidden_16,
    hidden_64,
    hidden_72,
    linear_16,
    linear_64,
    linear_72,
    slopes_16,
    slopes_64,
    slopes_72,
)
from .edge_rows import add_gated, edge_back, gate_back, make_run, spread_bits

__all__ = [
    "CHUNK",
    "add_columns",
    "add_messages",
    "add_weighted",
    "back_through_edges",
    "back_through_gates",
    "hidden_rows",
    "linear_rows",
    "list_pairs",
    "make_rows",
    "message_slopes",
    "pair_scalars",
    "spread_rows",
    "turn_bits",
]


#: Pairs worked on at once, a bit each in a number of 64: few enough for the first caches.
CHUNK = 64


@inner
def list_pairs(i: int, j: int, n: int, count: int, receiver: I8, sender: I8) -> tuple[int, int]:
    """The next `count` pairs of a jet from (i, j) on; the pair after them."""
    for row in range(count):
        receiver[row], sender[row] = i, j
        j += 1
        if j == i:
            j += 1
        if j >= n:
            i, j = i + 1, 0
    return i, j


@inner
def make_rows(
    from_i: F4,
    from_j: F4,
    slopes: F4,
    psi_norm: F4,
    psi_product: F4,
    receiver: I8,
    sender: I8,
    count: int,
    rows: F4,
    bits: U2,
) -> None:
    """ReLU(U_i + V_j + a·norm + b·product) and its bits, run by run of pairs with one receiver."""
    channels = rows.shape[1]
    words = channels // 16
    row = 0
    while row < count:
        first, i, j = row, receiver[row], sender[row]
        while row < count and receiver[row] == i and sender[row] - j == row - first:
            row += 1
        make_run(from_i, i * channels, from_j, j * channels, channels, slopes, psi_norm, psi_product,
                 i * len(psi_norm) + j, row - first, words, rows, first * channels, bits, first * words)  # fmt: skip


@inner
def pair_scalars(psi_norm: F4, psi_product: F4, receiver: I8, sender: I8, count: int, scalars: F4) -> None:
    """The two scalars of each pair."""
    for row in range(count):
        i, j = receiver[row], sender[row]
        scalars[row, 0], scalars[row, 1] = psi_norm[i, j], psi_product[i, j]


@inner
def hidden_rows(
    x: F4,
    bits: U2,
    weight: F4,
    bias: F4,
    count: int,
    hidden: int,
    out: F4,
    kept: U2,
    kept_at: int,
    seen: F4,
    products: F4,
) -> None:
    """ReLU of a layer of the rows x, its bits, and its products with `seen`, added up."""
    channels = x.shape[1]
    words = channels // 16
    for row in range(count):
        at, c, total = row * channels, 0, products[row]
        into = kept_at + row * words
        while c < hidden:
            if 64 < hidden - c <= 72:
                total += hidden_72(bits, row * words, words, x, at, 1, weight, c, channels, bias, c, out, at + c,
                                   seen, c, kept, into + c // 16)  # fmt: skip
                c += 72
            elif hidden - c > 48:
                total += hidden_64(bits, row * words, words, x, at, 1, weight, c, channels, bias, c, out, at + c,
                                   seen, c, kept, into + c // 16)  # fmt: skip
                c += 64
            else:
                total += hidden_16(bits, row * words, words, x, at, 1, weight, c, channels, bias, c, out, at + c,
                                   seen, c, kept, into + c // 16)  # fmt: skip
                c += 16
        products[row] = total


@inner
def add_messages(rows: F4, gate: F4, receiver: I8, count: int, totals: F4) -> None:
    """Scale the rows by their gates, and add them to their receivers'; a receiver's rows stand together."""
    channels = rows.shape[1]
    row = 0
    while row < count:
        first = row
        while row < count and receiver[row] == receiver[first]:
            row += 1
        add_gated(rows, first * channels, channels, gate, first, row - first, channels // 16, totals,
                  receiver[first] * channels)  # fmt: skip


@inner
def message_slopes(
    bits: U2,
    bits_at: int,
    words: int,
    numbers: F4,
    weight: F4,
    totals: F4,
    receiver: I8,
    count: int,
    hidden: int,
    out: F4,
    rows: F4,
    products: F4,
) -> None:
    """The receivers' `totals` and, times the pairs' numbers, sums of weights over bits; products with the rows."""
    channels = rows.shape[1]
    for row in range(count):
        at, c, total, start = row * channels, 0, np.float32(0), receiver[row] * channels
        first = bits_at + row * words
        while c < hidden:
            if 64 < hidden - c <= 72:
                total += slopes_72(bits, first, words, numbers, row, 0, weight, c, channels, totals, start + c,
                                   out, at + c, rows, at + c, bits, 0)  # fmt: skip
                c += 72
            elif hidden - c > 48:
                total += slopes_64(bits, first, words, numbers, row, 0, weight, c, channels, totals, start + c,
                                   out, at + c, rows, at + c, bits, 0)  # fmt: skip
                c += 64
            else:
                total += slopes_16(bits, first, words, numbers, row, 0, weight, c, channels, totals, start + c,
                                   out, at + c, rows, at + c, bits, 0)  # fmt: skip
                c += 16
        products[row] = total


@inner
def spread_rows(bits: U2, bits_at: int, numbers: F4, count: int, rows: F4) -> None:
    """Rows of a number each, where their bits are set."""
    channels = rows.shape[1]
    words = channels // 16
    for row in range(count):
        spread_bits(bits, bits_at + row * words, numbers[row], words, rows, row * channels)


@inner
def back_through_gates(slopes: F4, rows: F4, bits: U2, gate: F4, logit_slopes: F4, gate_weight: F4, count: int) -> None:
    """Slopes of messages to slopes of what the second edge layer gave before its ReLU; rows to messages."""
    channels = rows.shape[1]
    words = channels // 16
    for row in range(count):
        at = row * channels
        gate_back(slopes, at, rows, at, bits, row * words, gate[row], logit_slopes[row], gate_weight, words)


@inner
def linear_rows(x: F4, bits: U2, weight: F4, zeros: F4, count: int, hidden: int, out: F4) -> None:
    """A layer of the rows x without a bias."""
    channels = x.shape[1]
    words = channels // 16
    for row in range(count):
        _gather(bits, row * words, words, x, row * channels, 1, weight, 0, zeros, 0, hidden, out, row * channels)


@inner
def back_through_edges(
    slopes: F4, bits: U2, weights: F4, sender: I8, count: int, senders: F4, scalars_slopes: F4
) -> None:
    """Slopes of the first layer's outputs to slopes of its sums: into the senders' and the pairs' two scalars."""
    channels = slopes.shape[1]
    words = channels // 16
    for row in range(count):
        edge_back(slopes, row * channels, bits, row * words, senders, sender[row] * channels, weights, channels,
                  words, scalars_slopes, 2 * row)  # fmt: skip


@inner
def turn_bits(bits: U2, count: int, words: int, planes: U2, columns: U8) -> None:
    """From the rows' bits to the columns', 64 rows a number; `planes` is for use in between."""
    for word in range(words):
        for row in range(count):
            planes[row] = bits[row * words + word]
        for row in range(count, 64):
            planes[row] = 0
        columns_of_bits(planes, 0, columns, 16 * word)


@inner
def add_columns(columns: U8, x: F4, y: F4, hidden: int, out: F4) -> None:
    """Add xᵀ y to `out`, over the rows whose x is not 0."""
    channels = x.shape[1]
    for k in range(hidden):
        _gather(columns, 4 * k, 4, x, k, channels, y, 0, out, k * channels, hidden, out, k * channels)


@inner
def add_weighted(rows: U8, x: F4, x_at: int, x_step: int, y: F4, hidden: int, out: F4, out_row: int) -> None:
    """Add the rows of y whose bits are set in ``rows[0]``, with weights x, to a row of `out`."""
    at = out_row * y.shape[1]
    _gather(rows, 0, 4, x, x_at, x_step, y, 0, out, at, hidden, out, at)


@inner
def _gather(
    bits: U2 | U8,
    bits_at: int,
    words: int,
    x: F4,
    x_at: int,
    x_step: int,
    weight: F4,
    weight_at: int,
    start: F4,
    start_at: int,
    hidden: int,
    out: F4,
    out_at: int,
) -> None:
    """One row: start + Σ x_k weight_k over the bits."""
    channels, c = weight.shape[1], 0
    while c < hidden:
        if 64 < hidden - c <= 72:
            linear_72(bits, bits_at, words, x, x_at, x_step, weight, weight_at + c, channels, start, start_at + c,
                      out, out_at + c, out, 0, bits, 0)  # fmt: skip
            c += 72
        elif hidden - c > 48:
            linear_64(bits, bits_at, words, x, x_at, x_step, weight, weight_at + c, channels, start, start_at + c,
                      out, out_at + c, out, 0, bits, 0)  # fmt: skip
            c += 64
        else:
            linear_16(bits, bits_at, words, x, x_at, x_step, weight, weight_at + c, channels, start, start_at + c,
                      out, out_at + c, out, 0, bits, 0)  # fmt: skip
            c += 16

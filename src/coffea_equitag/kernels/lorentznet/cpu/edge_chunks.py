"""What is done to a chunk of up to 64 of a jet's pairs, forward and backward.

A row is C channels long, in whole words of 16 numbers, of which the first `hidden` count. W = C / 16 words of 16 bits
per row tell which of its numbers are not 0, and only these are multiplied.
"""

from __future__ import annotations

import numpy as np

from ....array_types import F4, U2, U8, AnyArray
from ....compiled import inner
from ...common.cpu.sparse import columns_of_bits, gradients_row, hidden_row, linear_row
from ...common.cpu.sparse_pair import MOST, hidden_pair, linear_pair
from .buffers import CHUNK, Chunk, EdgeInputs, GradChunk, Saved
from .edge_rows import add_gated, first_layer_backward, first_layer_run, gate_row_backward, where_bits
from .gate import gate
from .weights import EdgeWeights

__all__ = [
    "add_columns",
    "add_messages",
    "add_weighted",
    "choose",
    "fill_gates",
    "first_layer",
    "first_layer_rows_backward",
    "gate_rows_backward",
    "grad_messages",
    "linear_rows",
    "list_pairs",
    "phi_x_layer",
    "second_layer",
    "spread_bits",
    "store_phi_x",
    "transpose_bits",
]


_NO_DOT = np.float32(0)


@inner
def list_pairs(i: int, j: int, n: int, count: int, chunk: Chunk) -> tuple[int, int]:
    """The next `count` pairs of a jet from (i, j) on; the pair after them."""
    for row in range(count):
        chunk.receiver[row], chunk.sender[row] = i, j
        j += 1
        if j == i:
            j += 1
        if j >= n:
            i, j = i + 1, 0
    return i, j


@inner
def first_layer(inputs: EdgeInputs, scalar_weights: F4, count: int, chunk: Chunk) -> None:
    """ReLU(U_i + V_j + a ν_ij + b π_ij) and its bits, run by run of pairs with one receiver."""
    receiver, sender, channels = chunk.receiver, chunk.sender, chunk.hidden.shape[1]
    words = channels // 16
    row = 0
    while row < count:
        first, i, j = row, receiver[row], sender[row]
        while row < count and receiver[row] == i and sender[row] - j == row - first:
            row += 1
        first_layer_run(
            inputs.u, i * channels, inputs.v, j * channels, channels, scalar_weights, inputs.nu, inputs.pi,
            i * len(inputs.nu) + j, row - first, words, chunk.hidden, first * channels, chunk.hidden_bits,
            first * words,
        )  # fmt: skip


@inner
def second_layer(weights: EdgeWeights, hidden: int, count: int, chunk: Chunk) -> None:
    """The second layer of φ_e, y = ReLU(…), and its bits; φ_m's logits in `chunk.gate`."""
    for row in range(len(chunk.gate)):
        chunk.gate[row] = weights.phi_m_bias
    _relu_layer(chunk.hidden, chunk.hidden_bits, weights.phi_e, weights.phi_e_bias, weights.phi_m, hidden, count,
                chunk.messages, chunk.message_bits, 0, chunk.gate)  # fmt: skip


@inner
def fill_gates(chunk: Chunk) -> None:
    """φ_m from its logits."""
    for row in range(CHUNK):
        chunk.gate[row] = gate(chunk.gate[row])


@inner
def add_messages(chunk: Chunk, count: int, out: AnyArray, sums: F4) -> None:
    """Messages m = y φ_m, into rows as those of y or in their place, and added to the receivers' sums.

    A receiver's rows stand together.
    """
    channels = chunk.messages.shape[1]
    row = 0
    while row < count:
        first = row
        while row < count and chunk.receiver[row] == chunk.receiver[first]:
            row += 1
        add_gated(chunk.messages, first * channels, channels, chunk.gate, first, row - first, channels // 16, out,
                  sums, chunk.receiver[first] * channels)  # fmt: skip


@inner
def phi_x_layer(weights: EdgeWeights, hidden: int, count: int, chunk: Chunk, bits: U2, bits_at: int) -> None:
    """φ_x of the messages; its hidden layer overwrites `chunk.hidden`, the bits of that begin at `bits_at`."""
    for row in range(len(chunk.phi_x)):
        chunk.phi_x[row] = 0
    _relu_layer(chunk.messages, chunk.message_bits, weights.phi_x, weights.phi_x_bias, weights.phi_x_out, hidden, count,
                chunk.hidden, bits, bits_at, chunk.phi_x)  # fmt: skip


@inner
def store_phi_x(chunk: Chunk, count: int, n: int, phi_x: F4) -> None:
    """φ_x of the pairs to their places, (n²,)."""
    for row in range(count):
        phi_x[chunk.receiver[row] * n + chunk.sender[row]] = chunk.phi_x[row]


@inner
def _relu_layer(
    x: F4,
    bits: U2,
    weight: F4,
    bias: F4,
    dot_vector: F4,
    hidden: int,
    count: int,
    out: F4,
    out_bits: U2,
    out_bits_at: int,
    dots: F4,
) -> None:
    """ReLU of a layer of the rows x, its bits, and its products with the dot vector, added to `dots`."""
    channels = x.shape[1]
    words = channels // 16
    paired = count - count % 2 if channels <= MOST else 0
    for row in range(0, paired, 2):
        at = row * channels
        hidden_pair(bits, row * words, words, x, at, 1, channels, weight, bias, 0, 0, out, at, dot_vector, dots, row,
                    out_bits, out_bits_at + row * words, channels)  # fmt: skip
    for row in range(paired, count):
        at = row * channels
        dots[row] = hidden_row(bits, row * words, words, x, at, 1, weight, 0, channels, bias, 0, out, at, dot_vector, 0,
                               out_bits, out_bits_at + row * words, hidden, dots[row])  # fmt: skip


@inner
def grad_messages(
    saved: Saved,
    bits_at: int,
    words: int,
    weight: F4,
    grad_sums: F4,
    hidden: int,
    count: int,
    chunk: Chunk,
    grads: GradChunk,
) -> None:
    """dL/dm_ij = dL/d(Σ_j m_ij) + dL/dφ_x · Σ of φ_x's weights over the bits of its ReLU; and its product with y."""
    channels = chunk.messages.shape[1]
    for row in range(count):
        at = row * channels
        grads.logit[row] = gradients_row(
            saved.bits, bits_at + row * words, words, grads.phi_x, row, 0, weight, 0, channels, grad_sums,
            chunk.receiver[row] * channels, grads.messages, at, chunk.messages, at, saved.bits, 0, hidden, _NO_DOT,
        )  # fmt: skip


@inner
def spread_bits(bits: U2, bits_at: int, numbers: F4, count: int, rows: F4) -> None:
    """Rows of a number each, where their bits are set."""
    channels = rows.shape[1]
    words = channels // 16
    for row in range(count):
        where_bits(bits, bits_at + row * words, numbers[row], words, rows, row * channels)


@inner
def gate_rows_backward(phi_m: F4, count: int, chunk: Chunk, grads: GradChunk) -> None:
    """From gradients of the messages to those of the second layer's sums; y to m."""
    channels = chunk.messages.shape[1]
    words = channels // 16
    for row in range(count):
        at = row * channels
        gate_row_backward(grads.messages, at, chunk.messages, at, chunk.message_bits, row * words, chunk.gate[row],
                          grads.logit[row], phi_m, words)  # fmt: skip


@inner
def linear_rows(x: F4, bits: U2, weight: F4, zeros: F4, hidden: int, count: int, out: F4) -> None:
    """A layer of the rows x without a bias."""
    channels = x.shape[1]
    words = channels // 16
    paired = count - count % 2 if channels <= MOST else 0
    for row in range(0, paired, 2):
        at = row * channels
        linear_pair(bits, row * words, words, x, at, 1, channels, weight, zeros, 0, 0, out, at, out, out, 0, bits, 0,
                    channels)  # fmt: skip
    for row in range(paired, count):
        at = row * channels
        linear_row(bits, row * words, words, x, at, 1, weight, 0, channels, zeros, 0, out, at, out, 0, bits, 0, hidden,
                   _NO_DOT)  # fmt: skip


@inner
def first_layer_rows_backward(scalar_weights: F4, count: int, chunk: Chunk, grads: GradChunk, grad_v: F4) -> None:
    """From gradients after the first layer's ReLU to those before: into the senders' and the edge scalars'."""
    channels = grads.hidden.shape[1]
    words = channels // 16
    for row in range(count):
        first_layer_backward(
            grads.hidden, row * channels, chunk.hidden_bits, row * words, grad_v, chunk.sender[row] * channels,
            scalar_weights, channels, words, grads.grad_edge_scalars, 2 * row,
        )  # fmt: skip


@inner
def transpose_bits(bits: U2, count: int, words: int, planes: U2, columns: U8) -> None:
    """From the rows' bits to the columns', 64 rows per number; `planes` is for use in between."""
    for word in range(words):
        for row in range(count):
            planes[row] = bits[row * words + word]
        for row in range(count, 64):
            planes[row] = 0
        columns_of_bits(planes, 0, columns, 16 * word)


@inner
def choose(begin: int, end: int, chosen: U8) -> None:
    """Set the bits ``begin:end`` and no others."""
    one = np.uint64(0xFFFFFFFFFFFFFFFF)
    chosen[0] = (one >> np.uint64(64 - (end - begin))) << np.uint64(begin)


@inner
def add_columns(columns: U8, x: F4, y: F4, hidden: int, out: F4) -> None:
    """Add xᵀ y to `out`, over the rows whose x is not 0."""
    channels = x.shape[1]
    paired = hidden - hidden % 2 if channels <= MOST else 0
    for k in range(0, paired, 2):
        at = k * channels
        linear_pair(columns, 4 * k, 4, x, k, channels, 1, y, out, at, channels, out, at, out, out, 0, columns, 0,
                    channels)  # fmt: skip
    for k in range(paired, hidden):
        at = k * channels
        linear_row(columns, 4 * k, 4, x, k, channels, y, 0, channels, out, at, out, at, out, 0, columns, 0, hidden,
                   _NO_DOT)  # fmt: skip


@inner
def add_weighted(chosen: U8, x: F4, x_at: int, x_step: int, y: F4, hidden: int, out: F4, out_row: int) -> None:
    """Add the rows of y whose bits are set in ``chosen[0]``, with weights x, to a row of `out`."""
    channels = y.shape[1]
    at = out_row * channels
    linear_row(chosen, 0, 4, x, x_at, x_step, y, 0, channels, out, at, out, at, out, 0, chosen, 0, hidden, _NO_DOT)

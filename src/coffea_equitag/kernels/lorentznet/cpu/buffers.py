"""The arrays that travel together through LorentzNet's CPU kernels. C: channels, in whole words of 16 numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....array_types import F4, F8, I8, U2, U8, AnyArray
from ....compiled import inner
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.bf16_rows import rows_for

__all__ = [
    "CHUNK",
    "Chunk",
    "EdgeGradients",
    "EdgeInputs",
    "GradChunk",
    "Jets",
    "Saved",
    "coordinates_of_jet",
    "gram_of",
    "new_chunk",
    "new_grad_chunk",
]

#: Pairs worked on at once, a bit each in a number of 64: few enough for the first caches.
CHUNK = 64


class Jets(NamedTuple):
    """A block's inputs for a whole batch."""

    u: F4  # (N, hidden): U_i
    v: F4  # (N, hidden): V_j
    kind: int  # of the edge scalars, see ``../scalar_kinds.py``
    gram: F8  # (Q,): G, jet after jet, n × n; empty if they are not made of it
    coordinates: F8  # (N, 3): as of `coordinates_of`; empty likewise
    offsets: I8  # (J + 1,): nodes before each jet
    squares: I8  # (J + 1,): n² before each jet
    groups: I8  # the first jet of each group


class Saved(NamedTuple):
    """What the forward pass keeps for the backward pass; both are empty if the block has no φ_x."""

    phi_x: F4  # (Q,): φ_x(m_ij); the diagonal is not set
    bits: U2  # of φ_x's hidden layer: C / 16 words per pair i ≠ j, and four more


class EdgeInputs(NamedTuple):
    """What one jet's edges are made of."""

    u: F4  # (n or more, C): U_i with BatchNorm in it
    v: F4  # (n or more, C): V_j
    nu: F4  # (n, n): the first edge scalar, for LorentzNet ψ(‖x_i − x_j‖²)
    pi: F4  # (n, n): the second, ψ(x_i·x_j)


class Chunk(NamedTuple):
    """Up to CHUNK pairs of one jet in the forward pass, and rows to spare for tiles that write beyond them."""

    receiver: I8  # (CHUNK,): i
    sender: I8  # (CHUNK,): j
    hidden: AnyArray  # (CHUNK + spare, C): φ_e's first ReLU; in inference then φ_x's, in bf16 m_ij
    hidden_bits: U2  # which of its numbers are not 0; not set in bf16
    messages: F4  # (CHUNK + spare, C): y_ij, then m_ij = y_ij φ_m; in bf16 then φ_x's ReLU
    message_bits: U2
    gate: F4  # (CHUNK + spare,): φ_m
    phi_x: F4  # (CHUNK + spare,)


class GradChunk(NamedTuple):
    """The same pairs in the backward pass, and sums over the chunks since they were last flushed."""

    phi_x: F4  # (CHUNK,): dL/dφ_x
    logit: F4  # (CHUNK,): dL/d(φ_m's logit)
    edge_scalars: F4  # (CHUNK, 2): ν and π themselves
    grad_edge_scalars: F4  # (CHUNK, 2)
    messages: F4  # (CHUNK, C): of m_ij, then of the second layer's sums
    hidden: F4  # (CHUNK, C): of φ_x's hidden layer, then of φ_e's first
    ones: F4  # (CHUNK,)
    chosen: U8  # (1,): bits of the rows to sum
    planes: U2  # (64,): 16 bits of each row
    columns: U8  # (C,): bits of each column
    phi_e: F4  # (C, C): sums for φ_e's second layer, output by input
    phi_x_weight: F4  # (C, C): for φ_x's first, input by output, without the last layer's factor
    vectors: F4  # (5, C): rows A_SUM … PHI_X_BIAS of `EdgeGradients.vectors`


class EdgeGradients(NamedTuple):
    """What the backward pass gives; a leading G is one entry per group of jets."""

    u: F4  # (N, hidden): of the normalised U
    v: F4  # (N, hidden)
    edge_scalars: F4  # (Q, 2); empty if there are none
    gram: F8  # (Q,): comes with dL/d(S G Sᵀ), leaves with dL/dG; empty without G
    coordinates: F8  # (N, 3): leaves with dL/d(coordinates)
    phi_x: F4  # (Q,): comes with dL/dφ_x but for S G Sᵀ; empty if that is 0
    phi_e: F8  # (G, C, C): output by input
    phi_x_weight: F8  # (G, C, C): input by output, without the last layer's factor
    vectors: F8  # (G, 5, C): of a, b, φ_e's second bias, φ_m's weight, φ_x's bias without that factor
    phi_m_bias: F8  # (G,)


@inner
def gram_of(jets: Jets, jet: int) -> F8:
    """A jet's Gram matrix, (n, n), or (0, 0) if there is none."""
    n = jets.offsets[jet + 1] - jets.offsets[jet] if len(jets.gram) else 0
    return jets.gram[jets.squares[jet] : jets.squares[jet] + n * n].reshape(n, n)


@inner
def coordinates_of_jet(jets: Jets, jet: int) -> F8:
    """Its vectors' coordinates, (n, 3), or (0, 3)."""
    return jets.coordinates[jets.offsets[jet] : jets.offsets[jet + 1]]


@inner
def new_chunk(channels: int, spare: int, bf16: Any) -> Chunk:
    """Zeros; `bf16` is None for float32."""
    words, rows = CHUNK * (channels // 16) + 4, CHUNK + spare
    return Chunk(
        np.zeros(CHUNK, np.int64),
        np.zeros(CHUNK, np.int64),
        rows_for(bf16, rows, channels),
        np.zeros(words, np.uint16),
        aligned_rows(rows, channels),
        np.zeros(words, np.uint16),
        np.zeros(rows, np.float32),
        np.zeros(rows, np.float32),
    )


@inner
def new_grad_chunk(channels: int) -> GradChunk:
    """Zeros, and ones."""
    return GradChunk(
        np.zeros(CHUNK, np.float32),
        np.zeros(CHUNK, np.float32),
        np.zeros((CHUNK, 2), np.float32),
        np.zeros((CHUNK, 2), np.float32),
        aligned_rows(CHUNK, channels),
        aligned_rows(CHUNK, channels),
        np.ones(CHUNK, np.float32),
        np.zeros(1, np.uint64),
        np.zeros(64, np.uint16),
        np.zeros(channels, np.uint64),
        aligned_rows(channels, channels),
        aligned_rows(channels, channels),
        aligned_rows(5, channels),
    )

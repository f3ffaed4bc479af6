"""PFN forward: Φ on a few constituents at a time, their sum, then F on a few jets at a time."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8, I8
from ....compiled import inner, njit
from ...common.cpu.aligned import aligned_rows
from ...common.cpu.patch import PatchWeights, patch_rows
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, RELU, add_rows, layer
from .weights import Layers

__all__ = ["apply_f", "sum_phi"]

#: Rows worked on at once: whole tiles of 6 or 12; weights enter the first cache once for all of them.
_CHUNK = 48
#: Numbers in a word of bits, which `sparse_layer` looks at.
_WORD = 16


@njit
def sum_phi(
    phi: Layers, patch: PatchWeights, features: F4, scalars: F8, offsets: I8, totals: F4, first: int, last: int
) -> None:
    """Add Φ of the constituents of jets ``first:last`` to totals, one row per jet.

    `scalars` are the invariants that the patch sees, (N, 0) for none; rows of `totals` are whole tiles long, and 0 at
    first.
    """
    extra, width = patch.width, max(features.shape[1] + patch.width, scalars.shape[1], len(patch.first_bias))
    for bias in phi.bias:
        width = max(width, len(bias) + extra)
    width += -width % _WORD
    # two buffers take turns; the patch's features stand behind a layer's outputs
    here, there = aligned_rows(_CHUNK, width), aligned_rows(_CHUNK, width)
    nodes = aligned_rows(_CHUNK, width)
    bits, jet = bits_for(_CHUNK, width), first
    for start in range(offsets[first], offsets[last], _CHUNK):
        count = min(_CHUNK, offsets[last] - start)
        if extra:
            patch_rows(patch, scalars, start, count, here, nodes)
        _copy(features, start, count, here)
        for level in range(len(phi.weight)):
            depth, weight, bias = phi.inputs[level], phi.weight[level], phi.bias[level]
            if extra:
                _append(nodes, extra, count, here, depth)
            if level > 0:
                sparse_layer(here, depth + extra, weight, bias, RELU, there, count, bits)
            else:
                layer(here, 0, depth + extra, weight, bias, RELU, there, 0, count)
            here, there = there, here
        row = 0
        while row < count:
            while offsets[jet + 1] <= start + row:
                jet += 1
            rows = min(offsets[jet + 1] - start, count) - row
            add_rows(here, row, rows, totals, jet - first)
            row += rows


@njit
def apply_f(f: Layers, totals: F4, logits: F4, first: int, last: int) -> None:
    """Write the logits of jets ``first:last`` from what `sum_phi` gives."""
    width = totals.shape[1]
    for bias in f.bias:
        width = max(width, len(bias))
    width += -width % _WORD
    here, there, bits = aligned_rows(_CHUNK, width), aligned_rows(_CHUNK, width), bits_for(_CHUNK, width)
    for start in range(0, last - first, _CHUNK):
        count = min(_CHUNK, last - first - start)
        _copy(totals, start, count, here)
        for level in range(len(f.weight)):
            floor = RELU if level < len(f.weight) - 1 else LINEAR
            if level > 0:
                sparse_layer(here, f.inputs[level], f.weight[level], f.bias[level], floor, there, count, bits)
            else:
                layer(here, 0, f.inputs[0], f.weight[0], f.bias[0], floor, there, 0, count)
            here, there = there, here
        for row in range(count):
            for c in range(logits.shape[1]):
                logits[first + start + row, c] = here[row, c]


@inner
def _copy(source: F4, start: int, count: int, out: F4) -> None:
    for row in range(count):
        for c in range(source.shape[1]):
            out[row, c] = source[start + row, c]


@inner
def _append(nodes: F4, extra: int, count: int, out: F4, depth: int) -> None:
    """Write the patch's features behind `depth` channels, and zeros to the end of the word."""
    last = min(depth + extra + -(depth + extra) % _WORD, out.shape[1])
    for row in range(count):
        for c in range(depth, last):
            out[row, c] = nodes[row, c - depth] if c < depth + extra else np.float32(0)

"""PFN forward: Φ on a few constituents at a time, their sum, then F on a few jets at a time."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, I8
from ....compiled import inner, njit
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, RELU, add_rows, layer
from .weights import Layers

__all__ = ["apply_f", "sum_phi"]

#: Rows worked on at once: whole tiles of 6 or 12, and small enough for the first cache.
_CHUNK = 24


@njit
def sum_phi(phi: Layers, features: F4, nodes: F4, offsets: I8, totals: F4, first: int, last: int) -> None:
    """Add Φ of the constituents of jets ``first:last`` to totals, one row per jet.

    `nodes` are the patch's features, (N, 0) for none; rows of `totals` are whole tiles long, and 0 at first.
    """
    extra, width = nodes.shape[1], features.shape[1] + nodes.shape[1]
    for bias in phi.bias:
        width = max(width, len(bias) + extra)
    # two buffers take turns; the patch's features stand behind a layer's outputs
    here, there = np.zeros((_CHUNK, width), np.float32), np.zeros((_CHUNK, width), np.float32)
    bits, jet = bits_for(_CHUNK, width), first
    for start in range(offsets[first], offsets[last], _CHUNK):
        count = min(_CHUNK, offsets[last] - start)
        _copy(features, start, count, here)
        for level in range(len(phi.weight)):
            depth, weight, bias = phi.inputs[level], phi.weight[level], phi.bias[level]
            for row in range(count):
                for c in range(extra):
                    here[row, depth + c] = nodes[start + row, c]
            if level > 0 and extra == 0:
                sparse_layer(here, depth, weight, bias, RELU, there, count, bits)
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
    here, there = np.zeros((_CHUNK, width), np.float32), np.zeros((_CHUNK, width), np.float32)
    for start in range(0, last - first, _CHUNK):
        count = min(_CHUNK, last - first - start)
        _copy(totals, start, count, here)
        for level in range(len(f.weight)):
            floor = RELU if level < len(f.weight) - 1 else LINEAR
            layer(here, 0, f.inputs[level], f.weight[level], f.bias[level], floor, there, 0, count)
            here, there = there, here
        for row in range(count):
            for c in range(logits.shape[1]):
                logits[first + start + row, c] = here[row, c]


@inner
def _copy(source: F4, start: int, count: int, out: F4) -> None:
    for row in range(count):
        for c in range(source.shape[1]):
            out[row, c] = source[start + row, c]

"""Φ of a training batch: its layers and their sums, a few constituents at a time, all values kept for backward."""

from __future__ import annotations

import numpy as np

from ....array_types import F4, F8
from ....compiled import inner, njit
from ...common.cpu.batch_norm import Norm, activate, add_moments
from ...common.cpu.sparse_layer import bits_for, sparse_layer
from ...common.cpu.wide_dense import LINEAR, MARGIN, RELU, add_rows
from .phi_rows import CHUNK, Groups, Rows
from .weights import Layers

__all__ = ["fill", "forward_layers", "span", "sum_layers"]

_ZERO = np.float32(0)


@njit
def fill(rows: Rows, places: tuple[int, ...], features: F4, nodes: F4, groups: Groups, first: int, last: int) -> None:
    """Write the features, and the patch's and zeros behind the values of every layer, for groups ``first:last``.

    `places` are the columns where the patch's features begin.
    """
    for group in range(first, last):
        shift = group * MARGIN
        for i in range(groups.offsets[groups.first_jets[group]], groups.offsets[groups.first_jets[group + 1]]):
            for c in range(features.shape[1]):
                rows.a[0][i + shift, c] = features[i, c]
            for level in range(len(places)):
                behind = rows.a[level][i + shift, places[level] :]
                for c in range(len(behind)):
                    behind[c] = nodes[i, c] if c < nodes.shape[1] else _ZERO


@njit
def forward_layers(
    phi: Layers,
    norms: tuple[Norm, ...],
    rows: Rows,
    groups: Groups,
    moments: F8,
    level_first: int,
    level_last: int,
    first: int,
    last: int,
) -> None:
    """Values of the layers ``level_first:level_last`` of groups ``first:last``: z, or without BatchNorm a.

    `norms` are those of the layers before, or empty. With BatchNorm, one layer runs at a time, and Σ z and Σ z² go into
    moments (G, 2, C), (G, 2, 0) without.
    """
    normalised, widest = moments.shape[2] > 0, 0
    for a in rows.a:
        widest = max(widest, a.shape[1])
    bits, floor = bits_for(CHUNK, widest), LINEAR if normalised else RELU
    for group in range(first, last):
        begin, end = span(groups, group)
        for start in range(begin, end, CHUNK):
            count = min(CHUNK, end - start)
            for level in range(level_first, level_last):
                x, out = rows.a[level][start : start + count], rows.z[level][start : start + count]
                if normalised and level > 0:
                    activate(rows.z[level - 1][start : start + count], 0, count, norms[level - 1], x)
                sparse_layer(x, phi.inputs[level], phi.weight[level], phi.bias[level], floor, out, count, bits)
                if normalised:
                    add_moments(out, count, moments[group])


@njit
def sum_layers(norms: tuple[Norm, ...], rows: Rows, groups: Groups, sums: F4, first: int, last: int) -> None:
    """Add the last activations of the jets of groups ``first:last`` to `sums`, one row per jet, 0 at first."""
    a = rows.a[-1]
    for group in range(first, last):
        begin, end = span(groups, group)
        if len(norms[0].scale):
            activate(rows.z[-1][begin:end], 0, end - begin, norms[-1], a[begin:end])
        for jet in range(groups.first_jets[group], groups.first_jets[group + 1]):
            n = groups.offsets[jet + 1] - groups.offsets[jet]
            if n:
                add_rows(a, groups.offsets[jet] + group * MARGIN, n, sums, jet)


@inner
def span(groups: Groups, group: int) -> tuple[int, int]:
    """Where a group's rows begin and end."""
    shift = group * MARGIN
    return (
        groups.offsets[groups.first_jets[group]] + shift,
        groups.offsets[groups.first_jets[group + 1]] + shift,
    )

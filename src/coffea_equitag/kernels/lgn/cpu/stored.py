"""What LGN's forward pass stores for its backward pass: of nodes only, never of pairs."""

from __future__ import annotations

from typing import NamedTuple

from ....array_types import F4, F8, I8
from ....compiled import inner
from .tiles import NODES, copy_block
from .weights import LevelWeights
from .workspace import CHANNEL, Workspace, whole_blocks

__all__ = ["Stored", "load_features", "load_sums", "place_of", "store_features", "store_sums"]


class Stored(NamedTuple):
    """Sums over pairs, then features before the perceptron, in float32: jet after jet, in it level after level."""

    values: F4  # empty if nothing is to be stored
    nodes: I8  # (J + 1,): nodes before each jet, those of each jet padded to whole blocks
    rows: I8  # (levels + 1,): numbers per node that the levels before each store


@inner
def place_of(stored: Stored, jet: int, level: int, n: int) -> int:
    """Where the sums over pairs of a level begin."""
    place: int = stored.nodes[jet] * stored.rows[-1] + stored.rows[level] * whole_blocks(n)
    return place


@inner
def store_sums(weights: LevelWeights, sources: F8, n: int, first: int, values: F4, at: int) -> None:
    """Sums over pairs, as [channel][component, then product][Re, Im][node]; those of some nodes."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table, padded = weights.times_momentum, whole_blocks(n)
    for c in range(channels):
        for row in range(components + len(table.component)):
            component = row if row < components else table.component[row - components]
            block = 0 if row < components else table.block[row - components]
            place = ((component * blocks + block) * channels + c) * 2 * NODES
            for part in range(2):
                copy_block(sources, place + part * NODES, values, at + part * padded + first, False)
            at += 2 * padded


@inner
def load_sums(
    weights: LevelWeights, values: F4, at: int, n: int, stride: int, x: F8, first: int, work: Workspace
) -> None:
    """The sources of some nodes as `gather_sources` writes them, from stored sums over pairs and features x."""
    channels, components, blocks = weights.channels[0], weights.channels[2], weights.channels[4]
    table, padded = weights.times_momentum, whole_blocks(n)
    for c in range(channels):
        for row in range(components + len(table.component)):
            component = row if row < components else table.component[row - components]
            block = 0 if row < components else table.block[row - components]
            place = ((component * blocks + block) * channels + c) * 2 * NODES
            for part in range(2):
                copy_block(values, at + part * padded + first, work.sources, place + part * NODES, False)
            at += 2 * padded
        for d in range(components):
            source = (c * CHANNEL + 2 * d) * stride + first
            place = ((d * blocks + 1) * channels + c) * 2 * NODES
            for part in range(2):
                copy_block(x, source + part * stride, work.sources, place + part * NODES, False)


@inner
def store_features(weights: LevelWeights, features: F8, n: int, stride: int, values: F4, at: int) -> None:
    """Features that go out, as [channel][component][Re, Im][node], after the sums over pairs that begin `at`."""
    channels, padded = weights.channels[1], whole_blocks(n)
    at += _sums_stored(weights) * padded
    for c in range(channels):
        for row in range(2 * weights.channels[3]):
            for first in range(0, n, NODES):
                copy_block(features, (c * CHANNEL + row) * stride + first, values, at + first, False)
            at += padded


@inner
def load_features(weights: LevelWeights, features: F8, n: int, stride: int, values: F4, at: int) -> None:
    """What `store_features` wrote."""
    channels, padded = weights.channels[1], whole_blocks(n)
    at += _sums_stored(weights) * padded
    for c in range(channels):
        for row in range(2 * weights.channels[3]):
            for first in range(0, n, NODES):
                copy_block(values, at + first, features, (c * CHANNEL + row) * stride + first, False)
            at += padded


@inner
def _sums_stored(weights: LevelWeights) -> int:
    """Numbers per node that a level stores of its sums over pairs."""
    numbers: int = 2 * weights.channels[0] * (weights.channels[2] + len(weights.times_momentum.component))
    return numbers

"""The feed-forward network's passes over rows, forward and backward; see `feed_forward`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ....array_types import F4
from ....compiled import inner, njit
from ...common.cpu.dense_function import add_outer_products
from ...common.cpu.dropout_row import Drop
from ...common.cpu.row_layers import LINEAR, RowLayer, row_layer
from .row_passes import activated, drop_values, norm_of, through_activation, through_norm
from .row_sums import whole_vectors

__all__ = ["Gradients", "Layers", "Options", "backward_rows", "forward_rows"]

#: Rows whose hidden units are held at once.
_CHUNK = 120
#: Columns are padded to tiles of `add_outer_products` on every CPU.
_TILE = 16


class Layers(NamedTuple):
    """Both layers, and the factors of what enters."""

    first: RowLayer
    second: RowLayer
    factors: F4


class Options(NamedTuple):
    """The activation, and what is dropped after it and at last."""

    kind: int
    inner: Drop
    outer: Drop


class Gradients(NamedTuple):
    """Of one group of rows; padded to whole tiles."""

    first: F4
    first_bias: F4
    second: F4
    second_bias: F4
    factors: F4

    @classmethod
    def of(cls, width: int, hidden: int) -> Gradients:
        """Zeros."""
        narrow, wide = (-(-size // _TILE) * _TILE for size in (width, hidden))
        shapes = (wide, narrow), (wide,), (narrow, wide), (narrow,), (width,)
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))


@njit
def forward_rows(layers: Layers, options: Options, x: F4, out: F4, first: int, last: int) -> None:
    """Rows ``first:last``."""
    width, hidden = x.shape[1], layers.first.width
    normed, units = np.zeros((_CHUNK, width), np.float32), np.zeros((_CHUNK, hidden), np.float32)
    values, kept = np.zeros(whole_vectors(hidden), np.float32), np.ones(whole_vectors(hidden), np.float32)
    outer_kept = np.ones(whole_vectors(width), np.float32)
    for start in range(first, last, _CHUNK):
        count = min(_CHUNK, last - start)
        for row in range(count):
            norm_of(x[start + row], normed[row])
        row_layer(normed, 0, layers.first, LINEAR, units, 0, count)
        for row in range(count):
            activated(units[row], options.kind, values)
            drop_values(values[:hidden], kept, options.inner, start + row)
            norm_of(values[:hidden], units[row])
        row_layer(units, 0, layers.second, LINEAR, normed, 0, count)
        for row in range(count):
            source, target = x[start + row], out[start + row]
            drop_values(normed[row], outer_kept, options.outer, start + row)
            for c in range(width):
                target[c] = layers.factors[c] * source[c] + normed[row, c]


@njit
def backward_rows(
    layers: Layers, back: tuple[RowLayer, RowLayer], options: Options, x: F4, arriving: F4, grad: F4,
    grads: Gradients, first: int, last: int,
) -> None:  # fmt: skip
    """Gradients of rows ``first:last``; those of the weights are added to `grads`."""
    width, hidden = x.shape[1], layers.first.width
    narrow, wide = grads.first.shape[1], grads.first.shape[0]
    normed, of_normed = np.zeros((_CHUNK, narrow), np.float32), np.zeros((_CHUNK, narrow), np.float32)
    units, active, of_active = (
        np.zeros((_CHUNK, wide), np.float32), np.zeros((_CHUNK, wide), np.float32), np.zeros((_CHUNK, wide), np.float32)
    )  # fmt: skip
    kept, outer_kept = np.ones(whole_vectors(hidden), np.float32), np.ones(whole_vectors(width), np.float32)
    values = np.zeros(whole_vectors(hidden), np.float32)
    for start in range(first, last, _CHUNK):
        count = min(_CHUNK, last - start)
        for row in range(count):
            norm_of(x[start + row], normed[row, :width])
        row_layer(normed, 0, layers.first, LINEAR, units, 0, count)
        _arrive(x, arriving, options.outer, outer_kept, start, count, of_normed, grads.factors)
        row_layer(of_normed, 0, back[1], LINEAR, of_active, 0, count)
        for row in range(count):
            own = units[row, :hidden]
            activated(own, options.kind, values)
            drop_values(values[:hidden], kept, options.inner, start + row)
            norm_of(values[:hidden], active[row, :hidden])
            target = of_active[row, :hidden]
            through_norm(target, values[:hidden], target)
            for c in range(hidden):
                target[c] *= kept[c]
            through_activation(own, options.kind, target)
        add_outer_products(of_normed, active, 0, count, grads.second, grads.second_bias)
        add_outer_products(of_active, normed, 0, count, grads.first, grads.first_bias)
        row_layer(of_active, 0, back[0], LINEAR, of_normed, 0, count)
        for row in range(count):
            target, source = grad[start + row], arriving[start + row]
            through_norm(of_normed[row, :width], x[start + row], target)
            for c in range(width):
                target[c] += layers.factors[c] * source[c]


@inner
def _arrive(x: F4, arriving: F4, drop: Drop, kept: F4, start: int, count: int, out: F4, factors: F4) -> None:
    """What is left of the gradients after dropout; Σ g x is added to the factors' gradient."""
    width = x.shape[1]
    for row in range(count):
        source, given, target = arriving[start + row], x[start + row], out[row, :width]
        for c in range(width):
            factors[c] += source[c] * given[c]
            target[c] = source[c]
        drop_values(target, kept, drop, start + row)

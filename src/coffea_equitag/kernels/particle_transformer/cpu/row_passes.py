"""What stands between the dense layers in training, row by row, forward and backward: dropout is hashed again."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner, njit
from ...common.cpu.activations import GELU, activate_rows, gelu_slope_number
from ...common.cpu.dropout_row import Drop, drop_row
from ...common.cpu.row_norms import row_moments
from .row_sums import dot_about, whole_vectors

__all__ = ["add_dropped", "add_dropped_gradient", "normalise", "normalise_gradient"]

_EPSILON, _ONE, _ZERO = np.float32(1e-5), np.float32(1.0), np.float32(0.0)


@njit
def normalise(x: F4, kind: int, drop: Drop, out: F4, first: int, last: int) -> None:
    """Rows ``first:last`` of LayerNorm(dropout(f(x))), without the norm's weights."""
    width = x.shape[1]
    values, kept = np.zeros(whole_vectors(width), np.float32), np.ones(whole_vectors(width), np.float32)
    for row in range(first, last):
        target = out[row]
        _activated(x[row], kind, values)
        _drop(values[:width], kept, drop, row)
        mean, inverse = _moments(values[:width])
        for c in range(width):
            target[c] = (values[c] - mean) * inverse


@njit
def normalise_gradient(x: F4, kind: int, drop: Drop, grad_out: F4, grad: F4, first: int, last: int) -> None:
    """The gradient of `normalise` with respect to x."""
    width = x.shape[1]
    values, kept = np.zeros(whole_vectors(width), np.float32), np.ones(whole_vectors(width), np.float32)
    for row in range(first, last):
        source, target = x[row], grad[row]
        _activated(source, kind, values)
        _drop(values[:width], kept, drop, row)
        _through_norm(grad_out[row], values[:width], target)
        for c in range(width):
            target[c] *= kept[c]
        if kind == GELU:
            for c in range(width):
                target[c] *= gelu_slope_number(source[c])
        else:
            for c in range(width):
                target[c] = target[c] if source[c] > _ZERO else _ZERO


@njit
def add_dropped(x: F4, factors: F4, y: F4, scale: F4, shift: F4, drop: Drop, out: F4, first: int, last: int) -> None:
    """Rows ``first:last`` of factors x + dropout(scale LayerNorm(y) + shift); y as it is where `scale` is empty."""
    width = x.shape[1]
    values, kept = np.zeros(whole_vectors(width), np.float32), np.ones(whole_vectors(width), np.float32)
    for row in range(first, last):
        own, source, target = x[row], y[row], out[row]
        if len(scale):
            mean, inverse = _moments(source)
            for c in range(width):
                values[c] = (source[c] - mean) * inverse * scale[c] + shift[c]
        else:
            values[:width] = source
        _drop(values[:width], kept, drop, row)
        if len(factors):
            for c in range(width):
                target[c] = own[c] * factors[c] + values[c]
        else:
            for c in range(width):
                target[c] = own[c] + values[c]


@njit
def add_dropped_gradient(
    x: F4, factors: F4, y: F4, scale: F4, drop: Drop, grad_out: F4, grad_x: F4, grad_y: F4, sums: F4,
    first: int, last: int,
) -> None:  # fmt: skip
    """Gradients of `add_dropped`; those of factors, scale and shift are added to sums (3, C)."""
    width = x.shape[1]
    values, kept = np.zeros(whole_vectors(width), np.float32), np.ones(whole_vectors(width), np.float32)
    for row in range(first, last):
        own, source, arriving = x[row], y[row], grad_out[row]
        values[:width] = arriving
        _drop(values[:width], kept, drop, row)
        if len(factors):
            for c in range(width):
                grad_x[row, c] = arriving[c] * factors[c]
                sums[0, c] += arriving[c] * own[c]
        if len(scale):
            mean, inverse = _moments(source)
            for c in range(width):
                sums[1, c] += values[c] * ((source[c] - mean) * inverse)
                sums[2, c] += values[c]
                values[c] *= scale[c]
            _through_norm(values[:width], source, grad_y[row])
        else:
            grad_y[row] = values[:width]


@inner
def _activated(x: F4, kind: int, out: F4) -> None:
    width = len(x)
    out[:width] = x
    if kind == GELU:
        activate_rows(kind, out, 0, 0, 1, len(out))
    else:
        for c in range(width):
            out[c] = _ZERO if out[c] < _ZERO else out[c]


@inner
def _drop(values: F4, kept: F4, drop: Drop, row: int) -> None:
    """Drop some of a row's values; `kept` gets what each is multiplied by."""
    if drop.threshold == 0:
        return
    kept[:] = _ONE
    drop_row(kept, 0, len(kept), row * len(kept), 0, drop)
    for c in range(len(values)):
        values[c] *= kept[c]


@inner
def _moments(row: F4) -> tuple[np.float32, np.float32]:
    """Mean and 1/√(variance + ε)."""
    mean, variance = row_moments(row)
    return mean, _ONE / np.sqrt(variance + _EPSILON)


@inner
def _through_norm(grad: F4, x: F4, out: F4) -> None:
    """The gradient through the normalisation of x."""
    mean, inverse = _moments(x)
    total, product = dot_about(grad, x, mean)
    width = np.float32(len(x))
    total, product = total / width, product * inverse * inverse / width
    for c in range(len(x)):
        out[c] = (grad[c] - total - (x[c] - mean) * product) * inverse

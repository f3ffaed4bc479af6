"""Rows between the dense layers in training: norms, activations, and dropout, whose bits are hashed again."""

from __future__ import annotations

import numpy as np

from ....array_types import F4
from ....compiled import inner
from ...common.cpu.activations import GELU, activate_rows, gelu_slope_number
from ...common.cpu.dropout_row import Drop, drop_row
from ...common.cpu.row_norms import row_moments
from .row_sums import dot_about

__all__ = ["activated", "drop_values", "moments", "norm_of", "through_activation", "through_norm"]

_EPSILON, _ONE, _ZERO = np.float32(1e-5), np.float32(1.0), np.float32(0.0)


@inner
def activated(x: F4, kind: int, out: F4) -> None:
    """GELU or ReLU of a row; `out` has whole vectors."""
    for c in range(len(x)):
        out[c] = x[c]
    if kind == GELU:
        activate_rows(kind, out, 0, 0, 1, len(out))
    else:
        for c in range(len(x)):
            out[c] = _ZERO if out[c] < _ZERO else out[c]


@inner
def through_activation(x: F4, kind: int, grad: F4) -> None:
    """Multiply a gradient by the activation's derivative at x."""
    if kind == GELU:
        for c in range(len(x)):
            grad[c] *= gelu_slope_number(x[c])
    else:
        for c in range(len(x)):
            grad[c] = _ZERO if x[c] <= _ZERO else grad[c]


@inner
def drop_values(values: F4, kept: F4, drop: Drop, row: int) -> None:
    """Drop some of a row's values; `kept`, of whole vectors, gets what each is multiplied by, and is 1 at first."""
    if drop.threshold == 0:
        return
    kept[:] = _ONE
    drop_row(kept, 0, len(kept), row * len(kept), 0, drop)
    for c in range(len(values)):
        values[c] *= kept[c]


@inner
def moments(row: F4) -> tuple[np.float32, np.float32]:
    """Mean and 1/√(variance + ε)."""
    mean, variance = row_moments(row)
    return mean, _ONE / np.sqrt(variance + _EPSILON)


@inner
def norm_of(x: F4, out: F4) -> None:
    """The normalised row; `out` may be x."""
    mean, inverse = moments(x)
    for c in range(len(x)):
        out[c] = (x[c] - mean) * inverse


@inner
def through_norm(grad: F4, x: F4, out: F4) -> None:
    """The gradient through the normalisation of x; `out` may be `grad`."""
    mean, inverse = moments(x)
    total, product = dot_about(grad, x, mean)
    width = np.float32(len(x))
    total, product = total / width, product * inverse * inverse / width
    for c in range(len(x)):
        out[c] = (grad[c] - total - (x[c] - mean) * product) * inverse

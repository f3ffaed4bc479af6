"""ln kT, ln z, ln ΔR and ln m² of the pairs j ≤ i of each jet, from momenta: `invariants.pair_logarithms`, fused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4, F8, I8
from ....compiled import inner, njit, over_jets
from ....invariants.gram import gram
from ....invariants.minkowski import pair_offsets
from ....jets.ragged import RaggedJets
from ...common.cpu.elementary import log_of
from ...common.cpu.llvm import FLOAT

__all__ = ["pair_features", "triangle_offsets"]

#: As in `invariants.pair_logarithms`.
_FLOOR, _TINY = 1e-8, 1e-30
_TURN, _HALF = 2 * math.pi, np.float32(0.5)
#: Numbers above this lose so many factors of 2 before they become float32.
_LARGE, _DOUBLINGS = 2.0**100, 100
_SHRINK, _LOG_LARGE = 2.0**-_DOUBLINGS, np.float32(_DOUBLINGS * math.log(2))


@intrinsic
def _log(typing_context: Any, x: Any) -> Any:
    """log(x) of a float32 that is normal, ∞ or NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (x,) = arguments
        finite = builder.fcmp_ordered("<", x, FLOAT(math.inf))
        return builder.select(finite, log_of(builder, x), x)

    return types.float32(types.float32), generate


def triangle_offsets(offsets: I8) -> I8:
    """Pairs j ≤ i before each jet, shape (J + 1,)."""
    n = np.diff(offsets)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(n * (n + 1) // 2)])


def pair_features(jets: RaggedJets, threads: int) -> F4:
    """The four logarithms (T, 4) of the pairs j ≤ i, those of each i together."""
    p4 = np.ascontiguousarray(jets.p4.detach().numpy().T)
    offsets = np.ascontiguousarray(jets.offsets.numpy())
    squares, pairs = pair_offsets(offsets), triangle_offsets(offsets)
    products = gram(jets).detach().numpy()
    out = np.empty((int(pairs[-1]), 4), np.float32)

    def run(first: int, last: int) -> None:
        _fill(p4, products, offsets, squares, pairs, out, first, last)

    over_jets(run, squares, threads)
    return out


@njit
def _fill(p4: F8, products: F8, offsets: I8, squares: I8, pairs: I8, out: F4, first: int, last: int) -> None:
    largest = 0
    for jet in range(first, last):
        largest = max(largest, offsets[jet + 1] - offsets[jet])
    rows, logs = np.empty((4, largest)), np.empty((4, largest), np.float32)
    for jet in range(first, last):
        begin, n, at = offsets[jet], offsets[jet + 1] - offsets[jet], pairs[jet]
        block = products[squares[jet] : squares[jet + 1]].reshape(n, n)
        _constituents(p4[:, begin : begin + n], block, rows)
        for i in range(n):
            _row(rows, block[i], i, logs)
            for j in range(i + 1):
                for k in range(4):
                    out[at + j, k] = logs[k, j]
            at += i + 1


@inner
def _constituents(p4: F8, products: F8, rows: F8) -> None:
    """pT, y, φ and m² of one jet's constituents."""
    for i in range(p4.shape[1]):
        x, y, z, mass2 = p4[1, i], p4[2, i], p4[3, i], products[i, i]
        pt2 = x * x + y * y
        transverse2 = _at_least(mass2 + pt2, _TINY**2)
        half = np.log(abs(z) + np.sqrt(transverse2 + z * z)) - 0.5 * np.log(transverse2)
        rows[0, i], rows[1, i] = np.sqrt(_at_least(pt2, _TINY**2)), np.copysign(half, z)
        rows[2, i], rows[3, i] = np.arctan2(y, x), mass2


# compiled as functions of their own, so that their loops are vectorised
@njit
def _row(rows: F8, products: F8, i: int, logs: F4) -> None:
    """Logarithms (4, ≥ i + 1) of the pairs of constituent i."""
    pt_i, y_i, phi_i, mass2_i = rows[0, i], rows[1, i], rows[2, i], rows[3, i]
    for j in range(i + 1):
        pt_j, d_phi, d_y = rows[0, j], phi_i - rows[2, j], y_i - rows[1, j]
        d_phi -= _TURN * np.floor(d_phi / _TURN + 0.5)
        delta2 = d_y * d_y + d_phi * d_phi
        softer = pt_j if pt_j < pt_i else pt_i
        both = pt_i + pt_j
        logs[0, j] = _HALF * _logarithm(softer * softer * delta2, _FLOOR**2)
        logs[1, j] = _logarithm(softer / (_FLOOR if both < _FLOOR else both), _FLOOR)
        logs[2, j] = _HALF * _logarithm(delta2, _FLOOR**2)
        logs[3, j] = _logarithm(mass2_i + rows[3, j] + 2 * products[j], _FLOOR)


@inner
def _at_least(value: float, floor: float) -> float:
    """The larger; NaN stays NaN."""
    return floor if value < floor else value


@inner
def _logarithm(value: float, floor: float) -> np.float32:
    value = floor if value < floor else value
    large = value > _LARGE
    log: np.float32 = _log(np.float32(value * _SHRINK if large else value))
    return np.float32(log + _LOG_LARGE) if large else log

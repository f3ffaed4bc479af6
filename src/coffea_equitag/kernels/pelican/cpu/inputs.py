"""What PELICAN sees of jets, jet by jet in one pass: pair channels, and scalars with their labels."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ....array_types import F8, I8
from ....compiled import njit
from ....invariants.minkowski import pair_offsets
from ....layers.saturation import INPUT_BOUND

__all__ = ["labelled", "pair_channels"]


def pair_channels(dot_Q: Tensor, offsets: I8, mixed_Nk: Tensor, own_kk: Tensor, inputs_NR: Tensor, channels: int) -> F8:
    """Pair channels r_i r_j and p_i·p_j, with k spurions before the constituents of each jet.

    Parameters
    ----------
    dot_Q : Tensor of float64, shape (Q,)
        Products of the constituents, in GeV².
    offsets : ndarray of int64, shape (J + 1,)
        Jet boundaries, without spurions.
    mixed_Nk, own_kk : Tensor of float64, shapes (N, k) and (k, k)
        Products of the constituents with the spurions, and of the spurions with each other.
    inputs_NR : Tensor of float64, shape (N, R)
        The invariants r; R = 0 if there are spurions.
    channels : int
        R + 1, or R if p_i·p_j is not among the channels.

    Returns
    -------
    ndarray of float64, shape (Q', channels)
    """
    k = mixed_Nk.shape[1]
    counts = np.diff(offsets) + k
    out = np.empty((int((counts * counts).sum()), channels))
    dot, mixed, own, inputs = (np.ascontiguousarray(x.numpy()) for x in (dot_Q, mixed_Nk, own_kk, inputs_NR))
    _fill(dot, mixed, own, inputs, offsets, pair_offsets(offsets), out)
    return np.clip(out, -INPUT_BOUND, INPUT_BOUND, out=out)


def labelled(own_NS: F8, offsets: I8, k: int) -> F8:
    """Scalars of constituents (N, S), then a one-hot: constituent, first spurion, ...; spurions first in each jet."""
    counts = np.diff(offsets)
    total = int(offsets[-1])
    out = np.zeros((total + k * len(counts), own_NS.shape[1] + 1 + k))
    first = offsets[:-1] + k * np.arange(len(counts))
    rows = np.arange(total) + np.repeat(k * np.arange(1, len(counts) + 1), counts)
    out[rows, : own_NS.shape[1]] = own_NS
    out[rows, own_NS.shape[1]] = 1
    for spurion in range(k):
        out[first + spurion, own_NS.shape[1] + 1 + spurion] = 1
    return out


@njit
def _fill(dot: F8, mixed: F8, own: F8, inputs: F8, offsets: I8, squares: I8, out: F8) -> None:
    k, channels, at = len(own), inputs.shape[1], 0
    for jet in range(len(offsets) - 1):
        start, n = offsets[jet], offsets[jet + 1] - offsets[jet]
        for a in range(k):
            for b in range(k):
                out[at, 0] = own[a, b]
                at += 1
            for j in range(n):
                out[at, 0] = mixed[start + j, a]
                at += 1
        for i in range(n):
            for b in range(k):
                out[at, 0] = mixed[start + i, b]
                at += 1
            row = squares[jet] + i * n
            for j in range(n):
                for c in range(channels):
                    out[at, c] = inputs[start + i, c] * inputs[start + j, c]
                if channels < out.shape[1]:
                    out[at, channels] = dot[row + j]
                at += 1

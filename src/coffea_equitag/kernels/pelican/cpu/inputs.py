"""What PELICAN sees of jets, jet by jet in one pass: pair channels, and scalars with their labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ....array_types import F8, I8
from ....compiled import inner, njit, over_jets
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
    given = _Given(*(np.ascontiguousarray(x.numpy()) for x in (dot_Q, mixed_Nk, own_kk, inputs_NR)))
    before = pair_offsets(offsets)
    after = pair_offsets(offsets + k * np.arange(len(offsets)))
    out = np.empty((int(after[-1]), channels))

    def run(first: int, last: int) -> None:
        _fill(given, offsets, before, after, out, first, last)

    over_jets(run, after, torch.get_num_threads())
    return out


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


class _Given(NamedTuple):
    """What `pair_channels` is given."""

    dot: F8
    mixed: F8
    own: F8
    inputs: F8


@njit
def _fill(given: _Given, offsets: I8, before: I8, after: I8, out: F8, first: int, last: int) -> None:
    dot, mixed, own, inputs = given
    k, channels = len(own), inputs.shape[1]
    for jet in range(first, last):
        start, n, at = offsets[jet], offsets[jet + 1] - offsets[jet], after[jet]
        for a in range(k):
            for b in range(k):
                out[at + b, 0] = _bounded(own[a, b])
            for j in range(n):
                out[at + k + j, 0] = _bounded(mixed[start + j, a])
            at += k + n
        for i in range(n):
            for b in range(k):
                out[at + b, 0] = _bounded(mixed[start + i, b])
            at += k
            row = before[jet] + i * n
            for c in range(channels):
                for j in range(n):
                    out[at + j, c] = _bounded(inputs[start + i, c] * inputs[start + j, c])
            if channels < out.shape[1]:
                for j in range(n):
                    out[at + j, channels] = _bounded(dot[row + j])
            at += n


@inner
def _bounded(x: float) -> float:
    """Within ±`INPUT_BOUND`; NaN stays NaN."""
    return INPUT_BOUND if x > INPUT_BOUND else (-INPUT_BOUND if x < -INPUT_BOUND else x)

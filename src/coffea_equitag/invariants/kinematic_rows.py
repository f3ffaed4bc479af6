"""The variables of `kinematic`, standardised: all of a constituent's at once, compiled, without gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..array_types import F8, I8, Floats
from ..compiled import inner, njit, over_jets
from ..jets.ragged import RaggedJets

__all__ = ["VARIABLES", "are_compiled", "standardised"]

#: Their names, in the order in which they are computed.
VARIABLES = (
    "part_pt_log", "part_e_log", "part_logptrel", "part_logerel", "part_deltaR", "part_deta", "part_dphi",
)  # fmt: skip

#: What a constituent costs, in the pairs that threads are given.
_PAIRS = 20
#: What stands for a logarithm's argument of 0 or below.
_TINY = 1e-30
_TURN = 2 * math.pi


def are_compiled(jets: RaggedJets) -> bool:
    """Whether `standardised` can take these jets: on the CPU, without gradients, and not while torch traces.

    Nor can it take rows of which each comes with the momentum of its jet, as in the graph of an exported file.
    """
    if torch._C._get_tracing_state() is not None or torch.compiler.is_compiling():
        return False
    tensors = jets.p4, jets.jet_p4, *(() if jets.polar is None else (jets.polar,))
    on_cpu = all(tensor.device.type == "cpu" and not tensor.requires_grad for tensor in tensors)
    return on_cpu and int(jets.offsets[-1]) == len(jets.p4)


def standardised(
    jets: RaggedJets,
    variables: Sequence[tuple[Any, ...]],
    mirrored: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Variables, shifted, scaled and clipped in float64, then rounded.

    Parameters
    ----------
    jets : RaggedJets
        That `are_compiled`.
    variables : sequence of tuple
        Name, subtract, multiply, lower and upper of each, as in `weaver_variables.Variable`; those with other names
        than `VARIABLES` are left out.
    mirrored : bool
        Whether Δη has the sign of the jet's η.
    dtype : torch.dtype
        Of the result.

    Returns
    -------
    Tensor, shape (N, F)
        With columns of any value for those left out.
    """
    kinds, numbers = _as_arrays(tuple(variables))
    polar = None if "reference" in jets.columns else jets.polar  # beams have no (pT, η, φ)
    p4, jet_p4, offsets = (np.ascontiguousarray(values.numpy()) for values in (jets.p4, jets.jet_p4, jets.offsets))
    angles = np.empty((0, 3)) if polar is None else np.ascontiguousarray(polar.numpy())
    out = np.empty((len(p4), len(kinds)), np.float32 if dtype == torch.float32 else np.float64)

    def run(first: int, last: int) -> None:
        _fill(p4, angles, jet_p4, offsets, mirrored, kinds, numbers, out, first, last)

    over_jets(run, offsets * _PAIRS, torch.get_num_threads())
    return torch.from_numpy(out).to(dtype)


@lru_cache(maxsize=64)
def _as_arrays(variables: tuple[tuple[Any, ...], ...]) -> tuple[I8, F8]:
    """Which of `VARIABLES` each is, -1 for none, and its four numbers."""
    kinds = [VARIABLES.index(name) if name in VARIABLES else -1 for name, *_ in variables]
    plain = (0.0, 1.0, -np.inf, np.inf)
    numbers = [plain if subtract is None else (subtract, *others) for _, subtract, *others in variables]
    return np.array(kinds, np.int64), np.array(numbers).reshape(-1, 4)


@njit
def _fill(
    p4: F8,
    polar: F8,
    jet_p4: F8,
    offsets: I8,
    mirrored: bool,
    kinds: I8,
    numbers: F8,
    out: Floats,
    first: int,
    last: int,
) -> None:
    values = np.empty(7)
    for jet in range(first, last):
        jet_log_pt, jet_log_energy, jet_eta, jet_phi = _momentum(jet_p4, jet)
        for i in range(offsets[jet], offsets[jet + 1]):
            if len(polar):
                log_pt, log_energy, eta, phi = _log(polar[i, 0]), _log(p4[i, 0]), polar[i, 1], polar[i, 2]
            else:
                log_pt, log_energy, eta, phi = _momentum(p4, i)
            d_eta, d_phi = eta - jet_eta, phi - jet_phi
            d_phi -= _TURN * np.rint(d_phi / _TURN)
            values[0], values[1] = log_pt, log_energy
            values[2], values[3] = log_pt - jet_log_pt, log_energy - jet_log_energy
            values[4] = math.sqrt(d_eta * d_eta + d_phi * d_phi)
            values[5], values[6] = -d_eta if mirrored and jet_eta < 0.0 else d_eta, d_phi
            for c in range(len(kinds)):
                if kinds[c] >= 0:
                    value = (values[kinds[c]] - numbers[c, 0]) * numbers[c, 1]
                    # NaN stays NaN
                    value = numbers[c, 2] if value < numbers[c, 2] else value
                    out[i, c] = numbers[c, 3] if value > numbers[c, 3] else value


@inner
def _momentum(p4: F8, row: int) -> tuple[float, float, float, float]:
    """Logarithms of pT and E, η and φ."""
    x, y, z = p4[row, 1], p4[row, 2], p4[row, 3]
    pt2 = x * x + y * y
    log_pt = _log(math.sqrt(pt2))
    # asinh(pz/pT); exactly along the beam, a large number replaces infinity
    eta = math.copysign(_log(abs(z) + math.sqrt(pt2 + z * z)) - log_pt, z)
    return log_pt, _log(p4[row, 0]), eta, math.atan2(y, x)


@inner
def _log(value: float) -> float:
    return math.log(_TINY if value < _TINY else value)

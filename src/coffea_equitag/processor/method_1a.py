"""The factor of each jet where failing counts as well as passing: method 1a, with any number of working points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..array_types import F8, Bools
from ..errors import JetError, explain

__all__ = ["jet_factors"]


def jet_factors(passes: Sequence[Bools], factors: Sequence[F8], efficiencies: Sequence[F8]) -> F8:
    """Probability in data over that in simulation of what each jet does.

    A jet that passes working point i but not i + 1 has (sᵢεᵢ − sᵢ₊₁εᵢ₊₁) / (εᵢ − εᵢ₊₁), where s₀ε₀ = ε₀ = 1 and, after
    the tightest, ε = 0. The probability in data is not less than 0. Where the simulation's is 0 or less there is
    nothing to correct, and the factor is 1.

    Parameters
    ----------
    passes : sequence of ndarray of bool, shape (J,)
        For each working point, loosest first, which jets pass.
    factors, efficiencies : sequence of ndarray of float64, shape (J,)
        Scale factors and efficiencies of each working point.

    Raises
    ------
    JetError
        If a jet passes a working point but not a looser one.
    """
    for looser, tighter in pairwise(passes):
        if number := int((tighter & ~looser).sum()):
            raise JetError(
                explain(
                    f"{number} jets that pass a working point but not the one named before it",
                    "working points from the loosest to the tightest",
                    "reorder working_points",
                )
            )
    one, zero = np.ones(len(passes[0])), np.zeros(len(passes[0]))
    data = [one, *(s * e for s, e in zip(factors, efficiencies, strict=True)), zero]
    simulation = [one, *efficiencies, zero]
    level = np.sum(passes, axis=0)
    found = one.copy()
    for i in range(len(passes) + 1):
        expected = simulation[i] - simulation[i + 1]
        chosen = (level == i) & (expected > 0)
        found[chosen] = np.maximum((data[i] - data[i + 1])[chosen], 0.0) / expected[chosen]
    return found

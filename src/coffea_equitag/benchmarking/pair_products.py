"""Pairs per second: p_i·p_j of all pairs in each jet, computed in three ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import awkward as ak
import numpy as np
import torch
import vector

from ..invariants.gram import gram
from ..jets.ragged import RaggedJets
from .clock import Spread, in_turn
from .padded.masking import pad, real
from .workloads import WORKLOADS, random_columns, random_jets

__all__ = ["pairs_per_second"]


def pairs_per_second(workload: str, number: int = 1000, seconds: float = 3.0) -> dict[str, Any]:
    """Time the pair products of some jets.

    All entries of the n × n matrices are counted. `ak.combinations` forms each pair once, which counts as two entries.
    The padded product starts from padded momenta; nothing protects it from cancellation.

    Returns
    -------
    dict
        Serializable as JSON: for each form the entries per second, and its time relative to ours from (pT, η, φ).
    """
    polar = random_jets(WORKLOADS[workload], number)
    cartesian = replace(polar, polar=None)
    entries = int(polar.counts.square().sum())
    forms = {
        "coffea-equitag, from (pT, η, φ, m)": lambda: gram(polar),
        "coffea-equitag, from (px, py, pz, m)": lambda: gram(cartesian),
        "ak.combinations and vector": _combinations(workload, number),
        "padded torch product, float32": _padded_product(polar, torch.float32),
        "padded torch product, float64": _padded_product(polar, torch.float64),
    }
    for form in forms.values():
        form()
    times = in_turn(forms, seconds, rounds=(3, 25))
    ours = next(iter(times.values()))
    return {
        "workload": workload,
        "jets": number,
        "entries": entries,
        "forms": {
            name: {
                "entries_per_second": entries / Spread.of(found).median,
                "times_ours": asdict(Spread.of([a / b for a, b in zip(found, ours, strict=True)])),
            }
            for name, found in times.items()
        },
    }


def _combinations(workload: str, number: int) -> Callable[[], Any]:
    counts = WORKLOADS[workload].counts(number)
    columns = {name: values for name, values in random_columns(counts).items() if name in ("pt", "eta", "phi", "mass")}
    behavior = vector.backends.awkward.behavior
    constituents = ak.unflatten(ak.zip(columns, with_name="Momentum4D", behavior=behavior), counts.astype(np.int64))

    def run() -> Any:
        first, second = ak.unzip(ak.combinations(constituents, 2))
        return first.dot(second)

    return run


def _padded_product(jets: RaggedJets, dtype: torch.dtype) -> Callable[[], Any]:
    momenta = pad(jets.p4.to(dtype), real(jets, int(jets.counts.max())))
    metric = momenta.new_tensor([1.0, -1.0, -1.0, -1.0])
    return lambda: (momenta * metric) @ momenta.mT

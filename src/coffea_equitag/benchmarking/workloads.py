"""Random jets with multiplicities typical of analyses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import torch

from ..array_types import I8, AnyArray
from ..invariants.track_features import VECTOR_COLUMNS
from ..jets import make_jets
from ..jets.ragged import RaggedJets

__all__ = ["WORKLOADS", "Workload", "random_awkward", "random_columns", "random_jets", "representative"]

_Columns = dict[str, AnyArray]


@dataclass(frozen=True)
class Workload:
    """A distribution of the number of constituents per jet.

    Attributes
    ----------
    name : str
        Name in the tables.
    mean, spread : float
        Mean and standard deviation of a normal distribution; a spread of 0 gives jets of equal n.
    largest : int
        Upper cut-off.
    """

    name: str
    mean: float
    spread: float
    largest: int = 200

    def counts(self, number: int, seed: int = 0) -> I8:
        """Numbers of constituents of `number` jets."""
        drawn = np.random.default_rng(seed).normal(self.mean, self.spread, number)
        return drawn.round().astype(np.int64).clip(min(2, self.largest), self.largest)


#: The workloads in the tables.
WORKLOADS = {
    "ak4": Workload("AK4-like, n = 20 ± 10", 20, 10),
    "top": Workload("top-like, n = 50 ± 20", 50, 20),
    "wide": Workload("wide, n = 100 ± 50, at most 200", 100, 50),
}


def random_jets(workload: Workload, number: int, fields: tuple[str, ...] = (), seed: int = 0) -> RaggedJets:
    """The jets of `random_awkward`, flat, with the columns a model needs."""
    return RaggedJets.from_awkward(random_awkward(workload, number, fields, seed), fields)


def random_awkward(workload: Workload, number: int, fields: tuple[str, ...] = (), seed: int = 0) -> ak.Array:
    """Jets of random constituents around an axis, with the columns a model needs.

    Parameters
    ----------
    workload : Workload
        Distribution of their numbers of constituents.
    number : int
        Number of jets.
    fields : tuple of str
        Constituent columns.
    seed : int
        Random seed: the same seed gives the same jets.
    """
    counts = workload.counts(number, seed)
    columns = random_columns(counts, seed)
    ip = {name: columns.pop("ip_" + name) for name in "xyz"} if set(fields) & set(VECTOR_COLUMNS) else {}
    columns = {name: values for name, values in columns.items() if not name.startswith("ip_")}
    record: dict[str, Any] = dict(columns)
    if ip:
        record["ip"] = ak.zip(ip, with_name="Vector3D")
    return make_jets(ak.unflatten(ak.zip(record, depth_limit=1), counts))


def random_columns(counts: I8, seed: int = 0) -> _Columns:
    """Flat columns of constituents: pions and photons, GeV and mm."""
    rng, total, jets = np.random.default_rng([seed, 1]), int(counts.sum()), len(counts)
    charged = rng.random(total) < 0.6
    columns = {
        "pt": rng.exponential(10.0, total) + 0.5,
        "eta": np.repeat(rng.uniform(-1.5, 1.5, jets), counts) + rng.normal(0, 0.3, total),
        "phi": np.repeat(rng.uniform(-2.5, 2.5, jets), counts) + rng.normal(0, 0.15, total),
        "mass": np.where(charged, 0.13957, 0.0),
        "pdgId": np.where(charged, 211, 22),
        "charge": charged.astype(np.int32),
        "d0": np.where(charged, rng.normal(0, 0.1, total), 0.0),
        "dz": np.where(charged, rng.normal(0, 0.1, total), 0.0),
    }
    return columns | {f"ip_{axis}": np.where(charged, rng.normal(0, 0.1, total), 0.0) for axis in "xyz"}


def representative(jets: RaggedJets, number: int) -> RaggedJets:
    """A sample of `number` jets with the same distribution of sizes."""
    if number >= jets.num_jets:
        return jets
    order = torch.argsort(jets.counts, stable=True)
    places = (torch.arange(number) + 0.5) * jets.num_jets / number
    return jets.select(order[places.long()])

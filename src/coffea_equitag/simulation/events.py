"""Whole events, whose jets are labelled where their truth is known."""

from __future__ import annotations

from collections.abc import Iterator

import awkward as ak
import numpy as np

from .particles import MOMENTUM
from .recipes import Process, SampleRecipe
from .shards import Shard, make_shard

__all__ = ["UNKNOWN", "labelled_events"]

#: Label of a jet whose truth is unknown or belongs to no class.
UNKNOWN = -1

_TRUTH = ("isTop", "isQCD", "flavour")


def labelled_events(recipe: SampleRecipe, seed: int, shard: int, size: int) -> Shard:
    """Make the events of a shard, process by process, as `simulate_events` describes them."""
    return make_shard(recipe, seed, shard, size, _labelled, whole=True)


def _labelled(recipe: SampleRecipe, process: Process, events: Iterator[ak.Array]) -> Iterator[ak.Array]:
    of_tops = any(one.truth == "top" for one in recipe.processes)
    for batch in events:
        jets = batch.jets
        leading = (ak.local_index(jets.pt, axis=1) == 0) & batch.wanted
        if of_tops:
            known = ak.where(jets.isTop, 1, ak.where(jets.isQCD, 0, UNKNOWN))
        elif process.truth == "flavour":
            known = jets.flavour
        else:
            known = ak.where(leading, batch.label, UNKNOWN)
        jets = jets[[name for name in jets.fields if name not in _TRUTH or (of_tops and name != "flavour")]]
        jets["label"] = ak.values_astype(known, np.int32)
        if process.truth == "W":
            for name in MOMENTUM:
                true = ak.where(leading, batch.partons[name][:, 0], 0)
                jets[f"true_{name}"] = ak.values_astype(true, np.float32)
        yield ak.zip({"jets": jets, "partons": batch.partons, "weight": batch.weight}, depth_limit=1)

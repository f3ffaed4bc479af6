"""One shard of a sample: generate, simulate the detector, cluster, select and label until there are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ..jets import make_jets
from .clustering import TRACK_COLUMNS, cluster
from .detector import CARDS, Detector
from .early_veto import early_veto
from .generator import BATCH, MAX_SEED, Generator, pythia_module
from .matching import flavour, hard_partons, holds_top, holds_w, top_decays, w_decays
from .particles import MOMENTUM, visible
from .recipes import Process, SampleRecipe

__all__ = ["MakeShard", "Shard", "Yield", "jet_shard", "make_shard"]


#: Columns used of Pythia's record; the truth does not need the last one.
_RECORD = ("id", "status", "mother1", "p", "m", "vProd")


@dataclass
class Yield:
    """Numbers of events of a process.

    Attributes
    ----------
    process : str
    generated, selected : int
        Events generated, including vetoed ones, and events with a jet of the recipe.
    left_out : int
        Events whose leading jet is in the recipe's range, but does not contain what the process requires.
    cross_section_pb : float
        Pythia's estimate for the process, before any selection.
    """

    process: str
    generated: int = 0
    selected: int = 0
    left_out: int = 0
    cross_section_pb: float = 0.0


@dataclass(frozen=True)
class Shard:
    """A shard: its jets or events, and the yield of each process."""

    array: ak.Array
    yields: tuple[Yield, ...]


#: Makes a shard of a recipe from the sample's seed, the shard's index and its size.
MakeShard: TypeAlias = Callable[[SampleRecipe, int, int, int], Shard]


def jet_shard(recipe: SampleRecipe, seed: int, shard: int, size: int) -> Shard:
    """Make the jets of a shard, process by process."""
    return make_shard(recipe, seed, shard, size, _leading_jets)


def make_shard(
    recipe: SampleRecipe,
    seed: int,
    shard: int,
    size: int,
    select: Callable[[SampleRecipe, Process, Iterator[ak.Array]], Iterator[ak.Array]],
    *,
    whole: bool = False,
) -> Shard:
    """Make what ``select`` keeps of events whose leading jet lies in the recipe's range, process by process.

    Parameters
    ----------
    recipe : SampleRecipe
    seed, shard, size : int
        Seed of the sample, index of the shard, and number of jets or events in it.
    select : callable
        From batches of events (``jets, partons, weight, wanted, label``) to batches of jets or events.
    whole : bool
        Whether to keep events that do not contain what their process requires.
    """
    parts, yields = [], []
    for k, (process, share) in enumerate(_shares(recipe, size)):
        if share:
            found = Yield(process.name)
            events = _selected(recipe, process, _pythia_seed(seed, shard, k), share, found, whole)
            parts.append(_enough(select(recipe, process, events), share, found))
            yields.append(found)
    # vector's behavior holds lambdas, which cannot be pickled; the records keep their names
    return Shard(ak.Array(ak.concatenate(parts).layout), tuple(yields))


def _shares(recipe: SampleRecipe, size: int) -> list[tuple[Process, int]]:
    kinds = len(recipe.processes)
    return [(process, (size + kinds - 1 - k) // kinds) for k, process in enumerate(recipe.processes)]


def _pythia_seed(seed: int, shard: int, process: int) -> int:
    state = np.random.SeedSequence(seed, spawn_key=(shard, process)).generate_state(1, np.uint64)
    return 1 + int(state[0] % MAX_SEED)


def _selected(
    recipe: SampleRecipe, process: Process, seed: int, share: int, found: Yield, whole: bool
) -> Iterator[ak.Array]:
    """Yield batches of events whose leading jet lies in the recipe's range, endlessly.

    ``share``, the number that will be needed, only saves work: the events do not depend on the batches.
    """
    veto = early_veto(pythia_module(), recipe, process, whole=whole) if process.early_veto else None
    generator = Generator([*recipe.pythia, *process.settings], seed, veto)
    detector = None if recipe.detector is None else Detector(CARDS[recipe.detector])
    seen = 0
    while True:
        batch = generator.batch(_batch_size(share - found.selected, found.selected, seen))
        record = batch.prt[list(_RECORD)]
        particles = visible(record, vertices=detector is not None)
        particles["charge"] = generator.charges(particles.pdgId)
        if detector is not None:
            particles = detector(particles, seed, seen)
        seen += len(batch)
        found.generated = generator.generated
        found.cross_section_pb = generator.cross_section_pb
        jets = cluster(particles, recipe.radius, recipe.min_pt)
        kept = _in_range(recipe, ak.firsts(jets))
        jets, record = jets[kept], record[list(_RECORD[:-1])][kept]
        truth = _truth(recipe, process, jets, record)
        found.left_out += int(ak.sum(~truth["wanted"]))
        for name in ("isTop", "isQCD", "flavour"):
            jets[name] = truth.pop(name)
        weight = ak.values_astype(ak.fill_none(ak.firsts(batch.info.weights[kept]), 1), np.float32)
        yield ak.zip({"jets": jets, "weight": weight, **truth}, depth_limit=1)


def _batch_size(wanted: int, selected: int, seen: int) -> int:
    """Number of events that is unlikely to give more jets than are needed."""
    efficiency = (selected + 1) / (seen + 2)
    return max(5, min(BATCH, round(wanted / efficiency)))


def _in_range(recipe: SampleRecipe, leading: ak.Array) -> ak.Array:
    low, high = recipe.leading_pt
    direction = leading.rapidity if recipe.rapidity else leading.eta
    kept = (leading.pt > low) & (leading.pt < high) & (abs(direction) < recipe.leading_eta)
    return ak.fill_none(kept, False)


def _truth(recipe: SampleRecipe, process: Process, jets: ak.Array, record: ak.Array) -> dict[str, Any]:
    none = ak.zeros_like(jets.pt, dtype=np.bool_)
    truth = {"partons": hard_partons(record), "isTop": none, "isQCD": ~none}
    truth["flavour"] = ak.values_astype(ak.zeros_like(jets.pt), np.int32)
    truth["wanted"] = np.ones(len(jets), np.bool_)
    truth["label"] = np.full(len(jets), process.label, np.int32)
    if process.truth == "top":
        truth["partons"] = top_decays(record)
        truth["isTop"], truth["isQCD"] = holds_top(jets, truth["partons"], recipe.radius), none
        truth["wanted"] = truth["isTop"][:, 0]
    elif process.truth == "W":
        truth["partons"] = w_decays(record)
        truth["wanted"] = holds_w(jets, truth["partons"], recipe.radius)[:, 0]
    elif process.truth == "flavour":
        truth["flavour"] = ak.values_astype(flavour(jets, record, recipe.radius), np.int32)
        truth["label"] = truth["flavour"][:, 0]
        truth["wanted"] = np.isin(ak.to_numpy(truth["label"]), process.flavours)
    return truth


def _enough(batches: Iterator[ak.Array], n: int, found: Yield) -> ak.Array:
    parts: list[ak.Array] = []
    while found.selected < n:
        parts.append(ak.to_packed(next(batches)))
        found.selected += len(parts[-1])
    return ak.concatenate(parts)[:n]


def _leading_jets(recipe: SampleRecipe, process: Process, events: Iterator[ak.Array]) -> Iterator[ak.Array]:
    for batch in events:
        wanted = batch[batch.wanted]
        jets = wanted.jets[:, 0]
        constituents = jets.constituents
        if recipe.massless:
            constituents = _massless(constituents)
        if recipe.max_constituents is not None:
            constituents = constituents[:, : recipe.max_constituents]
        truth = {}
        if process.truth == "W":
            boson = wanted.partons[:, 0]
            truth = {f"true_{name}": boson[name] for name in MOMENTUM}
        momentum = {name: jets[name] for name in MOMENTUM}
        yield make_jets(constituents, **momentum, label=wanted.label, weight=wanted.weight, **truth)


def _massless(constituents: ak.Array) -> ak.Array:
    columns = {name: constituents[name] for name in constituents.fields if name not in ("eta", "mass")}
    columns["eta"] = ak.values_astype(constituents.rapidity, np.float32)
    columns["mass"] = ak.zeros_like(constituents.pt)
    names = (*MOMENTUM, "charge", "pdgId", *(name for name in TRACK_COLUMNS if name in columns))
    return ak.zip({name: columns[name] for name in names}, depth_limit=2, with_name="Momentum4D")

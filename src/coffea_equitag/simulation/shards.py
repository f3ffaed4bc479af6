"""One shard of a sample: generate, detect, cluster, select and label, until there are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from ..jets import make_jets
from .clustering import TRACK_COLUMNS, cluster
from .detector import CARDS, Detector
from .early_veto import early_veto
from .generator import BATCH, MAX_SEED, Generator, pythia_module
from .matching import flavour, hard_partons, holds_top, holds_w, top_decays, w_decays
from .particles import visible
from .recipes import Process, Recipe

__all__ = ["Made", "Yield", "jet_shard", "make_shard"]

_MOMENTUM = ("pt", "eta", "phi", "mass")

#: What is used of Pythia's record; truth does without the last.
_RECORD = ("id", "status", "mother1", "p", "m", "vProd")


@dataclass
class Yield:
    """What a process gave.

    Attributes
    ----------
    process : str
    generated, selected : int
        Events generated, those given up early among them; and those with a jet of the recipe.
    cross_section_pb : float
        Pythia's estimate for the process, before any selection.
    """

    process: str
    generated: int = 0
    selected: int = 0
    cross_section_pb: float = 0.0


@dataclass(frozen=True)
class Made:
    """A shard: its jets or events, and the yield of each process."""

    array: ak.Array
    yields: tuple[Yield, ...]


def jet_shard(recipe: Recipe, seed: int, shard: int, size: int) -> Made:
    """Make the jets of a shard, process after process."""
    return make_shard(recipe, seed, shard, size, _leading_jets)


def make_shard(
    recipe: Recipe,
    seed: int,
    shard: int,
    size: int,
    select: Callable[[Recipe, Process, Iterator[ak.Array]], Iterator[ak.Array]],
    *,
    whole: bool = False,
) -> Made:
    """Make what ``select`` keeps of events whose leading jet lies in the recipe's range, process after process.

    Parameters
    ----------
    recipe : Recipe
    seed, shard, size : int
        Seed of the sample, number of the shard, and how many it holds.
    select : callable
        From batches of events (``jets, partons, weight, wanted, label``) to batches of jets or events.
    whole : bool
        Whether events are wanted that do not hold what their process asks for.
    """
    parts, yields = [], []
    for k, (process, share) in enumerate(_shares(recipe, size)):
        if share:
            found = Yield(process.name)
            events = _selected(recipe, process, _pythia_seed(seed, shard, k), share, found, whole)
            parts.append(_enough(select(recipe, process, events), share, found))
            yields.append(found)
    # vector's behavior holds lambdas, which cannot travel between processes; the records keep their names.
    return Made(ak.Array(ak.concatenate(parts).layout), tuple(yields))


def _shares(recipe: Recipe, size: int) -> list[tuple[Process, int]]:
    kinds = len(recipe.processes)
    return [(process, (size + kinds - 1 - k) // kinds) for k, process in enumerate(recipe.processes)]


def _pythia_seed(seed: int, shard: int, process: int) -> int:
    state = np.random.SeedSequence(seed, spawn_key=(shard, process)).generate_state(1, np.uint64)
    return 1 + int(state[0] % MAX_SEED)


def _selected(recipe: Recipe, process: Process, seed: int, share: int, found: Yield, whole: bool) -> Iterator[ak.Array]:
    """Yield batches of events whose leading jet lies in the recipe's range, without end.

    ``share`` (how many will be asked for) only saves work: events are the same in any batches.
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
        for name in ("isTop", "isQCD", "flavour"):
            jets[name] = truth.pop(name)
        weight = ak.values_astype(ak.firsts(batch.info.weights[kept]), np.float32)
        yield ak.zip({"jets": jets, "weight": ak.fill_none(weight, 1), **truth}, depth_limit=1)


def _batch_size(wanted: int, selected: int, seen: int) -> int:
    """Events that will hardly give more jets than are wanted."""
    efficiency = (selected + 1) / (seen + 2)
    return max(5, min(BATCH, round(wanted / efficiency)))


def _in_range(recipe: Recipe, leading: ak.Array) -> ak.Array:
    low, high = recipe.leading_pt
    direction = leading.rapidity if recipe.rapidity else leading.eta
    kept = (leading.pt > low) & (leading.pt < high) & (abs(direction) < recipe.leading_eta)
    return ak.fill_none(kept, False)


def _truth(recipe: Recipe, process: Process, jets: ak.Array, record: ak.Array) -> dict[str, Any]:
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
    return truth


def _enough(batches: Iterator[ak.Array], n: int, found: Yield) -> ak.Array:
    parts: list[ak.Array] = []
    while found.selected < n:
        parts.append(ak.to_packed(next(batches)))
        found.selected += len(parts[-1])
    return ak.concatenate(parts)[:n]


def _leading_jets(recipe: Recipe, process: Process, events: Iterator[ak.Array]) -> Iterator[ak.Array]:
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
            truth = {f"true_{name}": boson[name] for name in _MOMENTUM}
        yield make_jets(constituents, **{name: jets[name] for name in _MOMENTUM}, label=wanted.label, **truth)


def _massless(constituents: ak.Array) -> ak.Array:
    columns = {name: constituents[name] for name in constituents.fields if name not in ("eta", "mass")}
    columns["eta"] = ak.values_astype(constituents.rapidity, np.float32)
    columns["mass"] = ak.zeros_like(constituents.pt)
    names = (*_MOMENTUM, "charge", "pdgId", *(name for name in TRACK_COLUMNS if name in columns))
    return ak.zip({name: columns[name] for name in names}, depth_limit=2, with_name="Momentum4D")

"""Labelled samples by recipe, in shards whose random numbers do not depend on who computes them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

import awkward as ak
import numpy as np
import vector

from ..errors import JetError, explain
from ..jets import make_jets
from .clustering import cluster
from .generator import BATCH, MAX_SEED, Generator, pythia_module
from .matching import hard_partons, holds_top, top_decays
from .particles import visible
from .recipes import Process, Recipe
from .recipes import recipe as recipe_of

__all__ = ["simulate", "simulate_events"]

#: Jets, or events, a shard: the unit of work and of random numbers.
SHARD = 500

#: Called with how many jets or events have been made and how many will be.
Progress = Callable[[int, int], None]


def simulate(recipe: str, n: int, *, seed: int, workers: int = 1, progress: Progress | None = None) -> ak.Array:
    """Make labelled jets at particle level.

    Each event gives its leading jet, if that lies in the recipe's range (and, for the signal, holds a whole top).

    Parameters
    ----------
    recipe : str
        A name of `RECIPES`: ``"top"``.
    n : int
        Number of jets: half of each class, the odd one signal.
    seed : int
        Seed; the same gives the same jets whatever the number of workers.
    workers : int
        Processes; with more than one, call this from under ``if __name__ == "__main__":``.
    progress : callable, optional
        Called with (done, n) after every shard.

    Returns
    -------
    ak.Array
        ``[jet]``, shuffled: ``constituents`` (pt, eta, phi, mass in GeV, ``charge``, ``pdgId``; hardest first, at most
        200), the jet's ``pt, eta, phi, mass`` and ``label`` (1 signal, 0 background).

    Raises
    ------
    EquitagError
        If the recipe is unknown, ``n`` is not positive or ``pythia8mc`` is missing.
    """
    return _produce(_jet_shard, recipe, n, seed, workers, progress)


def simulate_events(recipe: str, n: int, *, seed: int, workers: int = 1, progress: Progress | None = None) -> ak.Array:
    """Make whole events at particle level, half of each process, with all their jets.

    An event is kept if its leading jet lies in the recipe's range. Parameters, errors and random numbers as in
    `simulate`, ``n`` counting events.

    Returns
    -------
    ak.Array
        ``[event]``, shuffled: ``jets`` (``[event][jet]`` above the recipe's smallest pT, hardest first, with
        ``isTop`` and ``isQCD``; a jet with part of a top is neither), ``partons`` (`top_decays` or `hard_partons`)
        and ``weight``.
    """
    return _produce(_event_shard, recipe, n, seed, workers, progress)


def _produce(
    make: Callable[[str, int, int, int], ak.Array],
    recipe: str,
    n: int,
    seed: int,
    workers: int,
    progress: Progress | None,
) -> ak.Array:
    recipe_of(recipe)
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise JetError(explain(f"{name} = {value}", f"a whole number from {least} on", f"give another {name}"))
    pythia_module()
    sizes = [min(SHARD, n - start) for start in range(0, n, SHARD)]
    made: dict[int, ak.Array] = {}
    done = 0
    for shard, array in _run(make, recipe, seed, sizes, workers):
        made[shard] = array
        done += sizes[shard]
        if progress is not None:
            progress(done, n)
    whole = ak.concatenate([made[shard] for shard in range(len(sizes))])
    shuffled = ak.to_packed(whole[np.random.default_rng([seed, n]).permutation(n)])
    return ak.Array(shuffled, behavior=vector.backends.awkward.behavior)


def _run(
    make: Callable[[str, int, int, int], ak.Array], recipe: str, seed: int, sizes: list[int], workers: int
) -> Iterator[tuple[int, ak.Array]]:
    if workers == 1 or len(sizes) == 1:
        for shard, size in enumerate(sizes):
            yield shard, make(recipe, seed, shard, size)
        return
    # Pythia does not survive a fork: fresh processes, each with its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(sizes)), mp_context=context) as pool:
        tasks = {pool.submit(make, recipe, seed, shard, size): shard for shard, size in enumerate(sizes)}
        try:
            for task in as_completed(tasks):
                yield tasks[task], task.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _shares(recipe: Recipe, size: int) -> list[tuple[Process, int]]:
    kinds = len(recipe.processes)
    return [(process, (size + kinds - 1 - k) // kinds) for k, process in enumerate(recipe.processes)]


def _pythia_seed(seed: int, shard: int, process: int) -> int:
    state = np.random.SeedSequence(seed, spawn_key=(shard, process)).generate_state(1, np.uint64)
    return 1 + int(state[0] % MAX_SEED)


def _selected(recipe: Recipe, process: Process, seed: int, share: int) -> Iterator[ak.Array]:
    """Yield batches of events whose leading jet lies in the recipe's range, without end.

    ``share`` (how many will be asked for) only saves work: events come in the same order in any batches.
    """
    generator = Generator([*recipe.settings, *process.settings], seed)
    for batch in generator.batches(min(BATCH, 5 + 3 * share)):
        particles = visible(batch.prt)
        particles["charge"] = generator.charges(particles.pdgId)
        jets = cluster(particles, recipe.radius, recipe.min_pt)
        leading = ak.firsts(jets)
        low, high = recipe.leading_pt
        kept = (leading.pt > low) & (leading.pt < high) & (abs(leading.eta) < recipe.leading_eta)
        kept = ak.fill_none(kept, False)
        jets, record = jets[kept], batch.prt[kept]
        if process.tops:
            partons = top_decays(record)
            is_top = holds_top(jets, partons, recipe.radius)
            is_qcd = ak.zeros_like(is_top)
        else:
            partons = hard_partons(record)
            is_top = ak.zeros_like(jets.pt, dtype=np.bool_)
            is_qcd = ~is_top
        jets["isTop"], jets["isQCD"] = is_top, is_qcd
        weight = ak.values_astype(ak.firsts(batch.info.weights[kept]), np.float32)
        yield ak.zip({"jets": jets, "partons": partons, "weight": ak.fill_none(weight, 1)}, depth_limit=1)


def _enough(batches: Iterator[ak.Array], n: int) -> ak.Array:
    parts: list[ak.Array] = []
    while sum(map(len, parts)) < n:
        parts.append(ak.to_packed(next(batches)))
    return ak.concatenate(parts)[:n]


def _leading_jets(recipe: Recipe, process: Process, events: Iterator[ak.Array]) -> Iterator[ak.Array]:
    for batch in events:
        jets = batch.jets[:, 0]
        if process.tops:
            jets = jets[jets.isTop]
        yield make_jets(
            jets.constituents[:, : recipe.max_constituents],
            **{name: jets[name] for name in ("pt", "eta", "phi", "mass")},
            label=np.full(len(jets), process.label, np.int32),
        )


def _shard(
    name: str,
    seed: int,
    shard: int,
    size: int,
    select: Callable[[Recipe, Process, Iterator[ak.Array]], Iterator[ak.Array]],
) -> ak.Array:
    recipe = recipe_of(name)
    parts = []
    for k, (process, share) in enumerate(_shares(recipe, size)):
        if share:
            events = _selected(recipe, process, _pythia_seed(seed, shard, k), share)
            parts.append(_enough(select(recipe, process, events), share))
    # vector's behavior holds lambdas, which cannot travel between processes; the records keep their names.
    return ak.Array(ak.concatenate(parts).layout)


def _jet_shard(name: str, seed: int, shard: int, size: int) -> ak.Array:
    return _shard(name, seed, shard, size, _leading_jets)


def _event_shard(name: str, seed: int, shard: int, size: int) -> ak.Array:
    return _shard(name, seed, shard, size, lambda recipe, process, events: events)

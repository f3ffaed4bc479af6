"""Labelled samples by recipe, in shards whose random numbers do not depend on who computes them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import TypeVar

import awkward as ak
import numpy as np
import vector

from ..errors import JetError, explain
from .generator import pythia_module
from .provenance import provenance, total_yields, with_provenance
from .recipes import RECIPES, Recipe
from .recipes import recipe as recipe_of
from .shards import Made, event_shard, jet_shard

__all__ = ["check_counts", "run_shards", "shard_sizes", "simulate", "simulate_events", "variant_of"]

_Result = TypeVar("_Result")

#: Jets, or events, a shard: the unit of work and of random numbers.
SHARD = 500

#: Called with how many jets or events have been made and how many will be.
Progress = Callable[[int, int], None]


def simulate(
    recipe: str | Recipe,
    n: int,
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
) -> ak.Array:
    """Make labelled jets.

    Each event gives its leading jet, if that lies in the recipe's range and holds what its process asks for.

    Parameters
    ----------
    recipe : str or Recipe
        A name of `RECIPES` (``"top"``, ``"top-particle"``, ``"qg"``, ``"btag"``, ``"w"``), or a recipe of your own.
    n : int
        Number of jets: as many from each process of the recipe, the odd ones from the first.
    seed : int
        Seed; the same gives the same jets whatever the number of workers.
    workers : int
        Processes; with more than one, call this from under ``if __name__ == "__main__":``.
    mpi : bool
        Whether multiparton interactions (the underlying event) are on.
    particle_level : bool
        Leave out the recipe's detector.
    progress : callable, optional
        Called with (done, n) at the start and after every shard.

    Returns
    -------
    ak.Array
        ``[jet]``, shuffled: ``constituents`` (pt, eta, phi, mass in GeV, ``charge``, ``pdgId``; hardest first; behind a
        detector with impact parameters also ``d0, dz, d0Err, dzErr`` and the vector ``ip``, mm), the jet's ``pt, eta,
        phi, mass`` and ``label`` (the place in the recipe's ``classes``). Jets of ``"w"`` also have the boson's
        ``true_pt, true_eta, true_phi, true_mass``. ``attrs["coffea_equitag"]`` says how they were made.

    Raises
    ------
    EquitagError
        If the recipe is unknown, ``n`` is not positive or ``pythia8mc`` is missing.
    """
    chosen = variant_of(recipe, mpi, particle_level)
    return _produce(jet_shard, chosen, n, seed, workers, progress)


def simulate_events(
    recipe: str | Recipe,
    n: int,
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
) -> ak.Array:
    """Make whole events, half of each process, with all their jets.

    An event is kept if its leading jet lies in the recipe's range. Parameters, errors and random numbers as in
    `simulate`, ``n`` counting events; only of recipes of top and QCD jets.

    Returns
    -------
    ak.Array
        ``[event]``, shuffled: ``jets`` (``[event][jet]`` above the recipe's smallest pT, hardest first, with
        ``isTop`` and ``isQCD``; a jet with part of a top is neither), ``partons`` (`top_decays` or `hard_partons`)
        and ``weight``.
    """
    chosen = variant_of(recipe, mpi, particle_level)
    if not any(process.truth == "top" for process in chosen.processes):
        raise JetError(
            explain(
                f"events of recipe {chosen.name!r}",
                "one with top and QCD jets: " + ", ".join(name for name in RECIPES if name.startswith("top")),
                "make flat jets of it: simulate, or -o NAME.parquet",
            )
        )
    return _produce(event_shard, chosen, n, seed, workers, progress)


def variant_of(recipe: str | Recipe, mpi: bool, particle_level: bool) -> Recipe:
    """The recipe of a name, with the underlying event or the detector left out if so wanted."""
    chosen = recipe_of(recipe) if isinstance(recipe, str) else recipe
    return chosen.variant(mpi=mpi, particle_level=particle_level)


def check_counts(n: int, seed: int, workers: int) -> None:
    """Refuse numbers that no sample can have.

    Raises
    ------
    JetError
        If one is too small.
    """
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise JetError(explain(f"{name} = {value}", f"a whole number from {least} on", f"give another {name}"))


def shard_sizes(n: int) -> list[int]:
    """How many jets or events each shard of a sample holds."""
    return [min(SHARD, n - start) for start in range(0, n, SHARD)]


def _produce(
    make: Callable[[Recipe, int, int, int], Made],
    recipe: Recipe,
    n: int,
    seed: int,
    workers: int,
    progress: Progress | None,
) -> ak.Array:
    check_counts(n, seed, workers)
    pythia_module()
    sizes = shard_sizes(n)
    made: dict[int, Made] = {}
    done = 0
    if progress is not None:
        progress(done, n)
    for shard, result in run_shards(make, recipe, seed, dict(enumerate(sizes)), workers):
        made[shard] = result
        done += sizes[shard]
        if progress is not None:
            progress(done, n)
    in_order = [made[shard] for shard in range(len(sizes))]
    whole = ak.concatenate([shard.array for shard in in_order])
    shuffled = ak.to_packed(whole[np.random.default_rng([seed, n]).permutation(n)])
    facts = provenance(recipe, n, seed, SHARD)
    facts["yields"] = total_yields(one for shard in in_order for one in shard.yields)
    return with_provenance(ak.Array(shuffled, behavior=vector.backends.awkward.behavior), facts)


def run_shards(
    make: Callable[[Recipe, int, int, int], _Result],
    recipe: Recipe,
    seed: int,
    sizes: Mapping[int, int],
    workers: int,
) -> Iterator[tuple[int, _Result]]:
    """Call ``make(recipe, seed, shard, size)`` for every shard -> size, in processes, and yield what comes back."""
    if workers == 1 or len(sizes) <= 1:
        for shard, size in sizes.items():
            yield shard, make(recipe, seed, shard, size)
        return
    # Pythia does not survive a fork: fresh processes, each with its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(sizes)), mp_context=context) as pool:
        tasks = {pool.submit(make, recipe, seed, shard, size): shard for shard, size in sizes.items()}
        try:
            for task in as_completed(tasks):
                # a result is let go as soon as it is used, or memory would grow with the sample
                yield tasks.pop(task), task.result()
                del task
        finally:
            pool.shutdown(cancel_futures=True)

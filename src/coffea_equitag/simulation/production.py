"""Labelled samples by recipe, in shards whose random numbers do not depend on who computes them."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import vector

from ..errors import JetError, explain
from ..whole_file import check_writable
from .events import labelled_events
from .generator import pythia_module
from .pfnano import collection_name, pfnano_file
from .provenance import check_software, provenance, total_yields, with_provenance
from .recipes import Recipe
from .recipes import recipe as recipe_of
from .shards import Made, Yield, jet_shard
from .workers import run_shards
from .writing import parquet_file

__all__ = [
    "SHARD",
    "Progress",
    "check_counts",
    "shard_sizes",
    "shuffled_shard",
    "simulate",
    "simulate_events",
    "simulate_file",
    "variant_of",
]

#: Jets, or events, a shard: the unit of work and of random numbers.
SHARD = 1000

#: Seeds end here: the largest number that every format keeps.
_MAX_SEED = 2**63 - 1

#: Called with how many jets or events have been made and how many will be.
Progress = Callable[[int, int], None]

# Pythia and fastjet keep global state: one shard at a time in a process, however many threads a Dask worker has.
_ALONE = threading.Lock()


def simulate(
    recipe: str | Recipe,
    n: int,
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
    executor: Any = None,
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
        Seed, 0 to 2⁶³ - 1; the same gives the same jets, whoever makes them.
    workers : int
        Processes; with more than one, call this from under ``if __name__ == "__main__":``. With an executor, how many
        shards it can work on at once.
    mpi : bool
        Whether multiparton interactions (the underlying event) are on.
    particle_level : bool
        Leave out the recipe's detector.
    progress : callable, optional
        Called with (done, n) at the start and after every shard.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who makes the shards instead of processes of this machine. Its workers need the same software, and neither
        files nor a filesystem in common; each makes one shard at a time, so give Dask workers one thread.

    Returns
    -------
    ak.Array
        ``[jet]``, shuffled within each shard of 500: ``constituents`` (pt, eta, phi, mass in GeV, ``charge``,
        ``pdgId``; hardest first; behind a detector with impact parameters also ``d0, dz, d0Err, dzErr`` and the vector
        ``ip``, mm), the jet's ``pt, eta, phi, mass`` and ``label`` (the place in the recipe's ``classes``). Jets of
        ``"w"`` also have the boson's ``true_pt, true_eta, true_phi, true_mass``. ``attrs["coffea_equitag"]`` says how
        they were made.

    Raises
    ------
    EquitagError
        If the recipe is unknown, a number cannot be, ``pythia8mc`` is missing, or a worker is lost.
    """
    chosen = variant_of(recipe, mpi, particle_level)
    return _joined(jet_shard, chosen, n, seed, workers, progress, executor)


def simulate_events(
    recipe: str | Recipe,
    n: int,
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
    executor: Any = None,
) -> ak.Array:
    """Make whole events, as many of each process, with all their jets.

    An event is kept if its leading jet lies in the recipe's range. Parameters, errors and random numbers as in
    `simulate`, ``n`` counting events.

    Returns
    -------
    ak.Array
        ``[event]``, shuffled within each shard of 500: ``jets`` (``[event][jet]`` above the recipe's smallest pT,
        hardest first, with all their constituents), ``partons`` (the hard process and, of tops and W bosons, the
        decay) and ``weight``. Jets have a ``label``, the place in the recipe's ``classes``; -1 where truth is unknown
        or that of no class. Every jet of the top recipes is looked at, and has ``isTop`` and ``isQCD`` too (a jet with
        part of a top is neither); of other recipes the leading jet only. That of ``"w"`` has the boson's ``true_pt,
        true_eta, true_phi, true_mass`` (0 in other jets).
    """
    chosen = variant_of(recipe, mpi, particle_level)
    return _joined(labelled_events, chosen, n, seed, workers, progress, executor)


def simulate_file(
    recipe: str | Recipe,
    n: int,
    path: str | os.PathLike[str],
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
    executor: Any = None,
    overwrite: bool = False,
) -> Path:
    """Make labelled jets, or events, into one file, a shard at a time.

    Memory does not grow with ``n``. The file has its name when it is complete; what is made of it is lost if that does
    not come about: `simulate_folder` goes on.

    Parameters
    ----------
    recipe, n, seed, workers, mpi, particle_level, progress, executor
        As in `simulate`.
    path : path-like
        ``.parquet``: the jets of `simulate`. ``.root``: the events of `simulate_events`, as `write_pfnano` writes them.
    overwrite : bool
        Replace the file if there is one.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EquitagError
        As in `simulate`; also if the file is there, its name has another ending, it cannot be written or the disk is
        full.
    """
    chosen = variant_of(recipe, mpi, particle_level)
    check_counts(n, seed, workers)
    target = check_writable(path)
    if target.suffix not in (".parquet", ".root"):
        raise JetError(
            explain(
                f"a file named {target.name}",
                "a name that ends in .parquet (jets) or .root (events)",
                f"name it {target.stem}.parquet",
            )
        )
    if target.exists() and not overwrite:
        raise JetError(explain(f"{target} is there already", "a new file", "name another, or allow to overwrite it"))
    pythia_module()
    facts = provenance(chosen, n, seed, SHARD)
    make: Callable[[Recipe, int, int, int], Made] = jet_shard
    opened = parquet_file(target)
    if target.suffix == ".root":
        make, opened = labelled_events, pfnano_file(target, collection_name(chosen.radius))
    yields: list[Yield] = []
    with opened as file:
        for made in _shards(make, chosen, n, seed, workers, progress, executor, facts):
            file.add(made.array)
            yields += made.yields
        file.facts = facts | {"yields": total_yields(yields)}
    return target


def variant_of(recipe: str | Recipe, mpi: bool, particle_level: bool) -> Recipe:
    """The recipe of a name, with the underlying event or the detector left out if so wanted."""
    chosen = recipe_of(recipe) if isinstance(recipe, str) else recipe
    return chosen.variant(mpi=mpi, particle_level=particle_level)


def check_counts(n: int, seed: int, workers: int) -> None:
    """Refuse numbers that no sample can have.

    Raises
    ------
    JetError
        If one is no whole number, or out of its range.
    """
    for name, value, least, most in (("n", n, 1, None), ("seed", seed, 0, _MAX_SEED), ("workers", workers, 1, None)):
        try:
            possible = least <= operator.index(value) and (most is None or value <= most)
        except TypeError:
            possible = False
        if not possible:
            range_ = f"from {least} on" if most is None else f"from {least} to {most}"
            raise JetError(explain(f"{name} = {value}", f"a whole number {range_}", f"give another {name}"))


def shard_sizes(n: int) -> dict[int, int]:
    """How many jets or events each shard of a sample holds."""
    return {shard: min(SHARD, n - shard * SHARD) for shard in range(-(-n // SHARD))}


def shuffled_shard(
    make: Callable[[Recipe, int, int, int], Made],
    versions: dict[str, str],
    recipe: Recipe,
    seed: int,
    shard: int,
    size: int,
) -> Made:
    """Make a shard, on whatever machine, and shuffle it: its processes come one after the other.

    Raises
    ------
    JetError
        If this machine has other ``versions`` of the software.
    """
    pythia_module()
    check_software(versions)
    with _ALONE:
        made = make(recipe, seed, shard, size)
    order = np.random.default_rng([seed, shard]).permutation(size)
    # vector's behavior holds lambdas, which cannot travel between processes; the records keep their names.
    return Made(ak.Array(ak.to_packed(made.array[order]).layout), made.yields)


def _joined(
    make: Callable[[Recipe, int, int, int], Made],
    recipe: Recipe,
    n: int,
    seed: int,
    workers: int,
    progress: Progress | None,
    executor: Any,
) -> ak.Array:
    """All shards as one array."""
    check_counts(n, seed, workers)
    pythia_module()
    facts = provenance(recipe, n, seed, SHARD)
    shards = list(_shards(make, recipe, n, seed, workers, progress, executor, facts))
    facts["yields"] = total_yields(one for shard in shards for one in shard.yields)
    whole = ak.to_packed(ak.concatenate([shard.array for shard in shards]))
    return with_provenance(ak.Array(whole, behavior=vector.backends.awkward.behavior), facts)


def _shards(
    make: Callable[[Recipe, int, int, int], Made],
    recipe: Recipe,
    n: int,
    seed: int,
    workers: int,
    progress: Progress | None,
    executor: Any,
    facts: dict[str, Any],
) -> Iterator[Made]:
    """Shards in order, few of them at once."""
    done, tell = 0, progress or (lambda done, n: None)
    tell(done, n)
    work = partial(shuffled_shard, make, facts["versions"], recipe, seed)
    for _, made in run_shards(work, shard_sizes(n), workers, executor, in_order=True):
        done += len(made.array)
        yield made
        tell(done, n)

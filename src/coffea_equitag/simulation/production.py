"""Labelled samples by recipe: as arrays, or as one file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import vector

from ..atomic_file import check_writable
from ..errors import JetError, explain
from .events import labelled_events
from .pfnano import collection_name, pfnano_file
from .provenance import total_yields, with_provenance
from .recipes import Recipe
from .sample import Progress, Sample
from .shards import Made, Yield, jet_shard
from .writing import parquet_file

__all__ = ["simulate", "simulate_events", "simulate_file"]


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
        ``[jet]``, shuffled within each shard of 1000: ``constituents`` (pt, eta, phi, mass in GeV, ``charge``,
        ``pdgId``; hardest first; behind a detector with impact parameters also ``d0, dz, d0Err, dzErr`` and the vector
        ``ip``, mm), the jet's ``pt, eta, phi, mass`` and ``label`` (the place in the recipe's ``classes``). Jets of
        ``"w"`` also have the boson's ``true_pt, true_eta, true_phi, true_mass``. ``attrs["coffea_equitag"]`` says how
        they were made.

    Raises
    ------
    EquitagError
        If the recipe is unknown, a number cannot be, ``pythia8mc`` is missing, or a worker is lost.
    """
    sample = Sample.asked(recipe, n, seed, workers=workers, mpi=mpi, particle_level=particle_level, executor=executor)
    return _joined(sample, jet_shard, progress)


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
        ``[event]``, shuffled within each shard of 1000: ``jets`` (``[event][jet]`` above the recipe's smallest pT,
        hardest first, with all their constituents), ``partons`` (the hard process and, of tops and W bosons, the
        decay) and ``weight``. Jets have a ``label``, the place in the recipe's ``classes``; -1 where truth is unknown
        or that of no class. Every jet of the top recipes is looked at, and has ``isTop`` and ``isQCD`` too (a jet with
        part of a top is neither); of other recipes the leading jet only. That of ``"w"`` has the boson's ``true_pt,
        true_eta, true_phi, true_mass`` (0 in other jets).
    """
    sample = Sample.asked(recipe, n, seed, workers=workers, mpi=mpi, particle_level=particle_level, executor=executor)
    return _joined(sample, labelled_events, progress)


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
    sample = Sample.asked(recipe, n, seed, workers=workers, mpi=mpi, particle_level=particle_level, executor=executor)
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
        remedy = "name another, or overwrite=True (--overwrite)"
        raise JetError(explain(f"{target} is there already", "a new file", remedy))
    facts = sample.provenance()
    make: Callable[[Recipe, int, int, int], Made] = jet_shard
    opened = parquet_file(target)
    if target.suffix == ".root":
        make, opened = labelled_events, pfnano_file(target, collection_name(sample.recipe.radius))
    yields: list[Yield] = []
    with opened as file:
        for made in sample.shards(make, facts, progress):
            file.add(made.array)
            yields += made.yields
        file.facts = facts | {"yields": total_yields(yields)}
    return target


def _joined(sample: Sample, make: Callable[[Recipe, int, int, int], Made], progress: Progress | None) -> ak.Array:
    """All shards as one array."""
    facts = sample.provenance()
    shards = list(sample.shards(make, facts, progress))
    facts["yields"] = total_yields(one for shard in shards for one in shard.yields)
    whole = ak.to_packed(ak.concatenate([shard.array for shard in shards]))
    return with_provenance(ak.Array(whole, behavior=vector.backends.awkward.behavior), facts)

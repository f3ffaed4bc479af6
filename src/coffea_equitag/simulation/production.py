"""Labelled samples from recipes: as arrays, or as one file."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import awkward as ak
import vector

from ..atomic_file import check_writable
from ..errors import JetError, explain
from .events import labelled_events
from .pfnano import collection_name, pfnano_file
from .provenance import total_yields, with_provenance
from .recipes import SampleRecipe
from .sample_request import Progress, SampleRequest
from .shards import MakeShard, Yield, jet_shard
from .writing import parquet_file

__all__ = ["simulate", "simulate_events", "simulate_file"]


def simulate(
    recipe: str | SampleRecipe,
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

    Each event contributes its leading jet, if that lies in the recipe's range and contains what its process requires.

    Parameters
    ----------
    recipe : str or SampleRecipe
        A name of `RECIPES` (``"top"``, ``"top-particle"``, ``"qg"``, ``"btag"``, ``"w"``), or your own recipe.
    n : int
        Number of jets: equally many from each process of the recipe, the remainder from the first ones.
    seed : int
        Seed, 0 to 2⁶³ - 1; the same seed gives the same jets, whatever makes them.
    workers : int
        Number of processes; with more than one, call this under ``if __name__ == "__main__":``. With an executor, how
        many shards it can work on at once.
    mpi : bool
        Whether multiparton interactions (the underlying event) are on.
    particle_level : bool
        Leave out the recipe's detector simulation.
    progress : callable, optional
        Called with (done, n) at the start and after every shard.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Makes the shards instead of processes on this machine. Its workers need the same software, but no shared files
        or filesystem; each makes one shard at a time, so give Dask workers one thread.

    Returns
    -------
    ak.Array
        ``[jet]``, shuffled within each shard of 1000: ``constituents`` (pt, eta, phi, mass in GeV, ``charge``,
        ``pdgId``; hardest first; after a detector with impact parameters also ``d0, dz, d0Err, dzErr`` and the vector
        ``ip``, mm), the jet's ``pt, eta, phi, mass``, ``label`` (the index in the recipe's ``classes``), the
        generator's ``weight`` and the number of its ``event`` (1 to n, unique in the sample). Jets of ``"w"`` also have
        the boson's ``true_pt, true_eta, true_phi, true_mass``. ``attrs["coffea_equitag"]`` records how they were made.

    Raises
    ------
    EquitagError
        If the recipe is unknown, a number is impossible, ``pythia8mc`` is missing, or a worker is lost.
    """
    sample = SampleRequest.of(recipe, n, seed, workers, executor, mpi=mpi, particle_level=particle_level)
    return _joined(sample, jet_shard, progress)


def simulate_events(
    recipe: str | SampleRecipe,
    n: int,
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
    executor: Any = None,
) -> ak.Array:
    """Make whole events with all their jets, equally many of each process.

    An event is kept if its leading jet lies in the recipe's range. Parameters, errors and random numbers are
    those of `simulate`; ``n`` counts events.

    Returns
    -------
    ak.Array
        ``[event]``, shuffled within each shard of 1000: ``jets`` (``[event][jet]`` above the recipe's smallest pT,
        hardest first, with all their constituents), ``partons`` (the hard process and, for tops and W bosons, the
        decay), ``weight`` and ``event`` (its number, from 1). Jets have a ``label``, the index in the recipe's
        ``classes``; -1 where the truth is unknown or belongs to no class. In the top recipes every jet is labelled, and
        has ``isTop`` and ``isQCD`` too (a jet with part of a top is neither); in other recipes only the leading jet is.
        That of ``"w"`` has the boson's ``true_pt, true_eta, true_phi, true_mass`` (0 in other jets).
    """
    sample = SampleRequest.of(recipe, n, seed, workers, executor, mpi=mpi, particle_level=particle_level)
    return _joined(sample, labelled_events, progress)


def simulate_file(
    recipe: str | SampleRecipe,
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
    """Make labelled jets, or events, and write them to one file, a shard at a time.

    Memory does not grow with ``n``. The file appears under its name when it is complete; an interrupted call leaves
    nothing, whereas `simulate_folder` can be continued.

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
        As in `simulate`; also if the file exists, its name has another ending, it cannot be written or the disk is
        full.
    """
    sample = SampleRequest.of(recipe, n, seed, workers, executor, mpi=mpi, particle_level=particle_level)
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
        remedy = "choose another name, or give overwrite=True (--overwrite)"
        raise JetError(explain(f"{target} already exists", "a new file", remedy))
    facts = sample.provenance()
    make: MakeShard = jet_shard
    opened = parquet_file(target)
    if target.suffix == ".root":
        make, opened = labelled_events, pfnano_file(target, collection_name(sample.recipe.radius))
    yields: list[Yield] = []
    with opened as file, closing(sample.shards(make, facts, progress)) as shards:
        for made in shards:
            file.add(made.array)
            yields += made.yields
        file.facts = facts | {"yields": total_yields(yields)}
    return target


def _joined(sample: SampleRequest, make: MakeShard, progress: Progress | None) -> ak.Array:
    """All shards as one array."""
    facts = sample.provenance()
    shards = list(sample.shards(make, facts, progress))
    facts["yields"] = total_yields(one for shard in shards for one in shard.yields)
    whole = ak.to_packed(ak.concatenate([shard.array for shard in shards]))
    return with_provenance(ak.Array(whole, behavior=vector.backends.awkward.behavior), facts)

"""Samples of any size: one Parquet file a shard in a folder, made where they are missing."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet

from ..errors import JetError, explain
from ..whole_file import whole_file
from .generator import pythia_module
from .production import SHARD, Progress, check_counts, run_shards, shard_sizes, variant_of
from .provenance import KEY, provenance, total_yields, with_provenance, write_parquet
from .recipes import Recipe
from .shards import Yield, jet_shard

__all__ = ["MANIFEST", "simulate_folder"]

#: What a folder holds: how its sample is made and, when it is complete, the yields.
MANIFEST = "sample.json"


def simulate_folder(
    recipe: str | Recipe,
    n: int,
    folder: str | os.PathLike[str],
    *,
    seed: int,
    workers: int = 1,
    mpi: bool = True,
    particle_level: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Make labelled jets of a recipe into a folder, shard by shard.

    Begun anew with the same arguments, after whatever ended it, it goes on where it was and gives the same files, bit
    by bit, with any number of workers. Memory does not grow with ``n``.

    Parameters
    ----------
    recipe, n, seed, workers, mpi, particle_level, progress
        As in `simulate`; ``progress`` is first told what was there already.
    folder : path-like
        Made if it is not there. ``shard-00000.parquet``, ... are `simulate`'s jets, shuffled within each file;
        ``sample.json`` says how they were made.

    Returns
    -------
    Path
        The folder; read it by ``read_jets(folder / "*.parquet")``.

    Raises
    ------
    EquitagError
        If the recipe is unknown, ``n`` is not positive, ``pythia8mc`` is missing, or the folder holds another sample.
    OSError
        If the folder cannot be written, or the disk is full.
    """
    chosen = variant_of(recipe, mpi, particle_level)
    check_counts(n, seed, workers)
    pythia_module()
    target = Path(folder)
    facts = provenance(chosen, n, seed, SHARD)
    _claim(target, facts)
    sizes = shard_sizes(n)
    missing = {shard: size for shard, size in enumerate(sizes) if not _path(target, shard).exists()}
    done = n - sum(missing.values())
    if progress is not None:
        progress(done, n)
    for shard, _ in run_shards(partial(_write_shard, target, facts), chosen, seed, missing, workers):
        done += sizes[shard]
        if progress is not None:
            progress(done, n)
    yields = [one for shard in range(len(sizes)) for one in _yields(_path(target, shard))]
    _write_manifest(target, facts | {"yields": total_yields(yields)})
    return target


def _path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.parquet"


def _claim(folder: Path, facts: dict[str, Any]) -> None:
    """Begin a sample in a folder, or go on with the same."""
    if folder.exists() and not folder.is_dir():
        raise JetError(explain(f"{folder} is a file", "a folder for the shards", "name another folder"))
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / MANIFEST
    if manifest.exists():
        former = json.loads(manifest.read_text())
        former.pop("yields", None)
        differing = [name for name, value in facts.items() if former.get(name) != value]
        if differing:
            raise JetError(
                explain(
                    f"{folder} holds a sample with another {', '.join(differing)}",
                    "an empty folder, or one with the same sample begun",
                    "name another folder, or give the arguments (and use the software) of its sample.json",
                )
            )
    elif any(folder.glob("*.parquet")):
        raise JetError(
            explain(f"{folder} holds Parquet files but no {MANIFEST}", "an empty folder", "name another folder")
        )
    else:
        _write_manifest(folder, facts)
    # what a killed process left half-written
    for part in folder.glob(".shard-*.part.parquet"):
        part.unlink()


def _write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    with whole_file(folder / MANIFEST) as part:
        part.write_text(json.dumps(facts, indent=2) + "\n")


def _write_shard(folder: Path, facts: dict[str, Any], recipe: Recipe, seed: int, shard: int, size: int) -> None:
    made = jet_shard(recipe, seed, shard, size)
    order = np.random.default_rng([seed, shard]).permutation(size)
    own = {"shard": shard, "yields": total_yields(made.yields)}
    write_parquet(_path(folder, shard), with_provenance(ak.to_packed(made.array[order]), facts | own))


def _yields(path: Path) -> list[Yield]:
    metadata = pyarrow.parquet.read_schema(path).metadata
    kept = json.loads(metadata[b"AWKWARD_ATTRS"])[KEY]["yields"]
    return [Yield(**{name: value for name, value in one.items() if name != "efficiency"}) for one in kept]

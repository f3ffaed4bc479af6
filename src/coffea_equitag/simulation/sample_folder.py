"""Samples of any size: one Parquet file a shard in a folder, made where they are missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak

from ..atomic_file import remove_unfinished
from ..errors import JetError, explain
from .content import content_hash
from .provenance import read_provenance, total_yields
from .recipes import Recipe
from .sample import Progress, Sample, shard_sizes, shuffled_shard
from .shards import Yield, jet_shard
from .workers import run_shards
from .writing import encoded, explained, write_bytes

__all__ = ["MANIFEST", "read_manifest", "simulate_folder", "write_manifest"]

#: What a folder holds: how its sample is made and, when it is complete, the yields and the hash of its content.
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
    executor: Any = None,
) -> Path:
    """Make labelled jets of a recipe into a folder, shard by shard.

    Begun anew with the same arguments, after whatever ended it, it goes on where it was and gives the same files, bit
    by bit, whoever makes the shards. Memory does not grow with ``n``. Called for a complete sample, it checks it.

    Parameters
    ----------
    recipe, n, seed, workers, mpi, particle_level, progress, executor
        As in `simulate`; ``progress`` is first told what was there already.
    folder : path-like
        Made if it is not there. ``shard-00000.parquet``, ... hold the jets of `simulate`, in the same order;
        ``sample.json`` says how they were made, and has their `content_hash`.

    Returns
    -------
    Path
        The folder; read it by ``read_jets(folder)``.

    Raises
    ------
    EquitagError
        As in `simulate`; also if the folder holds another sample, or files that were changed, if it cannot be written
        or the disk is full.
    """
    sample = Sample.asked(recipe, n, seed, workers=workers, mpi=mpi, particle_level=particle_level, executor=executor)
    target = Path(folder)
    facts = sample.provenance()
    former = _claim(target, facts)
    sizes = shard_sizes(n)
    missing = {shard: size for shard, size in sizes.items() if not _path(target, shard).exists()}
    done = n - sum(missing.values())
    if progress is not None:
        progress(done, n)
    # Workers may have no filesystem in common with this process, which alone writes.
    work = partial(_content, facts, sample.recipe, seed)
    for shard, content in run_shards(work, missing, workers, executor):
        write_bytes(_path(target, shard), content)
        done += sizes[shard]
        if progress is not None:
            progress(done, n)
    shards = [_path(target, shard) for shard in sizes]
    found = content_hash(map(_jets, shards))
    if former.get("content_hash", found) != found:
        raise JetError(
            explain(
                f"{target} holds other jets than when it was made",
                f"jets with the content hash of its {MANIFEST}",
                "make the sample anew in another folder",
            )
        )
    yields = total_yields(one for path in shards for one in _yields(path))
    write_manifest(target / MANIFEST, facts | {"yields": yields, "content_hash": found})
    return target


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a folder.

    Raises
    ------
    JetError
        If it cannot be read.
    """
    try:
        facts = json.loads(path.read_text())
        if isinstance(facts, dict):
            return facts
        error = "no JSON object"
    except (OSError, ValueError) as fault:
        error = str(fault)
    raise JetError(explain(f"{path} cannot be read ({error})", "what equitag simulate wrote", "name another folder"))


def write_manifest(path: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of a folder."""
    write_bytes(path, (json.dumps(facts, indent=2) + "\n").encode())


def _path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:05d}.parquet"


def _claim(folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Begin a sample in a folder, or go on with the same: then return its manifest."""
    if folder.exists() and not folder.is_dir():
        raise JetError(explain(f"{folder} is a file", "a folder for the shards", "name another folder"))
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    manifest, former = folder / MANIFEST, {}
    if manifest.exists():
        former = read_manifest(manifest)
        differing = [name for name, value in facts.items() if former.get(name) != value]
        if differing:
            raise JetError(
                explain(
                    f"{folder} holds a sample with another {', '.join(differing)}",
                    "an empty folder, or one with the same sample begun",
                    f"name another folder, or give the arguments (and use the software) of its {MANIFEST}",
                )
            )
    elif any(folder.glob("*.parquet")):
        raise JetError(
            explain(f"{folder} holds Parquet files but no {MANIFEST}", "an empty folder", "name another folder")
        )
    else:
        write_manifest(manifest, facts)
    remove_unfinished(folder / "shard-*.parquet")
    remove_unfinished(manifest)
    return former


def _content(facts: dict[str, Any], recipe: Recipe, seed: int, shard: int, size: int) -> bytes:
    """Content of a shard's file."""
    made = shuffled_shard(jet_shard, facts["versions"], recipe, seed, shard, size)
    return encoded(made.array, facts | {"shard": shard, "yields": total_yields(made.yields)})


def _jets(path: Path) -> ak.Array:
    try:
        return ak.from_parquet(path)
    except (OSError, ValueError) as error:
        raise JetError(
            explain(f"{path} is damaged ({error})", "a Parquet file", "remove it and begin again: it is made anew")
        ) from error


def _yields(path: Path) -> Iterator[Yield]:
    for one in read_provenance(path)["yields"]:
        yield Yield(**{name: value for name, value in one.items() if name != "efficiency"})

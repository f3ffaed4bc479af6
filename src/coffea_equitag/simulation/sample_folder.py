"""Samples of any size: a folder with one Parquet file per shard, made where missing."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import awkward as ak

from ..atomic_file import make_folder
from ..errors import JetError, explain
from ..readers.checked_parquet import from_parquet
from ..readers.simulated_folder import MANIFEST, RESUME, shard_name
from ..reading import check_regular, read_bytes, reading
from ..temporary_files import remove_stale
from .content import content_hash
from .provenance import read_provenance, total_yields
from .recipes import RECIPES, SampleRecipe
from .sample_request import Progress, SampleRequest, shard_sizes, shuffled_shard
from .shards import Yield, jet_shard
from .workers import run_shards
from .writing import encoded, explained, write_bytes

__all__ = ["MANIFEST", "complete_sample", "read_manifest", "simulate_folder", "write_manifest"]


def simulate_folder(
    recipe: str | SampleRecipe,
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
    """Make labelled jets of a recipe and write them to a folder, shard by shard.

    Called again with the same arguments after an interruption, it continues where it stopped and gives the same files,
    bit for bit, whatever makes the shards. Memory does not grow with ``n``. For a complete sample it checks the
    content.

    Parameters
    ----------
    recipe, n, seed, workers, mpi, particle_level, progress, executor
        As in `simulate`; ``progress`` is first called with what already exists.
    folder : path-like
        Created if needed. ``shard-00000.parquet``, ... hold the jets of `simulate`, in the same order; ``sample.json``
        says how they were made, and has their `content_hash`.

    Returns
    -------
    Path
        The folder; read it with ``read_jets(folder)``.

    Raises
    ------
    EquitagError
        As in `simulate`; also if the folder holds another sample or modified files, if it cannot be written or the
        disk is full.
    """
    sample = SampleRequest.of(recipe, n, seed, workers, executor, mpi=mpi, particle_level=particle_level)
    target = Path(folder)
    facts = sample.provenance()
    former = _claim(target, facts, _command(sample, target))
    sizes = shard_sizes(n)
    missing = {shard: size for shard, size in sizes.items() if not _path(target, shard).exists()}
    done = n - sum(missing.values())
    if progress is not None:
        progress(done, n)
    # workers may share no filesystem with this process, so that only this process writes
    work = partial(_content, facts, sample.recipe, seed)
    # closed, so that its workers end with this call: a traceback would keep them
    with closing(run_shards(work, missing, workers, executor)) as made:
        for shard, content in made:
            write_bytes(_path(target, shard), content)
            done += sizes[shard]
            if progress is not None:
                progress(done, n)
    shards = [_path(target, shard) for shard in sizes]
    with reading(target, "a sample of equitag simulate", remedy="make the sample again in another folder"):
        found = content_hash(map(_jets, shards))
    if former.get("content_hash", found) != found:
        raise JetError(
            explain(
                f"the jets in {target} are not those it was made with",
                f"jets with the content hash in its {MANIFEST}",
                "make the sample again in another folder",
            )
        )
    yields = total_yields(one for path in shards for one in _yields(path))
    write_manifest(target / MANIFEST, facts | {"yields": yields, "content_hash": found})
    return target


def complete_sample(recipe: str, n: int, folder: Path, *, seed: int, workers: int = 1) -> Path:
    """The folder of a sample: taken as it is where it is complete, else made or continued.

    Unlike `simulate_folder` this takes complete samples of other versions of the software, which their manifests name,
    and does not read their jets again.

    Raises
    ------
    EquitagError
        As `simulate_folder`; also if the folder holds another sample.
    """
    found = read_manifest(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    held = found.get("recipe", {}).get("name"), found.get("n"), found.get("seed")
    if "content_hash" not in found:
        return simulate_folder(recipe, n, folder, seed=seed, workers=workers)
    if held != (recipe, n, seed):
        raise JetError(
            explain(
                "{}: a sample of recipe {}, {} jets, seed {}".format(folder, *held),
                f"recipe {recipe}, {n} jets, seed {seed}",
                "choose another folder, or ask for this sample",
            )
        )
    return folder


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of a folder.

    Raises
    ------
    JetError
        If it cannot be read.
    """
    with reading(path, "a manifest of equitag simulate", remedy="choose another folder"):
        facts = json.loads(read_bytes(path))
        if not isinstance(facts, dict):
            raise TypeError("not a JSON object")
        return facts


def write_manifest(path: Path, facts: dict[str, Any]) -> None:
    """Write the manifest of a folder."""
    write_bytes(path, (json.dumps(facts, indent=2) + "\n").encode())


def _path(folder: Path, shard: int) -> Path:
    return folder / shard_name(shard)


def _command(sample: SampleRequest, folder: Path) -> str:
    """The command that continues a sample."""
    known = RECIPES.get(sample.recipe.name)
    for mpi, level in product(("", " --no-mpi"), ("", " --particle-level")):
        if known is not None and known.variant(mpi=not mpi, particle_level=bool(level)) == sample.recipe:
            words = f"equitag simulate {known.name} -n {sample.n} --seed {sample.seed}"
            return f"{words}{mpi}{level} -o {shlex.quote(str(folder))}"
    return f"simulate_folder with this recipe, n={sample.n}, seed={sample.seed} and {str(folder)!r}"


def _claim(folder: Path, facts: dict[str, Any], command: str) -> dict[str, Any]:
    """Begin a sample in a folder, or continue the same one; returns the manifest found there.

    Until the sample is complete, the manifest also has the command that continues it.
    """
    with explained(folder):
        make_folder(folder)
    manifest, former = folder / MANIFEST, {}
    if manifest.exists():
        former = read_manifest(manifest)
        differing = [name for name, value in facts.items() if former.get(name) != value]
        if differing:
            raise JetError(
                explain(
                    f"{folder} holds a sample with another {', '.join(differing)}",
                    "an empty folder, or one in which the same sample was begun",
                    f"choose another folder, or use the arguments and the software listed in its {MANIFEST}",
                )
            )
    elif any(folder.glob("*.parquet")):
        raise JetError(
            explain(f"{folder} holds Parquet files but no {MANIFEST}", "an empty folder", "choose another folder")
        )
    else:
        write_manifest(manifest, facts | {RESUME: command})
    remove_stale(folder)
    return former


def _content(facts: dict[str, Any], recipe: SampleRecipe, seed: int, shard: int, size: int) -> bytes:
    """Content of the file of a shard."""
    made = shuffled_shard(jet_shard, facts, recipe, seed, shard, size)
    return encoded(made.array, facts | {"shard": shard, "yields": total_yields(made.yields)})


def _jets(path: Path) -> ak.Array:
    with reading(path, "a Parquet file", remedy="delete it and run again: it will be made again"):
        check_regular(path)
        return from_parquet(path)


def _yields(path: Path) -> Iterator[Yield]:
    with reading(path, "a file of equitag simulate"):
        found = read_provenance(path)["yields"]
        yield from [Yield(**{name: value for name, value in one.items() if name != "efficiency"}) for one in found]

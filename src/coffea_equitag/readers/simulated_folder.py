"""Folders of `equitag simulate` whose simulation was interrupted: not read as if they were whole."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from ..errors import JetError, SampleWarning, explain
from ..reading import read_bytes

__all__ = ["MANIFEST", "RESUME", "check_whole", "shard_name", "warn_of_part"]

#: File that says how the sample of a folder is made and, when it is complete, its yields and content hash.
MANIFEST = "sample.json"

#: Its entry, until the sample is complete, with the command that continues it.
RESUME = "resume"

_AGAIN = "run the command, or the call of simulate_folder, that began it once more"


def shard_name(shard: int) -> str:
    """Name of the file of a shard."""
    return f"shard-{shard:05d}.parquet"


def check_whole(folder: Path) -> None:
    """Refuse a folder in which a simulation was interrupted, or from which shards were lost.

    Raises
    ------
    JetError
        With what is missing, and how to continue.
    """
    if found := _incomplete(folder):
        given, remedy = found
        raise JetError(
            explain(given, "a complete sample", f"{remedy}; or read what there is: {folder / 'shard-*.parquet'}")
        )


def warn_of_part(folder: Path) -> None:
    """Say so where files are read from such a folder.

    Warns
    -----
    SampleWarning
        With what is missing, and how to continue.
    """
    if found := _incomplete(folder):
        given, remedy = found
        warnings.warn(explain(given, "a complete sample", remedy), SampleWarning, stacklevel=4)


def _incomplete(folder: Path) -> tuple[str, str] | None:
    """What is missing from a simulated sample, and how to continue it; None of anything else."""
    facts = _facts(folder / MANIFEST)
    try:
        n, size = int(facts["n"]), int(facts["shard_size"])
        shards = [folder / shard_name(shard) for shard in range(-(-n // size))]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    sizes = [min(size, n - shard * size) for shard in range(len(shards))]
    there = [shard.is_file() for shard in shards]
    if all(there) and "content_hash" in facts:
        return None
    jets = sum(number for number, is_there in zip(sizes, there, strict=True) if is_there)
    what = "a simulation that was not completed" if "content_hash" not in facts else "a sample that has lost files"
    given = f"{folder} holds {what}: {sum(there)} of {len(shards)} shards, {jets} of {n} jets"
    return given, f"continue it: {facts[RESUME]}" if isinstance(facts.get(RESUME), str) else _AGAIN


def _facts(manifest: Path) -> dict[str, Any]:
    """The manifest; empty if there is none of ours."""
    try:
        facts = json.loads(read_bytes(manifest))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}

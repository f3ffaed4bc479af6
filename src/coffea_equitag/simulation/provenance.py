"""How a sample was made, to be kept in its file."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward as ak

from ..whole_file import whole_file
from .recipes import Recipe
from .shards import Yield

__all__ = ["KEY", "provenance", "total_yields", "with_provenance", "write_parquet"]

#: Name of the metadata among an array's attributes.
KEY = "coffea_equitag"

_SOFTWARE = ("coffea-equitag", "pythia8mc", "fastjet", "awkward", "numpy")


def provenance(recipe: Recipe, n: int, seed: int, shard_size: int) -> dict[str, Any]:
    """What fixes a sample: recipe, number, seed and software; JSON values only."""
    fixed = asdict(recipe)
    fixed["processes"] = [process | {"settings": list(process["settings"])} for process in fixed["processes"]]
    for name, value in fixed.items():
        if isinstance(value, tuple):
            fixed[name] = list(value)
    versions = {name: importlib.metadata.version(name) for name in _SOFTWARE}
    return {"recipe": fixed, "n": n, "seed": seed, "shard_size": shard_size, "versions": versions}


def total_yields(yields: Iterable[Yield]) -> list[dict[str, Any]]:
    """Add up yields by process, with the efficiency and the mean cross-section (pb); JSON values only."""
    totals: dict[str, Yield] = {}
    for one in yields:
        sums = totals.setdefault(one.process, Yield(one.process))
        events = sums.generated + one.generated
        mean = sums.cross_section_pb * sums.generated + one.cross_section_pb * one.generated
        sums.cross_section_pb = mean / max(events, 1)
        sums.generated, sums.selected = events, sums.selected + one.selected
    return [asdict(one) | {"efficiency": one.selected / max(one.generated, 1)} for one in totals.values()]


def with_provenance(array: ak.Array, facts: dict[str, Any]) -> ak.Array:
    """The same array with facts of its making among its attributes."""
    return ak.Array(array.layout, behavior=array.behavior, attrs={KEY: facts})


def write_parquet(path: Path, jets: ak.Array) -> None:
    """Write jets and their attributes as Parquet; the file is there whole or not at all.

    Raises
    ------
    JetError
        If ``path`` cannot be written.
    OSError
        If the disk is full.
    """
    with whole_file(path) as part:
        ak.to_parquet(jets, part, compression="zstd", parquet_byte_stream_split=True)

"""How a sample was made, as recorded in its file."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import awkward as ak
import pyarrow.parquet
import uproot

from ..errors import JetError, explain
from ..reading import reading
from .recipes import SampleRecipe
from .shards import Yield

__all__ = ["KEY", "check_software", "provenance", "read_provenance", "total_yields", "with_provenance"]

#: Name of the metadata: in an array's attributes, in a Parquet file, and beside the tree of a ROOT file.
KEY = "coffea_equitag"

#: Version of the columns: samples of another one cannot be continued. The first had no ``event`` and no ``weight``.
_LAYOUT = 2

_SOFTWARE = ("coffea-equitag", "pythia8mc", "fastjet", "awkward", "numpy")


def provenance(recipe: SampleRecipe, n: int, seed: int, shard_size: int) -> dict[str, Any]:
    """What determines a sample: recipe, number, seed and software; JSON values only."""
    fixed = asdict(recipe)
    for known in (fixed, *fixed["processes"]):
        for name, value in known.items():
            if isinstance(value, tuple):
                known[name] = list(value)
    for process in fixed["processes"]:
        if not process["flavours"]:  # as before there were any, so that such samples can be continued
            del process["flavours"]
    counts = {"n": int(n), "seed": int(seed), "shard_size": shard_size, "layout": _LAYOUT}
    return {"recipe": fixed, **counts, "versions": _versions()}


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _SOFTWARE}


def check_software(expected: dict[str, str]) -> None:
    """Refuse to make a shard of a sample that was begun with other software: its jets might differ.

    Raises
    ------
    JetError
        If a version differs.
    """
    for name, version in _versions().items():
        if version != expected[name]:
            raise JetError(
                explain(
                    f"a worker with {name} {version}", f"{name} {expected[name]}, as here", "install the same version"
                )
            )


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """How the jets or events of a file were made.

    Parameters
    ----------
    path : path-like
        A Parquet or ROOT file from `simulate_file` or `simulate_folder`.

    Returns
    -------
    dict
        ``recipe``, ``n``, ``seed``, ``shard_size``, ``layout``, ``versions``, ``yields``; for a file in a folder also
        ``shard``.

    Raises
    ------
    JetError
        If the file cannot be read, or has no such record.
    """
    target = Path(path)
    with reading(target, "a file made by equitag simulate", remedy="make it again, or choose another file"):
        facts: dict[str, Any] = json.loads(_record(target))
        return facts


def _record(path: Path) -> str:
    try:
        if path.suffix == ".root":
            with uproot.open(path) as file:
                return str(file[KEY])
        # under our own name, so that any version of awkward and plain pyarrow find it
        return str((pyarrow.parquet.read_schema(path).metadata or {})[KEY.encode()].decode())
    except KeyError as error:
        raise JetError(
            explain(
                f"{path} has no record of how its jets were made",
                "a file made by equitag simulate",
                "make it again, or choose another file",
            )
        ) from error


def total_yields(yields: Iterable[Yield]) -> list[dict[str, Any]]:
    """Add up yields by process, with the efficiency and the mean cross-section (pb); JSON values only."""
    totals: dict[str, Yield] = {}
    for one in yields:
        sums = totals.setdefault(one.process, Yield(one.process))
        events = sums.generated + one.generated
        mean = sums.cross_section_pb * sums.generated + one.cross_section_pb * one.generated
        sums.cross_section_pb = mean / max(events, 1)
        sums.generated, sums.selected = events, sums.selected + one.selected
        sums.left_out += one.left_out
    return [asdict(one) | {"efficiency": one.selected / max(one.generated, 1)} for one in totals.values()]


def with_provenance(array: ak.Array, facts: dict[str, Any]) -> ak.Array:
    """The same array with the record of how it was made in its attributes."""
    return ak.Array(array.layout, behavior=array.behavior, attrs={KEY: facts})

"""Compare files, and write a folder with table, numbers and plots."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet

from ...atomic_file import atomic_file
from ...errors import JetError, explain
from ..provenance import KEY
from .comparison import Comparison, Progress, compare_samples
from .jet_sample import jet_files, read_sample
from .plots import figures
from .table import markdown
from .tagging import tag

__all__ = ["claim", "validate_files", "write_report"]

_SOFTWARE = ("coffea-equitag", "awkward", "numpy", "scipy", "torch")


def validate_files(
    simulated: str | os.PathLike[str],
    real: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    labels: str = "label",
    classes: Sequence[str] | None = None,
    max_constituents: int = 128,
    network: bool = True,
    folds: int = 5,
    epochs: int = 25,
    seed: int = 1,
    taggers: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
) -> Comparison:
    """Compare a simulated sample with real jets, both read from files.

    Parameters
    ----------
    simulated, real : path, or several
        Files in any format that `coffea_equitag.read_jets` reads, patterns, or folders of Parquet shards.
    labels : str
        Jet field that holds the class, in both samples.
    classes : sequence of str, optional
        Names of the classes; default those recorded by `simulate` in the first simulated file, else numbers.
    max_constituents : int
        Number of hardest constituents of each jet that are used, in both samples.
    network, folds, epochs, seed, progress
        See `compare_samples`.
    taggers : sequence of path-like
        Taggers to measure on both samples.

    Raises
    ------
    EquitagError
        If a file is missing or has no such jets, a class is in only one sample, or a tagger cannot score the jets.
    """
    files = {"simulated": jet_files(simulated), "real": jet_files(real)}
    both = {which: read_sample(found, labels, max_constituents) for which, found in files.items()}
    names = list(classes) if classes is not None else _classes_of(files["simulated"][0])
    found = compare_samples(
        both["simulated"][1],
        both["real"][1],
        names,
        network=network,
        folds=folds,
        epochs=epochs,
        seed=seed,
        progress=progress,
    )
    results = []
    for number, path in enumerate(taggers):
        if progress is not None:
            progress("taggers", number, len(taggers))
        results.append(tag(path, both["simulated"][0], both["real"][0], labels))
    facts: dict[str, Any] = {
        **files,
        "jets": {which: len(sample) for which, (_, sample) in both.items()},
        "labels": labels,
        "max_constituents": max_constituents,
        "network": {"folds": folds, "epochs": epochs, "seed": seed} if network else None,
        "versions": {name: importlib.metadata.version(name) for name in _SOFTWARE},
    }
    return replace(found, taggers=tuple(results), facts=facts)


def claim(folder: str | os.PathLike[str]) -> Path:
    """A folder that a report can be written to: new or empty.

    Raises
    ------
    JetError
        If it is not empty, or is a file.
    """
    target = Path(folder)
    given = ""
    if target.is_dir():
        given = f"{target} is not empty" if any(target.iterdir()) else ""
    elif target.exists():
        given = f"{target} is a file"
    if given:
        raise JetError(explain(given, "a new or empty folder for the report", "choose another folder"))
    return target


def write_report(comparison: Comparison, folder: str | os.PathLike[str]) -> Path:
    """Write ``table.md``, ``table.json`` and each plot as PNG and PDF.

    Raises
    ------
    JetError
        If the folder is not empty.
    OSError
        If it cannot be written, or the disk is full.
    """
    target = claim(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, figure in figures(comparison):
        for suffix in ("png", "pdf"):
            with atomic_file(target / f"{name}.{suffix}") as part:
                figure.savefig(part, dpi=100)
    with atomic_file(target / "table.json") as part:
        part.write_text(json.dumps(comparison.as_dict(), indent=2) + "\n")
    # last: a report with a table is complete
    with atomic_file(target / "table.md") as part:
        part.write_text(markdown(comparison))
    return target


def _classes_of(file: str) -> list[str] | None:
    """Names of the classes that `simulate` recorded in a Parquet file."""
    if Path(file).suffix not in (".parquet", ".pq"):
        return None
    kept = (pyarrow.parquet.read_schema(file).metadata or {}).get(b"AWKWARD_ATTRS")
    try:
        return list(map(str, json.loads(kept)[KEY]["recipe"]["classes"])) if kept else None
    except (KeyError, TypeError, ValueError):
        return None

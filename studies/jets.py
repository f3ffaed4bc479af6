"""The jets of a study: simulated where they are missing, and read when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import awkward as ak

import coffea_equitag as eqt
from coffea_equitag.readers.simulated_folder import MANIFEST, RESUME
from coffea_equitag.simulation import simulate_folder
from coffea_equitag.simulation.sample_folder import read_manifest

from .sample import Sample

__all__ = ["TestSample", "make_jets"]


class TestSample:
    """Labelled jets to measure on.

    Parameters
    ----------
    path : Path
        A folder of `simulate_folder`, or a file.

    Attributes
    ----------
    identity : str
        A hash of their content.
    """

    __test__ = False  # for pytest

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            self.identity = str(read_manifest(path / MANIFEST)["content_hash"])
        else:
            self.identity = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    @cached_property
    def jets(self) -> ak.Array:
        """The jets, which stay in memory."""
        return eqt.read_jets(self.path)


def make_jets(sample: Sample, parts: Iterable[str], scale: float, folder: Path, workers: int) -> dict[str, Path]:
    """Folders of the parts wanted, by name; made or continued."""
    counts = sample.scaled(scale)
    return {part: _made(sample, part, counts[part], folder / part, workers) for part in parts}


def _made(sample: Sample, part: str, number: int, folder: Path, workers: int) -> Path:
    manifest = folder / MANIFEST
    facts = read_manifest(manifest) if manifest.exists() else {RESUME: ""}
    asked = facts.get("n"), facts.get("seed"), facts.get("recipe", {}).get("name")
    # a complete sample is not read once more; another one is refused below
    if RESUME not in facts and asked == (number, sample.seeds[part], sample.recipe):
        return folder
    return simulate_folder(sample.recipe, number, folder, seed=sample.seeds[part], workers=workers)

"""The jets of a study: simulated where they are missing, and read when they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import awkward as ak

import coffea_equitag as eqt
from coffea_equitag.simulation.sample_folder import MANIFEST, complete_sample, read_manifest

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
    return {
        part: complete_sample(sample.recipe, counts[part], folder / part, seed=sample.seeds[part], workers=workers)
        for part in parts
    }

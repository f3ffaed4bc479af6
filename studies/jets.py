"""The jets of a study, simulated where they are missing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from coffea_equitag.simulation import simulate_folder

from .study import Sample

__all__ = ["make_jets"]


def make_jets(sample: Sample, parts: Iterable[str], scale: float, folder: Path, workers: int) -> dict[str, Path]:
    """Folders of the parts wanted, by name; made, continued or verified."""
    counts = sample.scaled(scale)
    return {
        part: simulate_folder(sample.recipe, counts[part], folder / part, seed=sample.seeds[part], workers=workers)
        for part in parts
    }

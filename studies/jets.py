"""The jets of a study, simulated where they are missing."""

from __future__ import annotations

from pathlib import Path

from coffea_equitag.simulation import simulate_folder

from .study import Sample

__all__ = ["make_jets"]


def make_jets(sample: Sample, scale: float, folder: Path, workers: int) -> dict[str, Path]:
    """Folders of training, validation and test jets, by name; made, continued or verified."""
    return {
        part: simulate_folder(sample.recipe, n, folder / part, seed=sample.seeds[part], workers=workers)
        for part, n in sample.scaled(scale).items()
    }

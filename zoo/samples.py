"""The samples of a tagger: simulated where they are missing, taken as they are where they are complete."""

from __future__ import annotations

from pathlib import Path

from coffea_equitag.simulation.sample_folder import MANIFEST, complete_sample, read_manifest
from coffea_equitag.tagger.measurements import SampleRecord

from .config import ZooConfig

__all__ = ["make_samples", "record"]


def make_samples(config: ZooConfig, folder: Path, workers: int) -> dict[str, Path]:
    """Folders of all samples by name.

    Raises
    ------
    EquitagError
        As `complete_sample`.
    """
    return {
        name: complete_sample(config.recipe, part.jets, folder / name, seed=part.seed, workers=workers)
        for name, part in config.samples.items()
    }


def record(folder: Path) -> SampleRecord:
    """What a card says of a sample."""
    found = read_manifest(folder / MANIFEST)
    version = found.get("versions", {}).get("pythia8mc")
    return SampleRecord(
        recipe=found["recipe"]["name"],
        summary=found["recipe"]["summary"],
        num_jets=found["n"],
        seed=found["seed"],
        generator=f"Pythia {version}" if version else None,
        content_hash=found["content_hash"],
    )

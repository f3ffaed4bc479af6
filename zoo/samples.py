"""The samples of a tagger: simulated where they are missing, taken as they are where they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coffea_equitag.errors import JetError, explain
from coffea_equitag.simulation import simulate_folder
from coffea_equitag.simulation.sample_folder import MANIFEST, read_manifest
from coffea_equitag.tagger.measurements import SampleRecord

from .config import ZooConfig

__all__ = ["make_samples", "record"]


def make_samples(config: ZooConfig, folder: Path, workers: int) -> dict[str, Path]:
    """Folders of all samples by name.

    Complete ones may be of another version of the package: their manifest says of which.

    Raises
    ------
    JetError
        If a folder holds another sample, or as `simulate_folder`.
    """
    for name, part in config.samples.items():
        found = _complete(folder / name)
        if not found:
            simulate_folder(config.recipe, part.jets, folder / name, seed=part.seed, workers=workers)
        elif (found["recipe"]["name"], found["n"], found["seed"]) != (config.recipe, part.jets, part.seed):
            given = f"{folder / name}: {found['n']} jets of recipe {found['recipe']['name']}, seed {found['seed']}"
            wanted = f"{part.jets} jets of recipe {config.recipe}, seed {part.seed}"
            raise JetError(explain(given, wanted, "choose another folder, or correct the tagger's file"))
    return {name: folder / name for name in config.samples}


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


def _complete(folder: Path) -> dict[str, Any]:
    """The manifest of a complete sample; empty if there is none."""
    found = read_manifest(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    return found if "content_hash" in found else {}

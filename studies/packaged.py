"""Packaged taggers as trainings of a study."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from coffea_equitag import load
from coffea_equitag.errors import TaggerError, explain
from coffea_equitag.training.comparison import FinishedRun

from .study import Entry, Study

__all__ = ["PackagedRun", "packaged_run"]


class PackagedRun(FinishedRun):
    """The training that a packaged tagger comes from, of which no more than the tagger is kept."""

    @cached_property
    def record(self) -> dict[str, Any]:
        """What of ``run.json`` the card says."""
        training = self.tagger.card.training
        return {"settings": dict(training.recipe) | {"seed": training.seed}} if training else {}

    @property
    def is_finished(self) -> bool:
        """Packaged taggers are."""
        return True

    @property
    def seconds(self) -> float | None:
        """Not kept."""
        return None

    @property
    def processor(self) -> str | None:
        """Not kept."""
        return None


def packaged_run(study: Study, entry: Entry, folder: Path) -> PackagedRun:
    """A packaged tagger in place of the trainings of an entry.

    Parameters
    ----------
    study : Study
        The study.
    entry : Entry
        One with `packaged`.
    folder : Path
        Where the tagger is copied to, and what is measured of it is kept.

    Raises
    ------
    TaggerError
        If the tagger is another network, or was trained on other jets or for more or fewer epochs.
    """
    tagger = load(str(entry.packaged), "cpu")
    card, training = tagger.card, study.training(entry.variant)
    parts, _ = study.sample.portion(entry.size)
    given = card.training
    found = {
        "network": card.architecture,
        "options": {key: card.options.get(key) for key in training.get("options", {})},
        "epochs": given.recipe.get("epochs") if given else None,
        "jets": {(one.recipe, one.seed): one.num_jets for one in given.samples} if given else {},
    }
    wanted = {
        "network": training["model"],
        "options": training.get("options", {}),
        "epochs": round(entry.more_epochs * training["epochs"]),
        "jets": {(study.sample.recipe, study.sample.seeds[part]): study.sample.jets[part] for part in parts},
    }
    differing = [f"{key} {found[key]} instead of {wanted[key]}" for key in wanted if found[key] != wanted[key]]
    if differing:
        raise TaggerError(
            explain(
                f"{entry.packaged} with {'; '.join(differing)}",
                f"a tagger trained as {entry.name}",
                "name another in `packaged` of the study's file, or train that size",
            )
        )
    if not (folder / "tagger" / "card.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        tagger.save(folder / "tagger")
    return PackagedRun(folder, entry.name)

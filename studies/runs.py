"""The runs of a study, in a folder that several studies may share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from coffea_equitag.errors import TaggerError, explain
from coffea_equitag.training import RunConfig, train
from coffea_equitag.training.comparison import FinishedRun

from .measured import card
from .packaged import packaged_run
from .study import Entry, Study

__all__ = ["Runs"]

#: Keys of a run's configuration that do not decide its result, or are the sample's.
_OTHER = {"data", "validation", "output", "device", "name", "workers", "save_every", "time_limit", "loggers"}
_OTHER |= {"log_every", "seeds", "split_seed", "jet_definition"}


class Runs:
    """The trainings of a study, in ``FOLDER/NAME/seed-K``.

    Parameters
    ----------
    study : Study
        What is trained.
    folder : Path
        Where.
    scale : float
        Share of the jets.
    """

    def __init__(self, study: Study, folder: Path, scale: float = 1.0) -> None:
        self.study, self.folder, self.scale = study, folder, scale

    def finished(self, entry: Entry) -> list[FinishedRun]:
        """The finished trainings of an entry, by seed.

        Raises
        ------
        TaggerError
            If one was configured otherwise, or trained on other jets.
        """
        if self._is_packaged(entry):
            return [packaged_run(self.study, entry, self.folder / entry.name / "packaged")]
        folders = [self.folder / entry.name / f"seed-{seed}" for seed in range(entry.repeats)]
        found = [FinishedRun(folder, entry.name) for folder in folders if (folder / "last.ckpt").exists()]
        finished = [run for run in found if run.is_finished]
        for run in finished:
            self._check(entry, run)
        return finished

    def missing(self, names: Iterable[str] = ()) -> Iterator[tuple[Entry, int]]:
        """Entries and seeds to train, the first seed of all variants first; of some variants or entries only."""
        wanted = set(names)
        entries = [entry for entry in self.study.entries() if not wanted or wanted & {entry.name, entry.variant}]
        done = {entry.name: {run.path.name for run in self.finished(entry)} for entry in entries}
        for seed in range(max((entry.repeats for entry in entries), default=0)):
            for entry in entries:
                if seed < entry.repeats and not self._is_packaged(entry) and f"seed-{seed}" not in done[entry.name]:
                    yield entry, seed

    def train(self, entry: Entry, seed: int, jets: dict[str, Path]) -> None:
        """Train one of them, or go on with it."""
        train(self.study.run_config(entry, seed, jets, self.folder, self.scale))

    def _is_packaged(self, entry: Entry) -> bool:
        """Whether a packaged tagger is that training, as for all jets."""
        return entry.packaged is not None and self.scale == 1

    def _check(self, entry: Entry, run: FinishedRun) -> None:
        """Refuse a run of the same name that is another."""
        nowhere = dict.fromkeys(self.study.sample.jets, Path())
        wanted = self.study.run_config(entry, run.record["settings"]["seed"], nowhere, self.folder, self.scale)
        there = RunConfig.read(run.path / "config.yaml")
        keys = [key for key in RunConfig.model_fields if key not in _OTHER]
        differing = [_difference(key, getattr(there, key), getattr(wanted, key)) for key in keys]
        if "select" not in self.study.variants[entry.variant].training:
            number = self.study.sample.number(entry.size, self.scale)
            differing.append(_difference("training jets", card(run)["training"]["num_jets"], number))
        if faults := "; ".join(filter(None, differing)):
            raise TaggerError(
                explain(
                    f"{run.path} with {faults}",
                    "runs that are configured as the study says",
                    "give the variant another name, or give another folder of runs: --runs FOLDER",
                )
            )


def _difference(key: str, there: Any, wanted: Any) -> str:
    return "" if there == wanted else f"{key} = {there} instead of {wanted}"

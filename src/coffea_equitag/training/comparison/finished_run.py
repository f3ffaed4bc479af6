"""One run of `fit`, as its folder tells of it."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from ...errors import TaggerError, explain
from ...reading import read_bytes, reading
from ...tagger import Tagger, load
from ..loop.checkpoint import decode
from .scored_jets import ScoredJets

__all__ = ["FinishedRun", "find_runs"]


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder.

    Attributes
    ----------
    path : Path
        The folder.
    variant : str
        What it is a repeat of: the folder above for ``seed-3``, the folder itself for others.
    """

    path: Path
    variant: str

    @cached_property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says."""
        with reading(self.path / "run.json", "the run.json that fit wrote", TaggerError, "leave that folder out"):
            return dict(json.loads(read_bytes(self.path / "run.json")))

    @cached_property
    def tagger(self) -> Tagger:
        """That of the best epoch."""
        return load(self.path, "cpu")

    @cached_property
    def _last(self) -> tuple[int, int, Mapping[str, Any] | None]:
        """Epochs done, from which of them on patience counts, and their cost; the rest is too large to keep."""
        path = self.path / "last.ckpt"
        with reading(path, "a checkpoint written by fit", TaggerError, "train that run again, or leave it out"):
            state = decode(read_bytes(path))
            since = state.get("continued") or [{"at": 0}]
            return int(state["progress"]["epoch"]), int(since[-1]["at"]), state.get("cost")

    @property
    def is_finished(self) -> bool:
        """Whether all its epochs are done, or it stopped early as it was told to."""
        done, since, _ = self._last
        patience = self.record["settings"]["recipe"].get("patience")
        is_whole = bool(done >= self.record["settings"]["epochs"])
        if is_whole or patience is None or not done:
            return is_whole
        return bool(done - max(int(self.tagger.card.metrics["epoch"]), since) >= patience)

    @property
    def seconds(self) -> float | None:
        """Time that the training took; None for runs of older versions."""
        cost = self._last[2]
        return None if cost is None else float(cost["seconds"])

    @property
    def processor(self) -> str | None:
        """What it was trained on."""
        cost = self._last[2]
        return None if cost is None else str(cost["processor"])

    @cached_property
    def best(self) -> dict[str, float]:
        """Validation metrics of the best epoch."""
        chosen = int(self.tagger.card.metrics["epoch"])
        with open(self.path / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: float(value) for name, value in rows[chosen - 1].items()}

    @cached_property
    def validation(self) -> ScoredJets:
        """Its validation jets, with the scores of the best epoch.

        Raises
        ------
        TaggerError
            For runs of older versions, which did not keep them.
        """
        path = self.path / "best.ckpt"
        with reading(path, "a checkpoint written by fit", TaggerError, "train that run again, or leave it out"):
            state = decode(read_bytes(path))
        if "validation" not in state:
            raise TaggerError(
                explain(
                    f"{self.path}, trained by a version that did not keep the scores of the validation jets",
                    "scores on the same jets for all runs",
                    "give labelled jets to score: equitag compare RUNS --data FILES",
                )
            )
        kept = {name: value.double().numpy() for name, value in state["validation"].items()}
        jets = [kept[name].tobytes() for name in ("jet_p4", "sample_weights", "labels") if name in kept]
        identity = hashlib.sha256(b"".join(jets)).hexdigest()
        if not self.tagger.classes:
            return ScoredJets(identity, kept["output"], kept["target"], kept["sample_weights"])
        scores = softmax(kept["output"], axis=1)
        return ScoredJets(identity, scores, kept["labels"].astype(np.int64), kept["sample_weights"])


def find_runs(folders: Iterable[str | Path]) -> list[FinishedRun]:
    """All runs in folders and their subfolders, in the order of their names.

    Raises
    ------
    TaggerError
        If a folder holds none, or an unfinished one.
    """
    found: list[FinishedRun] = []
    for folder in folders:
        paths = sorted(path.parent for path in Path(folder).rglob("run.json"))
        if not paths:
            raise TaggerError(
                explain(f"no run.json in {folder} and its subfolders", "folders of runs of fit", "check the path")
            )
        for path in paths:
            is_repeat = path.name.removeprefix("seed-").isdigit() and path.name.startswith("seed-")
            found.append(FinishedRun(path, str(path.parent if is_repeat else path)))
    unfinished = [str(run.path) for run in found if not run.is_finished]
    if unfinished:
        raise TaggerError(
            explain(
                f"{', '.join(unfinished)} not trained to the end", "finished runs", "resume them, or leave them out"
            )
        )
    return list({run.path.resolve(): run for run in found}.values())

"""Runs compared: medians and quartiles over seeds, paired differences, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from ...errors import TaggerError, explain
from ...evaluation.estimate import Estimate
from ...evaluation.resampling import MOMENTUM_METRICS
from .chosen_metrics import chosen_metrics
from .finished_run import FinishedRun, find_runs
from .replicas import Replicated, draw_jets, replicated
from .scored_jets import ScoredJets
from .table import as_text
from .variant import Variant

__all__ = ["METRICS", "RunComparison", "compare_runs"]

#: What is measured of classifiers where nothing else is asked for.
METRICS = ("accuracy", "auc", "rejection_50", "rejection_30")


@dataclass(frozen=True)
class RunComparison:
    """Variants of a training, the first of which is the baseline; prints as tables in Markdown."""

    variants: tuple[Variant, ...]
    num_jets: int
    replicas: int

    def as_dict(self) -> dict[str, Any]:
        """JSON values; numbers that are not finite are None."""
        return dict(_plain(asdict(self)))

    def __str__(self) -> str:
        return as_text(self.variants, self.num_jets, self.replicas)


def compare_runs(
    folders: Sequence[str | Path],
    jets: ak.Array | None = None,
    *,
    labels: str = "label",
    metrics: Sequence[str] = (),
    replicas: int = 500,
    seed: int = 0,
) -> RunComparison:
    """Compare runs of `fit`, in folders or their subfolders; the first found is the baseline.

    Runs in ``seed-0``, ``seed-1``, ... of one folder are repeats of a variant. In each replica of the bootstrap all
    variants see the same jets, with Poisson weights of mean 1, and each a draw of its own runs.

    Parameters
    ----------
    folders : sequence of path-like
        Folders of runs.
    jets : ak.Array, optional
        Labelled jets to score; by default the runs' validation jets, which must be the same for all.
    labels : str
        Field of `jets` with the classes.
    metrics : sequence of str
        What to measure, see `chosen_metrics`; by default accuracy, AUC and 1/ε_B(50%, 30%), or all widths of momenta.
    replicas, seed : int
        Number of replicas, and their seed.

    Raises
    ------
    TaggerError
        For folders without finished runs, runs with other validation jets or classes, or no replicas.
    JetError
        For jets that cannot be scored.
    """
    if replicas < 1:
        raise TaggerError(explain(f"replicas = {replicas}", "at least 1", "give e.g. replicas=500"))
    runs = find_runs(folders)
    scored = [run.validation if jets is None else ScoredJets.of(run.tagger, jets, labels) for run in runs]
    _check(runs, scored)
    tagger = runs[0].tagger
    names = metrics or (METRICS if tagger.classes else MOMENTUM_METRICS)
    members: dict[str, list[int]] = {}
    for k, run in enumerate(runs):
        members.setdefault(run.variant, []).append(k)
    weights = scored[0].weights
    draws = draw_jets(len(weights), replicas, seed)
    found = [
        replicated(
            (chosen_metrics(scored[k], names, tagger.classes, tagger.card.signal) for k in chosen),
            weights,
            draws,
            (seed, place),
        )
        for place, chosen in enumerate(members.values())
    ]
    variants = [
        _variant(name, [runs[k] for k in chosen], one, one.minus(found[0]) if one is not found[0] else {})
        for (name, chosen), one in zip(members.items(), found, strict=True)
    ]
    return RunComparison(tuple(variants), len(weights), replicas)


def _check(runs: Sequence[FinishedRun], scored: Sequence[ScoredJets]) -> None:
    first = runs[0]
    for run, one in zip(runs, scored, strict=True):
        if one.identity != scored[0].identity:
            raise TaggerError(
                explain(
                    f"{run.path} with other validation jets than {first.path}",
                    "scores on the same jets for all runs",
                    "train with validation files (validation: [val.parquet]), or give jets to score: --data FILES",
                )
            )
        if (run.tagger.classes, run.tagger.card.signal) != (first.tagger.classes, first.tagger.card.signal):
            raise TaggerError(
                explain(
                    f"{run.path} with classes {', '.join(run.tagger.classes)} and signal {run.tagger.card.signal}",
                    f"those of {first.path}: {', '.join(first.tagger.classes)}, {first.tagger.card.signal}",
                    "compare runs of one task at a time",
                )
            )
        if run.tagger.model.output not in ("classes", "momentum"):
            raise TaggerError(
                explain(f"{run.path}, which learns 3-vectors", "classifiers, or networks of momenta", "leave it out")
            )


def _variant(name: str, runs: list[FinishedRun], found: Replicated, differences: dict[str, Estimate]) -> Variant:
    seconds = [run.seconds for run in runs if run.seconds is not None]
    return Variant(
        name,
        len(runs),
        runs[0].tagger.model.num_parameters(),
        found.quartiles,
        float(np.median(seconds)) if len(seconds) == len(runs) else None,
        runs[0].processor,
        differences,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value

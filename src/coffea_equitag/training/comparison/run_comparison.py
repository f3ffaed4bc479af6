"""Runs compared: medians and quartiles over seeds, paired differences, cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import awkward as ak
import numpy as np

from ...array_types import F8
from ...errors import TaggerError, explain
from ...evaluation.resampling import ReweightedMetrics, ReweightedResolution
from ..data import LabelledJets
from ..data.truth import TARGET, Truth
from .finished_run import FinishedRun, ScoredJets, find_runs
from .table import as_text
from .variant import Difference, Variant

__all__ = ["RunComparison", "compare_runs"]

Metrics: TypeAlias = ReweightedMetrics | ReweightedResolution

#: Quantiles of the interval that holds 68.27% of the replicas.
_INTERVAL = (0.15865, 0.84135)


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
    scored = [run.validation if jets is None else _scored(run, jets, labels) for run in runs]
    _check(runs, scored)
    tagger = runs[0].tagger
    signal = tagger.classes.index(str(tagger.card.signal)) if tagger.classes else None
    metrics = [one.metrics(signal) for one in scored]
    members: dict[str, list[int]] = {}
    for k, run in enumerate(runs):
        members.setdefault(run.variant, []).append(k)
    weights = scored[0].weights
    values = np.array([each(weights) for each in metrics])
    replicated = _replicated(metrics, weights, list(members.values()), replicas, seed)
    medians = [_quantiles(values[chosen], (0.5,))[0] for chosen in members.values()]
    variants = []
    for k, (name, chosen) in enumerate(members.items()):
        differences = {}
        if k > 0:
            limits = _quantiles(_minus(replicated[k], replicated[0]), _INTERVAL)
            columns = zip(metrics[0].names, _minus(medians[k], medians[0]), *limits, strict=True)
            differences = {metric: Difference(*map(float, numbers)) for metric, *numbers in columns}
        variants.append(_variant(name, [runs[i] for i in chosen], metrics[0].names, values[chosen], differences))
    return RunComparison(tuple(variants), len(weights), replicas)


def _scored(run: FinishedRun, jets: ak.Array, labels: str) -> ScoredJets:
    """The jets with the scores of a run's tagger."""
    model, card = run.tagger.model, run.tagger.card
    if not run.tagger.classes:
        target = card.training.recipe["target"] if card.training is not None else "momentum"
        sample = LabelledJets.of(jets, None, 1, model.fields, Truth(target, model.output))
        found, truth = run.tagger.outputs(sample.jets), sample.targets[TARGET].numpy()
        return ScoredJets("given jets", found, truth, sample.weights.numpy())
    sample = LabelledJets.of(jets, labels, len(run.tagger.classes), model.fields)
    scores = run.tagger.probabilities(sample.jets).astype(np.float64)
    return ScoredJets("given jets", scores, sample.labels.numpy(), sample.weights.numpy())


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


def _replicated(metrics: Sequence[Metrics], weights: F8, members: list[list[int]], replicas: int, seed: int) -> F8:
    """Medians over drawn runs on drawn jets, shape (variants, replicas, metrics)."""
    generator = np.random.default_rng(seed)
    found = np.empty((len(members), replicas, len(metrics[0].names)))
    for replica in range(replicas):
        drawn = weights * generator.poisson(1.0, len(weights))
        each = np.array([one(drawn) for one in metrics])
        for k, chosen in enumerate(members):
            found[k, replica] = _quantiles(each[generator.choice(chosen, len(chosen))], (0.5,))[0]
    return found


def _quantiles(values: F8, wanted: Sequence[float]) -> F8:
    """Quantiles along the first axis; where infinite rejections are among the values, one of the values itself."""
    method: Any = "linear" if np.isfinite(values).all() else "inverted_cdf"
    return np.quantile(values, wanted, axis=0, method=method)


def _minus(values: F8, baseline: F8) -> F8:
    """Difference; 0 where both are infinite."""
    with np.errstate(invalid="ignore"):
        return np.where(values == baseline, 0.0, values - baseline)


def _variant(
    name: str, runs: list[FinishedRun], metrics: Sequence[str], values: F8, differences: dict[str, Difference]
) -> Variant:
    low, median, high = _quantiles(values, (0.25, 0.5, 0.75)).tolist()
    seconds = [run.seconds for run in runs if run.seconds is not None]
    return Variant(
        name,
        len(runs),
        runs[0].tagger.model.num_parameters(),
        dict(zip(metrics, zip(low, median, high, strict=True), strict=True)),
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

"""What the trained networks of a study do on test jets, as JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from coffea_equitag.errors import TaggerError, explain
from coffea_equitag.training.comparison import FinishedRun, Replicated, chosen_metrics, draw_jets, replicated

from . import measured
from .earlier import Earlier, Reported, minus
from .figures import measure_figure
from .jets import TestSample
from .runs import Runs
from .study import Entry, Study
from .verdict import verdict

__all__ = ["measure"]


def measure(
    study: Study,
    runs: Runs,
    samples: Mapping[str, TestSample],
    *,
    available: bool = False,
    earlier: Earlier | None = None,
) -> dict[str, Any]:
    """Metrics on each sample, differences and ratios with their significance, cost and symmetry.

    Parameters
    ----------
    study : Study
        What to measure.
    runs : Runs
        Its trainings.
    samples : mapping of str to TestSample
        Test jets by name; cost and symmetry are measured on the first.
    available : bool
        Measure what is trained so far: entries with at least one finished training.
    earlier : Earlier, optional
        Results on the same jets, taken for entries that had more trainings then.

    Raises
    ------
    TaggerError
        If trainings are missing, without `available`, or there are none at all.
    """
    entries = {entry.name: entry for entry in study.entries()}
    trained = {name: runs.finished(entry) for name, entry in entries.items()}
    missing = [name for name, entry in entries.items() if len(trained[name]) < entry.repeats]
    if (missing and not available) or not any(trained.values()):
        raise TaggerError(
            explain(f"{', '.join(missing)} not trained as often as wanted", "finished trainings", "run without --only")
        )
    trained = {name: found for name, found in trained.items() if found}
    earlier = earlier or Earlier()
    lost = {name for name, one in earlier.variants.items() if one["num_runs"] > len(trained.get(name, ()))}
    here = {name: found for name, found in trained.items() if name not in lost}
    names = [name for name in entries if name in here or name in lost]
    compared, as_json = {}, {}
    for name, sample in samples.items():
        weights = measured.scores(next(iter(trained.values()))[0], sample).weights
        known = _compared(study, here, sample, weights) | {one: earlier.compared[name][one] for one in lost}
        compared[name] = {one: known[one] for one in names}
        as_json[name] = {"identity": sample.identity, "num_jets": len(weights)} | _as_json(study, compared[name])
    first = next(iter(samples.values()))
    variants = {name: _variant(entries[name], found, study, first) for name, found in here.items()}
    variants |= {name: earlier.variants[name] for name in lost}
    return _plain(
        {
            "variants": [variants[name] for name in names],
            "samples": as_json,
            "verdicts": [verdict(study, one, each, name) for one in study.expected for name, each in compared.items()],
            "figures": [
                earlier.figure(_plain(measure_figure(study, one, trained, samples, names)), lost)
                for one in study.figures
            ],
        }
    )


def _variant(entry: Entry, found: list[FinishedRun], study: Study, sample: TestSample) -> dict[str, Any]:
    """What is known of an entry besides its metrics."""
    seconds = [run.seconds for run in found if run.seconds is not None]
    return {
        "name": entry.name,
        "variant": entry.variant,
        "label": entry.label,
        "jets": measured.card(found[0])["training"]["num_jets"],
        "is_whole": entry.is_whole,
        "num_runs": len(found),
        "repeats": entry.repeats,
        "num_parameters": measured.num_parameters(found[0]),
        "epochs": found[0].record["settings"]["epochs"],
        "seconds": float(np.median(seconds)) if seconds else None,
        "processor": found[0].processor,
        "us_per_jet": measured.cost(found[0], sample) if entry.is_whole else None,
        "symmetry": measured.symmetry(found[0], sample) if entry.is_whole else None,
        "published": study.variants[entry.variant].published if entry.is_whole else {},
        "options": study.variants[entry.variant].training.get("options", {}),
        "training": study.training(entry.variant),
    }


def _compared(
    study: Study, trained: dict[str, list[FinishedRun]], sample: TestSample, weights: Any
) -> dict[str, Replicated]:
    """All entries in the same replicas of the jets."""
    draws = draw_jets(len(weights), study.replicas)
    return {
        name: replicated((_metrics(study, run, sample) for run in found), weights, draws, (0, place))
        for place, (name, found) in enumerate(trained.items())
    }


def _metrics(study: Study, run: FinishedRun, sample: TestSample) -> Any:
    card = measured.card(run)
    return chosen_metrics(
        measured.scores(run, sample), study.metrics, card["classes"], card["signal"], study.discriminants
    )


def _as_json(study: Study, compared: dict[str, Replicated | Reported]) -> dict[str, Any]:
    """Metrics of all entries, and the differences to the baselines."""
    differences = {
        baseline: {name: _differences(compared[name], compared[baseline]) for name in others if name in compared}
        for baseline, others in study.groups().items()
        if baseline in compared
    }
    metrics = {name: _values(one) for name, one in compared.items()}
    return {"replicas": study.replicas, "metrics": metrics, "differences": differences}


def _values(one: Replicated | Reported) -> dict[str, Any]:
    if isinstance(one, Reported):
        return one.stored
    quartiles = one.quartiles
    return {
        metric: estimate.as_dict() | {"quartiles": [quartiles[metric][0], quartiles[metric][2]]}
        for metric, estimate in one.estimates.items()
    }


def _differences(one: Replicated | Reported, baseline: Replicated | Reported) -> dict[str, Any]:
    return {
        metric: found.as_dict() | {"sigma": math.copysign(found.significance, found.value)}
        for metric, found in minus(one, baseline).items()
    }


def _plain(value: Any) -> Any:
    """JSON values: numbers that are not finite are None, others have six digits."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value

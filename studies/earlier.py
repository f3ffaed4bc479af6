"""Results published earlier, of variants whose trainings are no longer here."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coffea_equitag.evaluation.estimate import Estimate
from coffea_equitag.training.comparison import Replicated

from .study import Entry, Study
from .words import estimate

__all__ = ["Earlier", "Reported", "minus", "over"]


@dataclass(frozen=True)
class Reported:
    """Medians with their intervals, without the replicas that they come from.

    Attributes
    ----------
    estimates : dict of str to Estimate
        By metric.
    stored : dict
        The same as JSON values, with quartiles.
    differences : dict of str to dict
        To variants of the same results, in the same replicas.
    name : str
        Of the variant.
    num_runs : int
        Trainings of it.
    """

    estimates: dict[str, Estimate]
    stored: dict[str, Any]
    differences: dict[str, dict[str, Estimate]]
    name: str
    num_runs: int


@dataclass(frozen=True)
class Earlier:
    """Variants that were measured on the same test jets before.

    Attributes
    ----------
    variants : dict of str to dict
        What was said of each.
    compared : dict of str to dict
        Their metrics by sample and variant.
    figures : tuple of dict
        Of this study, as stored.
    """

    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    compared: dict[str, dict[str, Reported]] = field(default_factory=dict)
    figures: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, folder: Path, name: str, study: Study, identities: Mapping[str, str]) -> Earlier:
        """What this study, and others that share its trainings, have published.

        Parameters
        ----------
        folder : Path
            With ``NAME/results.json`` of the studies.
        name : str
            The study, whose own results come first.
        study : Study
            Its configuration: what is configured otherwise today does not count.
        identities : mapping of str to str
            Hashes of the test jets by sample; results on others do not count.
        """
        entries = {entry.name: entry for entry in study.entries()}
        found = cls(compared={sample: {} for sample in identities})
        for path in sorted(folder.glob("*/results.json"), key=lambda path: (path.parent.name != name, path)):
            results = json.loads(path.read_text())
            samples, made = results["samples"], results["made"]
            if any(samples.get(sample, {}).get("identity") != each for sample, each in identities.items()):
                continue
            if path.parent.name == name:
                found = replace(found, figures=tuple(results["figures"]))
            for one in results["variants"]:
                entry = entries.get(one["name"])
                if entry is None or entry.name in found.variants or not _is_same(study, entry, one):
                    continue
                metrics = {sample: samples[sample]["metrics"][entry.name] for sample in identities}
                if all(set(study.metrics) <= set(each) for each in metrics.values()):
                    known = {"measured": {"version": made["version"], "date": made["date"]}} | one
                    found.variants[entry.name] = known | {"label": entry.label, "repeats": entry.repeats}
                    for sample, stored in metrics.items():
                        found.compared[sample][entry.name] = _reported(one, stored, samples[sample])
        return found

    def figure(self, figure: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
        """A figure with what was drawn before of these variants."""
        options = ("name", "variants", "metric", "jets", "against")
        for one in self.figures:
            if "data" in figure and all(one[option] == figure[option] for option in options):
                return figure | {"data": _joined(figure["data"], one["data"], names)}
        return figure


def _is_same(study: Study, entry: Entry, one: dict[str, Any]) -> bool:
    """Whether that training is what the study says today, as far as results of older versions tell."""
    training = study.training(entry.variant)
    wanted = {
        "training": training,
        "options": training.get("options", {}),
        "epochs": round(entry.more_epochs * training["epochs"]),
        "is_whole": entry.is_whole,
    }
    if "select" not in training:
        wanted["jets"] = entry.size
    return all(one.get(key, value) == value for key, value in wanted.items())


def _reported(one: dict[str, Any], stored: dict[str, Any], sample: dict[str, Any]) -> Reported:
    name = one["name"]
    differences = {
        baseline: {metric: _signed(values) for metric, values in others[name].items()}
        for baseline, others in sample["differences"].items()
        if name in others
    }
    estimates = {metric: estimate(values) for metric, values in stored.items()}
    return Reported(estimates, stored, differences, name, one["num_runs"])


def _signed(stored: dict[str, Any]) -> Estimate:
    """A difference from its JSON values, where None is infinite on the side that it is on."""
    ends = {"value": math.nan, "low": -math.inf, "high": math.inf}
    return Estimate(*(end if stored[key] is None else stored[key] for key, end in ends.items()))


def _joined(new: dict[str, Any], old: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """What is drawn, with what was drawn before of these variants, at any depth."""
    both = {
        key: _joined(value, old[key], names) if isinstance(value, dict) and isinstance(old.get(key), dict) else value
        for key, value in new.items()
    }
    return both | {key: value for key, value in old.items() if key in names and key not in new}


def minus(one: Replicated | Reported, other: Replicated | Reported) -> dict[str, Estimate]:
    """Differences: in the same replicas, or as if of different jets where those of one are no longer known.

    The jets are the same, so that the second kind of interval is rather too wide.
    """
    if isinstance(one, Replicated) and isinstance(other, Replicated):
        return one.minus(other)
    if isinstance(one, Reported) and isinstance(other, Reported) and other.name in one.differences:
        return one.differences[other.name]
    return {name: value.minus(other.estimates[name]) for name, value in one.estimates.items()}


def over(one: Replicated | Reported, other: Replicated | Reported) -> dict[str, Estimate]:
    """Ratios, as `minus`."""
    if isinstance(one, Replicated) and isinstance(other, Replicated):
        return one.over(other)
    logarithms = {
        name: _logarithm(value).minus(_logarithm(other.estimates[name])) for name, value in one.estimates.items()
    }
    return {name: Estimate(*map(_exponential, found.as_dict().values())) for name, found in logarithms.items()}


def _logarithm(one: Estimate) -> Estimate:
    return Estimate(*(math.log(value) if value > 0 else -math.inf for value in one.as_dict().values()))


def _exponential(value: float) -> float:
    return math.exp(value) if value < math.inf else value

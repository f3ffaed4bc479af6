"""Comparison of a simulated sample with real jets, class by class."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ...array_types import F8
from ...errors import JetError, explain
from .jet_sample import JetSample
from .observables import values_of
from .separation import Separation, separate
from .spectra import SPECTRA, Spectrum, spectrum_of
from .statistics import Peak, TwoSamples, compare, peak
from .tagging import TaggerResult

__all__ = ["ALL", "ClassComparison", "Comparison", "compare_samples"]


#: Name of all classes together.
ALL = "all"

#: Class -> peaks: their name, observable and window (GeV).
_PEAKS = {
    "top": (("top peak", "jet_mass", 140.0, 210.0), ("W peak", "pair_mass", 60.0, 100.0)),
    "W": (("W peak", "jet_mass", 60.0, 100.0),),
}

#: Called with the name of the task, the parts done and their total number.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ClassComparison:
    """Results for the jets of one class."""

    simulated: Mapping[str, F8]
    real: Mapping[str, F8]
    observables: Mapping[str, TwoSamples]
    spectra: Mapping[str, Spectrum]
    peaks: Mapping[str, tuple[Peak, Peak]]


@dataclass(frozen=True)
class Comparison:
    """Results for all classes.

    Attributes
    ----------
    classes : mapping of str to ClassComparison
        Class name -> its results.
    separation : mapping of str to Separation or None
        Real versus simulated by class, and for `ALL` of them; None where there are too few jets. Empty if it was
        skipped.
    taggers : tuple of TaggerResult
        Taggers measured on both samples.
    facts : mapping
        Files, settings, versions.
    """

    classes: Mapping[str, ClassComparison]
    separation: Mapping[str, Separation | None]
    taggers: tuple[TaggerResult, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def checks(self) -> Iterator[tuple[str, float, str, bool]]:
        """Checks that a good simulation passes: description, value, limit, and whether it is satisfied."""
        for name, found in self.classes.items():
            difference = found.observables["multiplicity"].difference
            yield f"{name}: mean multiplicity, standard errors apart", difference, "|z| ≤ 2", abs(difference) <= 2
            for observable in ("multiplicity", "soft", "smallest_pt"):
                p = found.observables[observable].ks_p
                yield f"{name}: KS p-value of {_WORDS[observable]}", p, "p > 0.01", p > 0.01
            for peak_name, (simulated, real) in found.peaks.items():
                error = math.hypot(simulated.error, real.error)
                apart = (simulated.position - real.position) / error if error > 0 else math.nan
                yield f"{name}: {peak_name}, standard errors apart", apart, "|z| ≤ 2", abs(apart) <= 2
        for name, separation in self.separation.items():
            if separation is not None:
                yield f"{name}: AUC of real versus simulated", separation.auc, "AUC ≤ 0.55", separation.auc <= 0.55

    def as_dict(self) -> dict[str, Any]:
        """All numbers by name; JSON values only, None for values that are not finite."""
        plain: dict[str, Any] = {
            "facts": dict(self.facts),
            "checks": [
                {"what": what, "value": value, "limit": limit, "kept": bool(kept)}
                for what, value, limit, kept in self.checks()
            ],
            "classes": {
                name: {
                    "observables": {key: asdict(value) for key, value in found.observables.items()},
                    "spectra": {key: asdict(value) for key, value in found.spectra.items()},
                    "peaks": {
                        key: {"simulated": asdict(simulated), "real": asdict(real)}
                        for key, (simulated, real) in found.peaks.items()
                    },
                }
                for name, found in self.classes.items()
            },
            "real_versus_simulated": {
                name: None if found is None else {"auc": found.auc, "error": found.error, "jets_each": found.number}
                for name, found in self.separation.items()
            },
            "taggers": [asdict(result) for result in self.taggers],
        }
        finite: dict[str, Any] = _finite(plain)
        return finite


_WORDS = {"multiplicity": "multiplicity", "soft": "constituents below 1 GeV", "smallest_pt": "smallest pT"}


def compare_samples(
    simulated: JetSample,
    real: JetSample,
    classes: Sequence[str] | None = None,
    *,
    network: bool = True,
    folds: int = 5,
    epochs: int = 25,
    seed: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Compare simulated with real jets, class by class.

    Parameters
    ----------
    simulated, real : JetSample
        The samples.
    classes : sequence of str, optional
        Names of the classes by label; default their numbers. Mass peaks are measured for ``"top"`` and ``"W"``.
    network : bool
        Whether to train networks to distinguish real from simulated jets.
    folds, epochs, seed
        See `separate`.
    progress : callable, optional
        Called with (task, done, total) during the work.

    Raises
    ------
    JetError
        If a sample is empty, a class is in only one of them, or a label has no name.
    """
    names = _names(simulated, real, classes)
    found: dict[str, ClassComparison] = {}
    separation: dict[str, Separation | None] = {}
    parts = {
        name: tuple(sample.select(sample.labels == label) for sample in (simulated, real))
        for label, name in names.items()
    }
    for name, (mine, theirs) in parts.items():
        if progress is not None:
            progress("observables", len(found), len(parts))
        found[name] = _compare_class(name, mine, theirs)
    whole = {ALL: (simulated, real)} if len(parts) > 1 else {}
    trainings = len(parts | whole) * folds
    for name, (mine, theirs) in (parts | whole).items() if network else ():

        def report(done: int, _: int, before: int = len(separation) * folds) -> None:
            if progress is not None:
                progress("networks", before + done, trainings)

        report(0, folds)
        separation[name] = separate(mine, theirs, folds=folds, epochs=epochs, seed=seed, progress=report)
    return Comparison(found, separation)


def _compare_class(name: str, simulated: JetSample, real: JetSample) -> ClassComparison:
    mine, theirs = values_of(simulated), values_of(real)
    spectra = {key: spectrum_of(kind, simulated, real) for key, kind in SPECTRA.items()}
    return ClassComparison(
        simulated=mine,
        real=theirs,
        observables={key: compare(mine[key], theirs[key]) for key in mine},
        spectra={key: value for key, value in spectra.items() if value is not None},
        peaks={
            title: (peak(mine[key], low, high), peak(theirs[key], low, high))
            for title, key, low, high in _PEAKS.get(name, ())
        },
    )


def _names(simulated: JetSample, real: JetSample, classes: Sequence[str] | None) -> dict[int, str]:
    labels = [np.unique(sample.labels).tolist() for sample in (simulated, real)]
    for which, found in zip(("simulated", "real"), labels, strict=True):
        if not found:
            raise JetError(explain(f"no {which} jets", "jets of each class in both samples", "check the file"))
    if labels[0] != labels[1]:
        raise JetError(
            explain(
                f"simulated jets of the classes {', '.join(map(str, labels[0]))} and real jets of "
                f"{', '.join(map(str, labels[1]))}",
                "the same classes in both samples",
                "simulate with the recipe of the real jets, or keep the common classes",
            )
        )
    if classes is not None and (len(classes) <= labels[0][-1] or len(set(classes)) < len(classes) or ALL in classes):
        raise JetError(
            explain(
                f"class names {', '.join(classes)} for labels up to {labels[0][-1]}",
                f"a distinct name, other than {ALL!r}, for each label from 0",
                "give the names in the order of the labels",
            )
        )
    return {label: classes[label] if classes is not None else f"class {label}" for label in labels[0]}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Metrics by name, of all jets or of those of some classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...array_types import F8, I8
from ...errors import TaggerError, explain
from ...evaluation.resampling import MOMENTUM_METRICS, ReweightedMetrics, ReweightedResolution
from ...tagger.discriminant import Discriminant, Discriminants, discriminants
from .scored_jets import ScoredJets

__all__ = ["ChosenMetrics", "chosen_metrics", "is_better"]

#: Name of a metric: what it is, the signal efficiency in percent, and against what.
_NAME = re.compile(r"(accuracy|auc|rejection_(\d+(?:\.\d+)?))(?::(.+))?")


@dataclass(frozen=True)
class _Part:
    """Metrics of some of the jets, with what is added to their names."""

    jets: I8 | slice
    metrics: ReweightedMetrics | ReweightedResolution
    against: str = ""

    @property
    def names(self) -> list[str]:
        return [f"{name}:{self.against}" if self.against else name for name in self.metrics.names]


@dataclass(frozen=True)
class ChosenMetrics:
    """Metrics of scored jets for any weights, in the order of their names; see `chosen_metrics`."""

    names: tuple[str, ...]
    parts: tuple[_Part, ...]

    def __call__(self, weights: F8) -> F8:
        """One number for each name, for weights (J,)."""
        found: dict[str, float] = {}
        for part in self.parts:
            found |= dict(zip(part.names, part.metrics(weights[part.jets]).tolist(), strict=True))
        return np.array([found[name] for name in self.names])


def chosen_metrics(
    jets: ScoredJets,
    names: Sequence[str],
    classes: Sequence[str] = (),
    signal: str | None = None,
    between: Discriminants | None = None,
) -> ChosenMetrics:
    """Metrics of scored jets by name.

    Parameters
    ----------
    jets : ScoredJets
        Probabilities of classes, or momenta.
    names : sequence of str
        ``accuracy``, ``auc`` and ``rejection_70`` (1/ε_B at a signal efficiency of 70%) of the signal against all other
        classes as they are mixed in the sample. With a class or a discriminant after a colon, ``rejection_70:light``,
        between the signal and that, on jets of these classes alone. Of momenta ``mass_resolution``, ``pt_resolution``
        and ``angle_resolution``.
    classes : sequence of str
        Of the probabilities; none for momenta.
    signal : str, optional
        The class that is signal, by default the last.
    between : mapping, optional
        Discriminants by name, ``{"mix": ("b", {"c": 0.1, "light": 0.9})}``.

    Raises
    ------
    TaggerError
        For names of other metrics, and discriminants of other classes.
    """
    if not classes:
        _check(names, (name for name in names if name in MOMENTUM_METRICS), ", ".join(MOMENTUM_METRICS))
        part = _Part(slice(None), ReweightedResolution(jets.scores, jets.truth.astype(np.float64)))
        return ChosenMetrics(tuple(names), (part,))
    _check(names, filter(_NAME.fullmatch, names), "accuracy, auc, rejection_50, or rejection_70:light")
    wanted: dict[str, list[float]] = {}
    for name in names:
        _, percent, against = _NAME.fullmatch(name).groups()  # type: ignore[union-attr]
        wanted.setdefault(against or "", []).extend([float(percent) / 100] if percent else [])
    label = tuple(classes).index(signal or classes[-1])
    of = {one.name: one for one in discriminants(between)}
    parts = []
    for against, efficiencies in wanted.items():
        if not against:
            every = ReweightedMetrics(jets.scores, jets.truth.astype(np.int64), label, efficiencies)
            parts.append(_Part(slice(None), every))
            continue
        one = of.get(against) or Discriminant(f"against {against}", classes[label], (against,))
        parts.append(_Part(*_between(jets, tuple(classes), one, efficiencies), against))
    return ChosenMetrics(tuple(names), tuple(parts))


def is_better(metric: str, one: float, other: float) -> bool:
    """Whether one value of a metric is better than another: widths should be small, all else large."""
    return one < other if metric in MOMENTUM_METRICS else one > other


def _between(
    jets: ScoredJets, classes: tuple[str, ...], one: Discriminant, efficiencies: list[float]
) -> tuple[I8, ReweightedMetrics]:
    """Which jets are of the classes of a discriminant, and its metrics."""
    one.check(classes, "this comparison")
    rows = np.flatnonzero(np.isin(jets.truth, [classes.index(name) for name in one.classes]))
    values = one({name: jets.scores[rows, classes.index(name)] for name in one.classes})
    # where the probabilities of all these classes are 0, the jet looks like none of them: not signal
    score = np.nan_to_num(np.asarray(values, np.float64), nan=0.0)
    is_signal = (jets.truth[rows] == classes.index(one.signal)).astype(np.int64)
    return rows, ReweightedMetrics(np.stack([1 - score, score], axis=1), is_signal, 1, efficiencies)


def _check(names: Iterable[str], known: Iterable[str], form: str) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise TaggerError(explain(f"the metric {', '.join(unknown)}", f"{form} of this tagger", "choose among these"))

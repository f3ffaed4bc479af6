"""Working points: thresholds on a score for wanted efficiencies, measured on labelled jets, in bins of pT if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Context
from itertools import pairwise
from typing import Any

import numpy as np

from ..array_types import F8, Bools
from ..errors import JetError, explain
from .labelled_scores import LabelledScores, labelled_scores
from .measured_points import WorkingPoints
from .threshold import Efficiency, Threshold
from .weighted_efficiency import curve, effective_interval, quantile

__all__ = ["check_edges", "working_points"]


def working_points(
    scores: Any,
    labels: Any,
    efficiencies: Sequence[float] | Mapping[str, float] = (0.5, 0.3),
    *,
    background: bool = False,
    pt: Sequence[float] | None = None,
    jet_pt: Any = None,
    flat: bool = True,
    weights: Any = None,
    signal: int | str | None = None,
) -> WorkingPoints:
    """Thresholds of a score at wanted efficiencies.

    ::

        bins = {"pt": [300, 500, 1000], "jet_pt": jets.pt}
        points = eqt.evaluation.working_points(tagger(jets), jets.label, (0.5, 0.3), **bins)
        points.to_correctionlib("wp.json", tagger=tagger)
        eqt.TaggerProcessor({"FatJet": tagger}, working_points="wp.json")

    A jet passes at or above the threshold, which is the score of one of the jets. Jets of equal scores pass together:
    of the signal at least the wanted efficiency is kept, by the highest such threshold, and of the background at most
    the wanted rate, by the lowest.

    Parameters
    ----------
    scores, labels : array-like
        As for `measure`: the signal's probability of each jet, or a record with a field per class, and classes.
    efficiencies : sequence of float, or mapping of str to float
        Wanted efficiencies in (0, 1), perhaps by name; by default ``eff50`` (``mistag1`` for the background's).
    background : bool
        Efficiencies are those of the background: mistag rates.
    pt : sequence of float, optional
        Edges in pT, GeV. Jets outside are left out and counted.
    jet_pt : array-like, optional
        pT of each jet, GeV; needed with `pt`.
    flat : bool
        With `pt`: a threshold for each range of pT, so that the efficiency is the same in all; otherwise one threshold
        for all, whose efficiency is given in each range.
    weights : array-like, optional
        One weight per jet, or per event.
    signal : int or str, optional
        As for `measure`.

    Raises
    ------
    JetError
        If a range of pT has too few jets to bound a threshold on both sides, too many background jets share the
        highest score for the mistag rate, or arguments do not fit together.
    """
    given = labelled_scores(scores, labels, signal)
    wanted = _named(efficiencies, background)
    weight = given.weights(weights)
    edges = None if pt is None else check_edges(pt)
    if (edges is None) != (jet_pt is None):
        raise JetError(
            explain(
                "edges in pT without the jets' pT" if jet_pt is None else "the jets' pT without edges",
                "both or neither: pt are edges in GeV, jet_pt one value per jet",
                "add jet_pt=jets.pt" if jet_pt is None else "add pt=[300, 500, 1000] or leave jet_pt out",
            )
        )
    if edges is None:
        ranges: list[tuple[tuple[float, float] | None, Bools]] = [(None, np.ones(len(weight), bool))]
    else:
        values = given.column(jet_pt, "jet_pt")
        ranges = [((low, high), (values >= low) & (values < high)) for low, high in pairwise(edges)]
    inside = np.logical_or.reduce([mask for _, mask in ranges])
    points = {}
    for name, efficiency in wanted.items():
        everywhere = None if flat else _cut(given, weight, inside, efficiency, background, None)
        points[name] = tuple(
            _threshold(
                given, weight, mask, where, everywhere or _cut(given, weight, mask, efficiency, background, where)
            )
            for where, mask in ranges
        )
    return WorkingPoints(points, wanted, background, edges, flat, given.num_missing, int((~inside).sum()))


def _cut(
    given: LabelledScores,
    weights: F8,
    chosen: Bools,
    efficiency: float,
    background: bool,
    pt: tuple[float, float] | None,
) -> tuple[float, float, float]:
    """Threshold, and its interval, of the jets of a range of pT."""
    kind = "background" if background else "signal"
    jets = chosen & (given.is_signal != background)
    number = int(jets.sum())
    what = f"{number} {kind} jets" + (f" of pT {pt[0]:g} to {pt[1]:g} GeV" if pt else "")
    few = f"{what} for an efficiency of {100 * efficiency:g}%"
    enough = "enough jets on both sides of the threshold to give it an interval"
    if number == 0 or not weights[jets].sum() > 0:
        raise JetError(
            explain(few if number == 0 else f"{what}, whose weights do not sum to more than 0", enough, _MORE)
        )
    found = quantile(curve(given.scores[jets], weights[jets]), efficiency, at_most=background)
    if found.low is None or found.high is None:
        raise JetError(explain(few, enough, _MORE))
    if found.cut is None:
        raise JetError(
            explain(
                f"{what}, of which more than {100 * efficiency:g}% have the highest score, {found.high:.9g}",
                "a score that resolves so small a mistag rate",
                "use logits or a score in float64, or a higher rate",
            )
        )
    cut, low, high = (_fifteen_digits(given.scores, value) for value in (found.cut, found.low, found.high))
    return cut, low, high


def _fifteen_digits(scores: F8, cut: float) -> float:
    """The cut rounded down, so that the same jets pass; the cut itself where others would."""
    if cut == float(f"{cut:.15g}"):
        return cut
    rounded = float(Context(prec=15, rounding=ROUND_FLOOR).create_decimal(cut))
    return cut if ((scores >= rounded) & (scores < cut)).any() else rounded


_MORE = "give more jets, wider ranges of pT, or an efficiency farther from 0 and 1"


def _threshold(
    given: LabelledScores,
    weights: F8,
    chosen: Bools,
    pt: tuple[float, float] | None,
    cut: tuple[float, float, float],
) -> Threshold:
    signal, background = (
        _efficiency(given.scores[kind], weights[kind], cut[0])
        for kind in (chosen & given.is_signal, chosen & ~given.is_signal)
    )
    if signal is None:
        where = f"of pT {pt[0]:g} to {pt[1]:g} GeV" if pt else "of positive weight"
        raise JetError(explain(f"no signal jets {where}", "signal jets in each range", "use wider ranges of pT"))
    return Threshold(pt, *cut, signal, background)


def _efficiency(scores: F8, weights: F8, cut: float) -> Efficiency | None:
    """None without jets, or where their weights do not sum to more than 0."""
    total = float(weights.sum())
    if not total > 0:
        return None
    passed = scores >= cut
    kept, squared = weights[passed].sum(), (weights[passed] ** 2).sum()
    low, high = effective_interval(np.asarray(kept), np.asarray(squared), total, float((weights**2).sum()))
    return Efficiency(float(kept / total), float(low), float(high), int(passed.sum()), len(scores))


def check_edges(edges: Sequence[float]) -> tuple[float, ...]:
    """Edges in pT as a tuple.

    Raises
    ------
    JetError
        If they are not at least two finite, rising numbers.
    """
    try:
        values = np.asarray(edges, np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all() or not (np.diff(values) > 0).all():
        raise JetError(
            explain(
                f"edges in pT {edges!r}",
                "at least two finite, rising numbers in GeV",
                "the last range holds for all jets above too, so that no infinite edge is needed",
            )
        )
    return tuple(map(float, values))


def _named(efficiencies: Sequence[float] | Mapping[str, float], background: bool) -> dict[str, float]:
    kind = "mistag" if background else "eff"
    if not isinstance(efficiencies, Mapping):
        wanted = [efficiencies] if isinstance(efficiencies, float) else efficiencies
        efficiencies = {f"{kind}{100 * float(value):g}".replace(".", "p"): value for value in wanted}
    found = {name: float(value) for name, value in efficiencies.items()}
    for name, value in found.items():
        if not 0 < value < 1 or not f"x{name}".isidentifier():
            raise JetError(
                explain(
                    f"working point {name!r} of efficiency {value}",
                    "an efficiency between 0 and 1, and a name of letters, digits and underscores",
                    "give fractions, not percent: {'tight': 0.3}",
                )
            )
    if not found:
        raise JetError(explain("no efficiencies", "at least one", "give, for instance, (0.5, 0.3)"))
    return found

"""The sections of a report on a tagger of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import plots
from ..accumulator import SCORE, Evaluation
from ..binned_efficiency import BinnedEfficiency
from ..estimate import Estimate, digits
from ..reliability import CONFIDENCE
from ..robustness import Difference
from .section import Cell, Picture, Section, Table

__all__ = ["classification_sections", "robustness_section", "summary"]

_INTERVALS = (
    "Intervals hold the true value with a probability of 68.27%: those of Clopper and Pearson for efficiencies, with "
    "weights for as many unweighted jets as have the same variance."
)


_NAMES = {"pt": "pT", "eta": "η", "mass": "the jet's mass", "multiplicity": "the number of constituents"}


def summary(evaluation: Evaluation, efficiencies: Sequence[float] = (0.5, 0.3)) -> dict[str, Cell]:
    """The numbers that matter most: AUC, accuracy, and rejections of the signal's score."""
    separation = evaluation.separation()
    found: dict[str, Cell] = {"AUC": separation.auc_estimate, "accuracy": evaluation.confusion.accuracy}
    return found | {f"1/ε_B at ε_S = {_percent(one)}": separation.rejection(one).estimate for one in efficiencies}


def classification_sections(
    evaluation: Evaluation,
    *,
    efficiencies: Sequence[float] = (0.5, 0.3),
    background_efficiencies: Sequence[float] = (0.5, 0.1, 0.01),
    mass: str = "mass",
) -> list[Section]:
    """All sections of one evaluation.

    Parameters
    ----------
    evaluation : Evaluation
    efficiencies : sequence of float
        Signal efficiencies of the working points.
    background_efficiencies : sequence of float
        Those at which the mass is looked at before and after the cut.
    mass : str
        The variable that is looked at; if the evaluation has none of this name, the section is left out.
    """
    sections = [_separation(evaluation, name, efficiencies) for name in evaluation.names]
    sections.append(_confusion(evaluation))
    if evaluation.variables:
        sections.append(_efficiencies(evaluation, efficiencies))
    if mass in evaluation.variables:
        sections.append(_sculpting(evaluation, background_efficiencies, mass))
    sections.append(_calibration(evaluation))
    return sections


def _separation(evaluation: Evaluation, name: str, efficiencies: Sequence[float]) -> Section:
    found, backgrounds = evaluation.separation(name), evaluation.backgrounds(name)
    each = {one: evaluation.separation(name, one) for one in backgrounds} if len(backgrounds) > 1 else {}
    rows: list[list[Cell]] = []
    data: list[dict[str, Any]] = []
    for efficiency in efficiencies:
        at = found.first(efficiency)
        cut = float(found.cuts[at])
        parts = {one: part.rejection_at(part.index(cut), efficiency) for one, part in each.items()}
        whole, signal = found.rejection(efficiency), found.signal.estimate(at)
        rows.append(
            [_percent(efficiency), f"{cut:.6g}", signal, whole.estimate, *(part.estimate for part in parts.values())]
        )
        data.append(
            {
                "efficiency": efficiency,
                "cut": cut,
                "signal_efficiency": signal,
                "rejection": whole.estimate,
                "background_passed": whole.passed,
                "by_class": {one: part.estimate for one, part in parts.items()},
            }
        )
    columns = [f"1/ε_B, {one}" for one in each]
    table = Table(
        ("working point", "cut", "signal efficiency", "1/ε_B", *columns),
        rows,
        f"{int(found.signal.number[-1])} signal and {int(found.background.number[-1])} background jets; AUC = "
        f"{found.auc_estimate}",
    )
    rows_of_jets = evaluation.rows(name)
    pictures = [
        Picture(
            plots.draw_roc({"all" if each else name: found} | each, efficiencies=efficiencies),
            "Background rejection against signal efficiency. The band is the interval of the rejection; above its end "
            "no background jet is left.",
        ),
        Picture(
            plots.draw_scores(*rows_of_jets, classes=evaluation.classes),
            "Distribution of the score, class by class, each of area 1.",
        ),
    ]
    between = " against ".join(evaluation.between(name))
    title = between if name == SCORE else f"{name}: {between}"
    text = (
        "A cut at a working point keeps at least its share of the signal; of the background it keeps one jet in 1/ε_B. "
        + _INTERVALS
    )
    if evaluation.num_missing[name]:
        text += f"\n\n{evaluation.num_missing[name]} jets without a score are left out."
    numbers = {
        "auc": found.auc_estimate,
        "auc_uncertainty": found.auc_uncertainty,
        "num_signal": found.signal.number[-1],
        "num_background": found.background.number[-1],
        "num_missing": evaluation.num_missing[name],
        "working_points": data,
        "auc_by_class": {one: part.auc_estimate for one, part in each.items()},
    }
    return Section(title, text, pictures, [table], numbers, name=f"separation_{name}")


def _confusion(evaluation: Evaluation) -> Section:
    found = evaluation.confusion
    value, low, high = found.rates
    rows: list[list[Cell]] = [
        [f"{name} ({found.number[row].sum()} jets)", *(_estimate(value, low, high, row, k) for k in range(len(value)))]
        for row, name in enumerate(found.classes)
    ]
    header = ("true class", *(f"taken for {name}" for name in found.classes))
    text = "Each jet is taken for its most probable class. Rows sum to 1. Accuracy over all jets: "
    data = {"classes": found.classes, "share": value, "low": low, "high": high, "accuracy": found.accuracy}
    picture = Picture(plots.confusion(found), "Share of each true class that is taken for each class.")
    return Section(
        "Confusion", f"{text}{found.accuracy}.", [picture], [Table(header, rows)], data | {"number": found.number}
    )


def _estimate(value: Any, low: Any, high: Any, row: int, column: int) -> Estimate:
    return Estimate(*(float(each[row, column]) for each in (value, low, high)))


def _efficiencies(evaluation: Evaluation, efficiencies: Sequence[float]) -> Section:
    found = evaluation.separation()
    cuts = [float(found.cuts[found.first(efficiency)]) for efficiency in efficiencies]
    names = [f"{_percent(efficiency)} working point" for efficiency in efficiencies]
    pictures, data = [], {}
    for variable in evaluation.variables:
        binned = [evaluation.efficiency(variable, cut) for cut in cuts]
        if not any(points.number.any() for points in binned[0].classes.values()):
            continue
        caption = f"Working points against {_NAMES.get(variable, variable)}."
        if binned[0].outside:
            caption += f" {binned[0].outside} jets outside the edges are not shown."
        pictures.append(Picture(plots.efficiency(binned, names=names), caption))
        data[variable] = {
            "edges": binned[0].edges,
            "outside": binned[0].outside,
            "working_points": [_as_data(one, wanted) for one, wanted in zip(binned, efficiencies, strict=True)],
        }
    text = (
        "Efficiency of the signal and mistag rates of the background, for cuts that have the working points' "
        "efficiencies on the whole sample, in bins with about as many jets each. A rate of 0 is not drawn."
    )
    return Section("Efficiencies by jet property", text, pictures, data=data, name="efficiencies")


def _as_data(found: BinnedEfficiency, efficiency: float) -> dict[str, Any]:
    return {"efficiency": efficiency, "cut": found.cut, "classes": {k: vars(v) for k, v in found.classes.items()}}


def _sculpting(evaluation: Evaluation, efficiencies: Sequence[float], mass: str) -> Section:
    found = evaluation.sculpting(variable=mass, efficiencies=efficiencies)
    rows: list[list[Cell]] = [
        [
            _percent(each.efficiency),
            f"{each.cut:.6g}" if np.isfinite(each.cut) else None,
            each.kept,
            each.divergence,
            each.if_unsculpted,
        ]
        for each in found
    ]
    header = ("background efficiency", "cut", "kept", "JSD", "JSD if not sculpted")
    text = (
        "A cut on the score should leave the background's mass as it is: a bump in it looks like a signal. The "
        "Jensen–Shannon divergence (JSD) between the distributions before and after the cut is 0 for equal shapes and "
        f"1 for disjoint ones; it is taken in {len(found[0].edges) - 1} bins. Few jets differ from their own "
        "distribution: the last column is what as many jets, drawn at random, would give."
    )
    picture = Picture(plots.sculpting(found, mass), "Background before and after cuts, each of area 1.")
    data = {"variable": mass, "cuts": [vars(each) for each in found]}
    return Section("Mass sculpting", text, [picture], [Table(header, rows)], data)


def _calibration(evaluation: Evaluation) -> Section:
    # of two classes one says all about the other
    names = (evaluation.signal,) if len(evaluation.classes) == 2 else evaluation.classes
    curves = {name: evaluation.calibration.curve(name) for name in (*names, CONFIDENCE)}
    rows: list[list[Cell]] = [[name, curve.error, curve.error_if_right] for name, curve in curves.items()]
    header = ("probability of", "calibration error", "if right")
    text = (
        "Among jets with a predicted probability of 0.8, 80% should be of the class. The expected calibration error is "
        "the mean difference between the two over jets, in 20 bins (Guo et al., arXiv:1706.04599); “if right” is what "
        "right probabilities would give on average for as many jets. Probabilities hold for classes as frequent as in "
        "training; eqt.evaluation.fit_temperature improves them."
    )
    picture = Picture(plots.calibration(curves), "Share of jets of the class, against the predicted probability.")
    data = {name: vars(curve) for name, curve in curves.items()}
    return Section("Calibration", text, [picture], [Table(header, rows)], data)


def robustness_section(
    found: Sequence[Difference], *, nominal: str, other: str, paired: bool = False, name: str = SCORE
) -> Section:
    """What changes between two samples.

    Parameters
    ----------
    found : sequence of Difference
        From `differences` or `paired_differences`.
    nominal, other : str
        What the samples are.
    paired : bool
        Whether the uncertainties are those of the same jets in two versions.
    name : str
        The score.
    """
    rows = [(each.name, each.nominal, each.other, each.difference, digits(each.significance, 1.0)) for each in found]
    table = Table(("figure", nominal, other, "difference", "in σ"), rows)
    text = (
        "Rejections are those of each sample at its own cut. Efficiencies and mistag rates at the nominal cut are what "
        "an analysis would see that fixed its cut on the nominal sample."
    )
    text += (
        " The samples are the same jets in two versions: uncertainties are those of the differences, from leaving out "
        "each of a number of blocks of jets in turn."
        if paired
        else " The samples are independent: uncertainties add in quadrature."
    )
    picture = Picture(plots.differences(found), "Differences over their uncertainties; the band is one.")
    data = {"nominal": nominal, "other": other, "paired": paired, "figures": {each.name: vars(each) for each in found}}
    title = "Robustness" if name == SCORE else f"Robustness of {name}"
    return Section(title, text, [picture], [table], data, name="robustness" if name == SCORE else f"robustness_{name}")


def _percent(efficiency: float) -> str:
    return f"{100 * efficiency:g}%"

"""One tagger on two samples: other generators, showers or systematic variations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import add

import numpy as np

from ..errors import JetError, explain
from .accumulator import SCORE, Evaluation
from .estimate import Estimate

__all__ = ["Difference", "differences", "paired_differences"]


@dataclass(frozen=True)
class Difference:
    """A figure of merit on two samples.

    Attributes
    ----------
    name : str
        What is compared.
    nominal, other : Estimate
        On either sample.
    difference : Estimate
        Other − nominal, with its interval (68.27%).
    """

    name: str
    nominal: Estimate
    other: Estimate
    difference: Estimate

    @property
    def significance(self) -> float:
        """The difference over its uncertainty towards zero; NaN where there is none."""
        return self.difference.significance


def differences(
    nominal: Evaluation, other: Evaluation, name: str = SCORE, *, efficiencies: Sequence[float] = (0.5, 0.3)
) -> tuple[Difference, ...]:
    """What changes between two independent samples.

    The AUC, the accuracy and the rejections of each sample at the signal efficiencies; then, at the cuts of these
    efficiencies in the nominal sample, as an analysis would apply them, the efficiency of the signal and the mistag
    rate of each background class.

    Parameters
    ----------
    nominal, other : Evaluation
        Of the same classes and discriminants.
    name : str
        The score.
    efficiencies : sequence of float
        Signal efficiencies.

    Returns
    -------
    tuple of Difference
        Intervals are added in quadrature, side by side; of a figure that is infinite there is no difference.

    Raises
    ------
    JetError
        If the evaluations differ in their arguments, or lack jets.
    """
    nominal.check_alike(other)
    one, two = figures(nominal, nominal, name, efficiencies), figures(other, nominal, name, efficiencies)
    return tuple(Difference(key, one[key], two[key], two[key].minus(one[key])) for key in one)


def paired_differences(
    nominal: Sequence[Evaluation],
    other: Sequence[Evaluation],
    name: str = SCORE,
    *,
    efficiencies: Sequence[float] = (0.5, 0.3),
) -> tuple[Difference, ...]:
    """What changes between two versions of the same jets, such as systematic variations.

    Both have the same statistical fluctuations, which largely cancel in the differences. The jets are split into K
    blocks, the same in both, and the uncertainty is seen from leaving out each in turn (delete-a-group jackknife).

    Parameters
    ----------
    nominal, other : sequence of Evaluation, length K
        One per block: 20 or more for an uncertainty that is known to 16% or better. All jets of an event belong in the
        same block: ``block = event % K``.
    name, efficiencies
        As `differences`.

    Raises
    ------
    JetError
        As for `differences`; also if there are not as many blocks in both, or fewer than two.
    """
    if not len(nominal) == len(other) > 1:
        given = f"{len(nominal)} and {len(other)} blocks"
        raise JetError(explain(given, "as many of both, two or more", "fill evaluations of the same blocks of jets"))
    whole = reduce(add, nominal), reduce(add, other)
    whole[0].check_alike(whole[1])
    one, two = (figures(each, whole[0], name, efficiencies) for each in whole)
    rows = []
    for first, second in zip(_without_each(nominal), _without_each(other), strict=True):
        left = figures(first, first, name, efficiencies), figures(second, first, name, efficiencies)
        rows.append([left[1][key].value - left[0][key].value for key in one])
    values = np.asarray(rows)
    with np.errstate(invalid="ignore"):
        errors = np.sqrt((len(rows) - 1) / len(rows) * ((values - values.mean(axis=0)) ** 2).sum(axis=0))
    found = []
    for key, error in zip(one, errors, strict=True):
        value = two[key].value - one[key].value
        found.append(Difference(key, one[key], two[key], Estimate(value, value - float(error), value + float(error))))
    return tuple(found)


def figures(
    evaluation: Evaluation, nominal: Evaluation, name: str, efficiencies: Sequence[float]
) -> dict[str, Estimate]:
    """All that is compared, with the cuts of the nominal sample."""
    metrics, separation = evaluation.measure(name, efficiencies=efficiencies), evaluation.separation(name)
    reference = nominal.separation(name)
    backgrounds = evaluation.backgrounds(name)
    found = {
        "AUC": separation.auc_estimate,
        "accuracy": Estimate(metrics.accuracy, metrics.accuracy_low, metrics.accuracy_high),
    }
    found |= {f"1/ε_B at ε_S = {_percent(each.efficiency)}": each.estimate for each in metrics.rejections}
    for efficiency in efficiencies:
        cut = float(reference.cuts[reference.first(efficiency)])
        where = f"at the nominal cut of {_percent(efficiency)}"
        found[f"signal efficiency {where}"] = separation.signal.estimate(separation.index(cut))
        for background in backgrounds:
            one = separation if len(backgrounds) == 1 else evaluation.separation(name, background)
            found[f"mistag rate of {background} {where}"] = one.background.estimate(one.index(cut))
    return found


def _without_each(parts: Sequence[Evaluation]) -> list[Evaluation]:
    """The sums of all parts but one."""
    before, after = list(accumulate(parts, add)), list(accumulate(reversed(parts), add))[::-1]
    inner = [before[k - 1] + after[k + 1] for k in range(1, len(parts) - 1)]
    return [after[1], *inner, before[-2]]


def _percent(efficiency: float) -> str:
    return f"{100 * efficiency:g}%"

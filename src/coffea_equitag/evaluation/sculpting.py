"""How a cut on a score changes the background's mass distribution: the Jensen–Shannon divergence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..array_types import F8, Bools
from ..errors import JetError, explain
from .binned_efficiency import merge_bins, select_edges
from .counts import Counts, weight_sums
from .estimate import Estimate
from .separation import Separation

__all__ = ["Sculpting", "divergence", "sculpting"]

#: Bins by default, with about as much of the background in each.
_BINS = 25
#: Repetitions of the experiment in which the uncertainties are seen.
_TOYS = 400


@dataclass(frozen=True)
class Sculpting:
    """The background's mass before and after a cut, as shares of the jets in B bins.

    Attributes
    ----------
    efficiency : float
        Wanted background efficiency.
    cut : float
        Jets are kept at or above it; infinite where not a single one may be.
    kept : Estimate
        Background efficiency of the cut, which is at most the wanted one.
    edges : ndarray of float64, shape (B + 1,)
    before, after : ndarray of float64, shape (B,)
        Shares, of sum 1; NaN if nothing is kept.
    before_error, after_error : ndarray of float64, shape (B,)
        Their standard deviations.
    divergence : Estimate
        Jensen–Shannon divergence between the two, in bits: 0 for equal shapes, 1 for disjoint ones. The interval is
        the spread of repeated samples as large as this.
    if_unsculpted : Estimate
        What jets drawn from the distribution before the cut, as many as are kept, would give: its median and interval.
        A divergence within it is none.
    """

    efficiency: float
    cut: float
    kept: Estimate
    edges: F8
    before: F8
    after: F8
    before_error: F8
    after_error: F8
    divergence: Estimate
    if_unsculpted: Estimate


def divergence(one: F8, other: F8) -> F8:
    """Jensen–Shannon divergence of histograms along the last axis, in bits; NaN for empty ones.

    Parameters
    ----------
    one, other : ndarray of float64, shape (..., B)
        Any normalisation; negative entries count as 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p, q = (np.maximum(each, 0) / np.maximum(each, 0).sum(axis=-1, keepdims=True) for each in (one, other))
        mean = (p + q) / 2
        parts = sum(np.where(each > 0, each * np.log2(each / mean), 0.0).sum(axis=-1) for each in (p, q))
        found: F8 = np.where(np.isnan(mean).any(axis=-1), np.nan, np.clip(parts / 2, 0, 1))
    return found


def sculpting(
    counts: Counts,
    background: Bools,
    factor: F8,
    found: Separation,
    efficiencies: Sequence[float],
    variable: str,
    edges: Sequence[float],
    wanted: Sequence[float] | None,
) -> tuple[Sculpting, ...]:
    """The background's distribution before and after cuts; see `Evaluation.sculpting`.

    Parameters
    ----------
    counts : Counts
        Rows by class and bin.
    background : ndarray of bool, shape (R,)
        Which rows are background.
    factor : ndarray of float64, shape (R,)
        Scales the weights of the rows.
    found : Separation
        Of the same jets.
    """
    size = len(edges) + 1

    def histogram(chosen: Bools) -> tuple[F8, F8]:
        bins = counts.group[chosen] % size
        weights = (counts.weight[chosen] * factor[chosen], counts.squared[chosen] * factor[chosen] ** 2)
        weight, squared = (weight_sums(bins, each, size)[1:-1] for each in weights)
        return weight, squared

    whole = histogram(background)
    at = merge_bins(whole[0], _BINS) if wanted is None else select_edges(wanted, edges, variable)
    if not whole[0].sum() > 0:
        given = f"no background jets of {variable} {edges[0]:g} to {edges[-1]:g}"
        raise JetError(explain(given, "background jets within the edges", "check the units, or give other edges"))

    def merged(pair: tuple[F8, F8]) -> tuple[F8, F8]:
        weight, squared = (np.add.reduceat(each[: at[-1]], at[:-1]) for each in pair)
        return weight, squared

    results = []
    for efficiency in efficiencies:
        index = found.first_background(efficiency)
        cut = float(found.cuts[index])
        results.append(
            _compare(
                merged(whole),
                merged(histogram(background & (counts.score >= cut))),
                efficiency,
                cut,
                found.background.estimate(index),
                np.asarray(edges)[at],
            )
        )
    return tuple(results)


def _compare(
    before: tuple[F8, F8], after: tuple[F8, F8], efficiency: float, cut: float, kept: Estimate, edges: F8
) -> Sculpting:
    shares, errors = zip(*map(_shares, (before, after)), strict=True)
    return Sculpting(
        efficiency, cut, kept, edges, shares[0], shares[1], errors[0], errors[1], *_divergences(before, after)
    )


def _shares(histogram: tuple[F8, F8]) -> tuple[F8, F8]:
    total = histogram[0].sum() or np.nan
    return histogram[0] / total, np.sqrt(histogram[1]) / abs(total)


def _divergences(before: tuple[F8, F8], after: tuple[F8, F8]) -> tuple[Estimate, Estimate]:
    """The divergence with its spread, and that of samples without any, from toys that are always the same."""
    value = float(divergence(before[0], after[0]))
    total, squared = float(after[0].sum()), float(after[1].sum())
    if not total > 0:
        return (Estimate(np.nan, np.nan, np.nan),) * 2
    generator = np.random.default_rng(0)
    # jets that are kept are among those before the cut: the rest varies on its own
    rest = before[0] - after[0], before[1] - after[1]
    kept, others = (_vary(generator, *each) for each in (after, rest))
    repeated = divergence(kept + others, kept)
    spread = float(np.std(repeated[np.isfinite(repeated)]))
    number = total**2 / squared
    shape = np.maximum(before[0], 0) / np.maximum(before[0], 0).sum()
    drawn = generator.multinomial(max(round(number), 1), shape, size=_TOYS).astype(np.float64)
    unsculpted = divergence(before[0], drawn)
    low, middle, high = np.quantile(unsculpted, [0.1587, 0.5, 0.8413])
    return (
        Estimate(value, max(value - spread, 0.0), min(value + spread, 1.0)),
        Estimate(float(middle), float(low), float(high)),
    )


def _vary(generator: np.random.Generator, weight: F8, squared: F8) -> F8:
    """Histograms of weighted jets in repeated samples, shape (toys, B): Poisson numbers of the same effective size."""
    mean_weight = np.divide(squared, weight, out=np.zeros(len(weight)), where=weight > 0)
    number = np.divide(weight, mean_weight, out=np.zeros(len(weight)), where=mean_weight > 0)
    return np.asarray(generator.poisson(number, size=(_TOYS, len(weight))) * mean_weight, np.float64)

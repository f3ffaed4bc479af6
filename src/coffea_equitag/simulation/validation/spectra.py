"""Spectra of constituents: their number, or their pT, per jet and bin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ...array_types import F8
from .jet_sample import JetSample

__all__ = ["SPECTRA", "Spectrum", "SpectrumKind", "spectrum_of"]


#: Jets with content in a bin that each sample needs for the bin to enter χ².
_FILLED = 10


@dataclass(frozen=True)
class SpectrumKind:
    """What is binned, and in what.

    Attributes
    ----------
    axis, ordinate, words : str
        Titles for plots and tables.
    values, weights : callable
        Functions of a sample: the binned value and the weight of each constituent, shapes (N,).
    logarithmic : bool
        Whether the bins are logarithmic.
    """

    axis: str
    ordinate: str
    words: str
    values: Callable[[JetSample], F8]
    weights: Callable[[JetSample], F8]
    logarithmic: bool = False


def _distance(sample: JetSample) -> F8:
    return np.hypot(*sample.relative)


def _share(sample: JetSample) -> F8:
    total = np.repeat(sample.sums(sample.pt), sample.counts)
    return np.asarray(sample.pt / total)


#: Name -> spectrum.
SPECTRA = {
    "constituent_pt": SpectrumKind(
        r"constituent $p_T$ [GeV]",
        "constituents per jet",
        "constituent pT",
        lambda sample: sample.pt,
        lambda sample: np.ones(len(sample.pt)),
        logarithmic=True,
    ),
    "constituent_dr": SpectrumKind(
        r"$\Delta R$ of constituent and jet axis",
        "constituents per jet",
        "constituent ΔR from the axis",
        _distance,
        lambda sample: np.ones(len(sample.pt)),
    ),
    "pt_dr": SpectrumKind(
        r"$\Delta R$ of constituent and jet axis",
        r"share of the jet's $p_T$",
        "pT in rings of ΔR about the axis",
        _distance,
        _share,
    ),
}


@dataclass(frozen=True)
class Spectrum:
    """Mean content per jet of B bins for both samples, with errors from the scatter among jets.

    Attributes
    ----------
    edges : ndarray, shape (B + 1,)
        Edges of the bins; the outermost bins include underflow and overflow.
    simulated, simulated_error, real, real_error : ndarray, shape (B,)
        Means over jets and their standard errors.
    chi2, num_bins, p : float, int, float
        d·V⁻¹·d for the difference d of the means, where V is its covariance including that among the bins of a jet
        (Hotelling's statistic); the number of bins that enter; and the p-value of χ². NaN with fewer than three jets
        per bin.
    """

    edges: F8
    simulated: F8
    simulated_error: F8
    real: F8
    real_error: F8
    chi2: float
    num_bins: int
    p: float


def spectrum_of(kind: SpectrumKind, simulated: JetSample, real: JetSample, bins: int = 20) -> Spectrum | None:
    """Compare the spectra of two samples; None if one of them has no constituents.

    The bins cover the central 99.8% of the constituents of both samples.
    """
    values = [kind.values(sample) for sample in (simulated, real)]
    if min(map(len, values)) == 0:
        return None
    low, high = np.percentile(np.concatenate(values), [0.1, 99.9])
    if not kind.logarithmic:
        low = 0.0
    low, high = max(low, 1e-6) if kind.logarithmic else low, max(high, low * 1.01, 1e-6)
    edges = np.geomspace(low, high, bins + 1) if kind.logarithmic else np.linspace(low, high, bins + 1)
    contents = [
        _contents(sample, value, kind.weights(sample), edges)
        for sample, value in zip((simulated, real), values, strict=True)
    ]
    means = [content.mean(axis=0) for content in contents]
    errors = [_standard_errors(content) for content in contents]
    filled = np.logical_and.reduce([(content > 0).sum(axis=0) >= _FILLED for content in contents])
    chi2, num_bins = _chi2([content[:, filled] for content in contents])
    return Spectrum(
        edges=edges,
        simulated=means[0],
        simulated_error=errors[0],
        real=means[1],
        real_error=errors[1],
        chi2=chi2,
        num_bins=num_bins,
        p=float(stats.chi2.sf(chi2, num_bins)) if num_bins else math.nan,
    )


def _contents(sample: JetSample, values: F8, weights: F8, edges: F8) -> F8:
    """Content of each bin for each jet, shape (J, B)."""
    bins = len(edges) - 1
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    jet = np.repeat(np.arange(len(sample)), sample.counts)
    contents = np.bincount(jet * bins + place, weights, len(sample) * bins)
    return np.asarray(contents.reshape(len(sample), bins), dtype=np.float64)


def _standard_errors(contents: F8) -> F8:
    if len(contents) < 2:
        return np.full(contents.shape[1], np.nan)
    return np.asarray(contents.std(axis=0, ddof=1) / math.sqrt(len(contents)))


def _chi2(contents: list[F8]) -> tuple[float, int]:
    bins = contents[0].shape[1]
    if bins == 0 or min(map(len, contents)) < 3 * bins:
        return math.nan, 0
    difference = contents[0].mean(axis=0) - contents[1].mean(axis=0)
    covariance = sum(np.atleast_2d(np.cov(content, rowvar=False)) / len(content) for content in contents)
    # pT fractions sum to one, so that one of the bins may be redundant
    inverse = np.linalg.pinv(covariance, rtol=1e-9, hermitian=True)
    return float(difference @ inverse @ difference), int(np.linalg.matrix_rank(covariance, rtol=1e-9, hermitian=True))

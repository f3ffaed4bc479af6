"""QCD in the signal region, from data: the region in which only the leading jet is tagged, times a transfer factor.

With the tags of the leading and the subleading jet as P(ass) and F(ail), PP is the signal region. If the subleading
jet's mis-tag rate depends on the dijet mass alone, and not on the leading jet's tag,

    QCD_PP(m) = R(m) (N_PF(m) - tt_PF(m)),    R(m) = QCD_FP(m) / QCD_FF(m).

R is a polynomial fitted in the FP and FF regions, which hold little but QCD. Top pairs are subtracted as simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from iminuit import Minuit
from scipy import stats

#: A further coefficient is kept if the likelihood ratio asks for it at this level.
SIGNIFICANCE = 0.05

MAX_ORDER = 2


@dataclass(frozen=True)
class TransferFactor:
    """R(m) = c0 + c1 x + ..., x = (m - centre) / width, with the covariance of the coefficients."""

    coefficients: np.ndarray
    covariance: np.ndarray
    nll: float
    centre: float
    width: float

    def __call__(self, mass: np.ndarray, coefficients: np.ndarray | None = None) -> np.ndarray:
        used = self.coefficients if coefficients is None else coefficients
        return np.maximum(np.polynomial.polynomial.polyval((mass - self.centre) / self.width, used), 1e-6)

    @property
    def order(self) -> int:
        return len(self.coefficients) - 1

    def variations(self, mass: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Up and down by one standard deviation along each independent direction."""
        values, vectors = np.linalg.eigh(self.covariance)
        steps = (np.sqrt(np.maximum(values, 0)) * vectors).T
        return [(self(mass, self.coefficients + step), self(mass, self.coefficients - step)) for step in steps]


@dataclass(frozen=True)
class Estimate:
    """QCD in the signal region: yields per bin, and their uncertainties by source.

    Attributes
    ----------
    values : ndarray, shape (K,)
    statistics : ndarray, shape (K,)
        Standard deviation from the counts in PF, independent in each bin.
    variations : dict of str to (ndarray, ndarray)
        Source -> (up, down), shape (K,) each.
    closure : tuple of float
        Predicted and true number in simulated QCD, and the relative uncertainty that follows for the normalisation.
    """

    values: np.ndarray
    statistics: np.ndarray
    variations: dict[str, tuple[np.ndarray, np.ndarray]]
    transfer_factor: TransferFactor
    closure: tuple[float, float, float]


def fit(passed: np.ndarray, failed: np.ndarray, tops: np.ndarray, mass: np.ndarray, order: int) -> TransferFactor:
    """Fit R to the numbers in FP, given those in FF and the tops expected in FP, by maximum likelihood."""
    centre, width = float(mass.mean()), float(np.ptp(mass)) / 2
    start = np.zeros(order + 1)
    start[0] = max(float((passed - tops).sum() / max(failed.sum(), 1)), 1e-3)
    shape = TransferFactor(start, np.eye(order + 1), 0.0, centre, width)

    def nll(coefficients: np.ndarray) -> float:
        expected = shape(mass, coefficients) * failed + tops + 1e-9
        return float(np.sum(expected - passed * np.log(expected)))

    minuit = Minuit(nll, start)
    minuit.errordef = Minuit.LIKELIHOOD
    minuit.errors = np.full(order + 1, 0.1 * start[0])
    minuit.migrad()
    minuit.hesse()
    return TransferFactor(np.array(minuit.values), np.array(minuit.covariance), float(minuit.fval), centre, width)


def choose(passed: np.ndarray, failed: np.ndarray, tops: np.ndarray, mass: np.ndarray) -> list[TransferFactor]:
    """The polynomial of the lowest order that suffices, and that of the next order."""
    fits = [fit(passed, failed, tops, mass, order) for order in range(MAX_ORDER + 2)]
    for lower, higher in pairwise(fits):
        if stats.chi2.sf(2 * (lower.nll - higher.nll), 1) > SIGNIFICANCE:
            return [lower, higher]
    return fits[-2:]


def predict(counts: Mapping[str, np.ndarray], tops: Mapping[str, np.ndarray], mass: np.ndarray):
    """Prediction for PP and transfer factors (chosen, and of the next order) from numbers by region."""
    qcd = {region: np.maximum(counts[region] - tops[region], 0) for region in ("PF", "FF")}
    factors = choose(counts["FP"], qcd["FF"], tops["FP"], mass)
    return factors[0](mass) * qcd["PF"], factors


def estimate(
    data: Mapping[str, np.ndarray],
    tops: Mapping[str, np.ndarray],
    simulated: Mapping[str, np.ndarray],
    mass: np.ndarray,
) -> Estimate:
    """Estimate QCD in PP.

    Parameters
    ----------
    data, tops, simulated : mapping of str to ndarray, shape (K,)
        Region (PF, FP, FF; for simulated QCD PP too) -> numbers by bin of the dijet mass: data, expected top pairs,
        and unweighted simulated QCD events for the closure test.
    mass : ndarray, shape (K,)
        Centres of the bins, GeV.
    """
    values, (factor, next_order) = predict(data, tops, mass)
    fail = np.maximum(data["PF"] - tops["PF"], 0)
    variations = {f"qcd_transfer_{k}": (up * fail, down * fail) for k, (up, down) in enumerate(factor.variations(mass))}
    other = next_order(mass) * fail
    variations["qcd_transfer_order"] = (other, 2 * values - other)
    statistics = factor(mass) * np.sqrt(np.maximum(data["PF"], 0))
    return Estimate(values, statistics, variations, factor, closure(simulated, mass))


def closure(simulated: Mapping[str, np.ndarray], mass: np.ndarray) -> tuple[float, float, float]:
    """Predicted and true number of simulated QCD events in PP; the larger of their difference and its error."""
    none = {region: np.zeros(len(mass)) for region in simulated}
    predicted, true = float(predict(simulated, none, mass)[0].sum()), float(simulated["PP"].sum())
    if predicted <= 0:
        return predicted, true, 1.0
    error = np.sqrt(max(true, 1.0) + predicted**2 / max(float(simulated["PF"].sum()), 1.0)) / predicted
    return predicted, true, float(min(max(abs(true / predicted - 1), error), 1.0))

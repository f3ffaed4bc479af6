"""Resolution of four-momenta: what a regression makes of jets, against the truth and beside the jets themselves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
import vector

from ..array_types import F8, Bools
from ..errors import JetError, explain
from ..jets import flatten
from ..jets.coordinates import check_coordinates
from ..jets.targets import true_momenta
from .estimate import Estimate
from .structure import flat_entries

__all__ = [
    "MomentumResolution",
    "ResponseBin",
    "Spread",
    "momentum_resolution",
    "resolution_of_jets",
    "response",
    "responses",
]

#: Probability within one standard deviation of a Gaussian.
_CENTRAL = math.erf(1 / math.sqrt(2))

#: What is measured, and its name in tables.
QUANTITIES = {"mass": "m / m_true", "pt": "pT / pT_true", "angle": "angle (rad)"}

#: Resamplings from which the uncertainties follow.
_REPLICAS = 100


@dataclass(frozen=True)
class Spread:
    """Median and width of a distribution, with intervals (68.27%) from a bootstrap over the jets.

    Attributes
    ----------
    median : Estimate
        The median.
    width : Estimate
        Half of the central 68.27% interval: one standard deviation, for a Gaussian. Of an angle, which is never
        negative, the quantile below which 68.27% lie.
    iqr : Estimate
        Interquartile range: the central half.
    number : int
        Jets it is made of.
    """

    median: Estimate
    width: Estimate
    iqr: Estimate
    number: int

    def as_dict(self) -> dict[str, Any]:
        """The estimates, each as ``value``, ``low`` and ``high``, and the number."""
        estimates = {"median": self.median, "width": self.width, "iqr": self.iqr}
        return {name: estimate.as_dict() for name, estimate in estimates.items()} | {"number": self.number}

    def __str__(self) -> str:
        return f"median {self.median}, width {self.width}, IQR {self.iqr}"


@dataclass(frozen=True)
class MomentumResolution:
    """How well four-momenta agree with the true ones; prints as a table.

    Attributes
    ----------
    mass, pt : Spread
        Of the responses m/m_true and pT/pT_true. A space-like momentum has a negative mass −√|m²|; jets whose true mass
        or pT is 0 have no response, and are left out of it.
    angle : Spread
        Of the angle between the momenta, in rad.
    num_missing : int
        Jets left out because they have no momentum.
    """

    mass: Spread
    pt: Spread
    angle: Spread
    num_missing: int = 0

    @property
    def spreads(self) -> dict[str, Spread]:
        """By quantity."""
        return {"mass": self.mass, "pt": self.pt, "angle": self.angle}

    def as_dict(self) -> dict[str, Any]:
        """Quantity -> the numbers of its `Spread`; and ``num_missing``."""
        return {name: spread.as_dict() for name, spread in self.spreads.items()} | {"num_missing": self.num_missing}

    def __str__(self) -> str:
        rows = [f"{QUANTITIES[name]:<13}{spread}" for name, spread in self.spreads.items()]
        missing = [f"{'missing':<13}{self.num_missing} jets (left out)"] if self.num_missing else []
        return "\n".join([*rows, *missing])


@dataclass(frozen=True)
class ResponseBin:
    """The resolution of the jets whose true pT (GeV) is at least `low` and below `high`; its median is `pt`."""

    low: float
    high: float
    pt: float
    resolution: MomentumResolution


def momentum_resolution(
    momenta: Any, truth: Any, *, weights: Any = None, replicas: int = _REPLICAS
) -> MomentumResolution:
    """Compare four-momenta with the true ones.

    Parameters
    ----------
    momenta : ak.Array or array-like, shape (J, 4)
        What a tagger with ``output="momentum"`` returns, any nesting, None where a jet is missing; or rows
        (E, px, py, pz), GeV.
    truth : ak.Array or array-like
        The true ones in the same structure, in any coordinates.
    weights : array-like, optional
        One per jet, in the same structure; not negative.
    replicas : int
        Resamplings that the intervals follow from; 0 for none, which are NaN.

    Raises
    ------
    JetError
        If the structures differ, a number is not finite, or no jets are left.
    """
    found, true, weight, missing = _matched(momenta, truth, weights)
    return _resolution(found, true, weight, missing, replicas)


def response(
    momenta: Any, truth: Any, edges: Sequence[float] | None = None, *, weights: Any = None
) -> tuple[ResponseBin, ...]:
    """`momentum_resolution` in bins of the true pT.

    Parameters
    ----------
    momenta, truth, weights
        As there.
    edges : sequence of float, optional
        Edges of the bins in GeV, ascending; by default up to six bins of equally many jets. Bins without jets are left
        out.
    """
    found, true, weight, _ = _matched(momenta, truth, weights)
    pt = np.hypot(true[:, 1], true[:, 2])
    bounds = _equal_bins(pt) if edges is None else np.asarray(edges, np.float64)
    if bounds.ndim != 1 or len(bounds) < 2 or not np.all(np.diff(bounds) > 0):
        raise JetError(explain(f"edges = {edges}", "two or more numbers in ascending order", "e.g. (200, 400, 600)"))
    bins = []
    for low, high in itertools.pairwise(bounds):
        inside = (pt >= low) & (pt < high) & (weight > 0)
        if inside.any():
            resolution = _resolution(found[inside], true[inside], weight[inside])
            bins.append(ResponseBin(float(low), float(high), float(np.median(pt[inside])), resolution))
    return tuple(bins)


def resolution_of_jets(
    jets: ak.Array, momenta: ak.Array, *, truth: str = "momentum", weights: Any = None
) -> dict[str, MomentumResolution]:
    """Resolution of a regression and, as what it has to beat, of the jets' own momenta.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets with the truth, see `coffea_equitag.jets.targets.true_momenta`.
    momenta : ak.Array
        ``tagger(jets)``.
    truth : str
        Name of the truth.
    weights : array-like, optional
        One per jet, in their structure.

    Returns
    -------
    dict of str to MomentumResolution
        Of the ``"tagger"`` and of the ``"jet"`` (its own four-momentum, else the sum of its constituents').
    """
    found, true, weight = beside_jets(jets, momenta, truth, weights)
    return {name: momentum_resolution(rows, true, weights=weight) for name, rows in found.items()}


def beside_jets(
    jets: ak.Array, momenta: ak.Array, truth: str = "momentum", weights: Any = None
) -> tuple[dict[str, F8], F8, F8 | None]:
    """Rows (E, px, py, pz) of the ``"tagger"`` and of the ``"jet"``, the true ones, and weights, without missing jets.

    Parameters as `resolution_of_jets`.
    """
    found, present = _rows(momenta)
    weight = None if weights is None else _numbers(weights)[present]
    return {"tagger": found[present], "jet": flatten(jets).jet_p4}, true_momenta(jets, truth), weight


def responses(momenta: Any, truth: Any, weights: Any = None) -> dict[str, tuple[F8, F8]]:
    """Quantity -> m/m_true, pT/pT_true or the angle (rad) of each jet that has one, and the jets' weights.

    Parameters and errors as `momentum_resolution`.
    """
    return _responses(*_matched(momenta, truth, weights)[:3])


def _responses(found: F8, true: F8, weight: F8) -> dict[str, tuple[F8, F8]]:
    mass, true_mass = _mass(found), _mass(true)
    pt, true_pt = np.hypot(found[:, 1], found[:, 2]), np.hypot(true[:, 1], true[:, 2])
    massive, moving = true_mass > 0, true_pt > 0
    return {
        "mass": (mass[massive] / true_mass[massive], weight[massive]),
        "pt": (pt[moving] / true_pt[moving], weight[moving]),
        "angle": (_angle(found[:, 1:], true[:, 1:]), weight),
    }


def _resolution(found: F8, true: F8, weight: F8, missing: int = 0, replicas: int = _REPLICAS) -> MomentumResolution:
    spreads = {
        name: _spread(values, weights, replicas, one_sided=name == "angle")
        for name, (values, weights) in _responses(found, true, weight).items()
    }
    return MomentumResolution(**spreads, num_missing=missing)


def _mass(p4: F8) -> F8:
    # (E − |p|)(E + |p|) keeps the digits of light, fast particles
    size = np.linalg.norm(p4[:, 1:], axis=1)
    square = (p4[:, 0] - size) * (p4[:, 0] + size)
    return np.asarray(np.sign(square) * np.sqrt(np.abs(square)))


def _angle(a: F8, b: F8) -> F8:
    """Angles of vectors (J, 3), exact for small ones; a vector of length 0 has none, and counts as π/2."""
    return np.asarray(np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1)))


def _spread(values: F8, weight: F8, replicas: int, *, one_sided: bool = False) -> Spread:
    kept = weight > 0
    values, weight = values[kept], weight[kept]
    if not len(values):
        unknown = Estimate(math.nan, math.nan, math.nan)
        return Spread(unknown, unknown, unknown, 0)
    order = np.argsort(values, kind="stable")
    values, weight = values[order], weight[order]
    measured = quantities(values, weight, one_sided)
    generator, equal = np.random.default_rng(0), np.full(len(values), 1 / len(values))
    # each jet counts as often as it is drawn
    times = (generator.multinomial(len(values), equal) for _ in range(replicas))
    drawn = [quantities(values, weight * number, one_sided) for number in times]
    low, high = (
        np.full((2, 3), np.nan) if not drawn else np.quantile(drawn, [(1 - _CENTRAL) / 2, (1 + _CENTRAL) / 2], axis=0)
    )
    median, width, iqr = (Estimate(*map(float, each)) for each in zip(measured, low, high, strict=True))
    return Spread(median, width, iqr, len(values))


def quantities(values: F8, weight: F8, one_sided: bool) -> tuple[float, float, float]:
    """Median, width and interquartile range of sorted values."""
    probabilities = np.array([0.5, (1 - _CENTRAL) / 2, (1 + _CENTRAL) / 2, 0.25, 0.75, _CENTRAL])
    median, low, high, first, third, below = _quantiles(values, weight, probabilities)
    return float(median), float(below if one_sided else (high - low) / 2), float(third - first)


def _quantiles(values: F8, weight: F8, probabilities: F8) -> F8:
    """Quantiles of sorted values: as numpy's for equal weights, interpolated between the values."""
    kept = weight > 0
    values, weight = values[kept], weight[kept]
    before = np.cumsum(weight) - weight
    total = before[-1]
    if total == 0:  # one value
        return np.full(len(probabilities), values[0])
    return np.asarray(np.interp(probabilities * total, before, values))


def _equal_bins(pt: F8, most: int = 6, fewest: int = 50) -> F8:
    """Edges of up to `most` bins with equally many jets, `fewest` of them at least where there are enough."""
    number = max(1, min(most, len(pt) // fewest))
    edges = np.unique(np.quantile(pt, np.linspace(0, 1, number + 1)))
    edges = edges if len(edges) > 1 else np.array([edges[0], edges[0]])
    edges[-1] = np.nextafter(edges[-1], np.inf)
    return np.asarray(edges)


def _matched(momenta: Any, truth: Any, weights: Any) -> tuple[F8, F8, F8, int]:
    """Rows (E, px, py, pz) of both, weights, and the number of jets left out because they have no momentum."""
    (found, present), (true, known) = _rows(momenta), _rows(truth)
    weight = np.ones(len(true)) if weights is None else _numbers(weights)
    if not len(found) == len(true) == len(weight):
        raise JetError(
            explain(
                f"{len(found)} momenta, {len(true)} true ones and {len(weight)} weights",
                "one of each per jet",
                "take them from the same jets: momentum_resolution(tagger(jets), truth)",
            )
        )
    kept = present & known
    found, true, weight = found[kept], true[kept], weight[kept]
    finite = all(np.isfinite(values).all() for values in (found, true, weight))
    if not finite or (weight < 0).any():
        given = "momenta or weights that are not finite, or negative weights"
        raise JetError(explain(given, "finite momenta, and weights of 0 or more", "drop these jets"))
    if not weight.any():
        raise JetError(explain("no jets with a momentum and a weight", "at least one", "check the selection"))
    return found, true, weight, int((~kept).sum())


def _rows(momenta: Any) -> tuple[F8, Bools]:
    """Rows (E, px, py, pz), and which of them are not missing."""
    given = ak.Array(momenta)
    if not given.fields:
        rows = np.asarray(ak.to_numpy(given), np.float64).reshape(len(given), -1)
        if rows.shape[1] != 4 and len(rows):
            raise JetError(explain(f"momenta of type {given.type}", "records, or rows (E, px, py, pz)", "give those"))
        return rows.reshape(-1, 4), np.ones(len(rows), bool)
    check_coordinates("momenta", given.fields)
    named = ak.Array(ak.with_name(given, "Momentum4D"), behavior=vector.backends.awkward.behavior)
    parts = [flat_entries(getattr(named, name))[0] for name in ("E", "px", "py", "pz")]
    rows = np.stack([ak.to_numpy(ak.fill_none(part, np.nan)) for part in parts], axis=1)
    return rows.astype(np.float64), ~np.asarray(ak.to_numpy(ak.is_none(parts[0])), bool)


def _numbers(weights: Any) -> F8:
    """Flat weights, NaN where they are missing."""
    return np.asarray(ak.to_numpy(ak.fill_none(flat_entries(ak.Array(weights))[0], np.nan)), np.float64)

"""Data against simulation in one histogram: sums of processes, their uncertainties, and intervals of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import hist
import numpy as np

from ..array_types import F8, I8
from ..errors import JetError, explain
from .intervals import poisson_interval

__all__ = ["Comparison", "Datasets", "compare"]

#: One dataset, or several that are added.
Datasets: TypeAlias = "str | Sequence[str]"

#: Of the axes that TaggerProcessor's histograms may have, what is taken unless something else is selected.
_DEFAULTS = {"region": "inclusive", "working_point": "inclusive", "decision": "pass"}

_NOMINAL = "nominal"


@dataclass(frozen=True)
class Comparison:
    """Data and simulation in the same K bins.

    Attributes
    ----------
    axis : hist axis
        The variable.
    data, data_low, data_high : ndarray of float64, shape (K,)
        Sum of weights, and its interval of one standard deviation: Garwood's for counts, for weights that of as many
        events as they are worth.
    processes : dict of str to ndarray, shape (K,)
        Simulation, process by process.
    low, high : ndarray of float64, shape (K,)
        Band of the simulation's sum: statistics and systematic variations in quadrature.
    """

    axis: Any
    data: F8
    data_low: F8
    data_high: F8
    processes: dict[str, F8]
    low: F8
    high: F8

    @property
    def total(self) -> F8:
        """Sum of the processes, shape (K,)."""
        return np.sum(list(self.processes.values()), axis=0) if self.processes else np.zeros(len(self.data))


def compare(
    histogram: hist.Hist,
    data: Datasets,
    simulation: Mapping[str, Datasets],
    *,
    scale: Mapping[str, float] | None = None,
    systematics: bool = True,
    normalise: bool = False,
    **select: str,
) -> Comparison:
    """Sum the datasets of a histogram, such as those of `TaggerProcessor`.

    Parameters
    ----------
    histogram : Hist
        Weighted, with an axis ``dataset``, the variable as its last axis, and any further category axes.
    data : str or sequence of str
        Datasets of the data; none for ``[]``.
    simulation : mapping of str to (str or sequence of str)
        Process -> its datasets.
    scale : mapping of str to float, optional
        Dataset -> factor, for instance luminosity · cross-section / sum of weights; 1 for those that are not named.
    systematics : bool
        Whether the band includes the variations of an axis ``systematic``. Names that end in Up and Down are two sides
        of one source; the larger deviation to either side counts, and sources are added in quadrature. A dataset for
        which a variation was not filled does not change by it.
    normalise : bool
        Scale the simulation to the data, to compare shapes; the band then has no uncertainty of the normalisation.
    **select
        Axis -> category, e.g. ``region="SR"``. Histograms of several working points are taken inclusively unless one
        is selected.

    Raises
    ------
    JetError
        If an axis is neither selected nor has a single category, or a category does not exist.
    """
    weights, names = _by_dataset(histogram, select)
    scale = scale or {}
    known = {*names[0]}
    for name in [*_listed(data), *(one for each in simulation.values() for one in _listed(each)), *scale]:
        if name not in known:
            raise _unknown("dataset", name, names[0])
    factors = np.array([scale.get(name, 1.0) for name in names[0]])
    values = weights.value * factors[:, None, None]
    variances = weights.variance * (factors**2)[:, None, None]
    nominal = names[1].index(_NOMINAL)
    # a variation that was not filled for a dataset leaves it as it is
    unfilled = (values == 0).all(axis=2) & (variances == 0).all(axis=2)
    values = np.where(unfilled[:, :, None], values[:, nominal : nominal + 1], values)

    def rows(datasets: Datasets) -> I8:
        return np.array([names[0].index(name) for name in _listed(datasets)], np.int64)

    measured = values[rows(data), nominal].sum(axis=0)
    data_low, data_high = poisson_interval(measured, variances[rows(data), nominal].sum(axis=0))
    everything = np.concatenate([np.zeros(0, np.int64), *map(rows, simulation.values())])
    varied = values[everything].sum(axis=0)
    variance = variances[everything, nominal].sum(axis=0)
    processes = {name: values[rows(each), nominal].sum(axis=0) for name, each in simulation.items()}
    if normalise:
        sums = varied.sum(axis=1, keepdims=True)
        factor = measured.sum() / sums[nominal, 0] if sums[nominal, 0] else 1.0
        varied = np.divide(varied * sums[nominal] * factor, sums, out=varied * factor, where=sums != 0)
        variance = variance * factor**2
        processes = {name: each * factor for name, each in processes.items()}
    shifts = _shifts(varied, names[1], nominal) if systematics else []
    below, above = (np.sqrt(variance + sum(side[k] ** 2 for side in shifts)) for k in (0, 1))
    total = varied[nominal]
    return Comparison(histogram.axes[-1], measured, data_low, data_high, processes, total - below, total + above)


def _shifts(varied: F8, names: Sequence[str], nominal: int) -> list[F8]:
    """For each source the deviations below and above, shape (2, K)."""
    sources: dict[str, F8] = {}
    for name, values in zip(names, varied, strict=True):
        source = name.removesuffix("Up").removesuffix("Down")
        shift = values - varied[nominal]
        sides = np.stack([np.maximum(-shift, 0), np.maximum(shift, 0)])
        sources[source] = np.maximum(sources.get(source, sides), sides)
    return list(sources.values())


def _by_dataset(histogram: hist.Hist, select: Mapping[str, str]) -> tuple[Any, tuple[list[str], list[str]]]:
    """Weighted sums, (dataset, systematic, bin), and the names along the first two axes."""
    for name, category in select.items():
        if name not in histogram.axes.name:
            raise _unknown("axis", name, histogram.axes.name)
        if category not in list(histogram.axes[name]):
            raise _unknown(name, category, list(histogram.axes[name]))
    chosen: dict[str, Any] = {}
    for axis in histogram.axes[:-1]:
        if axis.name in select or axis.name in ("dataset", "systematic"):
            continue
        categories = list(axis)
        if _DEFAULTS.get(axis.name) in categories:
            chosen[axis.name] = _DEFAULTS[axis.name]
        elif len(categories) == 1:
            chosen[axis.name] = categories[0]
        else:
            raise JetError(
                explain(
                    f"a histogram with {axis.name} {', '.join(map(str, categories)) or '(none)'}",
                    f"one {axis.name}",
                    f"select one: {axis.name}=...",
                )
            )
    flat = histogram[{name: hist.loc(category) for name, category in {**chosen, **select}.items()}]
    systematics = [_NOMINAL]
    if "systematic" in flat.axes.name:
        systematics = list(flat.axes["systematic"])
    axes = ["dataset", "systematic"] if len(flat.axes) == 3 else ["dataset"]
    view = flat.project(*axes, flat.axes[-1].name).view()
    return (view if view.ndim == 3 else view[:, None]), (list(flat.axes["dataset"]), systematics)


def _listed(datasets: Datasets) -> list[str]:
    return [datasets] if isinstance(datasets, str) else list(datasets)


def _unknown(what: str, name: str, known: Sequence[str]) -> JetError:
    return JetError(explain(f"{what} {name!r}", f"one of {', '.join(map(str, known))}", "correct the name"))

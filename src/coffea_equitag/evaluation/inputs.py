"""Histograms of what a tagger sees: multiplicities, shares of pT, distances from the axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak
import hist
import numpy as np

from ..array_types import F8, I8, AnyArray
from ..errors import JetError, explain
from ..invariants.kinematic import kinematic_variables
from ..jets.nesting import Nesting
from ..jets.ragged import ragged_and_nesting

__all__ = ["INPUTS", "input_histograms"]

#: Per jet, then per constituent. No edge lies at a share of 1, on which roundings would decide.
INPUTS: Mapping[str, Any] = {
    "constituents": hist.axis.Regular(40, 0, 160, name="constituents", label="Constituents"),
    "hardest_fraction": hist.axis.Regular(
        40, 0, 1.04, name="hardest_fraction", label="Largest constituent $p_T$ / jet $p_T$"
    ),
    "width": hist.axis.Regular(40, 0, 0.6, name="width", label=r"$\sum p_T\,\Delta R\,/\sum p_T$"),
    "log_pt_fraction": hist.axis.Regular(
        40, -10, 0.4, name="log_pt_fraction", label="log(constituent $p_T$ / jet $p_T$)"
    ),
    "delta_r": hist.axis.Regular(40, 0, 1, name="delta_r", label=r"$\Delta R$(constituent, jet)"),
}


def input_histograms(
    jets: ak.Array, weights: Any = None, *, dataset: str = "unknown", systematic: str = "nominal"
) -> dict[str, hist.Hist]:
    """Histogram the inputs that most taggers share.

    Parameters
    ----------
    jets : ak.Array
        Canonical jets (`read_jets`, `readers.nanoaod`) with any outer lists; missing jets are left out.
    weights : array-like, optional
        One weight per jet, in the jets' structure, or per event.
    dataset, systematic : str
        Categories to fill.

    Returns
    -------
    dict of str to Hist
        Name -> (dataset, systematic, variable), to be added chunk by chunk and given to `plots.data_simulation`:
        ``constituents``, ``hardest_fraction`` and ``width`` per jet; ``log_pt_fraction`` and ``delta_r`` per
        constituent, whose variances are right for jets as the independent units.

    Raises
    ------
    JetError
        If these are not jets, or there is not one weight per jet.
    """
    ragged, nesting = ragged_and_nesting(jets)
    weight = _jet_weights(weights, nesting)
    offsets = ragged.offsets.numpy()
    found = kinematic_variables(ragged)
    log_fraction, delta_r = found["part_logptrel"].numpy(), found["part_deltaR"].numpy()
    jet = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    fraction = np.exp(log_fraction)
    filled = np.diff(offsets) > 0
    largest = np.maximum.reduceat(fraction, offsets[:-1][filled]) if filled.any() else fraction
    one = np.arange(len(filled))
    sums = np.bincount(jet, fraction, minlength=len(filled))[filled]
    width = np.bincount(jet, fraction * delta_r, minlength=len(filled))[filled] / sums
    columns: dict[str, tuple[AnyArray, I8]] = {
        "constituents": (np.diff(offsets), one),
        "hardest_fraction": (largest, one[filled]),
        "width": (width, one[filled]),
        "log_pt_fraction": (log_fraction, jet),
        "delta_r": (delta_r, jet),
    }
    return {name: _histogram(INPUTS[name], *columns[name], weight, dataset, systematic) for name in INPUTS}


def _jet_weights(weights: Any, nesting: Nesting) -> F8:
    """One weight for each jet that is not missing."""
    if weights is None:
        return np.ones(nesting.num_jets)
    rows = nesting.restore(np.arange(nesting.num_jets))
    try:
        kept = ak.flatten(ak.broadcast_arrays(ak.Array(weights), rows)[0], axis=None)
    except ValueError:
        kept = ak.Array([])
    if len(kept) != nesting.num_jets:
        raise JetError(
            explain(
                f"weights of type {ak.Array(weights).type} for jets of type {rows.type}",
                "one weight for each jet, or for each event",
                "take them in the structure of the jets; fill missing ones with ak.fill_none",
            )
        )
    return np.asarray(ak.to_numpy(kept), np.float64)


def _histogram(axis: Any, values: AnyArray, jet: I8, weights: F8, dataset: str, systematic: str) -> hist.Hist:
    """Fill values that belong to jets: a jet's values in one bin are one entry of weight × their number."""
    histogram = hist.Hist(
        hist.axis.StrCategory([dataset], growth=True, name="dataset", label="Dataset"),
        hist.axis.StrCategory([systematic], growth=True, name="systematic", label="Systematic"),
        axis,
        storage=hist.storage.Weight(),
    )
    size = axis.extent
    index = axis.index(values) if len(values) else jet  # boost-histogram before 1.8 takes no numbers for text
    pairs, numbers = np.unique(jet * size + index + 1, return_counts=True)
    bins, weight = pairs % size, weights[pairs // size] * numbers
    view = histogram.view(flow=True)[0, 0]
    view["value"] = np.bincount(bins, weight, minlength=size)
    view["variance"] = np.bincount(bins, weight**2, minlength=size)
    return histogram

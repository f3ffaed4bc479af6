"""Jets by working point, decision, flavour and pT, for maps of tagging efficiencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import awkward as ak
import hist
import numpy as np

from ..errors import TaggerError, explain
from ..evaluation.working_points import check_edges
from .jet_rows import FlatJets
from .working_points import WorkingPoint

__all__ = ["PT_EDGES", "Efficiencies", "check_efficiencies", "efficiency_histogram"]

Flavour: TypeAlias = "str | Callable[[ak.Array], ak.Array]"

#: Collection -> flavour (field of the jets, or function of them), or (flavour, edges in pT).
Efficiencies: TypeAlias = "Mapping[str, Flavour | tuple[Flavour, Sequence[float]]]"

#: Edges in pT (GeV) of efficiency maps in CMS analyses.
PT_EDGES = (20.0, 30.0, 50.0, 70.0, 100.0, 140.0, 200.0, 300.0, 600.0, 1000.0)


def check_efficiencies(given: Efficiencies | None) -> dict[str, tuple[Flavour, tuple[float, ...]]]:
    """Collection -> flavour and edges.

    Raises
    ------
    TaggerError, JetError
        If there is no flavour, or the edges are not rising.
    """
    found = {}
    for collection, value in (given or {}).items():
        flavour, edges = value if isinstance(value, tuple) else (value, PT_EDGES)
        if not isinstance(flavour, str) and not callable(flavour):
            raise TaggerError(
                explain(
                    f"efficiencies of {collection} by {flavour!r}",
                    "a field of the jets, or a function of them, that tells the flavour; and perhaps edges in pT",
                    f"efficiencies={{'{collection}': ('hadronFlavour', [300, 500, 1000])}}",
                )
            )
        found[collection] = flavour, check_edges(edges)
    return found


def efficiency_histogram(
    dataset: str,
    jets: ak.Array,
    weights: ak.Array,
    points: Sequence[WorkingPoint],
    flavour: Flavour,
    edges: Sequence[float],
) -> hist.Hist:
    """Jets with a score, once per working point; those outside the edges are in the flow bins.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    jets : ak.Array
        ``[event][jet]`` with decisions.
    weights : ak.Array of float64
        One weight per event.
    points : sequence of WorkingPoint
        The working points.
    flavour : str or callable
        Field of the jets, or function of them.
    edges : sequence of float
        Edges in pT, GeV.
    """
    histogram = hist.Hist(
        hist.axis.StrCategory([], growth=True, name="dataset", label="Dataset"),
        hist.axis.StrCategory([], growth=True, name="working_point", label="Working point"),
        hist.axis.StrCategory(["fail", "pass"], name="decision", label="Decision"),
        hist.axis.IntCategory([], growth=True, name="flavour", label="Flavour"),
        hist.axis.Variable(list(edges), name="pt", label=r"Jet $p_T$ [GeV]"),
        storage=hist.storage.Weight(),
    )
    flat = FlatJets(jets)
    for point in points:
        known = ~np.asarray(ak.to_numpy(ak.is_none(ak.flatten(flat.jets[point.field], axis=1))), bool)
        passed = flat.decision(point.field, known)
        flavours, pt = flat.integers(flavour, known), flat.numbers("pt", known)
        for decision, chosen in (("pass", known & passed), ("fail", known & ~passed)):
            weight = np.asarray(ak.to_numpy(weights))[flat.event[chosen]]
            histogram.fill(dataset, point.label, decision, flavours[chosen], pt[chosen], weight=weight)
    return histogram

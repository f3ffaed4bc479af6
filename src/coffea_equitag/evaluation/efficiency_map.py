"""Tagging efficiencies by working point, flavour and pT, from the processor's output to a file of correctionlib."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np

from ..array_types import F8
from ..errors import JetError, explain
from .correction_file import by_category, by_pt, correction, write_corrections
from .weighted_efficiency import effective_interval
from .working_points import check_edges

__all__ = ["EFFICIENCY", "EfficiencyMap", "efficiency_map"]

#: Name of the correction that holds the efficiencies.
EFFICIENCY = "efficiency"


@dataclass(frozen=True)
class EfficiencyMap:
    """Efficiencies of simulated jets, with intervals (68.27%).

    Attributes
    ----------
    edges : tuple of float
        Edges in pT, GeV.
    efficiency, low, high : mapping of (str, int) to ndarray of float64
        (working point, flavour) -> one value per range of pT.
    num_jets : mapping of int to ndarray of float64
        Flavour -> effective number of jets in each range.
    """

    edges: tuple[float, ...]
    efficiency: Mapping[tuple[str, int], F8]
    low: Mapping[tuple[str, int], F8]
    high: Mapping[tuple[str, int], F8]
    num_jets: Mapping[int, F8]

    def to_correctionlib(self, path: str | os.PathLike[str], *, description: str = "") -> None:
        """Write the efficiencies as JSON for correctionlib (schema version 2).

        ``efficiency`` has the inputs ``systematic`` (central, up or down), ``working_point``, ``flavor`` and ``pt``
        (GeV), those of the scale factors of the CMS BTV group. Jets outside the edges take the nearest range; other
        flavours and working points are errors.

        Raises
        ------
        JetError
            If the file cannot be written there, or its name does not end in ``.json`` or ``.json.gz``.
        """
        points = tuple(dict.fromkeys(point for point, _ in self.efficiency))
        tables = {"central": self.efficiency, "up": self.high, "down": self.low}

        def by_flavour(table: Mapping[tuple[str, int], F8], point: str) -> Any:
            rows = {f: [float(f"{v:.15g}") for v in values] for (name, f), values in table.items() if name == point}
            return by_category("flavor", {flavour: by_pt(self.edges, row) for flavour, row in rows.items()})

        data = by_category(
            "systematic",
            {
                key: by_category("working_point", {point: by_flavour(table, point) for point in points})
                for key, table in tables.items()
            },
        )
        inputs = {
            "systematic": ("string", "central, up or down (statistical, 68.27%)"),
            "working_point": ("string", "Name of the working point."),
            "flavor": ("int", "Flavour of the jet, as in the simulation's labels."),
            "pt": ("real", "pT of the jet in GeV; jets outside the edges take the nearest range."),
        }
        text = " ".join(filter(None, ["Tagging efficiencies of simulated jets.", description]))
        write_corrections(path, text, [correction(EFFICIENCY, text, inputs, EFFICIENCY, data)])


def efficiency_map(
    output: Mapping[str, Any],
    collection: str | None = None,
    *,
    datasets: Sequence[str] | None = None,
    pt: Sequence[float] | None = None,
) -> EfficiencyMap:
    """Tagging efficiencies from the output of `TaggerProcessor` with ``efficiencies=``.

    ::

        options = {"working_points": "wp.json", "efficiencies": {"Jet": "hadronFlavour"}}
        processor = eqt.TaggerProcessor({"Jet": tagger}, **options)
        output = run(fileset, processor, treename="Events")
        eqt.evaluation.efficiency_map(output, datasets=["ttbar"]).to_correctionlib("efficiencies.json")

    Parameters
    ----------
    output : mapping
        The accumulated output.
    collection : str, optional
        The jets; not needed if there is one.
    datasets : sequence of str, optional
        Datasets to add up, by default all: efficiencies differ between processes.
    pt : sequence of float, optional
        Wider ranges: some of the histogram's edges.

    Raises
    ------
    JetError
        If there are no such efficiencies, or a range of a flavour has no jets.
    """
    histograms = output.get("efficiencies") or {}
    names = list(histograms) if collection is None else [collection]
    if len(names) != 1 or names[0] not in histograms:
        known = ", ".join(histograms) or "none"
        raise JetError(
            explain(
                f"efficiencies of {collection or 'unnamed jets'}; the output has those of {known}",
                "the collection, and an output with efficiencies of it",
                "give collection='Jet', and TaggerProcessor(..., efficiencies={'Jet': 'hadronFlavour'})",
            )
        )
    histogram = _of_datasets(histograms[names[0]], datasets)
    edges = tuple(map(float, histogram.axes["pt"].edges))
    starts, edges = _merged(edges, edges if pt is None else check_edges(pt))
    flavours = [int(flavour) for flavour in histogram.axes["flavour"]]
    found: tuple[dict[Any, F8], ...] = ({}, {}, {})
    num_jets: dict[int, F8] = {}
    for point in histogram.axes["working_point"]:
        for flavour in sorted(flavours):
            rows = [
                _sums(histogram[{"working_point": point, "decision": decision, "flavour": _at(flavour)}], starts)
                for decision in ("pass", "fail")
            ]
            (passed, passed_squared), (failed, failed_squared) = rows
            total, squared = passed + failed, passed_squared + failed_squared
            _check_filled(total, point, flavour, edges)
            num_jets[flavour] = total**2 / squared
            found[0][point, flavour] = passed / total
            found[1][point, flavour], found[2][point, flavour] = effective_interval(
                passed, passed_squared, total, squared
            )
    return EfficiencyMap(edges, found[0], found[1], found[2], num_jets)


def _at(value: int) -> Any:
    import hist

    return hist.loc(value)


def _of_datasets(histogram: Any, datasets: Sequence[str] | None) -> Any:
    known = list(histogram.axes["dataset"])
    wanted = known if datasets is None else [datasets] if isinstance(datasets, str) else list(datasets)
    if not wanted or (unknown := [name for name in wanted if name not in known]):
        what = ", ".join(unknown) if wanted else "no datasets"
        raise JetError(explain(f"datasets {what}", f"some of {', '.join(known)}", "correct the names"))
    return reduce(add, (histogram[{"dataset": name}] for name in wanted))


def _merged(fine: tuple[float, ...], edges: tuple[float, ...]) -> tuple[list[int], tuple[float, ...]]:
    """Indices of the fine edges."""
    if not set(edges) <= set(fine):
        raise JetError(
            explain(
                f"edges {edges}", f"some of the histogram's: {', '.join(f'{e:g}' for e in fine)}", "choose of these"
            )
        )
    return [fine.index(edge) for edge in edges], edges


def _sums(histogram: Any, at: list[int]) -> tuple[F8, F8]:
    """Σ w and Σ w² between edges."""
    view = histogram.view(flow=False)
    each = [view[start:stop] for start, stop in pairwise(at)]
    return np.array([part.value.sum() for part in each]), np.array([part.variance.sum() for part in each])


def _check_filled(total: F8, point: str, flavour: int, edges: tuple[float, ...]) -> None:
    if (total > 0).all():
        return
    first = int(np.argmax(total <= 0))
    raise JetError(
        explain(
            f"no jets of flavour {flavour} at pT {edges[first]:g} to {edges[first + 1]:g} GeV (working point {point})",
            "jets of each flavour in every range of pT",
            f"merge it with its neighbour (pt=[...] without {edges[first or 1]:g}), or use more events",
        )
    )

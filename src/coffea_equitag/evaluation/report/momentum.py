"""The sections of a report on a tagger that returns four-momenta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import awkward as ak

from ..resolution import QUANTITIES, MomentumResolution, ResponseBin, beside_jets, momentum_resolution, response
from ..resolution_plots import draw_response, draw_response_by_pt
from .section import Cell, Picture, Section, Table

__all__ = ["momentum_sections", "momentum_summary"]

_TEXT = (
    "What the tagger makes of each jet's momentum, compared with the true one, beside the jet's own momentum: what has "
    "to be beaten. Responses are ratios to the truth. The width is half of the central 68.27% of a distribution, one "
    "standard deviation if it is Gaussian; of an angle, the value below which 68.27% lie. A space-like momentum has "
    "a negative mass.\n\nIntervals (68.27%) come from a bootstrap over the jets."
)

_TITLES = {"mass": "Mass", "pt": "Transverse momentum", "angle": "Direction"}


def momentum_summary(resolutions: dict[str, MomentumResolution]) -> dict[str, Cell]:
    """The numbers that matter most: the widths of the tagger's."""
    spreads = resolutions["tagger"].spreads
    return {f"width of {QUANTITIES[name]}": spread.width for name, spread in spreads.items()}


def momentum_sections(
    jets: ak.Array,
    momenta: ak.Array,
    *,
    truth: str = "momentum",
    weights: Any = None,
    edges: Sequence[float] | None = None,
) -> tuple[list[Section], dict[str, MomentumResolution]]:
    """Sections on the resolution: a table of all, then mass, pT and angle, also against the true pT.

    Parameters
    ----------
    jets, momenta, truth, weights
        As `resolution_of_jets`.
    edges : sequence of float, optional
        Bins of the true pT in GeV; by default up to six of equally many jets.

    Returns
    -------
    list of Section, dict of str to MomentumResolution
        And the resolutions that they show, of the ``"tagger"`` and of the ``"jet"``.
    """
    found, true, weight = beside_jets(jets, momenta, truth, weights)
    resolutions = {name: momentum_resolution(rows, true, weights=weight) for name, rows in found.items()}
    bins = {name: response(rows, true, edges, weights=weight) for name, rows in found.items()}
    sections = [_overview(resolutions)]
    for quantity, title in _TITLES.items():
        pictures = [
            Picture(
                draw_response(found, true, quantity, weights=weight),
                f"{QUANTITIES[quantity]}: the central 98% of the jets.",
            ),
            Picture(
                draw_response_by_pt(bins, quantity),
                f"Median and width of {QUANTITIES[quantity]} against the true pT, in bins, each point at the "
                "median of its bin.",
            ),
        ]
        sections.append(Section(title, "", pictures, [_by_pt(bins, quantity)], _numbers(bins, quantity), quantity))
    return sections, resolutions


def _overview(resolutions: dict[str, MomentumResolution]) -> Section:
    rows: list[list[Cell]] = [
        [f"{QUANTITIES[quantity]}, {name}", spread.median, spread.width, spread.iqr, spread.number]
        for quantity in QUANTITIES
        for name, resolution in resolutions.items()
        for spread in [resolution.spreads[quantity]]
    ]
    table = Table(("", "median", "width", "interquartile range", "jets"), rows)
    data = {name: resolution.as_dict() for name, resolution in resolutions.items()}
    return Section("Momentum resolution", _TEXT, (), [table], data)


def _by_pt(bins: dict[str, tuple[ResponseBin, ...]], quantity: str) -> Table:
    header = ["true pT (GeV)", *(f"{what}, {name}" for name in bins for what in ("median", "width"))]
    rows: list[list[Cell]] = []
    for row in zip(*bins.values(), strict=True):
        spreads = [one.resolution.spreads[quantity] for one in row]
        cells: list[Cell] = [part for spread in spreads for part in (spread.median, spread.width)]
        rows.append([f"{row[0].low:.4g} to {row[0].high:.4g}", *cells])
    return Table(header, rows)


def _numbers(bins: dict[str, tuple[ResponseBin, ...]], quantity: str) -> dict[str, Any]:
    return {
        name: [
            {"low": one.low, "high": one.high, "pt": one.pt} | one.resolution.spreads[quantity].as_dict()
            for one in found
        ]
        for name, found in bins.items()
    }

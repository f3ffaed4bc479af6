"""The statistical model as a pyhf workspace, and its fit with cabinetry."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cabinetry
import numpy as np
import pyhf
from matplotlib.figure import Figure
from pyhf.contrib.viz import brazil

from .background import Estimate

#: Relative uncertainties of normalisations. The tagger is not calibrated on data: 10% per tagged top is an assumption.
LUMINOSITY, TTBAR_CROSS_SECTION, TAGGING = 0.02, 0.2, 0.21

CHANNEL = "signal_region"

#: Signal strengths at which CLs is computed.
SCAN_POINTS = 12

#: Smallest yield of a bin: a bin without expected events has no likelihood if it has data.
FLOOR = 1e-3


@dataclass(frozen=True)
class Template:
    """A simulated process in the signal region: yields and standard deviations (K,), and source -> (up, down)."""

    values: np.ndarray
    statistics: np.ndarray
    variations: dict[str, tuple[np.ndarray, np.ndarray]]


def workspace(data: np.ndarray, signal: Template, ttbar: Template, qcd: Estimate) -> dict[str, Any]:
    """One channel, the dijet mass in the signal region, with the signal strength μ as parameter of interest."""
    samples = [
        _simulated("signal", signal, [{"name": "mu", "type": "normfactor", "data": None}]),
        _simulated("ttbar", ttbar, [_normalisation("ttbar_cross_section", TTBAR_CROSS_SECTION)]),
        {
            "name": "qcd",
            "data": _floored(qcd.values),
            "modifiers": [
                # independent Poisson counts in the fail region
                {"name": "qcd_counts", "type": "shapesys", "data": np.maximum(qcd.statistics, FLOOR).tolist()},
                _normalisation("qcd_closure", qcd.closure[2]),
                *_shapes(qcd.variations),
            ],
        },
    ]
    return {
        "channels": [{"name": CHANNEL, "samples": samples}],
        "observations": [{"name": CHANNEL, "data": data.tolist()}],
        "measurements": [
            {
                "name": "resonance",
                "config": {"poi": "mu", "parameters": [{"name": "mu", "bounds": [[0.0, 100.0]], "inits": [1.0]}]},
            }
        ],
        "version": "1.0.0",
    }


def _simulated(name: str, template: Template, further: list[dict[str, Any]]) -> dict[str, Any]:
    modifiers = [
        _normalisation("luminosity", LUMINOSITY),
        _normalisation("top_tagging", TAGGING),
        {"name": f"staterror_{CHANNEL}", "type": "staterror", "data": template.statistics.tolist()},
        *_shapes(template.variations),
    ]
    return {"name": name, "data": _floored(template.values), "modifiers": further + modifiers}


def _normalisation(name: str, relative: float) -> dict[str, Any]:
    return {"name": name, "type": "normsys", "data": {"hi": 1 + relative, "lo": 1 / (1 + relative)}}


def _shapes(variations: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": "histosys", "data": {"hi_data": _floored(up), "lo_data": _floored(down)}}
        for name, (up, down) in variations.items()
    ]


def _floored(values: np.ndarray) -> list[float]:
    return np.maximum(values, FLOOR).tolist()


@dataclass(frozen=True)
class Result:
    """Signal strength with its uncertainty, limits on it at 95% CL (expected: -2, -1, 0, 1, 2 σ), significance."""

    strength: float
    uncertainty: float
    observed_limit: float
    expected_limits: list[float]
    significance: float
    expected_significance: float
    goodness_of_fit: float


def run(spec: dict[str, Any], folder: Path) -> tuple[Result, Any, Any]:
    """Validate and save the workspace, fit it, and plot pulls and the scan of limits; also returns model and fit."""
    logging.getLogger("cabinetry").setLevel(logging.ERROR)
    pyhf.schema.validate(spec, "workspace.json")
    (folder / "workspace.json").write_text(json.dumps(spec, indent=1) + "\n")
    model, data = cabinetry.model_utils.model_and_data(spec)
    best = cabinetry.fit.fit(model, data, goodness_of_fit=True)
    discovery = cabinetry.fit.significance(model, data)
    pulls = cabinetry.visualize.pulls(best, exclude="mu", save_figure=False, close_figure=True)
    pulls.savefig(folder / "pulls.png", dpi=110)
    poi = model.config.poi_index
    strength, uncertainty = float(best.bestfit[poi]), float(best.uncertainty[poi])
    observed, expected = limits(model, data, strength + 5 * uncertainty, folder)
    result = Result(
        strength,
        uncertainty,
        observed,
        expected,
        float(discovery.observed_significance),
        float(discovery.expected_significance),
        float(best.goodness_of_fit),
    )
    return result, model, best


def limits(model: Any, data: Any, highest: float, folder: Path) -> tuple[float, list[float]]:
    """Observed and expected CLs limits on the signal strength, interpolated between the points of a scan."""
    scan = np.linspace(0.0, min(highest, model.config.suggested_bounds()[model.config.poi_index][1]), SCAN_POINTS)
    observed, expected, (points, tests) = pyhf.infer.intervals.upper_limits.upper_limit(
        data, model, scan, return_results=True
    )
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    brazil.plot_results(points, tests, ax=axes)
    axes.set(xlabel="signal strength", ylabel="CLs")
    figure.savefig(folder / "limit.png", dpi=110)
    return float(observed), [float(value) for value in expected]

"""Evaluation: metrics and plots of scores on labelled jets."""

import importlib
from typing import TYPE_CHECKING, Any

from .accumulator import Evaluation
from .binned_efficiency import BinnedEfficiency
from .confusion import Confusion
from .discriminate import discriminate
from .efficiency_map import EfficiencyMap, efficiency_map
from .estimate import Estimate
from .intervals import binomial_interval, poisson_interval
from .measured_points import WorkingPoints
from .metrics import Metrics, Rejection, measure, roc, roc_band, separate
from .reliability import Calibration, CalibrationCurve
from .resolution import MomentumResolution, momentum_resolution, resolution_of_jets, response
from .robustness import Difference, differences, paired_differences
from .sculpting import Sculpting
from .separation import Separation
from .working_points import working_points

if TYPE_CHECKING:
    from . import plots, report
    from .comparison import Comparison, compare
    from .inputs import input_histograms
    from .temperature import TemperatureFit, fit_temperature

#: Imported only when needed, with hist, torch and matplotlib.
_LATER = {
    "Comparison": ".comparison",
    "TemperatureFit": ".temperature",
    "compare": ".comparison",
    "fit_temperature": ".temperature",
    "input_histograms": ".inputs",
}

__all__ = [
    "BinnedEfficiency",
    "Calibration",
    "CalibrationCurve",
    "Comparison",
    "Confusion",
    "Difference",
    "EfficiencyMap",
    "Estimate",
    "Evaluation",
    "Metrics",
    "MomentumResolution",
    "Rejection",
    "Sculpting",
    "Separation",
    "TemperatureFit",
    "WorkingPoints",
    "binomial_interval",
    "compare",
    "differences",
    "discriminate",
    "efficiency_map",
    "fit_temperature",
    "input_histograms",
    "measure",
    "momentum_resolution",
    "paired_differences",
    "plots",
    "poisson_interval",
    "report",
    "resolution_of_jets",
    "response",
    "roc",
    "roc_band",
    "separate",
    "working_points",
]


def __getattr__(name: str) -> Any:
    if name in ("plots", "report"):
        return importlib.import_module(f".{name}", __name__)
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

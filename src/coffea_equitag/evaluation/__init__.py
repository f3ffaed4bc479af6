"""Evaluation: metrics and plots of scores on labelled jets."""

import importlib
from typing import TYPE_CHECKING, Any

from .discriminate import discriminate
from .intervals import binomial_interval, poisson_interval
from .metrics import Metrics, Rejection, measure, roc, roc_band

if TYPE_CHECKING:
    from . import plots
    from .comparison import Comparison, compare
    from .inputs import input_histograms

#: Imported only when needed, with hist, torch and matplotlib.
_LATER = {"Comparison": ".comparison", "compare": ".comparison", "input_histograms": ".inputs"}

__all__ = [
    "Comparison",
    "Metrics",
    "Rejection",
    "binomial_interval",
    "compare",
    "discriminate",
    "input_histograms",
    "measure",
    "plots",
    "poisson_interval",
    "roc",
    "roc_band",
]


def __getattr__(name: str) -> Any:
    if name == "plots":
        return importlib.import_module(".plots", __name__)
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Evaluation: metrics and plots of scores on labelled jets."""

import importlib
from typing import TYPE_CHECKING, Any

from .discriminate import discriminate
from .intervals import binomial_interval
from .metrics import Metrics, Rejection, measure, roc, roc_band

if TYPE_CHECKING:
    from . import plots

__all__ = ["Metrics", "Rejection", "binomial_interval", "discriminate", "measure", "plots", "roc", "roc_band"]


def __getattr__(name: str) -> Any:
    if name == "plots":  # matplotlib is imported only for plots
        return importlib.import_module(".plots", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

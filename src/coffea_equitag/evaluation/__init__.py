"""Evaluation: metrics and plots of scores on labelled jets."""

import importlib
from typing import TYPE_CHECKING, Any

from .metrics import Metrics, Rejection, measure, roc

if TYPE_CHECKING:
    from . import plots

__all__ = ["Metrics", "Rejection", "measure", "plots", "roc"]


def __getattr__(name: str) -> Any:
    if name == "plots":  # matplotlib is imported only for plots
        return importlib.import_module(".plots", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The objective that the settings of a training ask for."""

from __future__ import annotations

from ...errors import TaggerError, explain
from ..settings import Settings
from .auxiliary import MultiTask
from .classification import Classification
from .decorrelated import Decorrelated
from .objective import Objective
from .regression import MomentumRegression, VectorRegression

__all__ = ["objective_of"]


def objective_of(settings: Settings) -> Objective:
    """What is learned of the jets, and of their constituents if that is asked for.

    Raises
    ------
    TaggerError
        If it does not have the metric that is to select the best epoch.
    """
    found: Objective = _of_jets(settings)
    if settings.auxiliary:
        found = MultiTask(found, settings.auxiliary)
    if settings.monitor not in found.monitors:
        raise TaggerError(
            explain(
                f"fit with monitor = {settings.monitor!r}",
                f"one of {', '.join(found.monitors)}",
                "name a metric that this training has",
            )
        )
    return found


def _of_jets(settings: Settings) -> Objective:
    if not settings.classifies:
        return MomentumRegression() if settings.options["output"] == "momentum" else VectorRegression()
    signal, smoothing = settings.classes.index(settings.signal), settings.recipe.label_smoothing
    if settings.decorrelate is None:
        return Classification(signal, smoothing)
    return Decorrelated(signal, settings.decorrelation, smoothing)

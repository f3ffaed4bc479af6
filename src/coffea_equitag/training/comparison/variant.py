"""Runs that differ in the seed alone, and how they differ from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...evaluation.estimate import Estimate

__all__ = ["Variant"]


@dataclass(frozen=True)
class Variant:
    """Runs that differ in the seed alone.

    Attributes
    ----------
    name : str
        Their folder.
    num_runs, num_parameters : int
        Number of runs, and of the network's parameters.
    quartiles : mapping of str to (float, float, float)
        Lower quartile, median and upper quartile over the runs, per metric.
    seconds : float or None
        Median training time; None where runs of older versions are among them.
    processor : str or None
        What the first of them was trained on.
    differences : mapping of str to Estimate
        Its medians minus those of the baseline, with the interval that holds 68.27% of the replicas, per metric; empty
        for the baseline.
    """

    name: str
    num_runs: int
    num_parameters: int
    quartiles: Mapping[str, tuple[float, float, float]]
    seconds: float | None
    processor: str | None
    differences: Mapping[str, Estimate]

"""Finished runs, compared."""

from .chosen_metrics import ChosenMetrics, chosen_metrics, is_better
from .finished_run import FinishedRun, find_runs
from .replicas import Replicated, draw_jets, replicated
from .run_comparison import METRICS, RunComparison, compare_runs
from .scored_jets import ScoredJets
from .table import metric_title

__all__ = [
    "METRICS",
    "ChosenMetrics",
    "FinishedRun",
    "Replicated",
    "RunComparison",
    "ScoredJets",
    "chosen_metrics",
    "compare_runs",
    "draw_jets",
    "find_runs",
    "is_better",
    "metric_title",
    "replicated",
]

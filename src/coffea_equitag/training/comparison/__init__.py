"""Finished runs, compared."""

from .chosen_metrics import ChosenMetrics, chosen_metrics, is_better
from .finished_run import FinishedRun, find_runs
from .replicas import Replicated, draw_jets, replicated
from .run_comparison import RunComparison, compare_runs
from .scored_jets import ScoredJets

__all__ = [
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
    "replicated",
]

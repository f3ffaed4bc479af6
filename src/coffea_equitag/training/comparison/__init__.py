"""Finished runs, compared."""

from .run_comparison import RunComparison, compare_runs

__all__ = ["RunComparison", "compare_runs"]

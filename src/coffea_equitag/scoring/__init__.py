"""Read ROOT files and write them with scores added, chunk by chunk."""

from .stream import ScoringReport, score_file

__all__ = ["ScoringReport", "score_file"]

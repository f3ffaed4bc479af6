"""ROOT files in, the same files with scores out, streamed."""

from .stream import ScoringReport, score_file

__all__ = ["ScoringReport", "score_file"]

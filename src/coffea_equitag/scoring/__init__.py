"""Read files of events and write them with scores added, chunk by chunk."""

from .reports import FailedFilesError, FileReport, FilesReport
from .score_many import score_files
from .score_one import ScoringReport, score_file

__all__ = ["FailedFilesError", "FileReport", "FilesReport", "ScoringReport", "score_file", "score_files"]

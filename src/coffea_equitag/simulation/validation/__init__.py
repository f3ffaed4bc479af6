"""Simulated jets against real ones: a table, plots, and networks that try to tell them apart.

`validate_files` compares files, `compare_samples` the `JetSample`s of jets in memory, `write_report` writes what they
find. On the command line: ``equitag validate``.
"""

from __future__ import annotations

from .comparison import Comparison, compare_samples
from .jet_sample import JetSample
from .report import validate_files, write_report

__all__ = ["Comparison", "JetSample", "compare_samples", "validate_files", "write_report"]

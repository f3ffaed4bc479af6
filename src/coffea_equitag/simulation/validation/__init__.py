"""Compare simulated jets with real ones: a table, plots, and networks trained to distinguish them.

`validate_files` compares files, `compare_samples` compares samples in memory (`JetSample`), and `write_report` writes
the result. On the command line: ``equitag validate``.
"""

from __future__ import annotations

from .comparison import Comparison, compare_samples
from .jet_sample import JetSample
from .report import validate_files, write_report

__all__ = ["Comparison", "JetSample", "compare_samples", "validate_files", "write_report"]

"""Reports: sections of text, figures and tables, as one page that needs nothing else, and the same numbers as JSON."""

from .page import report_files, write_report
from .section import Picture, Section, Table

__all__ = ["Picture", "Section", "Table", "report_files", "write_report"]

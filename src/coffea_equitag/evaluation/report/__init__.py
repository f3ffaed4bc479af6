"""Reports: sections of text, figures and tables, as one page that needs nothing else, and the same numbers as JSON."""

from .classification import classification_sections, robustness_section, summary
from .page import report_files, write_report
from .section import Picture, Section, Table

__all__ = [
    "Picture",
    "Section",
    "Table",
    "classification_sections",
    "report_files",
    "robustness_section",
    "summary",
    "write_report",
]

"""What came of many files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import JetError, explain

__all__ = ["FailedFilesError", "FileReport", "FilesReport"]

#: Failures that a message shows.
_SHOWN = 20


@dataclass(frozen=True)
class FileReport:
    """One input of `score_files`.

    Attributes
    ----------
    source : str
        Its path or address.
    output : Path
        The file that belongs to it.
    status : {"scored", "kept", "failed"}
        Scored now; complete from an earlier run; or not written.
    events, jets, unscored : int
        Events, jets, and jets without a score; 0 if it failed.
    not_copied : tuple of str
        Branches and objects that cannot be written, with their types.
    fault : str, optional
        Why it failed.
    seconds : float
        How long it took.
    """

    source: str
    output: Path
    status: Literal["scored", "kept", "failed"]
    events: int = 0
    jets: int = 0
    unscored: int = 0
    not_copied: tuple[str, ...] = ()
    fault: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class FilesReport:
    """Summary of `score_files`.

    Attributes
    ----------
    files : tuple of FileReport
        All inputs, in their order.
    branches : tuple of str
        The new branches.
    seconds : float
        Wall-clock time.
    """

    files: tuple[FileReport, ...]
    branches: tuple[str, ...]
    seconds: float

    @property
    def scored(self) -> tuple[FileReport, ...]:
        """Those that were scored now."""
        return tuple(file for file in self.files if file.status == "scored")

    @property
    def kept(self) -> tuple[FileReport, ...]:
        """Those whose outputs were complete."""
        return tuple(file for file in self.files if file.status == "kept")

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """Those without an output."""
        return tuple(file for file in self.files if file.status == "failed")

    @property
    def not_copied(self) -> tuple[str, ...]:
        """Branches and objects that cannot be written, with their types."""
        return tuple(dict.fromkeys(name for file in self.files for name in file.not_copied))


class FailedFilesError(JetError):
    """Some files were not scored; the others were.

    Attributes
    ----------
    report : FilesReport
        What came of all of them.
    """

    def __init__(self, report: FilesReport) -> None:
        self.report = report
        faults = [str(file.fault) for file in report.failed]
        super().__init__(
            explain(
                f"{len(faults)} of {len(report.files)} files were not scored:\n{listed(faults)}",
                "files that can be read and scored",
                "correct what is named above and run the same again: what is complete is kept",
            )
        )

    def __reduce__(self) -> tuple[type[FailedFilesError], tuple[FilesReport]]:
        return FailedFilesError, (self.report,)


def listed(lines: list[str]) -> str:
    """The first of several texts, one per line and indented."""
    shown = [f"  {line}".replace("\n", "\n  ") for line in lines[:_SHOWN]]
    return "\n".join([*shown, f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else shown)

"""Warnings of many chunks and files, each given once."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..readers.completeness import Completeness, counted

__all__ = ["GatheredWarnings", "gathered_warnings"]


@dataclass
class GatheredWarnings:
    """Numbers of jets without all of their candidates, and other warnings; picklable.

    Attributes
    ----------
    counts : list of Completeness
        One per call of a reader.
    others : list of (class, text, file, line)
        Warnings, and where they come from.
    """

    counts: list[Completeness] = field(default_factory=list)
    others: list[tuple[type[Warning], str, str, int]] = field(default_factory=list)

    @classmethod
    def sum(cls, several: Iterable[GatheredWarnings]) -> GatheredWarnings:
        """All of several."""
        found = cls()
        for one in several:
            found.counts += one.counts
            found.others += one.others
        return found

    def give(self, stacklevel: int = 2) -> None:
        """Warn of the sums per collection, and once of what comes from the same line."""
        sums = dict[str, Completeness]()
        for one in self.counts:
            sums[one.collection] = sums[one.collection] + one if one.collection in sums else one
        for summed in sums.values():
            summed.warn(stacklevel=stacklevel + 1)
        first = dict[tuple[type[Warning], str, int], str]()
        for category, text, file, line in self.others:
            first.setdefault((category, file, line), text)
        for (category, file, line), text in first.items():
            warnings.warn_explicit(text, category, file, line)


@contextmanager
def gathered_warnings() -> Iterator[GatheredWarnings]:
    """Within this block nothing is warned of; the caller gives what was gathered."""
    found = GatheredWarnings()
    with warnings.catch_warnings(record=True) as caught, counted() as counts:
        try:
            yield found
        finally:
            found.counts += counts
            found.others += [(one.category, str(one.message), one.filename, one.lineno) for one in caught]

"""What `working_points` measures: thresholds by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..array_types import F8
from .threshold import Threshold

__all__ = ["WorkingPoints"]


@dataclass(frozen=True)
class WorkingPoints:
    """Thresholds by name; prints as a table.

    Attributes
    ----------
    points : mapping of str to tuple of Threshold
        One threshold per range of pT, or a single one.
    efficiencies : mapping of str to float
        The wanted efficiency of each working point.
    background : bool
        Whether these are efficiencies of the background (mistag rates).
    edges : tuple of float, optional
        Edges in pT, GeV. Jets below the first take the first range's threshold, jets at or above the last edge the
        last range's.
    flat : bool
        Whether each range has its own threshold.
    num_missing, num_outside : int
        Jets left out: without a score, and outside the edges.
    """

    points: Mapping[str, tuple[Threshold, ...]]
    efficiencies: Mapping[str, float]
    background: bool
    edges: tuple[float, ...] | None
    flat: bool
    num_missing: int
    num_outside: int

    def __getitem__(self, name: str) -> tuple[Threshold, ...]:
        return self.points[name]

    def thresholds(self, name: str) -> F8:
        """The threshold in each range of pT, or the single one."""
        return np.asarray([point.value for point in self.points[name]])

    def to_correctionlib(
        self, path: str | os.PathLike[str], *, name: str = "score", tagger: Any = None, description: str = ""
    ) -> None:
        """Write the thresholds as JSON for correctionlib (schema version 2).

        ``NAME_wp_values`` holds the thresholds, with the inputs ``working_point`` and, in bins, ``pt`` (GeV; clamped:
        jets outside the edges take the nearest range). ``NAME_wp_intervals`` (``bound``: low or high) and
        ``NAME_wp_efficiencies`` (``jets``: signal or background; ``systematic``: central, up or down) hold what was
        measured with them.

        Parameters
        ----------
        path : path-like
            The file, ``.json`` or ``.json.gz``; it appears only when complete.
        name : str
            Name of the score on the jets, as `attach` gives it; ``"FatJet_score"`` if it exists on several collections.
        tagger : Tagger or str, optional
            The tagger (or its content hash): scores of any other are then refused by `TaggerProcessor` and `attach`.
        description : str
            What the jets were, for readers of the file.

        Raises
        ------
        JetError
            If the file cannot be written there, or its name does not end in ``.json`` or ``.json.gz``.
        """
        from .points_file import tagger_in_words, write

        kind = "background" if self.background else "signal"
        wanted = ", ".join(f"{label}: {100 * value:g}%" for label, value in self.efficiencies.items())
        about = f"Thresholds by {kind} efficiency ({wanted}); a jet passes at or above the threshold."
        about = " ".join(filter(None, [about, description, tagger_in_words(tagger)]))
        write(self.points, self.edges, path, name=name, description=about)

    def __str__(self) -> str:
        kind = "background" if self.background else "signal"
        rows = [("working point", "pT [GeV]", "score ≥", "interval", "signal", "background")]
        for name, thresholds in self.points.items():
            for at in thresholds:
                pt = "all" if at.pt is None else f"{at.pt[0]:g}–{at.pt[1]:g}"
                interval = f"[{at.low:.6g}, {at.high:.6g}]"
                rows.append((name, pt, f"{at.value:.6g}", interval, str(at.signal), str(at.background or "no jets")))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        ]
        wanted = ", ".join(f"{name} {100 * value:g}%" for name, value in self.efficiencies.items())
        return "\n".join([f"{kind} efficiency: {wanted}", *lines])

"""The style of all plots."""

from __future__ import annotations

import matplotlib as mpl
import mplhep

__all__ = ["COLORS", "STYLE"]

#: mplhep's style of CMS, whose pages and letters are large, scaled to a figure in a report.
STYLE = mplhep.style.CMS | {
    "figure.figsize": (6.4, 5.6),
    "mathtext.fontset": "dejavusans",  # the style's own looks for a cursive font, and says so where there is none
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "axes.labelsize": 14,
    "axes.titlesize": 11,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "legend.fontsize": 11,
    "lines.linewidth": 1.5,
    "axes.linewidth": 1.2,
    "xtick.major.size": 7,
    "xtick.minor.size": 3.5,
    "ytick.major.size": 7,
    "ytick.minor.size": 3.5,
    "savefig.bbox": None,
}


def _colors() -> tuple[str, ...]:
    with mpl.rc_context(STYLE):
        return tuple(mpl.rcParams["axes.prop_cycle"].by_key()["color"])


#: The style's colours, by themselves: names such as C1 would be looked up when the figure is saved, in another style.
COLORS = _colors()

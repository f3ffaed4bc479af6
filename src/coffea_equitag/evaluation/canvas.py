"""An empty figure with a title that fits."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

__all__ = ["canvas", "fit_title"]


def canvas(title: str) -> tuple[Figure, Any]:
    """A figure and its axes; call `fit_title` when all is drawn."""
    figure = Figure(layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    axes.yaxis.set_minor_formatter(NullFormatter())
    return figure, axes


def fit_title(figure: Figure) -> None:
    """Make the letters of the title smaller where it is wider than the plot."""
    axes = figure.axes[0]
    text = axes.get_title(loc="left")
    if not text:
        return
    figure.draw_without_rendering()
    title = axes.set_title(text, loc="left")
    width, room = title.get_window_extent().width, axes.bbox.width
    if width > room:
        title.set_fontsize(float(title.get_fontsize()) * room / width)

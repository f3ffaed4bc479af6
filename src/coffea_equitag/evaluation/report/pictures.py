"""Figures as addresses that hold them, ``data:image/svg+xml;base64,...``."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

__all__ = ["data_url"]

#: The same figure has the same bytes, in every process and on every day.
_SAME: Any = {"svg.hashsalt": "coffea-equitag", "svg.fonttype": "path"}
#: Points of all the paths of a figure beyond which pixels take less room than lines.
_MOST_POINTS = 30_000


def data_url(figure: Figure) -> str:
    """The figure, as lines where it has few enough, otherwise as pixels."""
    stream = io.BytesIO()
    if _points(figure) > _MOST_POINTS:
        figure.savefig(stream, format="png", dpi=160)
        return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    with mpl.rc_context(_SAME):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _points(figure: Figure) -> int:
    lines = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    areas = [path.vertices for axes in figure.axes for each in axes.collections for path in each.get_paths()]
    return sum(len(np.asarray(points)) for points in (*lines, *areas))

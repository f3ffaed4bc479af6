"""When a training ends before its last epoch."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import TaggerError, explain

__all__ = ["Clock", "Stopping", "seconds_of"]

#: [days-]hours:minutes:seconds or minutes:seconds.
_TIME = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)")


@dataclass(frozen=True)
class Stopping:
    """Early stopping: a training ends after `patience` epochs without a better value of the monitor.

    It follows from the metrics of the epochs alone.

    Attributes
    ----------
    patience : int or None
        None: never.
    monitor : str
        The metric.
    lower_is_better : bool
        Whether its best value is the lowest.
    since : int
        Epochs are counted after this one: where a finished run was given more epochs.
    """

    patience: int | None
    monitor: str
    lower_is_better: bool
    since: int = 0

    def ends(self, rows: Sequence[Mapping[str, float]]) -> bool:
        """Whether a training with these metrics of its epochs ends."""
        if self.patience is None or not rows:
            return False
        figures = [row[self.monitor] if self.lower_is_better else -row[self.monitor] for row in rows]
        best = figures.index(min(figures)) + 1
        return len(rows) - max(best, self.since) >= self.patience


def seconds_of(limit: float | str | None) -> float | None:
    """A time in seconds: a number, ``"minutes:seconds"`` or ``"[days-]hours:minutes:seconds"``.

    Raises
    ------
    TaggerError
        For anything else, and if it is not positive.
    """
    if limit is None:
        return None
    found = _TIME.fullmatch(limit.strip()) if isinstance(limit, str) else None
    if found is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        total = float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    else:
        try:
            total = float(limit)
        except (TypeError, ValueError):
            total = -1.0
    if not 0 < total < float("inf"):
        raise TaggerError(
            explain(
                f"time_limit = {limit!r}",
                "seconds, or a time such as '3:50:00' or '1-12:00:00'",
                "give the time after which training stops with a checkpoint",
            )
        )
    return total


class Clock:
    """The time that a training may take, from now on.

    Parameters
    ----------
    limit : float, str or None
        See `seconds_of`; None: no limit.
    """

    def __init__(self, limit: float | str | None) -> None:
        self.limit = seconds_of(limit)
        self._start = time.monotonic()

    @property
    def is_up(self) -> bool:
        """Whether the time has passed."""
        return self.limit is not None and time.monotonic() - self._start >= self.limit

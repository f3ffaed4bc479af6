"""What a network knows of each constituent just before it adds them up: recorded where somebody wants it.

Networks hand their rows to `record`, which does nothing unless the call stands in a ``with recording() as rows``.
Kernels keep these rows to themselves, so the layers run meanwhile (see ``kernels.dispatch``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

__all__ = ["record", "recording", "wanted"]

_rows: ContextVar[list[Tensor] | None] = ContextVar("rows", default=None)


@contextmanager
def recording() -> Iterator[list[Tensor]]:
    """Collect, in this thread, the rows (N, C) that a network records."""
    rows: list[Tensor] = []
    token = _rows.set(rows)
    try:
        yield rows
    finally:
        _rows.reset(token)


def wanted() -> bool:
    """Whether this thread is recording."""
    return _rows.get() is not None


def record(rows_NC: Tensor, reference_N: Tensor | None = None) -> None:
    """Record one row per constituent; those of reference vectors (beams, spurions), marked True, are left out."""
    rows = _rows.get()
    if rows is not None:
        rows.append(rows_NC if reference_N is None else rows_NC[~reference_N])

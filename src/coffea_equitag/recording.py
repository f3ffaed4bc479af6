"""What a network knows on its way to the outputs: recorded where somebody wants it.

Networks hand their rows to ``constituent_rows.record`` and ``jet_rows.record``, which do nothing unless the call stands
in a ``with jet_rows.recording() as rows``. Kernels keep these rows to themselves, so the layers run meanwhile (see
``kernels.dispatch``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

__all__ = ["Recorder", "constituent_rows", "jet_rows", "wanted"]


class Recorder:
    """Rows of one kind, recorded in the thread that asks for them."""

    def __init__(self, name: str) -> None:
        self._rows: ContextVar[list[Tensor] | None] = ContextVar(name, default=None)

    @contextmanager
    def recording(self) -> Iterator[list[Tensor]]:
        """Collect, in this thread, the rows that a network records."""
        rows: list[Tensor] = []
        token = self._rows.set(rows)
        try:
            yield rows
        finally:
            self._rows.reset(token)

    def wanted(self) -> bool:
        """Whether this thread is recording."""
        return self._rows.get() is not None

    def record(self, rows_NC: Tensor, reference_N: Tensor | None = None) -> None:
        """Record one row each; those of reference vectors (beams, spurions), marked True, are left out."""
        rows = self._rows.get()
        if rows is not None:
            rows.append(rows_NC if reference_N is None else rows_NC[~reference_N])


#: One row per constituent (N, C), just before they are added up.
constituent_rows = Recorder("constituent_rows")

#: One row per jet (J, C), just before the network's head.
jet_rows = Recorder("jet_rows")


def wanted() -> bool:
    """Whether this thread is recording anything."""
    return constituent_rows.wanted() or jet_rows.wanted()

"""A line on stderr where compiling takes a while, for whoever waits in front of a terminal or a notebook."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Timer
from time import monotonic

__all__ = ["CompileNotice", "compiling"]

#: Seconds of compiling after which it is told.
_PATIENCE = 2.0

_subject: ContextVar[str] = ContextVar("_subject", default="functions")


@contextmanager
def compiling(subject: str) -> Iterator[None]:
    """Name what is compiled within, if anything is."""
    token = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(token)


class CompileNotice:
    """Tells of each subject once in a process; not in worker processes, log files or if ``EQUITAG_QUIET`` is set."""

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._running: tuple[Timer, str, float] | None = None

    def begin(self) -> None:
        """Compiling begins."""
        subject = _subject.get()
        timer = Timer(max(0.0, _PATIENCE - self._spent.get(subject, 0.0)), self._tell, [subject])
        timer.daemon = True
        self._running = timer, subject, monotonic()
        if self._spent.get(subject, 0.0) <= _PATIENCE and _somebody_waits():
            timer.start()

    def end(self) -> None:
        """Compiling has ended."""
        if self._running is not None:
            timer, subject, begun = self._running
            timer.cancel()
            self._spent[subject] = self._spent.get(subject, 0.0) + monotonic() - begun
            self._running = None

    def _tell(self, subject: str) -> None:
        self._spent[subject] = float("inf")
        print(f"coffea-equitag: compiling {subject}, once per machine and version ...", file=sys.stderr, flush=True)


def _somebody_waits() -> bool:
    if os.environ.get("EQUITAG_QUIET") or multiprocessing.parent_process() is not None:
        return False
    return "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
